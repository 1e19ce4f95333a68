"""What ``recall`` returns: hits, how they were found, and how to put them into a prompt."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import overload

from agentmem.errors import InvalidArgument
from agentmem.extract import still_told
from agentmem.extract.asking import MARKED, ONLY_ASKS
from agentmem.notes.note import Hit, Note
from agentmem.notes.quoting import hit_line, lines_block, note_order, notes_block
from agentmem.notes.rows import asks

__all__ = ["Recollection", "estimate_tokens", "tells"]

_ASKS = (0.8, 0.7, 0.9)
"""How likely a text only asks that takes no room in a prompt: one that does not end as a question, one that is nothing else, and one that says
something before. What is left out of a prompt is lost to it, so more has to be sure than for a place among the hits.
"""


def estimate_tokens(text: str) -> int:
    """A safe guess without a tokenizer: English runs at about four characters a token, names at fewer."""
    return -(-len(text) // 3)


def tells(hit: Hit) -> bool:
    """Not what only asks, nor a reply to it. A statement in nearly the words of the question, as "I live in Porto", tells all the same."""
    if not any(hit.reasons.get(part, 0.0) < 0 for part in ("asked", "question", "echo")):
        return True
    note = hit.note
    likely, ends = ONLY_ASKS.likely(note.content), asks(note.content)
    return note.actor != "assistant" and likely < _ASKS[ends] and not (ends == 1 and likely == MARKED)


@dataclass(frozen=True, slots=True)
class Recollection(Sequence[Hit]):
    """The hits of one recall, best first; ``at`` is the moment it answers for: the present, or the ``as_of`` that was asked for.

    ``degraded`` is true when a projection was missing or damaged: the answer is complete all the same, found by
    a slower way; ``warnings`` say what was missing. ``plan`` says which way was taken.
    """

    query: str
    hits: tuple[Hit, ...]
    at: datetime
    degraded: bool = False
    warnings: tuple[str, ...] = ()
    plan: Mapping[str, object] = field(default_factory=dict)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @property
    def notes(self) -> tuple[Note, ...]:
        return tuple(hit.note for hit in self.hits)

    def within(self, max_tokens: int, count: Callable[[str], int] | None = None) -> tuple[Hit, ...]:
        """The best hits whose block fits into ``max_tokens``.

        A long note that does not fit is quoted by the passage that comes nearest to the query (``hit.by_passage``); what does not fit
        even so is passed over.
        """
        if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 0:
            raise InvalidArgument(
                f"max_tokens must be a whole number of 0 or more, not {max_tokens!r}.",
                hint="pass the room you have in the prompt, e.g. recollection.context(max_tokens=400).",
            )
        measure = count or estimate_tokens
        said_on = {
            hit.note.id: hit.note.occurred_at for hit in self.hits
        }  # a mark may go with what does not fit: room is left for it
        chosen: list[Hit] = []
        lines: list[tuple[tuple[datetime, datetime, str], str]] = []  # in the block's order; each made once
        for hit in self.hits:
            if hit.note.valid_to is not None and hit.note.valid_to <= self.at:
                continue  # a statement that no longer holds would only compete with the one that does
            if (rest := still_told(hit.note, self.at)) is not None:
                hit = replace(hit, holding=rest)  # noqa: PLW2901
            ways = (hit, replace(hit, by_passage=True)) if hit.passage is not None else (hit,)
            for way in ways:
                line = (note_order(hit.note), hit_line(way, said_on))
                place = bisect_left(lines, line)
                lines.insert(place, line)
                if measure(lines_block([text for _, text in lines])) <= max_tokens:
                    chosen.append(way)
                    break
                del lines[place]
        return tuple(chosen)

    def context(
        self, max_tokens: int = 512, count: Callable[[str], int] | None = None, *, questions: bool = False
    ) -> str:
        """The hits as prompt text: a header, then one quoted line per note, oldest first.

        Args:
            max_tokens: room for the block; ``count`` measures a text in tokens (default: a safe estimate).
            questions: also what only asks, and replies to it; an agent that stores its questions would find little else.
        """
        told = self if questions else replace(self, hits=tuple(filter(tells, self.hits)))
        return notes_block(told.within(max_tokens, count))
