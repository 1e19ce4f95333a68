"""What is kept of a conversation that others hold: who said what, and what an answer rests on, so that it is forgotten with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agentmem.ask.answer import repeated
from agentmem.errors import AgentMemError, InvalidArgument, InvalidNote, UnknownNote
from agentmem.extract.words import entities
from agentmem.integrations.awaited import names_of
from agentmem.integrations.history import Spoken, noted
from agentmem.memory import Memory
from agentmem.notes.note import Hit, Receipt, Scope
from agentmem.recall.query import query_words

__all__ = ["asked_with", "keep_turns", "names_again", "remember_each", "rests_on", "whole_number"]

LONGEST_QUERY: Final = 4_000


def asked_with(text: str) -> str:
    """The end of a message, as long as recall can use it: what is asked usually stands there."""
    return text.strip()[-LONGEST_QUERY:].lstrip()


def whole_number(value: object, name: str, *, most: int | None = None, usual: int = 8) -> int:
    """An option that counts something, from 1 to ``most``.

    Raises:
        InvalidArgument: it is none; ``usual`` is named as one.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1 or (most is not None and value > most):
        span = f"from 1 to {most}" if most is not None else "of 1 or more"
        raise InvalidArgument(f"{name} must be a whole number {span}, not {value!r:.80}.", hint=f"{name}={usual}.")
    return value


def rests_on(answer: str, asked: Mapping[int, str], shown: Mapping[str, str]) -> list[str | int]:
    """What an answer says again: notes, and messages that it answers; as ``derived_from``, it is forgotten with any of them.

    Args:
        answer: the words of the model.
        asked: what it answers, by the places that these messages have in the call that keeps them.
        shown: the words of the notes that the model was shown, by their ids.
    """
    question = "\n".join(asked.values())
    again = repeated(answer, question, shown.values())
    said = set(query_words(answer))
    return [
        *(id for id, so in zip(shown, again, strict=True) if so or names_again(answer, question, shown[id])),
        *(place for place, text in asked.items() if said & set(query_words(text))),
    ]


def names_again(answer: str, question: str, note: str) -> bool:
    """Whether an answer has a name or a number of a note that the question has not: in whatever words, it has it from there."""
    added = set(query_words(answer)) - set(query_words(question))
    names = {word for name in entities(note) for word in query_words(name)}
    return any(word in names or any(c.isdigit() for c in word) for word in added & set(query_words(note)))


def remember_each(
    memory: Memory,
    items: Sequence[dict[str, Any]],
    whose: Mapping[str, Any],
    *,
    spare: tuple[type[AgentMemError], ...] = (InvalidNote, UnknownNote),
) -> tuple[Receipt, ...]:
    """Remember several items in one transaction; where one cannot be a note, or repeats one that was forgotten, the others are kept.

    Args:
        spare: the errors that one item may have without the others; its receipt is then ``rejected``, with a warning.
    """
    try:
        return tuple(memory.remember_many(items, progress=False, **whose))
    except spare:
        receipts: list[Receipt] = []
        for item in items:
            receipts.append(_alone(memory, item, receipts, whose, spare))
        return tuple(receipts)


def _alone(
    memory: Memory,
    item: dict[str, Any],
    before: Sequence[Receipt],
    whose: Mapping[str, Any],
    spare: tuple[type[AgentMemError], ...],
) -> Receipt:
    told = [before[each].id if isinstance(each, int) else each for each in item.get("derived_from", ())]
    try:
        return memory.remember({**item, "derived_from": [id for id in told if id]}, **whose)
    except spare as error:
        what = f"the {item['role']}'s turn" if "role" in item else "an item"
        return Receipt(None, "rejected", error.message, warnings=(f"{what} was not remembered: {error}",))


def keep_turns(
    memory: Memory, turns: Sequence[Spoken], scope: Scope, *, told: Sequence[Hit] = (), key: str | None = None
) -> tuple[Receipt, ...]:
    """Remember what was said, in its order.

    An answer is forgotten with the recalled notes and the messages that it repeats, and is not kept where one was forgotten meanwhile.

    Args:
        told: the notes that the model was shown.
        key: of these turns alone: what was kept under it is not kept again. Without it, the same words said again are the same note.
    """
    items: list[dict[str, Any]] = []
    asked: dict[int, str] = {}
    shown = {hit.note.id: hit.note.content for hit in told}
    for number, turn in enumerate(turns):
        words = noted(turn.text, turn.actor)
        if words is None:
            continue
        item: dict[str, Any] = {"role": turn.actor, "content": words.text}
        if turn.actor == "assistant":
            item["derived_from"] = rests_on(turn.text, asked, shown)
        else:
            if items and items[-1]["role"] == "assistant":
                asked = {}
            asked[len(items)] = words.text
        if key is not None:
            item |= {"idempotency_key": f"{key}:{number}", "occurred_at": memory.clock.now()}
        items.append(item)
    return remember_each(memory, items, names_of(scope)) if items else ()
