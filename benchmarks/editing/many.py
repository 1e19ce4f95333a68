"""Routing among many edits: milliseconds per request, right answers, bytes, and seconds of the first request after a change.

Keys are the model's own, of questions about subjects that the world does not contain, and an edit keeps the keys of other questions
about its subject as a written one does; only values are drawn, since no request is generated. So the geometry is that of a
real codebook of that size, without the hours that optimising it would take.
"""

from __future__ import annotations

import time
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmem.editors import make_editor
from agentmem.editors.compact import FINE, ROUGH, Compact, coarse
from agentmem.editors.gate.codebook import Codebook
from agentmem.editors.gate.naming import AskedText
from agentmem.editors.packs import PackedEdit
from agentmem.evaluation.world import RELATIONS, World, WorldFact
from agentmem.notes.edit import EditRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentmem.editors.packs import Array

__all__ = ["Many"]

ROUNDS, ASKED = 30, 200


class Many:
    """The keys of as many facts as the largest codebook has, from which smaller ones take the first."""

    def __init__(self, model: Any, tokenizer: Any, most: int) -> None:
        editor: Any = make_editor("grace", model, tokenizer)
        self.space, self.port, self.renderer = editor.calibrate(), editor.port, editor.renderer
        self.published = 4 * (self.port.structure.d_key + model.config.hidden_size)
        self.world, rng = World.generate(), Random(7)
        self.facts = self._facts(most, rng)
        self.questions = [self.world.question(fact, rng) for fact in self.facts]
        self.keys = coarse(self.space.keys(self._raw(self.questions)), FINE)
        self.answered = rng.sample(range(min(1000, most)), min(ASKED, most))
        self.others = [self.world.question(fact, rng) for fact in rng.sample(self.world.facts, 16)]

    def _facts(self, count: int, rng: Random) -> list[WorldFact]:
        people = self.world.unknown_people(count // 30 + 1, 3, "test")
        rest = {"company": self.world.unknown_companies, "place": self.world.unknown_places}
        names: dict[str, list[str]] = {"person": people}
        names |= {kind: draw(count // 10 + 1, 3, "test") for kind, draw in rest.items()}
        facts = [
            WorldFact(name, item.kind, item.name, rng.choice(self.world.values(item.name)))
            for kind, known in names.items()
            for name in known
            for item in RELATIONS
            if item.kind == kind
        ]
        rng.shuffle(facts)
        return facts[:count]

    def _raw(self, questions: Sequence[str]) -> Array:
        raw: Array = self.port.keys([self.renderer.prompt(text) for text in questions]).numpy()
        return raw

    def book(self, count: int) -> Codebook:
        """The codebook of the first facts."""
        mine: dict[str, list[int]] = {}
        for at, fact in enumerate(self.facts):
            mine.setdefault(fact.subject, []).append(at)
        rng = np.random.default_rng(0)
        values = coarse(rng.normal(size=(count, self.port.structure.d_model)).astype(np.float32), FINE)
        none, far, codes = np.zeros(0, np.float16), np.full(1, 99, np.float32), {}
        held = []
        for at, fact in enumerate(self.facts[:count]):
            apart = self.keys[[i for i in mine[fact.subject] if i != at]] - self.keys[at]
            others = coarse(apart, ROUGH) if len(apart) else apart
            request = EditRequest(self.questions[at], fact.value, subject=fact.subject, id=f"e{at:06}")
            labels = (codes.setdefault(fact.value, len(codes)),)
            held.append(PackedEdit(request, labels, self.keys[at : at + 1], values[at], none, far, Compact(others)))
        return Codebook("grace", "many", (), 0.01, 0.03).with_edits(held, (), self.space)

    def measure(self, count: int) -> dict[str, object]:
        """Requests that no edit answers, in batches of one and of sixteen, and requests in other words that one does.

        ``pass``: as a request is routed, which its words may settle; ``route``: with a look at the keys.
        """
        book = self.book(count)
        raw, texts = self._raw(self.others), [AskedText(text, whole=True) for text in self.others]
        queries = self.space.keys(raw)
        started = time.process_time()
        book.match(queries[:1], [None], texts[:1])
        row: dict[str, object] = {
            "edits": count,
            "indexed": book.index is not None,
            "first_after_a_change_seconds": round(time.process_time() - started, 3),
        }
        for batch in (1, 16):
            parts = [slice(i, i + batch) for i in range(16 - batch + 1) for _ in range(ROUNDS)]
            row[f"pass_ms_batch_{batch}"] = _median_ms(book.answer, [(raw[part], texts[part]) for part in parts])
            row[f"route_ms_batch_{batch}"] = _median_ms(book.match, [(queries[part], texts[part]) for part in parts])
        return row | self._answered(book) | self._bytes(book)

    def _answered(self, book: Codebook) -> dict[str, object]:
        rng, chosen = Random(8), [at for at in self.answered if at < len(book)]
        asked = [self.world.question(self.facts[at], rng, held_out=True) for at in chosen]
        raw, spent, right, wrong = self._raw(asked), [], 0, 0
        for at, key, text in zip(chosen, raw, asked, strict=True):
            started = time.process_time()
            (match,) = book.answer(key[None], [None], [AskedText(text, whole=True)])
            spent.append(time.process_time() - started)
            said = match.edit.request.target if match.edit is not None else None
            right, wrong = right + (said == self.facts[at].value), wrong + (said not in (None, self.facts[at].value))
        return {
            "answered_ms": round(1000 * median(spent), 3),
            "answered_right": round(right / len(chosen), 3),
            "answered_wrong": round(wrong / len(chosen), 3),
        }

    def _bytes(self, book: Codebook) -> dict[str, object]:
        held = book.search.nbytes + (book.index.nbytes if book.index is not None else 0)
        held += sum(e.keys.nbytes + e.value.nbytes + e.limits.nbytes + e.others.nbytes for e in book.edits)
        return {
            "array_bytes_per_edit": round(held / len(book)), "pack_bytes_per_edit": round(len(book.bytes) / len(book)),
            "published_bytes_per_edit": self.published,
        }  # fmt: skip


def _median_ms(route: Callable[..., object], requests: Sequence[tuple[Array, Sequence[AskedText]]]) -> float:
    spent = []
    for keys, texts in requests:
        started = time.process_time()
        route(keys, [None] * len(keys), texts)
        spent.append(time.process_time() - started)
    return round(1000 * median(spent), 3)
