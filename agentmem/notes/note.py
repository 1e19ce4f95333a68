"""The values of the memory: what is stored, how it is linked, and what a call returns.

All are frozen: a note is changed by writing a new version of it, never in place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, Literal, Self, get_args

from agentmem.errors import InvalidArgument

__all__ = [
    "Fact",
    "ForgetReceipt",
    "Hit",
    "Kind",
    "Link",
    "MemoryState",
    "Note",
    "NoteVersion",
    "Receipt",
    "Scope",
    "Status",
    "reaches_all",
]

Kind = Literal["episodic", "semantic", "experience", "record", "summary", "portrait", "thought"]
"""A record is the text of a value that was put under a key; the last three are derived: reflection makes them of other notes, and they go when one of those is forgotten."""
Status = Literal["stored", "merged", "superseded", "rejected"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory this is.

    ``user`` is the boundary: a note with a user is visible to that user alone. A note with an agent and no user
    is visible to that agent alone; a note with neither is shared. ``session`` narrows a read to one conversation.
    """

    user: str | None = None
    agent: str | None = None
    session: str | None = None

    def __bool__(self) -> bool:
        return any((self.user, self.agent, self.session))

    @property
    def owner(self) -> Scope:
        """Whose a note with this scope is: a user's, else an agent's, else everybody's."""
        return Scope(self.user, self.agent if self.user is None else None)

    def admits(self, other: Scope) -> bool:
        """True when a request in this scope may see what is scoped as ``other``."""
        if other.user is not None:
            owned = other.user == self.user and (self.agent is None or other.agent in (None, self.agent))
        else:
            owned = other.agent is None or other.agent == self.agent
        return owned and (self.session is None or other.session in (None, self.session))

    def __str__(self) -> str:
        parts = [f"{k}={v}" for k in ("user", "agent", "session") if (v := getattr(self, k)) is not None]
        return ", ".join(parts) or "shared"


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement a note makes, in a form that can supersede, contradict or become a weight edit.

    ``functional`` says that a subject has one value of this relation at a time, so that a newer value closes
    the older one. ``question`` and ``paraphrases`` are ways to ask for the object; when absent they are made by rule.
    It holds as long as its note does, or from ``valid_from`` and until ``valid_to`` where it has such an end of its own: one of several
    facts of a note is over when ``ended_by``, the id of a note, says otherwise, and the note stays.
    """

    subject: str
    relation: str
    object: str
    functional: bool = True
    question: str | None = None
    paraphrases: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    ended_by: str | None = None

    def __str__(self) -> str:
        return f"{self.subject} · {self.relation} · {self.object}"

    @property
    def stated(self) -> Fact:
        """The statement itself, whenever it holds."""
        return replace(self, valid_from=None, valid_to=None, ended_by=None)

    def valid_at(self, moment: datetime) -> bool:
        """True when nothing of its own keeps it from holding at ``moment``; its note may."""
        return _within(self, moment)


@dataclass(frozen=True, slots=True)
class MemoryState:
    """Where a note stands on its forgetting curve.

    ``stability`` is in days; ``difficulty`` runs from 1 (easy) to 10; ``last_review`` is when it was last
    stored or used; ``recalls`` counts its uses.
    """

    stability: float
    difficulty: float
    last_review: datetime
    recalls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One memory. ``content`` is what was said or learnt; everything else helps to find and to judge it."""

    id: str
    content: str
    kind: Kind = "episodic"
    scope: Scope = Scope()
    actor: str | None = None
    thread: str | None = None
    position: int | None = None
    occurred_at: datetime
    created_at: datetime
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    context: str = ""
    importance: float = 0.5
    source: str | None = None
    trust: float = 1.0
    state: MemoryState
    archived_at: datetime | None = None
    facts: tuple[Fact, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    version: int = 1

    @property
    def fact(self) -> Fact | None:
        """The first of its facts that has not ended; of facts that are all over the first."""
        open_ones = (fact for fact in self.facts if fact.valid_to is None)
        return next(open_ones, self.facts[0] if self.facts else None)

    def valid_at(self, moment: datetime) -> bool:
        """True when the note holds at ``moment``: its validity is the half-open span [from, to)."""
        return _within(self, moment)

    @property
    def fact_span(self) -> tuple[datetime | None, datetime | None]:
        """From when, and until when its fact holds: no longer than the note does."""
        told = (self,) if self.fact is None else (self, self.fact)
        starts = [each.valid_from for each in told if each.valid_from is not None]
        ends = [each.valid_to for each in told if each.valid_to is not None]
        return max(starts, default=None), min(ends, default=None)

    def fact_valid_at(self, moment: datetime) -> bool:
        """True when its fact holds at ``moment``; without one, when the note does."""
        return self.valid_at(moment) and (self.fact is None or self.fact.valid_at(moment))

    def to_dict(self) -> dict[str, Any]:
        """The note as JSON-able values, by the names of its fields, with :attr:`fact`; times are ISO 8601. :meth:`from_dict` makes an equal note
        of them.

        Raises:
            InvalidArgument: the metadata holds what is not JSON.
        """
        try:
            metadata = json.loads(json.dumps(dict(self.metadata), allow_nan=False, default=_refused))
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"The metadata of note {self.id} is not JSON: {error}.", hint=_PLAIN) from error
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {name: None if values[name] is None else values[name].isoformat() for name in _MOMENTS}
        values |= {"keywords": list(self.keywords), "tags": list(self.tags), "metadata": metadata}
        values |= {"scope": asdict(self.scope), "state": asdict(self.state)}
        values["state"]["last_review"] = self.state.last_review.isoformat()
        values |= {"fact": _told(self.fact), "facts": [_told(fact) for fact in self.facts]}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The note that :meth:`to_dict` wrote; where its ``facts`` are missing, ``fact`` is the only one.

        Raises:
            InvalidArgument: a key is unknown, one that a note needs is missing, a value is of the wrong type, or ``fact`` is not the one that
                its facts lead to.
        """
        if not isinstance(values, Mapping) or "fact" not in values:
            alone: Self = _made(cls, values, "a note")
            return alone
        told = None if values["fact"] is None else _made(Fact, values["fact"], "its fact")
        rest = {name: value for name, value in values.items() if name != "fact"}
        note: Self = _made(cls, {"facts": [] if told is None else [values["fact"]]} | rest, "a note")
        if note.fact != told:
            raise InvalidArgument(
                f"'fact' of a note is the first of its facts that has not ended, not {told}.",
                hint="change its 'facts'.",
            )
        return note


@dataclass(frozen=True, slots=True)
class NoteVersion:
    """One entry of a note's history: what it said, from when, and why it was changed."""

    version: int
    content: str
    changed_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Link:
    """A directed, typed edge of the note graph. ``reason`` says in words why the two belong together."""

    source: str
    target: str
    kind: str
    weight: float = 1.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One recalled note.

    ``reasons`` are the parts that add up to ``score``, by name; ``via`` are the ids of the neighbours that lifted it most;
    ``passage`` is what of a long note comes nearest to the query. With ``by_passage``, chosen for a prompt that has no room for all of
    the note, it is ``quoted`` by that passage. Of a note of which a part is over it is by ``holding``, the rest, where a prompt can do
    without that part. ``newer`` are the ids of other hits that are marked as replacing it.
    """

    note: Note
    score: float
    reasons: Mapping[str, float] = field(default_factory=dict)
    via: tuple[str, ...] = ()
    passage: str | None = None
    by_passage: bool = False
    holding: str | None = None
    newer: tuple[str, ...] = ()

    @property
    def quoted(self) -> str:
        """What a prompt quotes of the note."""
        if self.by_passage and self.passage is not None:
            return f"… {self.passage} …"
        return self.note.content if self.holding is None else self.holding

    def __repr__(self) -> str:
        return f"Hit({self.score:.3f}, {self.note.content[:60]!r})"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one remembered item.

    ``status`` is ``stored``, ``merged`` (into the note ``id``), ``superseded`` (stored, and older notes of the
    same fact were closed: see ``superseded``) or ``rejected`` (``id`` is then ``None``); ``reason`` says why.
    A call with a list of messages returns the receipt of the last message stored, with all of them in ``items``.
    """

    id: str | None
    status: Status
    reason: str = ""
    links: tuple[Link, ...] = ()
    superseded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    items: tuple[Receipt, ...] = ()

    @property
    def ok(self) -> bool:
        return self.status != "rejected"


def reaches_all(agent: str | None, other: str | None) -> bool:
    """Whether everybody of an owner who sees what the agent ``other`` was told sees what ``agent`` was told; what no agent was told by name, all see."""
    return agent is None or agent == other


@dataclass(frozen=True, slots=True)
class ForgetReceipt:
    """What ``forget`` removed, place by place, and the probes that show it gone.

    ``places`` counts what was removed (or, on a dry run, would be) from each place: notes, versions, text, vectors,
    index, links, outbox, edits … ``derived`` are notes that existed only because of the forgotten ones. ``probes`` map a question to
    what was found afterwards (True: gone). ``exports`` are the folders of adapters that were exported with one of them
    (:meth:`~agentmem.Memory.export_lora`): removed there, but not where somebody copied or loaded them.
    """

    ids: tuple[str, ...]
    places: Mapping[str, int]
    derived: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    probes: Mapping[str, bool] = field(default_factory=dict)
    dry_run: bool = False
    warnings: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        """True when every probe found nothing."""
        return not self.dry_run and all(self.probes.values())


# -- from plain values -----------------------------------------------------------------------------------------

_SPAN: Final = ("valid_from", "valid_to")
_MOMENTS: Final = ("occurred_at", "created_at", "valid_from", "valid_to", "archived_at")
_PLAIN: Final = "values are strings, finite numbers, booleans, null, lists and mappings with strings as keys."


def _within(one: Note | Fact, moment: datetime) -> bool:
    return (one.valid_from is None or one.valid_from <= moment) and (one.valid_to is None or moment < one.valid_to)


def _told(fact: Fact | None) -> dict[str, Any] | None:
    if fact is None:
        return None
    span = {name: None if (at := getattr(fact, name)) is None else at.isoformat() for name in _SPAN}
    return asdict(fact) | {"paraphrases": list(fact.paraphrases)} | span


def _refused(value: object) -> object:
    raise TypeError(f"a {type(value).__name__} is none of its values")


def _text(value: Any) -> str:
    text: str = _of(str, value)
    return text


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_of(str, value))
    if moment.tzinfo is None:
        raise ValueError("has no zone")
    return moment


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("is no finite number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("is no whole number")  # noqa: TRY004 - all that is wrong with a value is told alike
    number: int = _of(int, value)
    return number


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(each) for each in _of(list, value))


def _kind(value: Any) -> Kind:
    if value not in get_args(Kind):
        raise ValueError(f"is none of {', '.join(get_args(Kind))}")
    kind: Kind = value
    return kind


def _json(value: Any) -> Mapping[str, object]:
    made: Mapping[str, object] = json.loads(json.dumps(_of(dict, value), allow_nan=False, default=_refused))
    return made


def _of(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"is no {kind.__name__}")  # noqa: TRY004
    return value


_READ: Final[Mapping[type[Any], Mapping[str, Callable[[Any], Any]]]] = {
    Scope: dict.fromkeys(("user", "agent", "session"), _text),
    MemoryState: {"stability": _number, "difficulty": _number, "last_review": _moment, "recalls": _whole},
    Fact: {
        **dict.fromkeys(("subject", "relation", "object", "question", "ended_by"), _text), **dict.fromkeys(_SPAN, _moment),
        "functional": lambda value: _of(bool, value), "paraphrases": _texts,
    },
    Note: {
        **dict.fromkeys(("id", "content", "actor", "thread", "context", "source"), _text),
        **dict.fromkeys(_MOMENTS, _moment), **dict.fromkeys(("importance", "trust"), _number),
        **dict.fromkeys(("position", "version"), _whole), **dict.fromkeys(("keywords", "tags"), _texts),
        "kind": _kind, "metadata": _json, "scope": lambda value: _made(Scope, value, "its scope"),
        "state": lambda value: _made(MemoryState, value, "its state"),
        "facts": lambda value: tuple(_made(Fact, each, "its fact") for each in _of(list, value)),
    },
}  # fmt: skip


def _made(kind: type[Any], values: Any, what: str) -> Any:
    """A value of ``kind`` out of plain ones; ``None`` only where its field may be that."""
    if not isinstance(values, Mapping):
        raise InvalidArgument(f"{what} is a mapping, not {values!r:.80}.", hint="pass what Note.to_dict() returned.")
    known = {each.name: each for each in fields(kind)}
    if unknown := [key for key in values if key not in known]:
        raise InvalidArgument(f"Unknown key {unknown[0]!r:.80} in {what}.", hint=f"it has: {', '.join(known)}.")
    needed = [n for n, each in known.items() if each.default is MISSING and each.default_factory is MISSING]
    if missing := [name for name in needed if name not in values]:
        raise InvalidArgument(f"{what} lacks {missing[0]!r}.", hint=f"it needs: {', '.join(needed)}.")
    made = {}
    for name, value in values.items():
        try:
            empty = value is None and "None" in str(known[name].type)
            made[name] = None if empty else _READ[kind if kind in _READ else Note][name](value)
        except (TypeError, ValueError, RecursionError) as error:
            if isinstance(error, InvalidArgument):
                raise
            raise InvalidArgument(f"{name!r} in {what}: {value!r:.80} {error}.", hint=_PLAIN) from error
    return kind(**made)
