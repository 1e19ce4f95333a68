"""What ``import agentmem`` offers."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import version

import pytest

import agentmem
from agentmem.errors import MissingExtra


def test_all_is_sorted_and_every_name_in_it_exists() -> None:
    assert agentmem.__all__ == sorted(agentmem.__all__)
    for name in agentmem.__all__:
        assert getattr(agentmem, name) is not None


def test_every_public_object_is_documented() -> None:
    for name in agentmem.__all__:
        if name != "__version__":
            assert getattr(agentmem, name).__doc__, name


def test_dir_shows_the_public_names() -> None:
    assert dir(agentmem) == agentmem.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Memry'"):
        _ = agentmem.Memry


def test_a_name_is_where_its_module_is() -> None:
    for name, home in agentmem._HOME.items():
        assert getattr(importlib.import_module(home), name) is getattr(agentmem, name)
    assert sorted([*agentmem._HOME, "__version__"]) == agentmem.__all__


def test_the_installed_version_is_the_code_s() -> None:
    assert version("agentmem-toolkit") == agentmem.__version__


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages(agentmem.__path__, "agentmem.") if "__main__" not in m.name]


ADAPTERS = tuple(
    f"agentmem.integrations.{name}"
    for name in (
        "adk", "agent_framework", "anthropic", "autogen", "crewai", "langchain", "langgraph", "llamaindex", "openai_agents", "prometheus",
        "pydantic_ai", "telemetry",
    )
)  # fmt: skip
"""What cannot exist without a framework of others."""


@pytest.mark.parametrize("name", modules())
def test_every_name_in_all_of_a_module_exists(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except MissingExtra as missing:  # a module that cannot exist without its framework says how to get it
        assert name.startswith(ADAPTERS)
        pytest.skip(missing.hint)

    assert [n for n in getattr(module, "__all__", []) if not hasattr(module, n)] == []


def test_importing_the_modules_prints_nothing_and_starts_nothing() -> None:
    """But for torch, which takes its time, and for what frameworks of others do when they are imported."""
    light = [name for name in modules() if not name.startswith(("agentmem.editors", *ADAPTERS))]
    code = f"""
import importlib, threading
for name in {light!r}:
    importlib.import_module(name)
    assert threading.active_count() == 1, name
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
