"""Asking a language model for an answer: whatever its owner's code raises is a typed error, with the cause behind it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from agentmem.errors import AgentMemError, ModelError
from agentmem.notes.protocols import LanguageModel, Message

__all__ = ["failures", "heard", "said"]

_END = object()


@contextmanager
def failures(what: str = "The language model") -> Iterator[None]:
    """Whatever a caller's own code raises inside, as a :class:`~agentmem.errors.ModelError`; our own errors as they are."""
    try:
        yield
    except AgentMemError:
        raise
    except Exception as error:
        raise ModelError(
            f"{what} failed: {type(error).__name__}: {error}",
            hint="the error behind this one (__cause__) says where; is it running?",
        ) from error


def said(model: LanguageModel, messages: Sequence[Message], **options: Any) -> str:
    """The model's answer.

    Raises:
        ModelError: it failed, or gave something else than text.
    """
    with failures():
        text: object = model.complete(messages, **options)
    if not isinstance(text, str):
        raise ModelError(f"The language model gave {type(text).__name__}, not text.", hint="complete() returns a str.")
    return text


def heard(model: LanguageModel, messages: Sequence[Message], **options: Any) -> Generator[str, None, None]:
    """The same answer, piece by piece; the model is told when nobody listens any more.

    Raises:
        ModelError: it failed, or gave something else than text.
    """
    with failures():
        pieces: Iterator[object] = iter(model.stream(messages, **options))
    try:
        while True:
            with failures():
                piece: object = next(pieces, _END)
            if piece is _END:
                return
            if piece is not None and not isinstance(piece, str):
                raise ModelError(
                    f"The language model gave {type(piece).__name__}, not text.", hint="stream() yields pieces of text."
                )
            if piece:
                yield str(piece)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
