"""What finds a note without searching: the same words, the same fact, who said it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agentmem.notes.engine import Row
from agentmem.notes.note import Fact, Scope
from agentmem.notes.tables import EXPERIENCE, FACT, NOTE, Among, Span
from agentmem.records.area import Area
from agentmem.records.codec import FACT_COLUMNS, fact_of, normalised

__all__ = ["SameNotes"]


class SameNotes(Area):
    """The part of the notes that looks up by key."""

    def same_content(self, owner: int, content_hash: bytes) -> list[int]:
        """Rows of an owner with this content hash, oldest first."""
        return self.same_contents(owner, [content_hash]).get(content_hash, [])

    def same_contents(self, owner: int, hashes: Sequence[bytes]) -> dict[bytes, list[int]]:
        """:meth:`same_content` of those of many hashes that are known."""
        found: dict[bytes, list[int]] = {}
        asked = {"owner": owner, "hash": Among(hashes)}
        for content_hash, row in self._tables.find(NOTE, asked, columns=("hash", "id")):
            found.setdefault(content_hash, []).append(row)
        return found

    def said(
        self,
        owner: int,
        content_hash: bytes,
        scope: Scope,
        actor: str | None,
        moment: int,
        occurred_at: int | None = None,
    ) -> Iterator[int]:
        """Rows with this content hash, oldest first, no record's and nothing that was done, in this very scope, by this actor, that holds at ``moment``; of a time when one is given."""
        asked: dict[str, Any] = {"owner": owner, "actor": actor, "agent": scope.agent, "session": scope.session}
        if occurred_at is None:
            asked["hash"] = content_hash
        else:  # what is said often is said at many times: the time leads to it at once, the words to all of these
            asked |= {"occurred_at": occurred_at, "hash": Span(least=content_hash, most=content_hash)}
        for row, kind, start, end in self._tables.find(NOTE, asked, columns=("id", "kind", "valid_from", "valid_to")):
            holds = (start is None or start <= moment) and (end is None or end > moment)
            if holds and kind != "record" and not self._tables.count(EXPERIENCE, {"row": row}):
                yield int(row)

    def said_by_another(self, owner: int, content_hash: bytes, actor: str | None) -> str | None:
        """The id of the oldest note with this content that is not by this actor."""
        found = self._tables.find(NOTE, {"owner": owner, "hash": content_hash}, columns=("uid", "actor"))
        return next((str(id) for id, other in found if other != actor), None)

    def facts(
        self,
        owner: int,
        subject: str,
        relation: str | None = None,
        *,
        open_only: bool = True,
        holding_from: int | None = None,
    ) -> list[tuple[int, Fact]]:
        """Facts by normalised subject and relation, oldest row first; ``open_only`` leaves out those that have ended, or whose note has.

        With ``holding_from`` only those are left out that had ended by that moment.
        """
        asked: dict[str, Any] = {"owner": owner, "subject_key": normalised(subject)}
        if relation is not None:
            asked["relation_key"] = normalised(relation)
        found = self._tables.find(FACT, asked, columns=("row", "valid_to", *FACT_COLUMNS))
        if holding_from is not None or open_only:
            found = self._holding(found, holding_from)
        return [(row, fact_of(fact)) for row, _, *fact in found]

    def actors(self, owners: Iterable[int]) -> list[str]:
        """The actors of some owners, sorted; a look at the index per actor, not at each of the notes."""
        return sorted({name for owner in owners for name in self._tables.values(NOTE, {"owner": owner}, "actor")})

    def _holding(self, found: Sequence[Row], moment: int | None) -> list[Row]:
        if not found:
            return []
        ends: dict[int, int | None] = dict(
            self._tables.find(NOTE, {"id": Among([row for row, *_ in found])}, columns=("id", "valid_to"))
        )
        return [
            row
            for row in found
            if all(end is None or (moment is not None and end > moment) for end in (row[1], ends.get(row[0])))
        ]
