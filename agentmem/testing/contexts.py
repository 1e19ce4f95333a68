"""Promises about shadows, scopes, routes and packs."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from agentmem.errors import InvalidArgument, PackMismatch
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope
from agentmem.testing.suite import Suite, in_thread, learn, refused

__all__ = ["ContextPromises"]

_ANA, _BO, _EVE = Scope(user="ana"), Scope(user="bo"), Scope(user="eve")


class ContextPromises(Suite):
    """Who sees what, and how it is carried elsewhere."""

    def test_a_shadow_is_private_and_dropped(self) -> None:
        """What is written or deleted inside is seen inside alone, and gone at the end, also after an error."""
        bench, (first, second, *_) = self.fresh(), self.facts
        editor = bench.editor
        learn(editor, [first])
        before, elsewhere = editor.state_hash(), []
        try:
            with editor.shadow():
                editor.delete([str(first.id)])
                learn(editor, [second])
                assert editor.state_hash() != before
                assert bench.says([second.prompt]) == [second.target.strip()]
                in_thread(lambda: elsewhere.append((editor.state_hash(), [e.id for e in editor.edits()])))
                _interrupt()
        except KeyboardInterrupt:
            pass

        assert elsewhere == [(before, [first.id])], "another thread saw the shadow"
        assert editor.state_hash() == before
        assert [e.id for e in editor.edits()] == [first.id]
        assert bench.says([first.prompt]) == [first.target.strip()]

    def test_scopes_hold_row_by_row(self) -> None:
        """A request sees what its scope admits, each row its own; a stranger's row has the base's bits."""
        bench, prompt = self.fresh(), self.prompts[0]
        editor, ours, theirs = bench.editor, self.targets[0], self.targets[1]
        with editor.silence():
            bare, base = bench.says([prompt])[0], bench.logits([prompt] * 3)
        learn(editor, [EditRequest(prompt, told, self.facts[0].subject, scope=owner, id=owner.user)
                        for owner, told in ((_ANA, ours), (_BO, theirs))])  # fmt: skip
        assert bench.says([prompt]) == [bare], "a request without a scope saw an owner's edit"
        with editor.request(scope=_ANA):
            assert bench.says([prompt]) == [ours]
            assert bench.says([prompt], num_beams=2) == [ours]
            elsewhere: list[str] = []
            in_thread(lambda: elsewhere.extend(bench.says([prompt])))
            assert elsewhere == [bare], "a thread without a scope answered in this one's"
        with editor.request(scopes=[_ANA, _BO, _EVE]):
            assert bench.says([prompt] * 3) == [ours, theirs, bare]
            assert torch.equal(bench.logits([prompt] * 3)[2], base[2]), "a stranger's row lost its bits"
            refused(InvalidArgument, lambda: bench.logits([prompt] * 2))
        routes = [editor.probe([prompt], scope=owner)[0].edit_id for owner in (_ANA, _BO, _EVE)]
        assert routes[2] is None, "probe() names an edit that the scope may not see"
        assert set(routes[:2]) <= {"ana", "bo", None}

    def test_probe_and_explain_name_the_edit(self) -> None:
        """Which edit answers, and for which note: before the request, and after it; nobody's prompt has none."""
        bench = self.written()
        probed = bench.editor.probe([self.prompts[1], self.unrelated])
        bench.logits([self.unrelated, self.prompts[1]])
        seen = bench.editor.explain()

        assert [route.edit_id for route in probed] == [self.facts[1].id, None]
        assert [route.edit_id for route in seen] == [None, self.facts[1].id]
        assert probed[0].note_id == seen[1].note_id == self.facts[1].note_id
        with bench.editor.silence():
            bench.logits([self.prompts[1]])
            assert [route.edit_id for route in bench.editor.explain()] in ([], [None])

    def test_a_pack_brings_the_state_back(self) -> None:
        """Saved and loaded: the same hash, bytes, requests and logits; loading replaces what was there."""
        bench = self.written()
        seen = bench.logits(self.prompts)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pack"
            digest = bench.editor.save(path)
            data = path.read_bytes()
            assert [entry.name for entry in Path(folder).iterdir()] == ["pack"], "saving left litter"
            self.rest()
            other = self.fresh()
            learn(other.editor, [replace(self.facts[1], id="mine")])
            other.editor.load(path)

        assert hashlib.sha256(data).hexdigest() == digest == other.editor.state_hash()
        assert data == bench.editor.dump() == other.editor.dump()
        assert other.editor.edits() == bench.editor.edits()
        assert torch.equal(other.logits(self.prompts), seen)

    def test_a_pack_of_another_base_is_refused(self) -> None:
        """A pack made on other weights, damaged, foreign or missing: PackMismatch, and the state stays."""
        data = self.written().editor.dump()
        other = self.fresh(self.stranger())
        empty = other.editor.state_hash()
        own = self.fresh()
        learn(own.editor, self.facts[:1])
        before = own.editor.state_hash()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pack"
            path.write_bytes(data)
            refused(PackMismatch, lambda: other.editor.load(path))
            for damaged in (
                data[: len(data) // 2],
                data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
                b"hello",
                b"",
            ):
                path.write_bytes(damaged)
                refused(PackMismatch, lambda: own.editor.load(path))
            refused(PackMismatch, lambda: own.editor.load(path.parent / "missing"))

        assert other.editor.state_hash() == empty
        assert own.editor.state_hash() == before


def _interrupt() -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt
