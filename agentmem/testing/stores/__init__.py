"""Promises that every store keeps, as a class of tests to inherit from.

Whoever writes a :class:`~agentmem.records.transaction.NoteStore` (the sixteen operations of :class:`agentmem.notes.engine.Tables`, and a
handful on the store itself) subclasses :class:`StoreConformance` in a test module, says how a store is opened, and lets pytest run it:

    from agentmem.testing.stores import StoreConformance

    class TestMyStore(StoreConformance):
        def open(self, clock):
            return MyStore(clock=clock)

:class:`agentmem.stores.dicts.DictStore` is the smallest store that keeps all of them.
"""

from __future__ import annotations

from agentmem.testing.stores.areas import AreaPromises
from agentmem.testing.stores.notes import NotePromises
from agentmem.testing.stores.tables import TablePromises
from agentmem.testing.stores.transactions import TransactionPromises

__all__ = ["StoreConformance"]


class StoreConformance(NotePromises, AreaPromises, TablePromises, TransactionPromises):
    """Tests that any store must pass; override :meth:`open`."""
