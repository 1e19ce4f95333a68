#!/usr/bin/env bash
# Builds an environment for each framework that cannot stand beside the others, and runs its tests, its example and its how-to there.
#   tests/integrations/own_environments.sh [autogen] [crewai]
# Environments stay in $AGENTMEM_ENVIRONMENTS (about 150 MB and 900 MB) and are used again. Neither torch nor a model is needed.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
places=${AGENTMEM_ENVIRONMENTS:-${TMPDIR:-/tmp}/agentmem-environments}
python=${PYTHON:-python3}
common=(networkx numpy pydantic pytest pytest-asyncio rich safetensors snowballstemmer typer typing_extensions)
declare -A wanted=(
  [autogen]="autogen-agentchat==0.7.5 autogen-core==0.7.5 autogen-ext==0.7.5"
  [crewai]="crewai==1.15.30"
)
export PYTHONPATH=$root ANONYMIZED_TELEMETRY=False CREWAI_DISABLE_TELEMETRY=true OTEL_SDK_DISABLED=true OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
names=("$@")
[[ ${#names[@]} -gt 0 ]] || names=(autogen crewai)
for name in "${names[@]}"; do
  [[ -v wanted[$name] ]] || { echo "there is no environment $name: autogen, crewai" >&2; exit 2; }
  place=$places/$name
  if [[ ! -e $place/ready ]]; then
    "$python" -m venv "$place"
    # shellcheck disable=SC2086 # several packages
    "$place/bin/pip" install --quiet --disable-pip-version-check ${wanted[$name]} "${common[@]}"
    touch "$place/ready"
  fi
  (cd "$root" && AGENTMEM_FRAMEWORKS=$name "$place/bin/python" -m pytest -q -p no:cacheprovider -W ignore::DeprecationWarning \
    "tests/integrations/test_$name.py" tests/integrations/test_guides_and_examples.py -k "$name")
done
