# One command each; `make help` lists them. Everything is installed into .venv beside this file, nothing elsewhere.
#
#   PYTHON=python3.12 make setup       another interpreter
#   TORCH_ARGS="--extra-index-url …" make  where a CPU build of torch comes from, if your default has only the big ones

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON ?=
TORCH_ARGS ?=
WORKERS ?= 2
PYTEST_ARGS ?=

# No downloads, no telemetry, and no more threads than the tests have cores to share.
RUN := HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 TOKENIZERS_PARALLELISM=false ANONYMIZED_TELEMETRY=False
TEST_RUN := $(RUN) OMP_NUM_THREADS=1
# Installing leaves byte code out, to be quick; what is imported once is then compiled once, not in every process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo docs test test-slow test-integrations test-own-environments lint format types contracts build check-wheel coverage ci clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## make .venv and install everything into it (once; again when the pins change)

# The stamp holds a hash of what was installed from, so a fresh checkout's file times do not matter.
$(STAMP): pyproject.toml constraints.txt
	@want=$$(cat pyproject.toml constraints.txt | sha256sum); \
	if [ -x $(BIN)/python ] && [ "$$(cat $@ 2>/dev/null)" = "$$want" ]; then touch $@; exit 0; fi; \
	if [ ! -x $(BIN)/python ]; then \
	  python=$$(for p in $(PYTHON) python3.11 python3 python3.13 python3.12; do \
	    if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$p"; break; fi; done); \
	  if [ -z "$$python" ]; then echo "agentmem needs Python 3.11 or newer: PYTHON=/path/to/python3 make setup" >&2; exit 1; fi; \
	  echo "Making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv $(VENV) >/dev/null 2>&1 \
	    || { rm -rf $(VENV); "$$python" -m venv --without-pip $(VENV) && "$$python" -m pip --python $(BIN)/python install --quiet pip; } \
	    || { rm -rf $(VENV); echo "No virtual environment could be made; on Debian: apt install python3-venv" >&2; exit 1; }; \
	fi; \
	echo "Installing torch (about 200 MB for a CPU build)"; \
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check $(TORCH_ARGS) -c constraints.txt torch==2.13.0; \
	echo "Installing agentmem and what it needs"; \
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[offline,viz,openai,mcp,server,telemetry,dev]'; \
	echo "$$want" > $@

demo: setup ## the whole story in a minute: remember, recall, consolidate into weights, forget
	@$(RUN) $(BIN)/agentmem demo

test: setup ## the default tests: no network, no accelerator, no framework
	@$(TEST_RUN) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

test-slow: setup ## the long ones too
	@$(TEST_RUN) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not gpu and not integrations" $(PYTEST_ARGS)

# Some 400 MB that nobody needs who uses one framework or none; pip 25.1 or newer reads groups.
$(VENV)/.frameworks: $(STAMP)
	@echo "Installing the frameworks that agentmem is plugged into, and a PostgreSQL"
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt --group frameworks
	@touch $@

test-integrations: $(VENV)/.frameworks ## adapters in their real frameworks, a real PostgreSQL, quantised models
	@$(TEST_RUN) AGENTMEM_FRAMEWORKS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not slow and not gpu" $(PYTEST_ARGS) \
	  tests/integrations tests/stores/postgres tests/editors/test_quantised.py tests/editors/test_adapter_export.py tests/editors/test_serving.py

test-own-environments: ## AutoGen and CrewAI, each in an environment of its own (150 and 900 MB, kept where AGENTMEM_ENVIRONMENTS says)
	@PYTHON=$${PYTHON:-python3.11} tests/integrations/own_environments.sh $(FRAMEWORKS)

$(VENV)/.docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt --group docs
	@touch $@

docs: $(VENV)/.docs ## the documentation as a site in build/site, offline; what leads nowhere fails
	@$(RUN) $(BIN)/python -m docs.tools.build

lint: setup ## ruff: rules and layout
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## let ruff lay out the code
	@$(BIN)/ruff format .

types: setup ## mypy, strict
	@$(BIN)/mypy

contracts: setup ## who may import whom
	@$(BIN)/lint-imports

$(VENV)/.consumer: $(STAMP)
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt --group consumer
	@touch $@

check-wheel: build $(VENV)/.consumer ## the wheel without this checkout: every module, a program, and its types
	@.ci/check-wheel dist

build: setup ## wheel and sdist into dist/
	@rm -rf dist build
	@$(BIN)/python -m build --outdir dist . >/dev/null
	@ls -l dist

# Watching each branch costs two fifths more time, so it is done where a line that no test reaches costs most.
coverage: $(VENV)/.frameworks ## branch coverage of what everything stands on, and its floor
	@$(TEST_RUN) AGENTMEM_FRAMEWORKS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not slow and not gpu" --cov --cov-report=term:skip-covered $(PYTEST_ARGS) \
	  tests/notes tests/stores tests/extract tests/files

ci: ## what runs before a change is accepted
	@.ci/run

clean: ## remove what was built; `rm -rf .venv` removes the installation
	@rm -rf dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage *.egg-info
	@find agentmem stores editors integrations tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
