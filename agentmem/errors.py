"""Everything agentmem raises, in one tree; each error carries the cure in ``hint``.

AgentMemError
├── InvalidNote          a note's own values are wrong (empty, too long, not text, bad dates)
├── InvalidArgument      an argument of a call is wrong (type, range, unknown name)
├── UnknownNote          no note with this id in this scope
├── ScopeError           a read or write outside the scope that it may touch
│   ├── ScopeRequired    scoped data was read without saying whose
│   └── ScopeBreach      a fault in agentmem: a query came across somebody else's notes, and was stopped
├── InvalidImport        a file to import is torn, damaged, or of no known shape; nothing was written
├── StoreError           the notes could not be read or written
│   ├── StoreLocked      another process holds what only one may hold
│   ├── StoreBusy        calls are still running that closing waited for
│   ├── StoreReadOnly    the directory or the file cannot be written
│   ├── StoreFull        the disk is full; nothing was written
│   ├── StoreUnfinished  a move into this place has not come to its end
│   ├── StoreForeign      files of others, or links, are where this package's own belong; nothing was touched
│   └── StoreCorrupt     a file is damaged or from a newer version
├── IndexUnavailable     a projection is missing or damaged (reads degrade, they do not fail)
├── EmbedderError        texts could not be turned into vectors
│   └── EmbedderMismatch the store was built with another embedder
├── ModelError           a language model could not be loaded or used
│   ├── PromptTooLong    what a language model was to read is longer than it reads at most
│   ├── InvalidAnswer    a language model's answer was not what was asked for, also when asked again
│   ├── LayerNotFound    the decoder layers could not be found in this architecture
│   └── NoChatTemplate   messages were given to a tokenizer that has no chat template
├── EditError            a weight edit could not be written, found, saved or loaded
│   ├── UnknownEdit      no edit with this id
│   ├── PackMismatch     a saved pack belongs to another base model or is damaged
│   └── PackUnreachable  the place where packs are kept cannot be reached, or is not theirs; what it holds is not known
├── ConsolidationError   a consolidation job could not run
│   └── JobLocked        another worker holds the lease of this job
└── MissingExtra         an optional dependency is not installed
"""

from __future__ import annotations

__all__ = [
    "AgentMemError",
    "ConsolidationError",
    "EditError",
    "EmbedderError",
    "EmbedderMismatch",
    "IndexUnavailable",
    "InvalidAnswer",
    "InvalidArgument",
    "InvalidImport",
    "InvalidNote",
    "JobLocked",
    "LayerNotFound",
    "MissingExtra",
    "ModelError",
    "NoChatTemplate",
    "PackMismatch",
    "PackUnreachable",
    "PromptTooLong",
    "ScopeBreach",
    "ScopeError",
    "ScopeRequired",
    "StoreBusy",
    "StoreCorrupt",
    "StoreError",
    "StoreForeign",
    "StoreFull",
    "StoreLocked",
    "StoreReadOnly",
    "StoreUnfinished",
    "UnknownEdit",
    "UnknownNote",
]


class AgentMemError(Exception):
    """Base of every error of this package.

    Args:
        message: what happened, in one sentence.
        hint: what to do about it: a command, or a line of code.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} Hint: {self.hint}" if self.hint else self.message


class InvalidNote(AgentMemError, ValueError):
    """A note's own values are wrong: empty, too long, not text, dates that contradict each other."""


class InvalidArgument(AgentMemError, ValueError):
    """An argument of a call has the wrong type, is out of range, or names nothing known."""


class InvalidImport(AgentMemError, ValueError):
    """A file to import is torn, damaged, of an unknown shape or from a newer version; nothing was written."""


class UnknownNote(AgentMemError, KeyError):
    """No note with this id exists in the scope of the call (a foreign note looks the same)."""

    __str__ = AgentMemError.__str__  # KeyError would print the repr of its argument


class ScopeError(AgentMemError, PermissionError):
    """A call reached outside the scope that it may touch."""


class ScopeRequired(ScopeError):
    """Scoped data was read without saying whose."""


class ScopeBreach(ScopeError):
    """A query came across notes of an owner outside the scope of its request; none was handed out or changed. A fault in agentmem."""


class StoreError(AgentMemError):
    """The notes could not be read or written."""


class StoreLocked(StoreError):
    """Another process holds what only one may hold."""


class StoreBusy(StoreError, TimeoutError):
    """Closing was waited for, and calls are still running; the memory closes behind them."""


class StoreReadOnly(StoreError):
    """The directory or the database file cannot be written."""


class StoreFull(StoreError):
    """The disk is full; the call wrote nothing."""


class StoreUnfinished(StoreError):
    """A memory is being moved to this place, and not all of it is here yet."""


class StoreForeign(StoreError):
    """Files of others, or links, are where this package's own files belong; none of them was touched."""


class StoreCorrupt(StoreError):
    """A file of the store is damaged, or was written by a newer version."""


class IndexUnavailable(AgentMemError):
    """A projection (vector index, full text) is missing or damaged."""


class EmbedderError(AgentMemError):
    """Texts could not be turned into vectors."""


class EmbedderMismatch(EmbedderError):
    """The store holds vectors of another embedder or another dimension."""


class ModelError(AgentMemError):
    """A language model could not be loaded or used."""


class PromptTooLong(ModelError):
    """What a language model was to read is longer than it reads at most."""


class InvalidAnswer(ModelError):
    """A language model's answer was not what was asked for, also after it was told what is wrong with it."""


class LayerNotFound(ModelError):
    """The decoder layers or their parts could not be found in this architecture."""


class NoChatTemplate(ModelError):
    """Messages were given to a tokenizer that has no chat template."""


class EditError(AgentMemError):
    """A weight edit could not be written, found, saved or loaded."""


class UnknownEdit(EditError, KeyError):
    """No edit with this id."""

    __str__ = AgentMemError.__str__


class PackMismatch(EditError):
    """A saved pack of edits belongs to another base model, or its bytes are damaged."""


class PackUnreachable(EditError):
    """The place where the packs of edits are kept cannot be reached, refuses, or holds none of this memory's."""


class ConsolidationError(AgentMemError):
    """A consolidation job could not run."""


class JobLocked(ConsolidationError):
    """Another worker holds the lease of this job."""


class MissingExtra(AgentMemError, ImportError):
    """An optional dependency is not installed."""
