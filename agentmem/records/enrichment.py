"""Which notes a language model has seen, what it added to them, and what that was made from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agentmem.notes.engine import Row
from agentmem.notes.rows import EnrichmentRow, SavedEnrichment
from agentmem.notes.tables import ENRICHMENT, ENRICHMENT_SOURCE, NOTE, VERSION, Among, Span, Table, Without
from agentmem.records.area import Area, dumps

__all__ = ["ATTEMPTS", "EVOLVED", "Enrichment"]

ATTEMPTS: Final = 3
"""Runs in which a note may fail before it is given up."""
EVOLVED: Final = "evolved"
"""How the reason of a version begins when a model's words stand in it."""
_MADE: Final = frozenset({"summary", "portrait", "thought"})
"""What reflection made of notes is a model's work already."""


class Enrichment(Area):
    """One record for each note that a model has seen. What has none for the words it has now is outstanding: so nothing is queued when a
    note is written, and nothing is lost when a run dies.
    """

    def outstanding(self, owners: Sequence[int], attempts: int | None) -> list[int]:
        """Rows still to be enriched, by failures and age; a note that failed ``attempts`` times is given up, without them none."""
        found = [
            (0 if record is None else record[2], row)
            for row, current, record in self._with_records(owners)
            if _is_outstanding(record, attempts, current=current)
        ]
        return [row for _, row in sorted(found)]

    def load(self, rows: Sequence[int]) -> dict[int, EnrichmentRow]:
        """The records of those rows that have one."""
        return {row: saved.record for row, saved in self.saved(rows).items()}

    def put(self, row: int, record: EnrichmentRow, at: int) -> None:
        """Record what was added to a note, for the words it has now."""
        words = self._words([row])
        if row in words:
            self._tables.put(ENRICHMENT, [_columns(row, SavedEnrichment(record, words[row], at), attempts=0)])

    def failed(self, row: int, at: int) -> int:
        """Count a failed run; failures on former words do not count. Returns how many there were."""
        words = self._words([row])
        if row not in words:
            return 0
        known = self._tables.find(ENRICHMENT, {"row": row}, columns=("hash", "attempts"))
        attempts = known[0][1] + 1 if known and known[0][0] == words[row] else 1
        values = {"hash": words[row], "state": "failed", "attempts": attempts, "at": at}
        if known:
            self._tables.change(ENRICHMENT, {"row": row}, values)
        else:
            self._tables.put(ENRICHMENT, [(row, *values.values(), None, "[]", "[]")])
        return attempts

    def ask_again(self, rows: Sequence[int]) -> None:
        """These notes are outstanding once more, with what was added to them."""
        self._tables.change(ENRICHMENT, {"row": Among(rows), "state": "done"}, {"state": "failed", "attempts": 0})

    def add_sources(self, row: int, sources: Sequence[int]) -> None:
        """Remember what the enrichment of ``row`` was made from, besides itself."""
        self._tables.put(ENRICHMENT_SOURCE, [(row, source) for source in sources if source != row], keep=True)

    def sources(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """What the enrichment of each of ``rows`` was made from besides itself, where it was."""
        found: dict[int, list[int]] = {}
        for row, source in self._tables.find(ENRICHMENT_SOURCE, {"row": Among(rows)}):
            found.setdefault(row, []).append(source)
        return found

    def made_from(self, sources: Sequence[int]) -> list[int]:
        """Rows whose enrichment was made from any of ``sources``."""
        found = self._tables.find(ENRICHMENT_SOURCE, {"source": Among(sources)}, columns=("row",))
        return sorted({row for (row,) in found})

    def saved(self, rows: Sequence[int]) -> dict[int, SavedEnrichment]:
        """The records of those rows that have one, with the hash and the time that belong to them."""
        found = self._tables.find(ENRICHMENT, {"row": Among(rows)})
        words = self._words([row[0] for row in found])
        return {
            row: SavedEnrichment(
                EnrichmentRow(
                    context,
                    tuple(json.loads(tags)),
                    tuple(json.loads(keywords)),
                    state,
                    attempts,
                    words.get(row) == then,
                ),
                then,
                at,
            )
            for row, then, state, attempts, at, context, tags, keywords in found
        }

    def restore(self, row: int, saved: SavedEnrichment) -> None:
        """Write down the record of a note that has none yet."""
        self._tables.put(ENRICHMENT, [_columns(row, saved, attempts=saved.record.attempts)])

    def clear(self, rows: Sequence[int]) -> int:
        """Forget the records, and the model's words in the history: they may quote what is being forgotten."""
        self._silence(NOTE, "id", rows)
        self._silence(VERSION, "row", rows)
        self._tables.delete(ENRICHMENT_SOURCE, {"row": Among(rows)})
        return self._tables.delete(ENRICHMENT, {"row": Among(rows)})

    def counts(self, owners: Sequence[int], attempts: int) -> Mapping[str, int]:
        """How many notes of some owners are done, kept, failed (given up) and outstanding; those without a record are counted, not read."""
        shown = {"owner": Among(owners), "kind": Without(_MADE), "length": Span(above=0)}
        known = self._tables.find(ENRICHMENT, {}, columns=("row", "hash", "state", "attempts"), order=())
        records = {row: tuple(rest) for row, *rest in known}
        words: dict[int, bytes] = dict(
            self._tables.find(NOTE, {**shown, "id": Among(records)}, columns=("id", "hash"), order=())
        )
        states = Counter(
            str(records[row][1])
            for row, now in words.items()
            if not _is_outstanding(records[row], attempts, current=records[row][0] == now)
        )
        outstanding = self._tables.count(NOTE, shown) - states.total()
        return {**{name: states[name] for name in ("done", "kept", "failed")}, "outstanding": outstanding}

    def _with_records(self, owners: Sequence[int]) -> Iterator[tuple[int, bool, Row | None]]:
        """Each note that a model may be shown: its row, whether its record is of the words it has now, and (hash, state, attempts) of that."""
        notes = self._tables.find(NOTE, {"owner": Among(owners)}, columns=("id", "hash", "kind", "length"), order=())
        known = self._tables.find(
            ENRICHMENT, {"row": Among([row for row, *_ in notes])}, columns=("row", "hash", "state", "attempts")
        )
        records = {row: tuple(rest) for row, *rest in known}
        for row, now, kind, length in notes:
            if kind not in _MADE and length:
                record = records.get(row)
                yield row, record is not None and record[0] == now, record

    def _words(self, rows: Sequence[int]) -> dict[int, bytes]:
        return dict(self._tables.find(NOTE, {"id": Among(rows)}, columns=("id", "hash")))

    def _silence(self, table: Table, key: str, rows: Sequence[int]) -> None:
        asked = {key: Among(rows)}
        for *place, reason in self._tables.find(table, asked, columns=(*table.key, "reason")):
            if reason.startswith(EVOLVED) and reason != EVOLVED:
                self._tables.change(table, dict(zip(table.key, place, strict=True)), {"reason": EVOLVED})


def _is_outstanding(record: Row | None, attempts: int | None, *, current: bool) -> bool:
    """Whether a note has no (hash, state, attempts) of the words it has now, or may be tried once more."""
    if record is None or not current:
        return True
    return bool(record[1] == "failed" and (attempts is None or record[2] < attempts))


def _columns(row: int, saved: SavedEnrichment, *, attempts: int) -> Row:
    record = saved.record
    return (
        row, saved.hash, record.state, attempts, saved.at, record.context, dumps(record.tags), dumps(record.keywords),
    )  # fmt: skip
