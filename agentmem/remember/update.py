"""Single notes: read them, give them new words, link them, use them, look at them as a graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from agentmem.core import EVERYBODY, Core
from agentmem.errors import InvalidArgument, UnknownNote
from agentmem.extract import Said, keywords, said_in
from agentmem.graph.view import Connection, build_view, connect
from agentmem.notes.clock import micros
from agentmem.notes.evidence import Drawn, Evidence
from agentmem.notes.names import plain
from agentmem.notes.note import Link, Note, NoteVersion, Receipt, Scope, Status
from agentmem.notes.passages import embedded
from agentmem.notes.protocols import Embedder
from agentmem.notes.quoting import note_line
from agentmem.notes.rows import LinkRow, Selection
from agentmem.projections.linking import TOGETHER, aged, link_together, terms_of
from agentmem.projections.links import WordLinks
from agentmem.projections.project import Projected, project
from agentmem.recall.result import estimate_tokens
from agentmem.records.transaction import Transaction
from agentmem.remember.changes import Changes
from agentmem.remember.duplicates import content_hash
from agentmem.remember.evidence import evidence_of, keep_evidence
from agentmem.remember.judged import take_back
from agentmem.remember.next_version import rewrite
from agentmem.remember.relate import Relater
from agentmem.remember.supersede import Superseder
from agentmem.weights.registry import WeightRegistry

if TYPE_CHECKING:
    import networkx as nx
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["Keeper"]

TOGETHER_MOST = 8
"""Notes of one use that are linked with each other: a longer list is a page of results rather than one thought."""
LINK_KINDS = ("next", "similar", "shares", "supersedes", "derived_from", "supports", "contradicts", "updates")
MAX_KIND = 256
MAX_GRAPH = 20_000
REACH = 4
"""Steps that `why_linked` looks from each of its two ends."""


class Keeper:
    """Looks after the notes of one store.

    Args:
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(self, core: Core, weights: WeightRegistry, fail: Callable[[str], None] = lambda step: None) -> None:
        self._core = core
        self._weights = weights
        self._relater = Relater(core, weights, fail)
        self._fail = fail

    # -- reading ---------------------------------------------------------------------------------------------

    def get(self, id: str, scope: Scope) -> Note:
        with self._core.reading(scope) as tx:
            return self._find(tx, id, scope)[1]

    def notes(
        self, selection: Selection, scope: Scope, limit: int | None, offset: int, order: str = "created"
    ) -> list[Note]:
        for name, value in (("limit", 0 if limit is None else limit), ("offset", offset)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidArgument(
                    f"{name} must be a whole number of 0 or more, not {value!r:.80}.", hint=f"{name}=100."
                )
        with self._core.reading(scope) as tx:
            selection = self._core.selection(tx, scope, selection)
            rows = tx.notes.select(selection, order=order, limit=limit, offset=offset)
            loaded = tx.notes.load(rows)
            return [loaded[row] for row in rows]

    def history(self, id: str, scope: Scope) -> list[NoteVersion]:
        with self._core.reading(scope) as tx:
            return tx.notes.history(self._find(tx, id, scope)[0])

    def users(self, scope: Scope) -> list[Scope]:
        """Whose notes there are, by name; within a scope, its own alone."""
        with self._core.reading(EVERYBODY) as tx:
            found = {owner: tx.notes.scope_of(owner) for owner in tx.notes.all_owners()}
            held = [whose for owner, whose in found.items() if tx.notes.any(Selection((owner,), archived=True))]
        mine = [whose for whose in held if scope.owner in (whose, Scope())]
        return sorted(mine, key=lambda whose: (whose.user or "", whose.agent or ""))

    def evidence(self, id: str | None, scope: Scope) -> list[Evidence]:
        """What was asked in a scope, and answered from one note, or from any."""
        with self._core.reading(scope) as tx:
            return evidence_of(self._core, tx, scope, None if id is None else self._find(tx, id, scope)[0])

    def _find(self, tx: Transaction, id: str, scope: Scope) -> tuple[int, Note]:
        return self._find_all(tx, [id], scope)[0]

    def _find_all(self, tx: Transaction, ids: Sequence[str], scope: Scope) -> list[tuple[int, Note]]:
        for id in ids:
            if not isinstance(id, str):
                raise InvalidArgument(
                    f"An id is a text, not {type(id).__name__}.", hint="pass receipt.id or hit.note.id."
                )
        selection = self._core.selection(tx, scope)
        known = tx.notes.rows_of(ids)
        admitted = {facets.row for facets in tx.notes.facets(list(known.values()), selection)}
        for id in ids:
            if known.get(id) not in admitted:
                raise UnknownNote(f"No note {id!r:.60} in this scope.", hint="memory.notes() lists what there is.")
        notes = tx.notes.load(list(known.values()))
        return [(known[id], notes[known[id]]) for id in ids]

    # -- changing --------------------------------------------------------------------------------------------

    def update(self, id: str, changes: Changes, scope: Scope) -> Receipt:
        """What is said of a note, changed; with new words its fact is read anew, and an edit that says the old ones leaves the weights."""
        with self._core.reading(scope) as tx:
            before = self._find(tx, id, scope)[1]
        if before.kind == "experience" and (changes.content is not None or changes.metadata is not None):
            # its value is found by task, observation and action: other words would belong to none
            raise InvalidArgument(
                "An experience is what was done, and is not reworded.",
                hint="memory.experience.record() adds what was done; forget() removes it.",
            )
        if before.kind == "record" and changes.content is not None:
            raise InvalidArgument(
                "These words are the text of a record, and follow from its value.",
                hint="memory.put(namespace, key, value) puts another value there.",
            )
        if changes.of_note(before) == before:
            return Receipt(id, "merged", "it says so already")
        if changes.content in (None, before.content):
            return self._restate(id, changes, scope)
        return self._core.with_embedder(lambda embedder: self._update(id, changes, scope, embedder))

    def _restate(self, id: str, changes: Changes, scope: Scope) -> Receipt:
        """The same words, other things said of them."""
        with self._weights.lock, self._core.writing(scope) as tx:
            row, note = self._find(tx, id, scope)
            changed = rewrite(tx, row, note, replace(changes.of_note(note), content=note.content), "updated")
            self._fail("update:before-commit")
        self._fail("update:after-commit")
        return Receipt(id, "stored", f"version {changed.version}")

    def _update(self, id: str, changes: Changes, scope: Scope, embedder: Embedder) -> Receipt:
        assert changes.content is not None
        vector, (passages,) = embedded(embedder, [changes.content])
        with self._weights.lock, self._core.writing(scope) as tx:
            self._core.fix_embedder(tx, embedder)
            row, note = self._find(tx, id, scope)
            anew, owner = self._relater.again(tx, row), tx.notes.owner(note.scope)
            version, superseded, why = self.reword(tx, row, note, changes, vector, passages)
            self._fail("update:before-commit")
        self._fail("update:after-commit")
        warnings = self._weights.follow()
        reason = f"version {version}" + (f"; {why}" if why else "")
        status: Status = "superseded" if superseded else "stored"
        receipt = Receipt(id, status, reason, superseded=superseded, warnings=warnings)
        return self._relater.follow([receipt], anew, [] if owner is None else [owner])[0]

    def undo_updates(self, id: str, scope: Scope) -> tuple[str, ...]:
        """What models judged a note to replace holds again, and is marked no more; returns the ids of those notes."""
        with self._weights.lock, self._core.writing(scope) as tx:
            taken = take_back(tx, self._core.extractor, self._find(tx, id, scope)[0], self._weights.retire)
            self._fail("undo_updates:before-commit")
        self._weights.follow()
        return taken

    def reword(
        self, tx: Transaction, row: int, note: Note, changes: Changes, vector: Vectors | None, passages: Vectors | None
    ) -> tuple[int, tuple[str, ...], str]:
        """New words inside a transaction: every projection follows.

        Args:
            vector, passages: of the new words; ``None`` where there are none.

        Returns:
            The new version, the ids of notes that it closes, and why.
        """
        changed = changes.of_note(note)
        changed = replace(changed, keywords=tuple(keywords(changed.content)), version=note.version + 1)
        stated = said_in(changed, self._core.extractor) if changes.facts else Said()
        changed = replace(changed, facts=stated.facts)
        owner = tx.notes.owner(note.scope)
        assert owner is not None
        superseder = Superseder(tx, self._core.extractor)
        freed, holds = superseder.released(row, note, stated.facts, stated.ended)
        changed = replace(changed, valid_to=superseder.own_end(row)) if holds else changed
        word_links = WordLinks(self._core, tx)
        kept = set(tx.terms.of([row])[row]).intersection(terms_of(changed.content))
        touched = word_links.depending([row], kept)
        tx.notes.replace(row, changed, content_hash(changed.content), "updated")
        found = Projected(row, owner, changed, None if vector is None else vector[0], passages)
        project(tx, [found], reworded=True)
        word_links.renew({row} | touched | word_links.depending([row], kept) | word_links.drawn(row))
        done = superseder.apply(changed, row, owner, stated.ended)
        tx.links.put(done.links)
        again = superseder.reopen(freed, f"holds again: note {note.id}, which superseded it, was changed")
        self._weights.retire(tx, [note.id, *done.outdated, *again.outdated], "updated")
        return changed.version, tuple(done.notes), done.why

    def link(self, a: str, b: str, kind: str, reason: str, weight: float, scope: Scope) -> Link:
        if not isinstance(kind, str) or not kind.isidentifier():
            raise InvalidArgument(
                f"Unknown link kind {kind!r}.", hint=f"a word, e.g. 'user', or {', '.join(LINK_KINDS)}."
            )
        if len(kind) > MAX_KIND or not isinstance(reason, str) or "\0" in reason:
            raise InvalidArgument(
                f"A link's kind is a word of at most {MAX_KIND} characters, its reason a text without NUL.",
                hint="reason='both about the trip'.",
            )
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight <= 1:
            raise InvalidArgument(f"weight must be over 0 and at most 1, not {weight!r}.", hint="weight=1.0.")
        with self._core.writing(scope) as tx:
            (source, first), (target, second) = self._find(tx, a, scope), self._find(tx, b, scope)
            if source == target:
                raise InvalidArgument("A note cannot be linked to itself.", hint="pass two different ids.")
            if first.scope.user != second.scope.user and None not in (first.scope.user, second.scope.user):
                raise InvalidArgument("The two notes belong to different users.", hint="links stay within one user.")
            tx.links.put([LinkRow(source, target, plain(kind), float(weight), plain(reason))])
            self._fail("link:before-commit")
        return Link(plain(a), plain(b), plain(kind), float(weight), plain(reason))

    # -- using -----------------------------------------------------------------------------------------------

    def reinforce(
        self, ids: Sequence[str], grade: str, scope: Scope, *, or_gone: bool = False, drawn: Drawn | None = None
    ) -> None:
        """Notes were used: review their curves, count the use, link what was used together (Hebb), and keep what was asked.

        Args:
            or_gone: leave out notes that are not there any more: one may be forgotten while an answer draws on it.
            drawn: what was asked and answered; not kept where one of its notes is gone by now, whose words it may have.
        """
        now, all_there = self._core.clock.now(), True
        with self._core.writing(scope or EVERYBODY) as tx:
            if or_gone:
                known = tx.notes.rows_of([*ids, *(drawn.beside if drawn else ())])
                all_there = known.keys() >= {*ids, *(drawn.beside if drawn else ())}
                ids = [id for id in ids if id in known]
            found = self._find_owned(tx, list(dict.fromkeys(ids)), scope)
            states = [(row, self._core.curve.review(note.state, now, grade)) for row, note in found]
            tx.notes.set_states([(r, s.stability, s.difficulty, micros(s.last_review), s.recalls) for r, s in states])
            if grade != "again":
                costs = [(row, micros(now), estimate_tokens(note_line(note))) for row, note in found]
                tx.uses.record(costs)
                self._link_together(tx, found[:TOGETHER_MOST], micros(now))
                if drawn is not None and all_there:
                    with suppress(UnknownNote):  # of one beside them: the answer may have its words
                        beside = self._find_owned(tx, list(drawn.beside), scope)
                        keep_evidence(self._core, tx, dict([*found, *beside]), drawn, scope, micros(now))
            tx.notes.set_archived([row for row, note in found if note.archived_at], None)
            self._fail("reinforce:before-commit")

    def _link_together(self, tx: Transaction, found: Sequence[tuple[int, Note]], now: int) -> None:
        """Links between notes that one request may see together; those of two users stay apart."""
        gain = self._core.ranking.together
        pairs = [
            (a, b) if a < b else (b, a)
            for (a, first), (b, second) in itertools.combinations(found, 2)
            if gain and first.scope.user == second.scope.user and first.scope.agent == second.scope.agent
        ]
        if not pairs:
            return
        touching = tx.links.touching(sorted({row for pair in pairs for row in pair}), (TOGETHER,))
        held = {(link.source, link.target): link for link in touching}
        made = [link_together(a, b, held.get((a, b)), now, gain) for a, b in pairs]
        tx.links.replace(made)  # `put` would keep a weight that has faded meanwhile

    def _find_owned(self, tx: Transaction, ids: Sequence[str], scope: Scope) -> list[tuple[int, Note]]:
        """Notes by ids that the caller holds; an unbound memory may touch any note it has handed out."""
        if scope:
            return self._find_all(tx, ids, scope)
        known = tx.notes.rows_of([id for id in ids if isinstance(id, str)])
        for id in ids:
            if id not in known:
                raise UnknownNote(f"No note {id!r:.60}.", hint="pass a hit, a note or its id.")
        notes = tx.notes.load(list(known.values()))
        return [(known[id], notes[known[id]]) for id in ids]

    # -- the graph -------------------------------------------------------------------------------------------

    def graph(self, scope: Scope, around: str | None, hops: int, limit: int | None = None) -> nx.DiGraph[str]:
        """A networkx view with ids as nodes: ``content``, ``kind``, ``retrievability`` …; edges carry kind, weight, reason.

        It holds the newest ``limit`` notes of a scope, ``MAX_GRAPH`` at most, or those nearest to the one ``around`` which is asked;
        no others are read. ``view.graph["left_out"]`` counts the others.
        """
        if isinstance(hops, bool) or not isinstance(hops, int):
            raise InvalidArgument(f"hops must be a whole number, not {hops!r:.80}.", hint="hops=2.")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise InvalidArgument(f"limit must be a whole number over 0, not {limit!r:.80}.", hint="limit=1000.")
        most, now = min(limit or MAX_GRAPH, MAX_GRAPH), self._core.clock.now()
        with self._core.reading(scope) as tx:
            selection = self._core.selection(tx, scope)
            left_out = 0
            if around is None:
                rows = tx.notes.select(selection, order="-created", limit=most)
                left_out = tx.notes.count(selection) - len(rows) if len(rows) == most else 0
            else:
                near = self._around(tx, self._find(tx, around, scope)[0], hops, selection, most)
                rows, left_out = near[:most], len(near[most:])
            notes = tx.notes.load(rows)
            links = _public(aged(tx.links.touching(rows), micros(now)), notes)
        strengths = {n.id: self._core.curve.retrievability(n.state, now) for n in notes.values()}
        return build_view(notes.values(), links, strengths, left_out)

    def why_linked(self, a: str, b: str, scope: Scope) -> Connection:
        """The strongest way between two notes, searched from both ends along the index of links."""
        now = micros(self._core.clock.now())
        with self._core.reading(scope) as tx:
            (first, start), (second, end) = self._find(tx, a, scope), self._find(tx, b, scope)
            if first == second:
                raise InvalidArgument("A note needs no connection to itself.", hint="pass two different ids.")
            selection = self._core.selection(tx, scope)
            for hops in range(1, REACH + 1):
                near, far = self._around(tx, first, hops, selection), self._around(tx, second, hops, selection)
                if set(near) & set(far):
                    break
            else:
                return Connection((start, end), (), 0.0)
            notes = tx.notes.load(sorted({*near, *far}))
            way, steps = connect(_public(aged(tx.links.touching(list(notes)), now), notes), a, b)
        by_id = {note.id: note for note in notes.values()}
        return Connection(tuple(by_id[id] for id in way), tuple(steps), math.prod(links[0].weight for links in steps))

    @staticmethod
    def _around(tx: Transaction, row: int, hops: int, selection: Selection, most: int = MAX_GRAPH) -> list[int]:
        """The neighbourhood, the nearest first, of as many as are near one another the newest; no step is made beyond ``most`` notes."""
        known, frontier = {row: None}, [row]
        for _ in range(max(0, hops)):
            ends = {r for link in tx.links.touching(frontier) for r in (link.source, link.target)}
            frontier = [f.row for f in tx.notes.facets(sorted(ends - known.keys(), reverse=True), selection)]
            known.update(dict.fromkeys(frontier))
            if len(known) > most or not frontier:
                break
        return list(known)


def _public(links: Iterable[LinkRow], notes: Mapping[int, Note]) -> list[Link]:
    """Links among these notes, by id."""
    return [
        Link(notes[link.source].id, notes[link.target].id, link.kind, link.weight, link.reason)
        for link in links
        if link.source in notes and link.target in notes
    ]
