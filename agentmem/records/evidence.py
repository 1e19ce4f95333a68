"""What was asked, and answered from notes: so that it can be learnt from, and goes with any of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from agentmem.notes.evidence import said_again, uncut
from agentmem.notes.quoting import one_line
from agentmem.notes.tables import EDIT, EVIDENCE, NOTE, Among
from agentmem.records.area import Area
from agentmem.records.ledger import edit_of

__all__ = ["MOST_WORDINGS", "Asked", "EvidenceRows"]

MOST_WORDINGS: Final = 32
"""Different wordings that are kept under one note of one owner: the latest."""
_TOGETHER: Final = 500
_MARK: Final = 16  # bytes


class Asked(NamedTuple):
    """A question of an owner, with the rows of the notes that its answer was drawn from; ``at`` in microseconds.

    ``whole`` says whether these are all of those notes: some may be of somebody else by now whom the request does not see.
    """

    owner: int
    agent: str | None
    session: str | None
    question: str
    answer: str
    times: int
    at: int
    rows: tuple[int, ...] = ()
    whole: bool = True

    @property
    def mark(self) -> bytes:
        """By what it is known again: its wording, and within its owner who asked where."""
        return hashlib.blake2b(repr((self.agent, self.session, self.question)).encode(), digest_size=_MARK).digest()


class EvidenceRows(Area):
    """Each question stands under every note that its answer was drawn from, or under none.

    It is of who asked, whosever the notes are: what one asks of a shared note nobody else sees. So only a job learns of the questions of
    others, and so does the going of a note, which takes all of them along.
    """

    def keep(self, asked: Asked) -> None:
        """Write down a question, or that it was asked again: the latest answer takes the place of the one before.

        Where a note has more than :data:`MOST_WORDINGS` by now, the oldest go.
        """
        mark = asked.mark
        known = self._tables.find(EVIDENCE, {"owner": asked.owner, "mark": mark}, columns=("row", "times", "at"))
        times = asked.times + max((each[1] for each in known), default=0)
        at = max([asked.at, *(each[2] for each in known)])  # also where the clock went back
        self._delete({(asked.owner, mark)})
        self._put(asked._replace(times=times, at=at))

    def restore(self, asked: Asked) -> bool:
        """Write down a question that does not stand here yet; returns whether it did not."""
        if self._tables.count(EVIDENCE, {"owner": asked.owner, "mark": asked.mark}, most=1):
            return False
        self._put(asked)
        return True

    def _put(self, asked: Asked) -> None:
        kept = (asked.agent, asked.session, asked.question, asked.answer, len(asked.rows), asked.times, asked.at)
        self._tables.put(EVIDENCE, [(row, asked.owner, asked.mark, *kept) for row in asked.rows])
        under: dict[int, list[tuple[int, bytes]]] = {}
        wanted = {"row": Among(asked.rows), "owner": asked.owner}
        for row, at, mark in self._tables.find(EVIDENCE, wanted, columns=("row", "at", "mark"), order=()):
            under.setdefault(row, []).append((at, mark))
        old = {mark for held in under.values() for _, mark in sorted(held, reverse=True)[MOST_WORDINGS:]}
        self._delete({(asked.owner, mark) for mark in old - (self._taught(asked.owner) if old else set())})

    def _taught(self, owner: int) -> set[bytes]:
        """The questions that edits were learnt from: these stay, so that the edits can go with them."""
        edits = map(edit_of, self._tables.find(EDIT, {"owner": owner}, order=()))
        return {bytes.fromhex(mark) for edit in edits for mark in edit.taught}

    def of(self, owner: int, rows: Sequence[int] | None = None) -> list[Asked]:
        """The questions of an owner that were answered from any of ``rows``, or from whichever notes, the latest first."""
        asked: dict[str, Any] = {"owner": owner}
        if rows is not None:
            under = self._tables.find(EVIDENCE, {**asked, "row": Among(rows)}, columns=("mark",), order=())
            asked["mark"] = Among({mark for (mark,) in under})
        return _assembled(self._tables.find(EVIDENCE, asked))

    def alone(self, owners: Sequence[int]) -> list[int]:
        """The notes of which owners asked something that was answered from this one note."""
        found = self._tables.find(EVIDENCE, {"owner": Among(owners), "notes": 1}, columns=("row",), order=())
        return sorted({row for (row,) in found})

    def beginning(self, rows: Sequence[int]) -> list[Asked]:
        """The questions, of whomever the transaction may see, of whose notes the first is among ``rows``, by that and by their words."""
        under = self._tables.find(EVIDENCE, {"row": Among(rows)}, columns=("owner", "mark"), order=())
        found = [
            each
            for owner, marks in _by_owner(under).items()
            for each in _assembled(self._tables.find(EVIDENCE, {"owner": owner, "mark": Among(marks)}))
            if each.rows[0] in set(rows)
        ]
        return sorted(found, key=lambda a: (a.rows, a.question, a.agent or "", a.session or "", a.owner))

    def standing(self, owner: int, marks: Iterable[str]) -> set[str]:
        """Those of an owner's questions, by their marks in hexadecimal digits, that are kept."""
        asked = {"owner": owner, "mark": Among({bytes.fromhex(mark) for mark in marks})}
        return {mark.hex() for (mark,) in self._tables.find(EVIDENCE, asked, columns=("mark",), order=())}

    def among(self, rows: Sequence[int]) -> int:
        """How many questions were answered from any of these notes."""
        return len(set(self._tables.find(EVIDENCE, {"row": Among(rows)}, columns=("owner", "mark"), order=())))

    def under(self, rows: Sequence[int]) -> bool:
        """Whether anything stands under these notes."""
        return bool(self._tables.count(EVIDENCE, {"row": Among(rows)}, most=1))

    def delete(self, rows: Sequence[int]) -> int:
        """With notes whatever was answered from one of them goes, whoever asked; returns how many of those questions the request may know of."""
        self._tables.need_rows(rows, "evidence: delete")
        known = self.among(rows)
        self._delete(set(self._everybodys.find(EVIDENCE, {"row": Among(rows)}, columns=("owner", "mark"), order=())))
        return known

    def delete_repeating(self, owner: int, texts: Iterable[str]) -> int:
        """The questions of an owner that were asked, or answered, in these texts, and what is damaged beyond reading; returns how many there were."""
        self._tables.need((owner,), "evidence: delete")
        said = {line for text in texts if (line := one_line(text))}
        if not said:
            return 0
        held = _groups(self._everybodys.find(EVIDENCE, {"owner": owner}))
        gone = {
            key for key, each in held.items() if not (isinstance(each.question, str) and isinstance(each.answer, str))
        }
        told, answers = "\n".join(said), "\n".join(each.answer for key, each in held.items() if key not in gone)
        begun = tuple(text for text in said if text in answers)
        near = {
            key: each
            for key, each in held.items()
            if key not in gone
            and (each.question in told or uncut(each.answer) in told or each.answer.startswith(begun))
        }
        known = self._contents(row for each in near.values() for row in each.rows)
        gone |= {
            key
            for key, each in near.items()
            if any(said_again(t, each.question, each.answer, " ".join(known[row] for row in each.rows)) for t in said)
        }
        self._delete(gone)
        return len(gone)

    def delete_of(self, owners: Sequence[int]) -> int:
        """All that some owners asked."""
        self._tables.need(owners, "evidence: delete")
        return self._everybodys.delete(EVIDENCE, {"owner": Among(owners)})

    def delete_within(self, owner: int, *, agent: str | None = None, session: str | None = None) -> int:
        """What an owner asked within an agent or a session of which no note is left: so its name goes with the last of these."""
        self._tables.need((owner,), "evidence: delete")
        within = {"agent": agent} if session is None else {"session": session}
        if self._everybodys.count(NOTE, {"owner": owner, **within}, most=1):
            return 0
        return self._everybodys.delete(EVIDENCE, {"owner": owner, **within})

    def _contents(self, rows: Iterable[int]) -> Mapping[int, str]:
        found = self._everybodys.find(NOTE, {"id": Among(set(rows))}, columns=("id", "content"), order=())
        return {row: one_line(content) for row, content in found}

    def _delete(self, asked: set[tuple[int, bytes]]) -> None:
        """Questions by owner and mark, under all of their notes."""
        for owner, marks in _by_owner(asked).items():
            for start in range(0, len(marks), _TOGETHER):
                self._everybodys.delete(EVIDENCE, {"owner": owner, "mark": Among(marks[start : start + _TOGETHER])})


def _by_owner(asked: Iterable[tuple[Any, ...]]) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for owner, mark in dict.fromkeys(asked):
        found.setdefault(owner, []).append(mark)
    return found


def _assembled(found: Iterable[tuple[Any, ...]]) -> list[Asked]:
    """Questions of the rows under their notes, the latest first."""
    return sorted(_groups(found).values(), key=lambda asked: (-asked.at, asked.rows, asked.question))


def _groups(found: Iterable[tuple[Any, ...]]) -> dict[tuple[int, bytes], Asked]:
    """Questions by owner and mark, as the store has it."""
    groups: dict[tuple[int, bytes], list[tuple[Any, ...]]] = {}
    for each in found:
        groups.setdefault((each[1], each[2]), []).append(each)
    made = {}
    for (owner, mark), held in groups.items():
        *_, agent, session, question, answer, notes, times, at = held[0]
        rows = tuple(sorted(each[0] for each in held))
        made[owner, mark] = Asked(owner, agent, session, question, answer, times, at, rows, len(rows) == notes)
    return made
