"""Promises about the model under an editor, and about every way to generate with it."""

from __future__ import annotations

from typing import Any

import torch

from agentmem.testing.bench import PlainModel, hooks_of, raising_at, snapshot
from agentmem.testing.suite import Suite, learn

__all__ = ["ModelPromises"]


class ModelPromises(Suite):
    """Base bits, weights, hooks, generation."""

    def test_without_edits_the_model_is_its_base(self) -> None:
        """Made, silenced, detached or emptied: the bits of a model that no editor ever touched; no hook stays."""
        model, tokenizer = self.base()
        self.rest()
        tokens, asked = PlainModel(model, tokenizer), [*self.prompts, self.unrelated]
        base, hooks = tokens.logits(asked), hooks_of(model)
        bench = self.fresh((model, tokenizer))
        assert hooks_of(model) == hooks, "an editor without edits has hooks on the model"
        assert torch.equal(bench.logits(asked), base)

        learn(bench.editor, self.facts[:1])
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
        model, tokenizer = self.base()
        before = snapshot(model)
        editor = self.fresh((model, tokenizer)).editor
        learn(editor, self.facts[:1])
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
        beside = PlainModel(other, tokenizer)
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

    def test_cache_or_none_give_the_same_answer(self) -> None:
        """Decoding on a cache and reading everything anew at each token."""
        self._agrees(use_cache=False)

    def test_beam_search_gives_the_same_answer(self) -> None:
        """Several hypotheses of a row are all edited as the row is, with and without a cache."""
        self._agrees(num_beams=3)
        self._agrees(num_beams=2, use_cache=False)

    def test_sampling_gives_the_same_answer(self) -> None:
        """Seeded samples at a low temperature say the target, each of them; the same seed says the same."""
        bench, options = (
            self.written(),
            {"do_sample": True, "temperature": self.temperature, "num_return_sequences": 2},
        )
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
