"""What happens in a block happens completely or not at all."""

from __future__ import annotations

import threading

import pytest

from agentmem.errors import StoreError, StoreReadOnly
from agentmem.testing.stores.suite import StoreSuite

__all__ = ["TransactionPromises"]


class Stop(Exception):
    """What goes wrong in the middle of a write."""


class TransactionPromises(StoreSuite):
    """What a store promises of reads and writes."""

    def test_a_failed_write_leaves_nothing(self) -> None:
        """Whatever stops a write, nothing of it remains, in any area."""
        store, make, put, unit, counts = self.store, self.note, self.put, self.unit, self.counts
        for error in (Stop, KeyboardInterrupt):
            with pytest.raises(error), store.write() as tx:
                row = put(tx, make(1), unit(1)[0])
                tx.meta_set("k", "v")
                tx.ledger.append(1, "stored")
                tx.terms.add([(1, row, ["apples"])])
                raise error

        stats = counts(store)
        assert {stats[k] for k in ("notes", "text", "vectors", "outbox", "ledger")} == {0}
        with store.read() as tx:
            assert tx.meta_get("k") is None
            assert tx.vectors.counter() == 0
        assert store.check() == []

    def test_a_nested_write_fails_on_its_own(self) -> None:
        """An inner write that fails takes back its own part; the outer one goes on."""
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            put(tx, make(1))
            with pytest.raises(Stop), store.write() as inner:
                put(inner, make(2))
                raise Stop
            with store.write() as inner:
                put(inner, make(3))

        with store.read() as tx:
            assert set(tx.notes.rows_of(["note-000001", "note-000002", "note-000003"])) == {
                "note-000001",
                "note-000003",
            }
        assert store.check() == []

    def test_a_read_sees_the_write_around_it(self) -> None:
        """A read inside a write sees what that write did."""
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            put(tx, make(1))
            with store.read() as inner:
                assert inner.notes.count() == 1

    def test_a_read_cannot_write(self) -> None:
        """Neither through its own areas nor by beginning a write."""
        store, make, put, counts = self.store, self.note, self.put, self.counts
        with store.read() as tx, pytest.raises(StoreReadOnly):
            put(tx, make(1))
        with store.read(), pytest.raises(StoreError, match="inside a read"), store.write():
            pass
        with store.write() as tx:
            put(tx, make(1))
        assert counts(store)["notes"] == 1

    def test_a_transaction_ends_with_its_block(self) -> None:
        """A transaction kept beyond its block, or used by another thread, is refused."""
        store = self.store
        errors: list[StoreError] = []

        def use() -> None:
            try:
                tx.notes.count()
            except StoreError as error:
                errors.append(error)

        with store.read() as tx:
            thread = threading.Thread(target=use)
            thread.start()
            thread.join()
        with pytest.raises(StoreError, match="outside"):
            tx.notes.count()
        assert len(errors) == 1

    def test_threads_take_turns(self) -> None:
        """Eight threads write through one store; nothing is lost and nothing fails."""
        store, make, put, counts = self.store, self.note, self.put, self.counts
        failures = []

        def work(number: int) -> None:
            try:
                for i in range(25):
                    with store.write() as tx:
                        put(tx, make(number * 100 + i))
            except Exception as error:  # noqa: BLE001 - shown below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failures == []
        assert counts(store)["notes"] == counts(store)["text"] == 200

    def test_closing(self) -> None:
        """Closing twice is fine; closing inside a transaction and using a closed store are not."""
        store = self.store
        with store.read(), pytest.raises(StoreError, match="inside"):
            store.close()
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"), store.read():
            pass
