"""Records of a memory: put under a key, read by it, searched by filter or by meaning, gone by themselves or by ``delete``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from agentmem.core import EVERYBODY, Core
from agentmem.keyed import filters
from agentmem.keyed.asking import Namespaces, WantedRecords
from agentmem.keyed.putting import Put, Putting
from agentmem.keyed.record import Record, address, labels, space, written
from agentmem.keyed.text import in_parts
from agentmem.notes.clock import micros
from agentmem.notes.note import ForgetReceipt, Scope
from agentmem.notes.passages import embedded
from agentmem.notes.protocols import Embedder
from agentmem.records.keyed import KeyedRow
from agentmem.records.transaction import Transaction
from agentmem.remember.update import Keeper
from agentmem.weights.registry import WeightRegistry

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from agentmem.forget.erase import Eraser

    Vectors = npt.NDArray[np.float32]

__all__ = ["AT_OPEN", "KeyedMemory"]

CHUNK: Final = 256
SWEPT_AT_ONCE: Final = 256
AT_OPEN: Final = 256


class _Found(NamedTuple):
    """A record on the way to a page."""

    row: int
    put_at: int
    fields: str
    score: float | None = None


class KeyedMemory:
    """Every call acts on the keys of one scope: of its user, agent and session, and no other's.

    Args:
        keeper: changes notes that are there; eraser: what is deleted is forgotten.
        written: called after each commit of a put, so that the vector index follows.
        fail: called with the name of each durable step; tests stop the process there.
    """

    def __init__(
        self,
        core: Core,
        weights: WeightRegistry,
        keeper: Keeper,
        eraser: Eraser,
        written: Callable[[], None] = lambda: None,
        fail: Callable[[str], None] = lambda step: None,
    ) -> None:
        self._core, self._weights = core, weights
        self._keeper, self._eraser = keeper, eraser
        self._written = written
        self._fail = fail

    # -- writing -------------------------------------------------------------------------------------------------

    def put(self, puts: Sequence[Put]) -> list[Record]:
        """Store values of one scope, all or none of them; of several with one key the last counts."""
        last = {(put.namespace, put.key): put for put in puts}
        if not last:
            return []
        scope = puts[0].draft.scope
        now = self._now()
        self._bury(list(last), scope, now)
        made = self._core.with_embedder(lambda embedder: self._put(list(last.values()), scope, now, embedder))
        self._written()
        records = dict(zip(last, made, strict=True))
        return [records[put.namespace, put.key] for put in puts]

    def _put(self, puts: Sequence[Put], scope: Scope, now: int, embedder: Embedder) -> list[Record]:
        texts = list(dict.fromkeys(put.text for put in puts if put.text))
        vectors: dict[str, tuple[Vectors, Vectors | None]] = {}
        if texts:
            whole, parts = embedded(embedder, texts)
            vectors = dict(zip(texts, zip(whole, parts, strict=True), strict=True))
        with self._core.writing_of(scope) as (tx, owners):
            if texts:
                self._core.fix_embedder(tx, embedder)
            putting = Putting(self._core, self._keeper, tx, owners[scope], scope, now, vectors)
            records = putting.put(puts)
            self._fail("put:before-commit")
        self._fail("put:after-commit")
        if putting.reworded:
            self._weights.follow()
        return records

    def _bury(self, keys: Sequence[tuple[tuple[str, ...], str]], scope: Scope, now: int) -> None:
        """A key whose time is over is free: what stood there is forgotten, history and all, before something new does."""

        def over(tx: Transaction) -> list[int]:
            held = [self._held(tx, scope, namespace, key) for namespace, key in keys]
            return [record.row for record in held if record is not None and record.gone(now)]

        with self._core.reading(EVERYBODY) as tx:
            owner = tx.notes.owner(scope)
            due = owner is not None and bool(over(tx))
        if owner is not None and due:
            self._eraser.forget_chosen(over, scope, owners=(owner,))

    def delete(self, namespace: tuple[str, ...], key: str, scope: Scope) -> ForgetReceipt:
        """Forget a record; the receipt names no note when there is none."""

        def chosen(tx: Transaction) -> list[int]:
            held = self._held(tx, scope, namespace, key)
            return [] if held is None else [held.row]

        return self._eraser.forget_chosen(chosen, scope)

    def sweep(self, scope: Scope, limit: int | None = None) -> int:
        """Forget what has expired, of everybody, or of whom a scope is; returns how many records."""
        with self._core.reading(EVERYBODY) as tx:
            mine = tx.notes.owner(scope) if scope.owner else None
            owners = {
                owner: tx.notes.scope_of(owner)
                for owner in tx.keyed.due(self._now())
                if not scope.owner or owner == mine
            }
        swept = 0
        for owner, of in owners.items():
            while limit is None or swept < limit:
                most = SWEPT_AT_ONCE if limit is None else min(SWEPT_AT_ONCE, limit - swept)
                gone = self._swept(owner, of, most)
                swept += gone
                if gone < most:
                    break
        return swept

    def _swept(self, owner: int, of: Scope, most: int) -> int:
        def over(tx: Transaction) -> list[int]:  # looked for in the very transaction: one that was refreshed stays
            return tx.keyed.expired((owner,), self._now(), most)

        with self._core.reading_of((owner,)) as tx:
            if not over(tx):
                return 0
        return len(self._eraser.forget_chosen(over, of, owners=(owner,)).ids)

    # -- reading -------------------------------------------------------------------------------------------------

    def get(self, namespace: tuple[str, ...], key: str, scope: Scope, *, refresh: bool = False) -> Record | None:
        """The record under a key; ``None`` where there is none, or its time is over."""
        now = self._now()
        with self._core.reading(scope) as tx:
            held = self._held(tx, scope, namespace, key)
            if held is None or held.gone(now):
                return None
            id = tx.notes.ids_of([held.row])[held.row]
        if refresh:
            held = self._refreshed([held], scope, now)[0]
        return Record.of(held, id)

    def search(self, wanted: WantedRecords, scope: Scope) -> list[Record]:
        """Records below a prefix that satisfy a filter: the last put first, or by nearness to a query."""
        now = self._now()
        if wanted.query is None:
            with self._core.reading(scope) as tx:
                found = self._loaded(tx, self._page(self._filtered(tx, wanted, scope, now), wanted))
        else:
            query = wanted.query
            found = self._core.with_embedder(lambda embedder: self._nearest(embedder, query, wanted, scope, now))
        if wanted.refresh:
            again = self._refreshed([row for row, _, _ in found], scope, now)
            found = [(row, *rest) for row, (_, *rest) in zip(again, found, strict=True)]  # type: ignore[misc]
        return [Record.of(row, id, score) for row, id, score in found]

    def _nearest(
        self, embedder: Embedder, query: str, wanted: WantedRecords, scope: Scope, now: int
    ) -> list[tuple[KeyedRow, str, float | None]]:
        import numpy as np

        vector = embedder.embed([query])[0]
        with self._core.reading(scope) as tx:
            self._core.check_embedder(tx, embedder)
            owner = tx.notes.owner(scope)
            found = list(self._filtered(tx, wanted, scope, now))
            rows, owners = [each.row for each in found], () if owner is None else (owner,)
            parted = {fields: in_parts(json.loads(fields)) for fields in {each.fields for each in found}}
            cosines = self._core.exact.scores(tx, rows, owners, vector, by_part=[parted[each.fields] for each in found])
            scored = ~np.isnan(cosines)
            near = np.flatnonzero(scored if wanted.least is None else scored & (cosines >= wanted.least))
            near = near[np.argsort(-np.round(cosines[near], 6), kind="stable")]  # equal ones: the last put first
            order = np.concatenate((near, np.flatnonzero(~scored))) if wanted.unscored else near
            chosen = order[wanted.offset : wanted.offset + wanted.limit].tolist()
            page = [found[at]._replace(score=float(cosines[at]) if scored[at] else None) for at in chosen]
            return self._loaded(tx, page)

    def _filtered(self, tx: Transaction, wanted: WantedRecords, scope: Scope, now: int) -> Iterator[_Found]:
        """What lies below the prefix and satisfies the filter, the last put first."""
        owner = tx.notes.owner(scope)
        columns = ("row", "put_at", "fields", "expires_at")
        below = tx.keyed.below(owner, space(scope), written(wanted.prefix), columns) if owner is not None else []
        rows = sorted(
            (_Found(row, put_at, fields) for row, put_at, fields, ends in below if ends is None or ends > now),
            key=lambda each: (-each.put_at, -each.row),
        )
        if wanted.where is None:
            yield from rows
            return
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            held = tx.keyed.of([each.row for each in part])
            for each in part:
                if each.row in held and filters.matches(wanted.where, json.loads(held[each.row].value)):
                    yield each

    @staticmethod
    def _page(found: Iterator[_Found], wanted: WantedRecords) -> list[_Found]:
        return list(islice(found, wanted.offset, wanted.offset + wanted.limit))

    @staticmethod
    def _loaded(tx: Transaction, page: Sequence[_Found]) -> list[tuple[KeyedRow, str, float | None]]:
        rows = [each.row for each in page]
        held, ids = tx.keyed.of(rows), tx.notes.ids_of(rows)
        return [(held[each.row], ids[each.row], each.score) for each in page]

    def list_namespaces(self, wanted: Namespaces, scope: Scope) -> list[tuple[str, ...]]:
        """The namespaces that hold a record, each once, sorted; cut to a depth before that."""
        now = self._now()
        whole = next((n for n, label in enumerate(wanted.prefix) if label == "*"), len(wanted.prefix))
        with self._core.reading(scope) as tx:
            owner = tx.notes.owner(scope)
            start, columns = written(wanted.prefix[:whole]), ("namespace", "expires_at")
            found = tx.keyed.below(owner, space(scope), start, columns) if owner is not None else []
        held = {labels(name) for name in {name for name, ends in found if ends is None or ends > now}}
        meant = {n for n in held if _begins(n, wanted.prefix) and _begins(n[::-1], wanted.suffix[::-1])}
        cut = sorted({name[: wanted.depth] for name in meant})
        return cut[wanted.offset : wanted.offset + wanted.limit]

    # -- shared ----------------------------------------------------------------------------------------------------

    def _held(self, tx: Transaction, scope: Scope, namespace: tuple[str, ...], key: str) -> KeyedRow | None:
        owner = tx.notes.owner(scope)
        return None if owner is None else tx.keyed.find(address(owner, scope, namespace, key))

    def _refreshed(self, held: Sequence[KeyedRow], scope: Scope, now: int) -> list[KeyedRow]:
        """Those with a lifetime live as long again from now on; what was read of them stays what it was."""
        rows = [record.row for record in held if record.ttl is not None]
        if not rows or self._core.store.read_only:
            return list(held)
        with self._core.writing(scope) as tx:
            there = {row: record for row, record in tx.keyed.of(rows).items() if not record.gone(now)}
            for row, record in there.items():
                if record.ttl is not None:
                    tx.keyed.change(row, expires_at=now + record.ttl)
        return [
            record._replace(expires_at=now + record.ttl) if record.row in there and record.ttl is not None else record
            for record in held
        ]

    def _now(self) -> int:
        return micros(self._core.clock.now())


def _begins(name: tuple[str, ...], start: Sequence[str]) -> bool:
    return len(name) >= len(start) and all(asked in ("*", label) for label, asked in zip(name, start, strict=False))
