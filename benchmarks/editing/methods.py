"""What is measured: the library's editors, full-model fine-tuning, and no edit at all but notes in the prompt."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn.functional import cross_entropy

from agentmem import Memory
from agentmem.ask.present import presentable
from agentmem.editors import make_editor
from agentmem.editors.evaluation import answer
from agentmem.editors.grace.config import GraceConfig
from agentmem.editors.prompts import Renderer
from agentmem.editors.wise.config import WiseConfig
from agentmem.evaluation.world import World
from agentmem.notes.quoting import notes_block
from agentmem.recall.weights import RankingWeights
from benchmarks.small_model.evaluate import generate
from benchmarks.small_model.probes import Probe
from benchmarks.vector_cache import CachedEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.editing.streams import Sample

__all__ = ["METHODS", "Editing", "FineTuning", "Method", "Retrieval", "Written", "make_method"]

_LOCATE: dict[str, object] = {"prefixes": 0, "essence": 2, "batch": 32}
METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "grace": ("grace", {}),
    "grace-paper": ("grace", {"config": GraceConfig.paper()}),
    "wise": ("wise", {}),
    # The published 0.85 of the depth would be the very last layer here, above which nothing is left to put values right.
    "wise-paper": ("wise", {"config": WiseConfig.paper(layer=-2)}),
    # The settings of both that were best on other facts (benchmarks.editing.tune, results/editing_tuned.json).
    "grace-tuned": ("grace", {"config": GraceConfig.paper(value_layer=2, eps_init=18.0)}),
    "wise-tuned": ("wise", {"config": WiseConfig.paper(layer=3, alpha=0.5, beta=2.0, gamma=1.0, lr=1.0)}),
    # The layers are those, of all, at which most of a hundred edits were still said.
    "rome": ("rome", {"layer": 3, **_LOCATE}),
    "emmet": ("emmet", {"layer": 3, **_LOCATE}),
    "memit": ("memit", {"layer": 3, "spread": 1, **_LOCATE}),
    "memit, ridge 0.05": ("memit", {"layer": 1, "spread": 2, "ridge": 0.05, **_LOCATE}),
    "lora": ("lora", {}),
    "ft": ("ft", {}),
    "retrieval": ("retrieval", {}),
}
"""By name: the editor, and the options that differ from its defaults."""

_GROWING = ("grace", "grace-paper", "grace-tuned", "rome", "emmet", "memit", "memit, ridge 0.05")
_SAME_VALUES = {"emmet": "rome", "memit, ridge 0.05": "memit"}


@dataclass(frozen=True)
class Written:
    """What writing came to."""

    held: int
    failed: tuple[str, ...]


class Method(Protocol):
    """Something that can be told facts and then asked."""

    calibration: float
    """CPU seconds spent once, before the first edit."""

    def write(self, chosen: Sequence[Sample]) -> Written: ...

    def ask(self, texts: Sequence[str]) -> list[str]: ...

    def chat(self, probes: Sequence[Probe]) -> list[str]: ...

    def seconds(self) -> float:
        """CPU seconds that it took to come to the state of now."""
        ...

    def size(self) -> int:
        """Bytes of the state of now."""
        ...

    def clear(self) -> None:
        """Forget everything; the model is as it was."""
        ...


def make_method(name: str, model: Any, tokenizer: Any, made: dict[str, Any], extra: dict[str, object]) -> Any:
    """A method by name; ``made`` are those that were measured before, whose values may be taken over."""
    kind, options = METHODS[name]
    if kind == "ft":
        return FineTuning(model, tokenizer, **extra)
    if kind == "retrieval":
        return Retrieval(model, tokenizer, **extra)
    lender = made.get(_SAME_VALUES.get(name, ""))
    return Editing(model, tokenizer, kind, options | extra, name in _GROWING, lender)


@dataclass
class Editing:
    """An editor of the library.

    Args:
        grows: what an edit becomes does not depend on the others, so a longer stream is written on top of a shorter.
        lender: a closed form whose keys and values are taken over; its cost then counts as this one's.
    """

    model: Any
    tokenizer: Any
    kind: str
    options: dict[str, object]
    grows: bool
    lender: Editing | None = None
    calibration: float = 0.0
    _spent: dict[str, float] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.editor: Any = make_editor(self.kind, self.model, self.tokenizer, **self.options)
        started = time.process_time()
        if hasattr(self.editor, "calibrate") and self.lender is None:
            self.editor.calibrate()
        self.calibration = time.process_time() - started if self.lender is None else self.lender.calibration

    def write(self, chosen: Sequence[Sample]) -> Written:
        requests = [sample.request for sample in chosen]
        if self.lender is not None and {str(r.id) for r in requests} <= set(self.lender._spent):
            return self._borrow([str(r.id) for r in requests])
        told = [r for r in requests if str(r.id) not in self._spent] if self.grows else requests
        if not self.grows:
            self.clear()
        started = time.process_time()
        receipts = self.editor.write(told)
        each = (time.process_time() - started) / max(1, len(told))
        self._spent |= {str(r.id): each for r in told}
        self._failed |= {receipt.id: receipt.reason for receipt in receipts if not receipt.ok}
        self.editor.attach()
        return Written(len(self.editor.edits()), tuple(self._failed.values())[:3])

    def _borrow(self, ids: list[str]) -> Written:
        """The same keys and values under another closed form."""
        assert self.lender is not None
        source = self.lender.editor.state
        records = [record for record in source.edits if record.id in set(ids)]
        book = self.editor.state.with_edits(records, self.editor.state.ids)
        self.editor.load(book.bytes)
        self._spent = {name: self.lender._spent[name] for name in ids}
        self.editor.attach()
        return Written(len(records), tuple(self.lender._failed.values())[:3])

    def ask(self, texts: Sequence[str]) -> list[str]:
        return answer(self.model, self.tokenizer, texts, batch_size=32)

    def chat(self, probes: Sequence[Probe]) -> list[str]:
        return [text for text, *_ in generate(self.model, self.tokenizer, list(probes))]

    def seconds(self) -> float:
        return sum(self._spent.values())

    def size(self) -> int:
        return int(self.editor.status().size_bytes)

    def clear(self) -> None:
        """Afterwards the editor is empty, which takes its hooks off."""
        if self.editor.edits():
            self.editor.delete([edit.id for edit in self.editor.edits()])
        self._spent, self._failed = {}, {}

    def rest(self) -> None:
        """Keep the edits, for others to take over, and give the model back."""
        self.editor.detach()


class FineTuning:
    """All weights of the model, trained on the edits alone until it says every target, or for ``epochs``."""

    def __init__(self, model: Any, tokenizer: Any, epochs: int = 30, rate: float = 5e-4, batch: int = 16) -> None:
        self.model, self.tokenizer, self.renderer = model, tokenizer, Renderer(tokenizer)
        self.epochs, self.rate, self.batch = epochs, rate, batch
        self.calibration, self._spent = 0.0, 0.0
        self._before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def write(self, chosen: Sequence[Sample]) -> Written:
        self.clear()
        rows = [
            self.renderer.pair(text, sample.request.target)
            for sample in chosen
            for text in (sample.request.prompt, *sample.request.paraphrases)
        ]
        started = time.process_time()
        shuffled = torch.Generator().manual_seed(0)
        optimiser = torch.optim.AdamW(self.model.parameters(), lr=self.rate, weight_decay=0.0)
        for _ in range(self.epochs):
            said = True
            for part in torch.randperm(len(rows), generator=shuffled).split(self.batch):
                loss, right = self._loss([rows[i] for i in part.tolist()])
                said &= right
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            if said:
                break
        optimiser.zero_grad()
        self._spent = time.process_time() - started
        return Written(len(chosen), ())

    def _loss(self, rows: Sequence[Any]) -> tuple[torch.Tensor, bool]:
        texts = [(*row.prompt, *row.labels) for row in rows]
        width = max(map(len, texts))
        ids = torch.tensor([text + (text[0],) * (width - len(text)) for text in texts])
        labels = torch.full_like(ids, -100)
        for i, row in enumerate(rows):
            labels[i, len(row.prompt) : len(texts[i])] = torch.tensor(row.labels)
        # Padding on the right needs no mask: causal attention never sees it.
        logits, wanted = self.model(input_ids=ids, use_cache=False).logits[:, :-1], labels[:, 1:]
        right = (logits.argmax(-1) == wanted) | (wanted < 0)
        return cross_entropy(logits.flatten(0, 1), wanted.flatten()), bool(right.all())

    def ask(self, texts: Sequence[str]) -> list[str]:
        return answer(self.model, self.tokenizer, texts, batch_size=32)

    def chat(self, probes: Sequence[Probe]) -> list[str]:
        return [text for text, *_ in generate(self.model, self.tokenizer, list(probes))]

    def seconds(self) -> float:
        return self._spent

    def size(self) -> int:
        """Every weight has changed."""
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

    def clear(self) -> None:
        self.model.load_state_dict(self._before)

    def rest(self) -> None:
        self.clear()


class Retrieval:
    """No edit at all: what an edit would say is a note, and the notes that are recalled stand in the prompt."""

    def __init__(self, model: Any, tokenizer: Any, k: int = 3, held_out_notes: bool = False) -> None:
        self.model, self.tokenizer, self.k, self.held_out = model, tokenizer, k, held_out_notes
        self.world = World.generate()
        with CachedEmbedder.open(None) as embedder:
            self.embedder = embedder
        self.calibration, self._spent, self.memory = 0.0, 0.0, Memory(None, embedder=self.embedder)

    def write(self, chosen: Sequence[Sample]) -> Written:
        self.clear()
        self.embedder.known.clear()
        started = time.process_time()
        told = [self.world.statement(s.fact, Random(str(s.request.id)), held_out=self.held_out) for s in chosen]
        receipts = self.memory.remember_many(told, user="u", actor="user", progress=False)
        self.memory.flush()
        self._spent = time.process_time() - started
        return Written(sum(receipt.ok for receipt in receipts), ())

    def ask(self, texts: Sequence[str]) -> list[str]:
        return self.chat([Probe([{"role": "user", "content": text}], "") for text in texts])

    def chat(self, probes: Sequence[Probe]) -> list[str]:
        asked = []
        for probe in probes:
            found = self.memory.recall(probe.messages[-1]["content"], k=4 * self.k, user="u")
            # as `ask` does: notes about others than the question's stay out
            shown = presentable(found, self.k, unnamed=RankingWeights().unnamed)
            notes = notes_block(shown.notes)
            head = [{"role": "system", "content": notes}] if notes else []
            asked.append(replace(probe, messages=[*head, *probe.messages]))
        return [text for text, *_ in generate(self.model, self.tokenizer, asked)]

    def seconds(self) -> float:
        return self._spent

    def size(self) -> int:
        """The database, and the vectors beside it."""
        counts = self.memory.stats()
        return int(counts["bytes"])  # type: ignore[call-overload]

    def clear(self) -> None:
        self.memory.close()
        self.memory = Memory(None, embedder=self.embedder)

    def rest(self) -> None:
        self.memory.close()
