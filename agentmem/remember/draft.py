"""From what a caller hands over to drafts of notes: everything is checked here, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from agentmem.errors import InvalidArgument, InvalidNote
from agentmem.extract import AGENTS, Ending
from agentmem.notes.clock import as_moment
from agentmem.notes.messages import ROLES, as_mapping, calls_of, is_message, text_of
from agentmem.notes.names import checked_name, clean_text, flag, merge_scope, plain
from agentmem.notes.note import Fact, Kind, Receipt, Scope
from agentmem.remember.given_facts import endings, facts_given

__all__ = ["KEYWORDS", "Draft", "check_places", "make_draft", "make_drafts", "merge_scope", "resolve_trust"]

KINDS: tuple[Kind, ...] = ("episodic", "semantic", "experience")
TRUST_NAMES: Mapping[str, float] = {"untrusted": 0.0, "low": 0.2, "medium": 0.6, "high": 0.9, "trusted": 1.0}
SOURCE_TRUST: Mapping[str, float] = {
    "assistant": 0.7, "tool": 0.3, "web": 0.2, "email": 0.2, "mail": 0.2, "file": 0.3, "document": 0.3, "import": 0.6,
}  # fmt: skip
"""What a source is worth when the caller does not say: what an agent read is not what its user told it."""

MAX_METADATA = 16_384
MAX_LIST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One checked item on its way to becoming a note.

    ``timed``: the caller said when it happened; ``facts``: what it states may be read off its words; ``merge``: it may turn out to be a
    note that is there already.
    """

    content: str
    scope: Scope
    kind: Kind = "episodic"
    actor: str | None = None
    role: str | None = None
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    importance: float | None = None
    tags: tuple[str, ...] = ()
    source: str | None = None
    trust: float = 1.0
    stated: tuple[Fact, ...] = ()
    ends: tuple[Ending, ...] = ()
    facts: bool = True
    merge: bool = True
    metadata: Mapping[str, object] = field(default_factory=dict)
    idempotency_key: str | None = None
    thread: str | None = None
    derived_from: tuple[str | int, ...] = ()
    """Ids of notes, and places of earlier items of the same call."""
    echoes: int = 0
    """Lines of recalled notes that were taken out of the content."""

    @property
    def timed(self) -> bool:
        return self.occurred_at is not None


def make_drafts(item: object, bound: Scope, thread: str | None = None, **options: Any) -> list[Draft | Receipt]:
    """Drafts of one item: a string, a message, a mapping of ``remember``'s keywords, or a list of messages.

    In a list of messages one that cannot be a note does not take the others with it: a receipt in its place says why.

    Raises:
        InvalidNote, InvalidArgument: an option is wrong, or nothing of the item can be stored.
    """
    if is_message(item) and not isinstance(item, Mapping):
        item = as_mapping(item)
    if isinstance(item, Sequence) and not isinstance(item, (str, bytes)):
        return _from_list(item, bound, thread, options)
    if isinstance(item, Mapping):
        return [_from_mapping(item, bound, thread, options)]
    return [make_draft(item, bound, thread=thread, **options)]


def _from_list(
    items: Sequence[object], bound: Scope, thread: str | None, options: dict[str, Any]
) -> list[Draft | Receipt]:
    if not items:
        raise InvalidNote("An empty list of messages was given.", hint="pass at least one message.")
    make_draft("…", bound, thread=thread, **options)  # what is wrong with an option is wrong for all
    key, failed = options.get("idempotency_key"), None
    found: list[Draft | Receipt] = []
    for number, part in enumerate(items):
        own = options if key is None else {**options, "idempotency_key": f"{key}#{number}"}
        try:
            found.append(_from_mapping(_message(part), bound, thread, own))
        except (InvalidNote, InvalidArgument) as error:
            failed = failed or error
            found.append(Receipt(None, "rejected", f"message {number}: {error.message}"))
    if failed is not None and all(isinstance(each, Receipt) for each in found):
        raise failed
    return found


def _message(part: object) -> Mapping[str, Any]:
    if not isinstance(part, Mapping) and not is_message(part):
        raise InvalidArgument(
            f"A {type(part).__name__} is no message.",
            hint='pass messages like {"role": "user", "content": "…"}; for many notes use remember_many.',
        )
    return as_mapping(part)


KEYWORDS: Final = frozenset(
    "content user agent session kind actor occurred_at valid_from valid_to importance tags source trust fact ends facts "
    "merge metadata idempotency_key derived_from".split()
)


def _from_mapping(
    item: Mapping[str, Any], bound: Scope, thread: str | None, options: dict[str, Any]
) -> Draft | Receipt:
    given = dict(item)
    role = given.pop("role", None)
    if role is not None:
        words = text_of(item, calls=False)
        if not words and calls_of(item):
            return Receipt(None, "rejected", "a call of a tool says nothing; it is not a memory")
        if role not in ROLES:
            raise InvalidArgument(f"Unknown role {role!r}.", hint=f"use one of {', '.join(ROLES)}.")
        given = {k: v for k, v in given.items() if k in KEYWORDS} | {"actor": given.get("actor", given.get("name"))}
        given["content"] = words
        role = "tool" if role == "function" else plain(role)
    unknown = sorted(set(given) - KEYWORDS)
    if unknown or "content" not in given:
        what = f"Unknown key {unknown[0]!r} in an item" if unknown else "An item has no 'content'"
        raise InvalidArgument(what + ".", hint=f"an item may have: {', '.join(sorted(KEYWORDS))}.")
    merged = {k: v for k, v in options.items() if v is not None and v != ()} | {
        k: v for k, v in given.items() if v is not None
    }
    if options.get("source") is not None:
        merged["source"] = options["source"]  # where the call says that its items come from
    owner = merge_scope(bound, options.get("user"), options.get("agent"), options.get("session"))
    draft = make_draft(merged.pop("content", given["content"]), owner, thread=thread, role=role, **merged)
    return replace(draft, trust=min(draft.trust, _trust_at_most(options)))


def _trust_at_most(options: Mapping[str, Any]) -> float:
    """What the call says of where its items come from: an item is data, which may ask for less trust, never for more."""
    said = options.get("trust") is not None or options.get("source") is not None
    return resolve_trust(options.get("trust"), checked_name(options.get("source"), "source")) if said else 1.0


def make_draft(
    content: Any,
    bound: Scope,
    *,
    user: str | None = None,
    agent: str | None = None,
    session: str | None = None,
    kind: str = "episodic",
    actor: str | None = None,
    role: str | None = None,
    occurred_at: datetime | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    importance: float | None = None,
    tags: Iterable[str] = (),
    source: str | None = None,
    trust: float | str | None = None,
    fact: Fact | Sequence[str] | None = None,
    ends: Sequence[str | None] | Sequence[Sequence[str | None]] = (),
    facts: bool | Sequence[Fact | Sequence[str]] = True,
    merge: bool = True,
    metadata: Mapping[str, object] | None = None,
    idempotency_key: str | None = None,
    thread: str | None = None,
    derived_from: Sequence[str | int] = (),
) -> Draft:
    """Check every value of one item; raises :class:`InvalidNote` or :class:`InvalidArgument` with the cure."""
    scope = merge_scope(bound, user, agent, session)
    starts, until = _moment(valid_from, "valid_from"), _moment(valid_to, "valid_to")
    if starts and until and until <= starts:
        raise InvalidNote(
            f"valid_to ({until:%Y-%m-%d %H:%M}) is not after valid_from ({starts:%Y-%m-%d %H:%M}).",
            hint="the span is half-open: it ends after it starts.",
        )
    if kind not in KINDS:
        raise InvalidArgument(f"Unknown kind {kind!r}.", hint=f"use one of {', '.join(KINDS)}.")
    origin = checked_name(source, "source") or (role if role in AGENTS else None)
    return Draft(
        content=clean_text(content),
        scope=scope,
        kind=next(known for known in KINDS if known == kind),
        actor=checked_name(actor, "actor") or role,
        role=role,
        occurred_at=_moment(occurred_at, "occurred_at"),
        valid_from=starts,
        valid_to=until,
        importance=share(importance, "importance"),
        tags=tag_list(tags),
        source=origin,
        trust=resolve_trust(trust, origin),
        stated=facts_given(fact, facts),
        ends=endings(ends),
        facts=facts is True,
        merge=flag(merge, "merge"),
        metadata=json_metadata(metadata),
        idempotency_key=checked_name(idempotency_key, "idempotency_key"),
        thread=thread if thread is not None else scope.session,
        derived_from=_ids(derived_from),
    )


def check_places(drafts: Sequence[Draft | Receipt]) -> None:
    """Nothing can be made from what comes after it."""
    for number, draft in enumerate(drafts):
        for place in draft.derived_from if isinstance(draft, Draft) else ():
            if isinstance(place, int) and not 0 <= place < number:
                raise InvalidArgument(
                    f"Item {number}: derived_from names item {place}, which does not stand before it.",
                    hint="items of one call are counted from 0; everything else is named by its id.",
                )


def resolve_trust(trust: float | str | None, source: str | None) -> float:
    """Trust in [0, 1]: as given (a number or a name), else what the source is worth."""
    if trust is None:
        return SOURCE_TRUST.get((source or "").lower().split(":")[0], 1.0)
    if isinstance(trust, str):
        if trust.lower() not in TRUST_NAMES:
            raise InvalidArgument(
                f"Unknown trust {trust!r}.", hint=f"use a number from 0 to 1, or {', '.join(TRUST_NAMES)}."
            )
        return TRUST_NAMES[trust.lower()]
    value = share(trust, "trust")
    return 1.0 if value is None else value


def share(value: object, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise InvalidArgument(f"{name} must be a number from 0 to 1, not {value!r}.", hint=f"e.g. {name}=0.8.")
    return float(value)


def _moment(value: object, name: str) -> datetime | None:
    return None if value is None else as_moment(value, name)


def tag_list(tags: Iterable[str]) -> tuple[str, ...]:
    if not isinstance(tags, Iterable):
        raise InvalidArgument(f"tags must be a list of texts, not {tags!r:.80}.", hint="e.g. tags=['work'].")
    given = [tags] if isinstance(tags, str) else list(tags or ())
    if len(given) > MAX_LIST:
        raise InvalidArgument(f"{len(given)} tags were given.", hint=f"a note takes at most {MAX_LIST}.")
    return tuple(dict.fromkeys(str(checked_name(tag, "tags")) for tag in given))


def _ids(ids: object) -> tuple[str | int, ...]:
    given: list[Any] = [ids] if isinstance(ids, str) else list(ids) if isinstance(ids, Iterable) else [ids]
    known = all(isinstance(id, str) or (isinstance(id, int) and not isinstance(id, bool)) for id in given)
    if not known or len(given) > MAX_LIST:
        raise InvalidArgument(
            f"derived_from must be a list of at most {MAX_LIST} ids of notes, or places of earlier items of the call.",
            hint="e.g. derived_from=[hit.note.id for hit in hits].",
        )
    return tuple(dict.fromkeys(plain(id) if isinstance(id, str) else id for id in given))


def json_metadata(metadata: Mapping[str, object] | None) -> Mapping[str, object]:
    import json

    if metadata is None:
        return {}
    try:
        text = json.dumps(dict(metadata), allow_nan=False, ensure_ascii=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"metadata is not JSON: {error}.", hint="use strings, numbers, booleans, lists and mappings."
        ) from error
    if len(text) > MAX_METADATA or len(metadata) > MAX_LIST:
        raise InvalidArgument(
            "metadata is too large.", hint=f"at most {MAX_LIST} keys and {MAX_METADATA} characters of JSON."
        )
    result: Mapping[str, object] = json.loads(text)
    return result
