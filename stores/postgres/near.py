"""Vectors of large scopes by pgvector: an HNSW graph in the database, searched on until enough of a scope's vectors are found.

It is a projection of the stored vectors, fed from the outbox; a vector that goes takes its place here along, in the same transaction. HNSW: Malkov and
Yashunin (2018); iterative scans since pgvector 0.8. What it proposes is compared exactly, as with every index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentmem.errors import AgentMemError, IndexUnavailable
from agentmem.notes.spaces import whose
from agentmem.notes.tables import META
from agentmem.records.transaction import NoteStore, Transaction
from agentmem.stores.postgres.connection import TENANT, PostgresDatabase
from agentmem.stores.postgres.schema import MINE

if TYPE_CHECKING:
    from agentmem.notes.arrays import Vectors

__all__ = ["NearIndex"]

Progress = Callable[[int, int], None]

_STATE: Final = "near_index"
_BATCH: Final = 1_000
_MOST: Final = 4_000
"""Dimensions that pgvector indexes in half precision."""
_EF: Final = (100, 1_000)
_SCANNED: Final = 200_000  # vectors that a search goes on to at most, where a scope is a small part of all
_TABLE: Final = (
    "DROP TABLE IF EXISTS near",
    'CREATE TABLE near ("row" bigint PRIMARY KEY REFERENCES vector ("row") ON DELETE CASCADE, owner bigint NOT NULL, embedding halfvec NOT NULL)',
    "CREATE INDEX near_owner ON near (owner)",
    "ALTER TABLE near ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE near FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY of_owner ON near USING ({MINE}) WITH CHECK ({MINE})",
)
_PUT: Final = """INSERT INTO near ("row", owner, embedding) VALUES ($1, $2, $3::halfvec)
    ON CONFLICT ("row") DO UPDATE SET owner = excluded.owner, embedding = excluded.embedding"""
_LACKING: Final = 'SELECT count(*) FROM vector v WHERE NOT EXISTS (SELECT 1 FROM near n WHERE n."row" = v."row") AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o."row" = v."row")'
_TUNED: Final = "SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1, true), set_config('hnsw.max_scan_tuples', $2, true)"
_HINT: Final = "install pgvector 0.8 or newer on the server, and let its administrator run: CREATE EXTENSION vector."


class NearIndex:
    """The vector index behind the outbox, as :class:`agentmem.stores.chroma.indexer.Indexer` is one in files.

    Args:
        store: whose vectors they are; database: where; reading: a connection to read by.
    """

    way: Final = "hnsw"

    def __init__(
        self,
        store: NoteStore,
        database: PostgresDatabase,
        reading: Callable[[], AbstractContextManager[PostgresDatabase]],
    ) -> None:
        self._store = store
        self._db = database
        self._reading = reading
        self._damage = ""

    @property
    def directory(self) -> Path:
        """There are no files but the server's."""
        return Path()

    def health(self) -> str:
        """``ok``, ``empty`` (not built yet) or ``damaged`` (built for another embedder)."""
        with self._store.read() as tx:
            built, serving = _built(tx), _serving(tx)
        if not built:
            return "empty"
        return "damaged" if self._damage or built != serving else "ok"

    def distrust(self, why: str) -> None:
        """Answer nothing from now on, until the index is built anew."""
        self._damage = why

    def reason(self) -> str:
        """Why the index is damaged, in words; empty when it is not."""
        return self._damage

    def search(self, owner: int, vector: Vectors, k: int) -> list[tuple[int, float]]:
        """Up to ``k`` pairs (row, cosine) of a space, best first.

        Raises:
            IndexUnavailable: the index cannot be used; compare exactly instead.
        """
        size = len(vector)
        sql = (
            f'SELECT "row", 1 - (embedding::halfvec({size}) <=> $1::halfvec({size})) FROM near WHERE owner = $2 '  # noqa: S608 - a number
            f"ORDER BY embedding::halfvec({size}) <=> $1::halfvec({size}) LIMIT $3"
        )
        try:
            with self._reading() as database:
                database.rows(_TUNED, (str(min(max(2 * k, _EF[0]), _EF[1])), str(_SCANNED)))
                found = database.rows(sql, (_text(vector), int(owner), int(k)), owners=str(whose(owner)))
        except AgentMemError as error:
            raise IndexUnavailable(
                f"The vector index cannot be asked: {error.message}", hint='memory.rebuild("vectors")'
            ) from error
        return sorted(((int(row), float(cosine)) for row, cosine in found), key=lambda pair: -pair[1])

    def count(self, owner: int) -> int:
        """How many vectors of a space the index holds."""
        if self.health() == "empty":
            return 0
        with self._reading() as database:
            return int(database.value("SELECT count(*) FROM near WHERE owner = $1", (int(owner),)))

    def apply(self, limit: int | None = None) -> int:
        """Bring the index up to date from the outbox, or build it where there is none; returns how many items were applied.

        Raises:
            IndexUnavailable: the server has no pgvector.
        """
        health = self.health()
        if health == "empty":
            return self.rebuild()
        applied = 0
        while health == "ok" and (limit is None or applied < limit):
            with self._store.write() as tx:
                items = tx.outbox.take(_BATCH if limit is None else min(_BATCH, limit - applied))
                if not items:
                    break
                self._put(tx, [item.row for item in items if item.op == "upsert"])
                tx.outbox.done(items[-1].seq)
            applied += len(items)
        return applied

    def rebuild(self, progress: Progress | None = None) -> int:
        """Build the table and its graph from the stored vectors, in one transaction; returns how many it holds.

        Raises:
            IndexUnavailable: the server has no pgvector, or the vectors are too long for it.
        """
        with self._store.read() as tx:
            stored = tx.vectors.fingerprint()
        if stored is None:
            return 0
        size = stored[1]
        if size > _MOST:
            raise IndexUnavailable(
                f"pgvector indexes up to {_MOST} dimensions, and these vectors have {size}.",
                hint="Settings(index=IndexSettings(exact_limit=…)) keeps larger scopes in memory.",
            )
        try:
            with self._db.administration(write=True):
                self._make()
            with self._store.write() as tx:
                count = self._fill(tx, progress)
                items = tx.outbox.take(2**62)
                if items:
                    tx.outbox.done(items[-1].seq)
            with self._db.administration(write=True):
                self._db.run(
                    f"CREATE INDEX near_hnsw ON near USING hnsw ((embedding::halfvec({size})) halfvec_cosine_ops)"
                )
            with self._store.write() as tx:
                tx.meta_set(_STATE, _serving(tx))
        except AgentMemError as error:
            raise IndexUnavailable(f"The vector index could not be built: {error.message}", hint=_HINT) from error
        self._damage = ""
        return count

    def purge(self) -> None:
        """What was removed has left the table with its vector; what waits is applied."""
        self.apply()

    def compare(self, *, deep: bool = False) -> list[str]:  # noqa: ARG002 - all are looked at
        """What the index lacks, in words."""
        if self.health() != "ok":
            return []
        with self._reading() as database:
            lacking = int(database.value(_LACKING))
        return [f"{lacking} vectors are not in the vector index"] if lacking else []

    def want_purge(self) -> None:
        """Nothing waits for it."""

    def purge_wanted(self) -> bool:
        """Never: no file holds what was removed but those of the tables."""
        return False

    def in_use(self) -> Path | None:
        """No folder: it lies in the database."""
        return None

    def owner_waited_for(self) -> bool:
        """Nobody owns it: whoever deletes takes it out in the same transaction."""
        return False

    def close(self) -> None:
        """The connection is the store's."""

    def _make(self) -> None:
        self._db.run("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        for statement in _TABLE:
            self._db.run(statement)
        if self._db.tenant:
            self._db.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON near TO {TENANT}")

    def _fill(self, tx: Transaction, progress: Progress | None) -> int:
        done, last, whole = 0, 0, tx.vectors.count()
        while rows := [
            row
            for (row,) in self._db.rows('SELECT "row" FROM vector WHERE "row" > $1 ORDER BY 1 LIMIT $2', (last, _BATCH))
        ]:
            self._put(tx, rows)
            done, last = done + len(rows), rows[-1]
            if progress is not None:
                progress(done, whole)
        return done

    def _put(self, tx: Transaction, rows: Sequence[int]) -> None:
        found, vectors = tx.vectors.load(rows)
        spaces = tx.spaces(found.tolist())
        batch = [
            (row, spaces[row], _text(vector))
            for row, vector in zip(found.tolist(), vectors, strict=True)
            if row in spaces
        ]
        if batch:
            self._db.many(_PUT, batch)


def _text(vector: Vectors) -> str:
    return "[" + ",".join(f"{number:.5g}" for number in vector.tolist()) + "]"


def _serving(tx: Transaction) -> str | None:
    stored = tx.vectors.fingerprint()
    return None if stored is None else f"{stored[0]} {stored[1]}"


def _built(tx: Transaction) -> str | None:
    """Asked by every request, and kept for as long as nothing has changed."""
    found = tx.tables.find(META, {"key": _STATE}, columns=("value",), often=True)
    return str(found[0][0]) if found else None
