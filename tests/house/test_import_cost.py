"""``import agentmem`` is cheap, and so is everything that a memory without a model needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "chromadb", "matplotlib", "networkx", "numpy", "openai", "pandas", "pydantic", "rich", "scipy", "sentence_transformers",
    "sklearn", "tokenizers", "torch", "transformers", "typer",
}  # fmt: skip
MODELS = {
    "chromadb",
    "matplotlib",
    "openai",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "torch",
    "transformers",
}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def loaded(code: str, names: set[str]) -> set[str]:
    return set(run(f"import sys\n{code}\nprint(*({names!r} & set(sys.modules)))").split())


def test_importing_agentmem_takes_under_three_tenths_of_a_second() -> None:
    spent = float(run("import time; t = time.process_time(); import agentmem; print(time.process_time() - t)"))

    assert spent < 0.3


def test_importing_agentmem_loads_no_library() -> None:
    assert loaded("import agentmem", HEAVY) == set()


@pytest.mark.parametrize(
    "name",
    [
        "errors",
        *(f"notes.{each}" for each in ("note", "edit", "protocols", "clock", "filters", "engine", "tables", "curves")),
    ],
)
def test_the_core_loads_no_library(name: str) -> None:
    assert loaded(f"import agentmem.{name}", HEAVY - {"numpy"}) == set()


def test_the_memory_class_loads_no_model_library() -> None:
    assert loaded("from agentmem import Memory", MODELS) == set()


def test_remembering_and_recalling_loads_no_model_library(tmp_path: object) -> None:
    code = (
        "from agentmem import Memory\n"
        f"with Memory({str(tmp_path)!r}) as m:\n"
        "    m.remember('Ana lives in Porto.')\n"
        "    assert m.recall('Where does Ana live?')"
    )

    assert loaded(code, MODELS - {"chromadb"}) == set()
