"""Promises about the state of an editor: what it holds, and what changes it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import SkipTest

import torch

from agentmem.errors import EditError, InvalidArgument, UnknownEdit
from agentmem.notes.protocols import Editor
from agentmem.testing.bench import raising_at
from agentmem.testing.suite import Suite, learn, refused

__all__ = ["StatePromises"]


class StatePromises(Suite):
    """Writing, deleting, listing."""

    def test_it_is_an_editor_and_starts_empty(self) -> None:
        """The protocol's methods are there; a new editor holds nothing and says so."""
        editor = self.fresh().editor
        status = editor.status()

        assert isinstance(editor, Editor), "methods of agentmem.notes.protocols.Editor are missing"
        assert (status.method, status.state, status.edits) == (editor.method, "empty", 0)
        assert editor.edits() == ()
        assert editor.write([]) == []
        assert status.state_hash == editor.state_hash()

    def test_what_is_written_is_listed_and_said(self) -> None:
        """Edits are listed by id as they were given; the model says each target and stops, alone and in a batch."""
        bench = self.written()
        status = bench.editor.status()

        assert list(bench.editor.edits()) == sorted(self.facts, key=lambda fact: str(fact.id))
        assert (status.state, status.edits) == ("active", len(self.facts))
        assert bench.says(self.prompts) == self.targets
        assert [bench.says([prompt])[0] for prompt in self.prompts] == self.targets

    def test_ids_are_stable_and_writing_again_changes_nothing(self) -> None:
        """An id is derived from the content when none is given, so that a retry is harmless."""
        editor, request = self.fresh().editor, replace(self.facts[0], id=None)
        first = editor.write([request])[0]
        before = editor.state_hash()
        again = editor.write([request])[0]

        assert (first.ok, again.status) == (True, "aliased")
        assert first.id == again.id == editor.edits()[0].id
        assert editor.state_hash() == before

    def test_blanks_around_a_target_do_not_count(self) -> None:
        """A target with the blank that tokenizers put before a word, or a line end behind it, is that target."""
        editor, fact = self.fresh().editor, self.facts[0]
        learn(editor, [fact])
        before = editor.state_hash()
        for target in (f" {fact.target}", f"{fact.target}\n", f"\t{fact.target} "):
            assert editor.write([replace(fact, target=target)])[0].status == "aliased", repr(target)

        assert editor.edits() == (fact,)
        assert editor.state_hash() == before

    def test_deleting_undoes_writing_exactly(self) -> None:
        """The state after a write and its deletion is, by hash, bytes and logits, the one before; first and last."""
        bench = self.fresh()
        editor, asked = bench.editor, [*self.prompts, self.unrelated]
        empty, base = editor.state_hash(), bench.logits(asked)
        learn(editor, self.facts[:1])
        one, data, seen = editor.state_hash(), editor.dump(), bench.logits(asked)
        learn(editor, self.facts[1:2])
        assert editor.state_hash() not in (empty, one)

        assert editor.delete([str(self.facts[1].id)]) == [self.facts[1].id]
        assert (editor.state_hash(), editor.dump()) == (one, data)
        assert torch.equal(bench.logits(asked), seen)
        editor.delete([str(self.facts[0].id)])
        assert editor.state_hash() == empty
        assert torch.equal(bench.logits(asked), base)

    def test_order_of_writing_makes_no_difference(self) -> None:
        """Neither the order inside one call nor that of several calls changes the state."""
        if not self.order_free:
            raise SkipTest("the method does not promise it (order_free = False)")
        pair = list(self.facts[:2])
        hashes = []
        for batches in ([pair], [pair[::-1]], [pair[:1], pair[1:]], [pair[1:], pair[:1]]):
            editor = self.fresh().editor
            for batch in batches:
                learn(editor, batch)
            hashes.append(editor.state_hash())
            editor.detach()

        assert hashes[0] == hashes[1], "the order inside one call changed the state"
        assert hashes[2] == hashes[3], "the order of calls changed the state"

    def test_bad_input_is_refused_with_a_hint_and_changes_nothing(self) -> None:
        """Wrong types, empty texts, ids taken or given twice, unknown ids: typed errors, nothing written, nothing gone."""
        editor, (first, second, *_) = self.fresh().editor, self.facts
        learn(editor, [first])
        before = editor.state_hash()
        wrong: list[Any] = ["a text", None, replace(second, prompt=" "), replace(second, target="")]
        for request in wrong:
            refused(InvalidArgument, partial(editor.write, [second, request]))
        refused(InvalidArgument, lambda: editor.write([second, replace(second, target="Other.")]))
        refused(EditError, lambda: editor.write([second, replace(first, target="Other.")]))
        refused(UnknownEdit, lambda: editor.delete([str(first.id), "nobody"]))

        assert editor.state_hash() == before
        assert [edit.id for edit in editor.edits()] == [first.id]

    def test_an_error_in_the_middle_of_a_write_leaves_the_state(self) -> None:
        """Writing is all or nothing, also when the model fails half-way; the next write works."""
        bench = self.fresh()
        editor, (first, second, *_) = bench.editor, self.facts
        learn(editor, [first])
        before = editor.state_hash()
        learn(editor, [second])
        after = editor.state_hash()
        editor.delete([str(second.id)])
        with raising_at(
            bench.model, None
        ) as calls:  # counted the second time: what an editor finds out once is known by then
            learn(editor, [second])
        total = calls.count
        editor.delete([str(second.id)])
        if total == 0:
            raise SkipTest("this editor writes without running the model's head")
        for at in {1, (total + 1) // 2, total}:
            with raising_at(bench.model, at) as calls:
                try:
                    editor.write([second])
                except MemoryError:
                    pass
                else:
                    raise AssertionError(f"an error in forward {at} of {total} was swallowed")
            assert editor.state_hash() == before
        learn(editor, [second])
        assert editor.state_hash() == after

    def test_reading_never_writes(self) -> None:
        """Requests, probes, reports and mode switches leave hash and bytes as they were."""
        bench = self.written()
        before = bench.editor.dump()
        bench.says([*self.prompts, self.unrelated])
        bench.editor.probe(self.prompts)
        bench.editor.explain()
        bench.editor.status()
        bench.model.train()
        bench.model.eval()

        assert bench.editor.dump() == before
        assert bench.editor.state_hash() == hashlib.sha256(before).hexdigest()
