"""What pyproject.toml says against what lies in the folders."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
HOMES = {"agentmem.stores": "stores", "agentmem.editors": "editors", "agentmem.integrations": "integrations"}


def packages_found() -> set[str]:
    """Every folder with Python files, under the name that its home folder gives it."""
    found = set()
    for package, folder in {"agentmem": "agentmem", **HOMES}.items():
        for file in (ROOT / folder).rglob("*.py"):
            path = file.relative_to(ROOT / folder).parent
            if path.parts[:1] and package == "agentmem" and f"agentmem.{path.parts[0]}" in HOMES:
                continue  # seen through a symlink
            found.add(".".join([package, *path.parts]))
    return found


def test_every_folder_with_code_is_listed_as_a_package() -> None:
    assert sorted(packages_found()) == SETUPTOOLS["packages"]


def test_every_package_has_an_init() -> None:
    for package in SETUPTOOLS["packages"]:
        folder = ROOT / package.replace(".", "/")

        assert (folder / "__init__.py").is_file(), f"{package} has no __init__.py"


def test_the_three_folders_are_mapped_and_linked() -> None:
    assert {k: v for k, v in SETUPTOOLS["package-dir"].items() if k != "agentmem"} == HOMES
    for package, folder in HOMES.items():
        link = ROOT / package.replace(".", "/")

        assert link.is_symlink(), f"{link} is no symbolic link; check out with core.symlinks=true"
        assert link.resolve() == (ROOT / folder).resolve()


def test_the_distribution_does_not_take_a_name_that_belongs_to_somebody_else() -> None:
    assert PROJECT["project"]["name"] == "agentmem-toolkit"
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


FRAMEWORKS = {
    "adk", "agent-framework", "anthropic", "langchain", "langgraph", "llamaindex", "openai-agents", "pydantic-ai",
    "ray",
}  # fmt: skip


OWN = {"autogen", "crewai"}
"""Frameworks that cannot stand beside the others: each has an environment of its own, which pins them."""


def test_extras_are_spelled_out_and_all_holds_them() -> None:
    """But for frameworks: who wants a memory in one of them has it already."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = sorted(r for name, rs in extras.items() if name not in {"all", "dev", *FRAMEWORKS, *OWN} for r in rs)

    assert sorted(extras["all"]) == wanted
    assert {r for name in FRAMEWORKS for r in extras[name]} <= set(PROJECT["dependency-groups"]["frameworks"])
    assert not any("agentmem" in requirement for rs in extras.values() for requirement in rs)


@pytest.mark.parametrize("name", sorted(OWN))
def test_what_stands_by_itself_has_a_floor_and_is_tested_at_or_above_it(name: str) -> None:
    """The extra that an error names as the cure asks for what its own environment is made with."""
    made = (ROOT / "tests" / "integrations" / "own_environments.sh").read_text(encoding="utf-8")
    (pinned,) = re.findall(rf'^  \[{name}\]="(.*)"$', made, re.MULTILINE)
    versions = dict(each.split("==") for each in pinned.split())

    for wanted in PROJECT["project"]["optional-dependencies"][name]:
        package, floor = wanted.split(">=")
        assert [int(n) for n in versions[package].split(".")][: floor.count(".") + 1] >= [
            int(n) for n in floor.split(".")
        ]
    assert f"`{name}` extra" in (ROOT / "integrations" / f"{name}.py").read_text(encoding="utf-8")


def test_the_dev_extra_and_the_dev_group_are_the_same() -> None:
    groups = PROJECT["dependency-groups"]
    flat = [
        requirement
        for item in groups["dev"]
        for requirement in (groups[item["include-group"]] if isinstance(item, dict) else [item])
    ]

    assert sorted(flat) == sorted(PROJECT["project"]["optional-dependencies"]["dev"])


def test_everything_declared_is_pinned_and_pins_are_bare() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    names = {re.split(r"==", pin)[0].lower().replace("_", "-") for pin in pins}
    declared = PROJECT["project"]["dependencies"] + [
        r for name, rs in PROJECT["project"]["optional-dependencies"].items() if name not in OWN for r in rs
    ]
    wanted = {re.split(r"[<>=!\[ ]", requirement)[0].lower() for requirement in declared}

    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    assert wanted <= names


def test_no_file_names_a_registry_or_a_home_directory() -> None:
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run", ".ci/check-wheel"):
        text = (ROOT / name).read_text(encoding="utf-8")

        assert not re.search(r"https?://|file://|/home/|/root/|/work/|/opt/", text), name


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_build_products_are_ignored() -> None:
    for name in (".venv/x", "dist/x", "build/x", "agentmem_toolkit.egg-info/x"):
        assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False).returncode == 0
