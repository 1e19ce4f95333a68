"""Asking everything after the last edit, by greedy free generation, and putting the answers into one row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from agentmem.editors.evaluation import answer
from agentmem.evaluation.world import World, WorldFact
from agentmem.evaluation.world import answer as as_answer
from benchmarks.editing.streams import KINDS, Sample, share
from benchmarks.small_model.evaluate import generate
from benchmarks.small_model.probes import Probe, ProbeMaker

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from benchmarks.editing.methods import Method

__all__ = ["Bench", "Probes"]

SINGLE_STREAMS = 10

Pair = tuple[str, str]
"""A question, and the answer that counts as right."""


@dataclass(frozen=True)
class Probes:
    """What one stream is asked: ``held`` in other words, ``lower`` with the name in lower case besides, ``same`` by kind whatever
    the model said before."""

    chosen: list[Sample]
    own: list[Pair]
    held: list[Pair]
    lower: list[Pair]
    same: dict[str, list[Pair]]
    kept: list[Pair]
    late: list[Probe]
    late_held: list[Probe]
    late_same: list[Probe]


class Bench:
    """The model, the longest stream, and what the model says before any edit.

    Args:
        stream: every edit of the longest stream.
        most: probes per figure at most, drawn with a fixed seed.
        chats: how many edits are also asked after twelve to twenty-two other turns.
    """

    def __init__(
        self, model: Any, tokenizer: Any, world: World, stream: Sequence[Sample], most: int, chats: int
    ) -> None:
        self.model, self.tokenizer, self.world = model, tokenizer, world
        self.stream, self.most, self.chats = list(stream), most, chats
        self._bare: dict[str, str] = {}
        self._kept = self._never_edited()

    def probes(self, edits: int) -> list[Probes]:
        """The streams of one length, with their questions: a single edit is tried on several facts, one by one."""
        if edits > 1:
            return [self._probes(self.stream[:edits], self.most)]
        singles = self.stream[:SINGLE_STREAMS]
        return [self._probes([sample], max(1, self.most // len(singles))) for sample in singles]

    def measure(self, method: Method, streams: Sequence[Probes]) -> dict[str, object]:
        """Write, ask, and forget again unless it was one long stream."""
        asked: dict[str, list[bool]] = {}
        held, seconds, size, failed = 0, 0.0, 0, []
        for probes in streams:
            written = method.write(probes.chosen)
            held += written.held
            failed += written.failed
            seconds += method.seconds()
            size += method.size()
            for name, right in self._answers(method, probes).items():
                asked.setdefault(name, []).extend(right)
            if len(streams) > 1:
                method.clear()
        edits = len(streams[0].chosen)
        figures = {name: _mean(right) for name, right in asked.items()}
        by_kind = {kind: figures.pop(kind) for kind in KINDS}
        local = [right for kind in KINDS for right in asked[kind]]
        each = 1 / (edits * len(streams))
        row = {
            "edits": edits,
            "streams": len(streams),
            "written": held,
            "paraphrases": len(streams[0].chosen[0].request.paraphrases),
            "reliability": figures["reliability"],
            "generality_held_out": figures["generality_held_out"],
            "generality_lower_case": figures["generality_lower_case"],
            "locality": _mean(local),
            "locality_by_kind": by_kind,
            "kept": figures["kept"],
            **{name: value for name, value in figures.items() if name.startswith("late")},
            "cpu_seconds_per_edit": seconds * each,
            "cpu_seconds_calibration": method.calibration,
            "bytes_per_edit": size * each,
            "state_bytes": size // len(streams),
            "asked": {name: len(right) for name, right in asked.items() if name not in KINDS}
            | {"locality": len(local)},
            "failed": failed[:3],
        }
        return _rounded(row)

    def _answers(self, method: Method, probes: Probes) -> dict[str, list[bool]]:
        """By figure, which questions were answered as wanted; all in one go, so that batches are full."""
        groups = {
            "reliability": probes.own,
            "generality_held_out": probes.held,
            "generality_lower_case": probes.lower,
            **probes.same,
            "kept": probes.kept,
        }
        said = iter(method.ask([text for pairs in groups.values() for text, _ in pairs]))
        found = {name: [next(said) == wanted for _, wanted in pairs] for name, pairs in groups.items()}
        if probes.late:
            chats = {"reliability": probes.late, "generality": probes.late_held, "locality": probes.late_same}
            late = iter(method.chat([probe for group in chats.values() for probe in group]))
            for name, group in chats.items():
                found[f"late_in_chat_{name}"] = [next(late) == probe.expected for probe in group]
        return found

    def _probes(self, chosen: list[Sample], most: int) -> Probes:
        rng = Random(f"probes {len(chosen)} {chosen[0].request.id}")
        edited = {s.request.prompt for s in chosen} | {p for s in chosen for p in s.request.paraphrases}
        some = rng.sample(chosen, min(most, len(chosen)))
        held = [(text, s.request.target) for s in chosen for text in s.held_out]
        lower = [
            (text.replace(s.fact.subject, s.fact.subject.lower()), s.request.target)
            for s in chosen
            for text in s.held_out
        ]
        same = {}
        for kind in KINDS:
            texts = [s.untouched[kind] for s in rng.sample(chosen, min(most, len(chosen)))]
            same[kind] = self._unedited([text for text in texts if text not in edited])
        picked = rng.sample(chosen, min(self.chats, len(chosen)))
        late, late_held = self._chats(picked)
        return Probes(
            chosen, [(s.request.prompt, s.request.target) for s in some], rng.sample(held, min(most, len(held))),
            Random(5).sample(lower, min(most, len(lower))), same, rng.sample(self._kept, min(most, len(self._kept))), late, late_held,
            self._chats_about_others(picked, edited),
        )  # fmt: skip

    def _unedited(self, texts: Iterable[str]) -> list[Pair]:
        """The texts with what the bare model says to them."""
        asked = list(texts)
        fresh = [text for text in dict.fromkeys(asked) if text not in self._bare]
        self._bare |= zip(fresh, answer(self.model, self.tokenizer, fresh, batch_size=32), strict=True)
        return [(text, self._bare[text]) for text in asked]

    def _never_edited(self) -> list[Pair]:
        """Facts outside every stream that the model answers right."""
        edited = {(sample.fact.subject, sample.fact.relation) for sample in self.stream}
        left = [f for f in self.world.facts if (f.subject, f.relation) not in edited]
        rng = Random(13)
        drawn: list[WorldFact] = rng.sample(left, min(self.most + self.most // 5, len(left)))
        asked = self._unedited(self.world.question(fact, rng) for fact in drawn)
        right = [pair for pair, fact in zip(asked, drawn, strict=True) if pair[1] == as_answer(fact.value)]
        return right[: self.most]

    def _chats(self, picked: Sequence[Sample]) -> tuple[list[Probe], list[Probe]]:
        """Own prompts and held-out questions at the end of a chat about other things."""
        make = ProbeMaker(self.world, Random(7))
        groups: tuple[list[Probe], list[Probe]] = ([], [])
        for group, own in zip(groups, (True, False), strict=True):
            for sample in picked:
                text = sample.request.prompt if own else sample.held_out[0]
                turns = [*make.other_turns(12, 22), {"role": "user", "content": text}]
                group.append(Probe(turns, sample.request.target))
        return groups

    def _chats_about_others(self, picked: Sequence[Sample], edited: Collection[str]) -> list[Probe]:
        """Questions that no edit is about at the end of such chats, with what the bare model says to them there."""
        make = ProbeMaker(self.world, Random(9))
        texts = [sample.untouched[kind] for sample in picked for kind in KINDS]
        chats = [
            Probe([*make.other_turns(12, 22), {"role": "user", "content": text}], "")
            for text in texts
            if text not in edited
        ]
        said = generate(self.model, self.tokenizer, chats) if chats else []
        return [Probe(chat.messages, text) for chat, (text, _, _) in zip(chats, said, strict=True)]


def _mean(right: Sequence[bool]) -> float:
    return share(right, [True] * len(right))


def _rounded(value: Any) -> Any:
    """Four decimals, and ``None`` for what was not asked: JSON knows no nan."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value
