"""One tree of errors; each says what happened and carries the cure."""

from __future__ import annotations

import inspect
import pickle
import re
import tomllib
from pathlib import Path

import pytest

from agentmem import Memory, errors
from agentmem.errors import AgentMemError

EVERY = [getattr(errors, name) for name in errors.__all__]


def test_all_names_every_public_error_in_order() -> None:
    public = sorted(n for n, v in vars(errors).items() if inspect.isclass(v) and not n.startswith("_"))

    assert errors.__all__ == sorted(errors.__all__)
    assert errors.__all__ == public


@pytest.mark.parametrize("error", EVERY)
def test_every_error_is_in_the_tree_and_in_its_drawing(error: type[AgentMemError]) -> None:
    assert issubclass(error, AgentMemError)
    assert re.search(rf"\b{error.__name__}\b", errors.__doc__ or "")
    assert error.__doc__


@pytest.mark.parametrize("error", EVERY)
def test_the_drawing_shows_the_parent(error: type[AgentMemError]) -> None:
    lines = (errors.__doc__ or "").splitlines()
    depth = {re.sub(r"[│├└─ ]", "", line).split()[0] if line.strip("│├└─ ") else "": line for line in lines if line}
    parent = error.__bases__[0]
    if error is AgentMemError:
        return

    def indent(name: str) -> int:
        line = next(x for x in lines if re.match(rf"[│├└─ ]*{name}\b", x))
        return len(line) - len(line.lstrip("│├└─ "))

    assert indent(error.__name__) == indent(parent.__name__) + 4, depth


@pytest.mark.parametrize("error", EVERY)
def test_the_hint_is_printed_after_the_message(error: type[AgentMemError]) -> None:
    raised = error("It broke.", hint="mend it.")

    assert (raised.message, raised.hint) == ("It broke.", "mend it.")
    assert str(raised) == "It broke. Hint: mend it."
    assert str(error("It broke.")) == "It broke."


@pytest.mark.parametrize("error", EVERY)
def test_an_error_survives_the_way_from_another_process(error: type[AgentMemError]) -> None:
    back = pickle.loads(pickle.dumps(error("It broke.", hint="mend it.")))

    assert type(back) is error
    assert str(back) == "It broke. Hint: mend it."


@pytest.mark.parametrize("error", EVERY)
def test_no_error_hides_a_builtin(error: type[AgentMemError]) -> None:
    import builtins

    assert not hasattr(builtins, error.__name__)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InvalidNote, ValueError),
        (errors.InvalidArgument, ValueError),
        (errors.UnknownNote, KeyError),
        (errors.UnknownEdit, KeyError),
        (errors.ScopeError, PermissionError),
        (errors.MissingExtra, ImportError),
    ],
)
def test_errors_are_also_what_python_calls_them(error: type[AgentMemError], builtin: type[Exception]) -> None:
    assert issubclass(error, builtin)


def test_an_extra_that_a_hint_names_exists() -> None:
    root = Path(__file__).parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    files = [f for folder in ("agentmem", "stores", "editors", "integrations") for f in (root / folder).rglob("*.py")]
    named = {name for f in files for name in re.findall(r"agentmem-toolkit\[(\w+)\]", f.read_text(encoding="utf-8"))}

    assert named
    assert named <= set(extras)


def test_the_cure_of_a_note_that_is_too_long_is_a_keyword_of_remember() -> None:
    with Memory(None, embedder="hash") as memory, pytest.raises(errors.InvalidNote) as raised:
        memory.remember("word " * 20_000)

    (keyword,) = re.findall(r"(\w+)=", raised.value.hint)
    assert keyword in inspect.signature(Memory.remember).parameters
