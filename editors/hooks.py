"""What hooks add and record, kept per calling context.

Two threads that share a model never see each other's work, and an exception leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentmem.editors.compiled import eager, outside_compiler

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Hook", "Injection", "KeyTap", "injection", "install_injection", "install_tap", "is_own_forward", "own_forward", "remove_injection",
    "remove_tap", "taps",
]  # fmt: skip


class Hook:
    """A hook for the one model that it was put on: in a copy of the model, pickled or not, it does nothing.

    Edits live beside a model, so a copy of an edited model is the base; an editor of its own may load their pack.

    Args:
        act: what the hook does.
    """

    def __init__(self, act: Callable[..., Any] | None) -> None:
        self._act = None if act is None else outside_compiler(act)

    def __call__(self, *args: Any) -> Any:
        return None if self._act is None else self._act(*args)

    def __reduce__(self) -> tuple[type[Hook], tuple[None]]:
        return Hook, (None,)


@dataclass(frozen=True)
class Injection:
    """Vectors to add to the residual stream in the next forward of this context.

    Args:
        port: whose hooks add them; another port on the same model looks away.
        rows: [n] batch rows.
        columns: [n] token columns, counted inside that forward.
        values: [n, d_model], fp32.
    """

    port: object
    rows: Tensor
    columns: Tensor
    values: Tensor


@dataclass
class KeyTap:
    """Where the next forward of this context, of ``batch`` rows of ``length`` tokens, leaves its raw keys: [n, d_key], fp32.

    A forward of another shape is not meant: when the hooks were taken off in the middle of one, its tap is left behind.
    """

    port: object
    batch: int
    length: int
    rows: Tensor
    columns: Tensor
    keys: Tensor | None = None


_INJECTION: ContextVar[Injection | None] = ContextVar("agentmem_injection", default=None)
_RUNNING: ContextVar[tuple[Injection, ...]] = ContextVar("agentmem_running_injections", default=())
_KEY_TAPS: ContextVar[tuple[KeyTap, ...]] = ContextVar("agentmem_key_taps", default=())
_OWN_FORWARD: ContextVar[bool] = ContextVar("agentmem_own_forward", default=False)


@contextmanager
def own_forward(adding: Injection | None = None, tap: KeyTap | None = None) -> Iterator[None]:
    """Forwards inside are the library's own: routers look away, and the hooks add and record what is given here."""
    wanted = () if tap is None else (tap,)
    tokens = (_OWN_FORWARD.set(True), _INJECTION.set(adding), _KEY_TAPS.set(wanted))
    try:
        with eager():
            yield
    finally:
        _OWN_FORWARD.reset(tokens[0])
        _INJECTION.reset(tokens[1])
        _KEY_TAPS.reset(tokens[2])


def is_own_forward() -> bool:
    """Whether the running forward was started by :func:`own_forward`."""
    return _OWN_FORWARD.get()


def install_tap(tap: KeyTap) -> None:
    """Record keys in the running forward of this context; undo with :func:`remove_tap`."""
    _KEY_TAPS.set((*_KEY_TAPS.get(), tap))


def remove_tap(tap: KeyTap) -> None:
    """Undo :func:`install_tap`, in whatever order editors on one model do so."""
    _KEY_TAPS.set(tuple(other for other in _KEY_TAPS.get() if other is not tap))


def install_injection(adding: Injection) -> None:
    """Add vectors in the running forward of this context; undo with :func:`remove_injection`."""
    _RUNNING.set((*_RUNNING.get(), adding))


def remove_injection(port: object) -> None:
    """Undo :func:`install_injection` for what a port's hooks add."""
    if held := _RUNNING.get():
        _RUNNING.set(tuple(other for other in held if other.port is not port))


def injection(port: object) -> Injection | None:
    """What a port's hooks shall add in the running forward of this context."""
    if is_own_forward():
        found = _INJECTION.get()
        return found if found is not None and found.port is port else None
    return next((each for each in _RUNNING.get() if each.port is port), None)


def taps() -> tuple[KeyTap, ...]:
    """Who wants keys of the running forward of this context."""
    return _KEY_TAPS.get()
