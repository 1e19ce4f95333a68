"""Promises that every editor keeps, as a class of tests to inherit from.

Whoever writes an :class:`~agentmem.notes.protocols.Editor` subclasses :class:`EditorConformance` in a test module, says how
an editor is made, and lets pytest (or any runner that knows classes with ``test_`` methods) run it:

    from agentmem.testing import EditorConformance

    class TestMyEditor(EditorConformance):
        def make(self, model, tokenizer):
            return MyEditor(model, tokenizer)

What a method cannot promise by its nature is named in ``limits``, with the reason that the skipped test then shows.
"""

from __future__ import annotations

from agentmem.testing.contexts import ContextPromises
from agentmem.testing.models import ModelPromises
from agentmem.testing.state import StatePromises

__all__ = ["EditorConformance"]


class EditorConformance(StatePromises, ModelPromises, ContextPromises):
    """Tests that any editor must pass; override :meth:`make`, and what else of ``Suite`` does not fit."""
