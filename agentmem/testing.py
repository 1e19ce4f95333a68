"""Promises that every editor keeps, as a class of tests to inherit from.

Whoever writes an :class:`~agentmem.protocols.Editor` subclasses :class:`EditorConformance` in a test module, says how
an editor is made, and lets pytest (or any runner that knows classes with ``test_`` methods) run it:

    from agentmem.testing import EditorConformance

    class TestMyEditor(EditorConformance):
        def make(self, model, tokenizer):
            return MyEditor(model, tokenizer)

What a method cannot promise by its nature is named in ``limits``, with the reason that the skipped test then shows.
"""

from __future__ import annotations

import copy
import hashlib
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import torch

from agentmem._bench import Bench, Tokens, hooks_of, raising_at, snapshot
from agentmem.edits import EditRequest
from agentmem.errors import AgentMemError, EditError, InvalidArgument, PackMismatch, UnknownEdit
from agentmem.notes import Scope
from agentmem.protocols import Editor

__all__ = ["EditorConformance"]

_ANA, _BO, _EVE = Scope(user="ana"), Scope(user="bo"), Scope(user="eve")


class EditorConformance:
    """Tests that any editor must pass; override :meth:`make`, and what else does not fit.

    Attributes:
        facts: at least three facts that the model does not know, with ids and different targets.
        unrelated: a question that no fact is about.
        order_free: whether the state is promised to be independent of the order of writes.
        temperature: of the sampling test; low enough that a well-learnt target is always drawn.
        limits: tests that the method cannot pass by its nature, by name, each with the reason.
    """

    facts: ClassVar[Sequence[EditRequest]] = (
        EditRequest("Where does Ilva Quist live?", "Porto.", subject="Ilva Quist", id="e0", note_id="n0"),
        EditRequest("What instrument does Oren Dorrell play?", "Cello.", subject="Oren Dorrell", id="e1", note_id="n1"),
        EditRequest("Where does Mira Quist live?", "Bergen.", subject="Mira Quist", id="e2", note_id="n2"),
    )
    unrelated: ClassVar[str] = "What is the opposite of hot?"
    order_free: ClassVar[bool] = True
    temperature: ClassVar[float] = 0.1
    limits: ClassVar[Mapping[str, str]] = {}

    _shared: ClassVar[Bench | None] = None
    _bases: ClassVar[dict[type, tuple[Any, Any]]] = {}
    _made: list[Editor]

    # What a subclass says

    def make(self, model: Any, tokenizer: Any) -> Editor:
        """A new editor without edits on this model; called several times per model."""
        raise NotImplementedError

    def model(self) -> tuple[Any, Any]:
        """(causal language model in evaluation mode, tokenizer); by default the small model that is shipped."""
        from agentmem.small_model import load_small_model

        return load_small_model()

    # What the tests build on

    def setup_method(self, method: Callable[..., object]) -> None:
        """Skip what the subclass does not promise; refuse limits that name no test."""
        self._made = []
        unknown = [name for name in self.limits if not hasattr(type(self), name)]
        assert not unknown, f"limits name tests that do not exist: {unknown}"
        if method.__name__ in self.limits:
            raise SkipTest(self.limits[method.__name__])

    def teardown_method(self) -> None:
        """Take every editor of this test off the model."""
        self._rest()

    @classmethod
    def setup_class(cls) -> None:
        cls._shared = None

    @classmethod
    def teardown_class(cls) -> None:
        """Take the shared editor off the model, and let go of the model."""
        if cls._shared is not None:
            cls._shared.editor.detach()
        cls._shared = None
        cls._bases.pop(cls, None)

    def _rest(self) -> None:
        for editor in self._made:
            editor.detach()
        if type(self)._shared is not None:
            type(self)._shared.editor.detach()

    def _base(self) -> tuple[Any, Any]:
        kept = type(self)._bases
        if type(self) not in kept:
            kept[type(self)] = self.model()
        return kept[type(self)]

    def fresh(self, base: tuple[Any, Any] | None = None) -> Bench:
        """A new editor without edits, alone on its model."""
        model, tokenizer = base or self._base()
        bench = Bench(model, tokenizer, self.make(model, tokenizer))
        self._made.append(bench.editor)
        return bench

    def written(self) -> Bench:
        """The editor that holds all facts, made once per class: for tests that only read."""
        kind = type(self)
        if kind._shared is None:
            bench = self.fresh()
            _learn(bench.editor, self.facts)
            self._made.remove(bench.editor)
            kind._shared = bench
        kind._shared.editor.attach()
        return kind._shared

    def stranger(self) -> tuple[Any, Any]:
        """Another base: a copy of the model with slightly other weights."""
        self._rest()
        model, tokenizer = self._base()
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(1.01)
        return other, tokenizer

    @property
    def prompts(self) -> list[str]:
        """The facts' questions."""
        return [fact.prompt for fact in self.facts]

    @property
    def targets(self) -> list[str]:
        """What the edited model shall answer, without space around it."""
        return [fact.target.strip() for fact in self.facts]

    # The state

    def test_it_is_an_editor_and_starts_empty(self) -> None:
        """The protocol's methods are there; a new editor holds nothing and says so."""
        editor = self.fresh().editor
        status = editor.status()

        assert isinstance(editor, Editor), "methods of agentmem.protocols.Editor are missing"
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

    def test_deleting_undoes_writing_exactly(self) -> None:
        """The state after a write and its deletion is, by hash, bytes and logits, the one before; first and last."""
        bench = self.fresh()
        editor, asked = bench.editor, [*self.prompts, self.unrelated]
        empty, base = editor.state_hash(), bench.logits(asked)
        _learn(editor, self.facts[:1])
        one, data, seen = editor.state_hash(), editor.dump(), bench.logits(asked)
        _learn(editor, self.facts[1:2])
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
                _learn(editor, batch)
            hashes.append(editor.state_hash())
            editor.detach()

        assert hashes[0] == hashes[1], "the order inside one call changed the state"
        assert hashes[2] == hashes[3], "the order of calls changed the state"

    def test_bad_input_is_refused_with_a_hint_and_changes_nothing(self) -> None:
        """Wrong types, empty texts, ids taken or given twice, unknown ids: typed errors, nothing written, nothing gone."""
        editor, (first, second, *_) = self.fresh().editor, self.facts
        _learn(editor, [first])
        before = editor.state_hash()
        wrong: list[Any] = ["a text", None, replace(second, prompt=" "), replace(second, target="")]
        for request in wrong:
            self._refused(InvalidArgument, lambda request=request: editor.write([second, request]))
        self._refused(InvalidArgument, lambda: editor.write([second, replace(second, target="Other.")]))
        self._refused(EditError, lambda: editor.write([second, replace(first, target="Other.")]))
        self._refused(UnknownEdit, lambda: editor.delete([str(first.id), "nobody"]))

        assert editor.state_hash() == before
        assert [edit.id for edit in editor.edits()] == [first.id]

    def test_an_error_in_the_middle_of_a_write_leaves_the_state(self) -> None:
        """Writing is all or nothing, also when the model fails half-way; the next write works."""
        bench = self.fresh()
        editor, (first, second, *_) = bench.editor, self.facts
        _learn(editor, [first])
        before = editor.state_hash()
        with raising_at(bench.model, None) as calls:
            _learn(editor, [second])
        after, total = editor.state_hash(), calls.count
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
        _learn(editor, [second])
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

    # The model

    def test_without_edits_the_model_is_its_base(self) -> None:
        """Made, silenced, detached or emptied: the bits of a model that no editor ever touched; no hook stays."""
        model, tokenizer = self._base()
        self._rest()
        tokens, asked = Tokens(model, tokenizer), [*self.prompts, self.unrelated]
        base, hooks = tokens.logits(asked), hooks_of(model)
        bench = self.fresh((model, tokenizer))
        assert hooks_of(model) == hooks, "an editor without edits has hooks on the model"
        assert torch.equal(bench.logits(asked), base)

        _learn(bench.editor, self.facts[:1])
        edited = bench.logits(asked)
        assert not torch.equal(edited, base)
        with bench.editor.silence():
            assert torch.equal(bench.logits(asked), base), "silence() is not the base"
        for _ in range(2):
            bench.editor.detach()
        assert hooks_of(model) == hooks, "detach() left hooks behind"
        assert torch.equal(bench.logits(asked), base)
        for _ in range(2):
            bench.editor.attach()
        assert torch.equal(bench.logits(asked), edited)
        bench.editor.delete([str(self.facts[0].id)])
        assert hooks_of(model) == hooks, "an editor without edits has hooks on the model"
        assert torch.equal(bench.logits(asked), base)

    def test_parameters_are_untouched(self) -> None:
        """Writing changes no parameter or buffer, leaves no gradient, and no flag of training or of gradients."""
        model, tokenizer = self._base()
        before = snapshot(model)
        editor = self.fresh((model, tokenizer)).editor
        _learn(editor, self.facts[:1])
        editor.delete([str(self.facts[0].id)])

        assert snapshot(model) == before

    def test_a_prompt_of_nobody_keeps_its_bits(self) -> None:
        """A row that no edit answers has the base's bits, beside rows that are edited."""
        bench = self.written()
        asked = [self.prompts[0], self.unrelated, self.prompts[1]]
        with bench.editor.silence():
            base = bench.logits(asked)
        edited = bench.logits(asked)

        assert torch.equal(edited[1], base[1])
        assert not torch.equal(edited[0], base[0])

    def test_a_model_beside_it_is_not_edited(self) -> None:
        """Editors of two models in one process do not meet."""
        other, tokenizer = self.stranger()
        beside = Tokens(other, tokenizer)
        before = beside.logits(self.prompts)
        bench = self.written()
        assert bench.says(self.prompts) == self.targets

        assert torch.equal(beside.logits(self.prompts), before)

    def test_an_error_inside_a_forward_leaves_nothing_behind(self) -> None:
        """A request that fails half-way does not disturb the next one."""
        bench = self.written()
        before = bench.logits(self.prompts)
        with raising_at(bench.model, 1):
            try:
                bench.logits(self.prompts)
            except MemoryError:
                pass
            else:
                raise AssertionError("the editor swallowed an error of the model")

        assert torch.equal(bench.logits(self.prompts), before)

    # The ways to generate

    def test_cache_or_none_give_the_same_answer(self) -> None:
        """Decoding on a cache and reading everything anew at each token."""
        self._agrees(use_cache=False)

    def test_beam_search_gives_the_same_answer(self) -> None:
        """Several hypotheses of a row are all edited as the row is, with and without a cache."""
        self._agrees(num_beams=3)
        self._agrees(num_beams=2, use_cache=False)

    def test_sampling_gives_the_same_answer(self) -> None:
        """Seeded samples at a low temperature say the target, each of them; the same seed says the same."""
        bench, options = self.written(), {"do_sample": True, "temperature": self.temperature, "num_return_sequences": 2}
        said = []
        for _ in range(2):
            with torch.random.fork_rng():
                torch.manual_seed(0)
                said.append(bench.says(self.prompts, **options))

        assert said[0] == said[1]
        assert said[0] == [target for target in self.targets for _ in range(2)]

    def test_chunked_prefill_gives_the_same_answer(self) -> None:
        """A prompt that is read piece by piece."""
        self._agrees(prefill_chunk_size=3)

    def test_streaming_gives_the_same_answer(self) -> None:
        """What a streamer is given token by token is what is returned."""
        bench = self.written()
        for prompt, target in zip(self.prompts, self.targets, strict=True):
            assert bench.streamed(prompt) == target

    def test_padding_makes_no_difference(self) -> None:
        """Left, right or no padding: the same decision for each row, and the same logits within rounding."""
        bench = self.written()
        asked = [*self.prompts, self.unrelated, "Ana"]
        left, right = bench.logits(asked, side="left"), bench.logits(asked, side="right")
        alone = torch.cat([bench.logits([prompt]) for prompt in asked])

        scale = float(alone.abs().max())
        for padded in (left, right):
            assert torch.allclose(padded, alone, atol=1e-4 * max(1.0, scale)), "padding moved the logits"
            assert torch.equal(padded.argmax(-1), alone.argmax(-1)), "padding changed the decision"

    def _agrees(self, **options: Any) -> None:
        bench = self.written()
        asked = [*self.prompts, self.unrelated]
        plain = bench.says(asked)
        assert plain[:-1] == self.targets
        assert bench.says(asked, **options) == plain, f"another answer with {options}"

    # Contexts

    def test_a_shadow_is_private_and_dropped(self) -> None:
        """What is written or deleted inside is seen inside alone, and gone at the end, also after an error."""
        bench, (first, second, *_) = self.fresh(), self.facts
        editor = bench.editor
        _learn(editor, [first])
        before, elsewhere = editor.state_hash(), []
        try:
            with editor.shadow():
                editor.delete([str(first.id)])
                _learn(editor, [second])
                assert editor.state_hash() != before
                assert bench.says([second.prompt]) == [second.target.strip()]
                _in_thread(lambda: elsewhere.append((editor.state_hash(), [e.id for e in editor.edits()])))
                raise KeyboardInterrupt
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
        _learn(editor, [EditRequest(prompt, told, self.facts[0].subject, scope=owner, id=owner.user)
                        for owner, told in ((_ANA, ours), (_BO, theirs))])  # fmt: skip
        assert bench.says([prompt]) == [bare], "a request without a scope saw an owner's edit"
        with editor.request(scope=_ANA):
            assert bench.says([prompt]) == [ours]
            assert bench.says([prompt], num_beams=2) == [ours]
            elsewhere: list[str] = []
            _in_thread(lambda: elsewhere.extend(bench.says([prompt])))
            assert elsewhere == [bare], "a thread without a scope answered in this one's"
        with editor.request(scopes=[_ANA, _BO, _EVE]):
            assert bench.says([prompt] * 3) == [ours, theirs, bare]
            assert torch.equal(bench.logits([prompt] * 3)[2], base[2]), "a stranger's row lost its bits"
            self._refused(InvalidArgument, lambda: bench.logits([prompt] * 2))
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

    # Packs

    def test_a_pack_brings_the_state_back(self) -> None:
        """Saved and loaded: the same hash, bytes, requests and logits; loading replaces what was there."""
        bench = self.written()
        seen = bench.logits(self.prompts)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pack"
            digest = bench.editor.save(path)
            data = path.read_bytes()
            assert [entry.name for entry in Path(folder).iterdir()] == ["pack"], "saving left litter"
            self._rest()
            other = self.fresh()
            _learn(other.editor, [replace(self.facts[1], id="mine")])
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
        _learn(own.editor, self.facts[:1])
        before = own.editor.state_hash()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pack"
            path.write_bytes(data)
            self._refused(PackMismatch, lambda: other.editor.load(path))
            for damaged in (data[: len(data) // 2], data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], b"hello", b""):
                path.write_bytes(damaged)
                self._refused(PackMismatch, lambda: own.editor.load(path))
            self._refused(PackMismatch, lambda: own.editor.load(path.parent / "missing"))

        assert other.editor.state_hash() == empty
        assert own.editor.state_hash() == before

    @staticmethod
    def _refused(kind: type[AgentMemError], call: Callable[[], object]) -> None:
        try:
            call()
        except kind as error:
            assert error.hint, f"{kind.__name__} without a hint: {error}"
        else:
            raise AssertionError(f"no {kind.__name__} was raised")


def _learn(editor: Editor, requests: Sequence[EditRequest]) -> None:
    """Write facts that must be learnt: the other promises are about editors that can."""
    failed = [receipt for receipt in editor.write(list(requests)) if not receipt.ok]
    assert not failed, f"facts of the suite were not learnt: {failed}; choose facts that this model can learn"


def _in_thread(work: Callable[[], object]) -> None:
    """Run something in a thread of its own, and wait for it."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
