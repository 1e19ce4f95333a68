"""Proof by free generation: what an edit must answer, and what must not change because of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from agentmem.consolidation.beside import BesideEdit, passage_of
from agentmem.consolidation.figures import share
from agentmem.consolidation.wordings import independent
from agentmem.notes.edit import EditRequest
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Editor, SameAsked

if TYPE_CHECKING:
    from agentmem.consolidation.workers import ModelWorkers

__all__ = ["Answerer", "Canary", "Prober", "RegressionProbes", "Verdict", "Weigher", "same_answer"]

Answerer = Callable[[Any, Any, Sequence[str], int], list[str]]
"""(model, tokenizer, prompts, max_new_tokens) -> greedy answers, chat template applied, stop honoured."""

Weigher = Callable[[Any, Any, Sequence[tuple[str, str]]], list[float]]
"""(model, tokenizer, (prompt, answer) pairs) -> mean log-likelihood of each answer's tokens, in nats, its end among them."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A prompt whose answer must stay as it is, and in whose request it is asked."""

    prompt: str
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class RegressionProbes:
    """What must stay as it is when edits are written.

    Attributes:
        canaries, canaries_said: unrelated prompts, and their answers before.
        older, older_said: edits that are there already, and what their own questions were answered.
        others, others_said: the same of owners whom the run may not see; what they ask is not told.
        elsewhere: unrelated prompts in the requests of everybody who gets an edit. Only the router is asked: an edit that
            does not fire changes nothing, and an edit fires for its owner alone, so one owner's canaries say nothing of others.
    """

    canaries: tuple[Canary, ...]
    canaries_said: tuple[str, ...]
    older: tuple[EditRequest, ...]
    older_said: tuple[str, ...]
    elsewhere: tuple[Canary, ...] = ()
    others: tuple[EditRequest, ...] = ()
    others_said: tuple[str, ...] = ()

    def without(self, ids: Collection[str]) -> RegressionProbes:
        """The same without some of the older edits."""
        rest = [(r, said) for r, said in zip(self.older, self.older_said, strict=True) if r.id not in ids]
        return replace(self, older=tuple(r for r, _ in rest), older_said=tuple(said for _, said in rest))


@dataclass(slots=True)
class Verdict:
    """Shares per edit id, and the edits that must go: ``broken`` maps an edit id to the reason.

    ``generality`` is of wordings that no key has taught, and ``None`` where there are none; so are ``locality`` and ``older_kept``
    where nothing was asked. ``reaches`` has the prompts, by edit id, that an edit answers or changes though they are none of its business.
    """

    reliability: dict[str, float] = field(default_factory=dict)
    generality: dict[str, float | None] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    reaches: dict[str, list[str]] = field(default_factory=dict)
    locality: float | None = None
    older_kept: float | None = None


def same_answer(said: str, target: str) -> bool:
    """Whole-answer match; case and closing punctuation are not part of a fact."""
    return _bare(said) == _bare(target)


def _bare(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(" .!")


class Prober:
    """Asks the model attached to an editor, one scope at a time.

    Args:
        weigh: tells how likely an answer is.
        same: what decides in ``ask()`` whether a question asks for what an edit was written with; ``None``: the key in the model does.
        workers: answer in place of this model where there is enough to be answered.
    """

    def __init__(
        self,
        editor: Editor,
        model: Any,
        tokenizer: Any,
        answer: Answerer,
        max_new_tokens: int,
        weigh: Weigher,
        same: SameAsked | None = None,
        workers: ModelWorkers | None = None,
    ) -> None:
        self._editor = editor
        self._workers = workers
        self._model, self._tokenizer = model, tokenizer
        self._answer, self._weigh = answer, weigh
        self._max = max_new_tokens
        self._same = same

    def ask(self, prompts: Sequence[Canary]) -> list[str]:
        """Answers in the order of the prompts; prompts of one scope are generated together."""
        if (workers := self._for(prompts)) is not None:
            return workers.ask(prompts, self._editor.dump())
        by_scope: dict[Scope | None, list[int]] = defaultdict(list)
        for i, prompt in enumerate(prompts):
            by_scope[prompt.scope].append(i)
        answers = [""] * len(prompts)
        for scope, indices in by_scope.items():
            with self._editor.request(scope=scope):
                said = self._answer(self._model, self._tokenizer, [prompts[i].prompt for i in indices], self._max)
            for i, text in zip(indices, said, strict=True):
                answers[i] = text
        return answers

    def bare(self, prompts: Sequence[str]) -> list[str]:
        """Answers of the base model, no edit in sight."""
        if not prompts:
            return []
        if (workers := self._for(prompts)) is not None:
            return workers.bare(prompts)
        with self._editor.silence():
            return self._answer(self._model, self._tokenizer, list(prompts), self._max)

    def likely(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How likely the base model finds answers to prompts, in nats per token."""
        if (workers := self._for(pairs)) is not None:
            return workers.likely(pairs)
        with self._editor.silence():
            return self._weigh(self._model, self._tokenizer, pairs)

    def _for(self, items: Sequence[object]) -> ModelWorkers | None:
        return self._workers if self._workers is not None and len(items) >= self._workers.least else None

    def reached(
        self,
        wordings: Sequence[tuple[EditRequest, str]],
        right: Collection[str | None],
        known: Mapping[str, BesideEdit] = MappingProxyType({}),
    ) -> list[bool]:
        """Whether each edit answers a wording: when the model is asked the wording itself, by the key; or as ``ask()`` does it where a reader
        confirms edits, which reads the two questions and has the model asked in the edit's own words, to which the answer is known.

        Args:
            right: ids of the edits that answer their own question.
            known: by id, what the reader has of it: words in which it was asked in use, but for the wording itself, and its note.
        """
        said = self.ask([Canary(text, request.scope) for request, text in wordings])
        hits = [same_answer(text, request.target) for (request, _), text in zip(wordings, said, strict=True)]
        left = [i for i, (request, _) in enumerate(wordings) if not hits[i] and request.id in right]
        if self._same is not None and left:
            for i, chance in self._read([(i, *wordings[i]) for i in left], known, self._same):
                hits[i] = hits[i] or chance >= self._same.least
        return hits

    @staticmethod
    def _read(
        wordings: Sequence[tuple[int, EditRequest, str]], known: Mapping[str, BesideEdit], same: SameAsked
    ) -> list[tuple[int, float]]:
        """(number of a wording, how likely it asks for what its edit says), for each of the edit's own."""
        read = []
        for i, request, text in wordings:
            mine = known.get(str(request.id), BesideEdit())
            note = passage_of(mine.note, request.prompt, request.target)
            read += [(i, own, text, note) for own in dict.fromkeys((request.prompt, *mine.heard)) if own != text]
        chances = same.alike([(own, text) for _, own, text, _ in read], [note for *_, note in read])
        return [(i, chance) for (i, *_), chance in zip(read, chances, strict=True)]

    def verify(
        self,
        requests: Sequence[EditRequest],
        probes: dict[str, Sequence[str]],
        regression: RegressionProbes,
        limits: tuple[float, float],
        known: Mapping[str, BesideEdit] = MappingProxyType({}),
    ) -> Verdict:
        """Ask everything once and name the edits that fail.

        Args:
            probes: held-out phrasings per edit id; known: those of use, these among them, and the notes.
            limits: smallest reliability and generality.
        """
        verdict = Verdict()
        self._check_edits(verdict, requests, probes, limits, known)
        canaries, held = regression.canaries, [Canary(r.prompt, r.scope) for r in regression.older]
        changed, taken = "it changes the answer to an unrelated question", "it takes an older edit's question"
        verdict.locality = self._check_unchanged(verdict, canaries, regression.canaries_said, changed)
        verdict.older_kept = self._check_unchanged(verdict, held, regression.older_said, taken)
        strange = [Canary(r.prompt, r.scope) for r in regression.others]
        self._check_unchanged(verdict, strange, regression.others_said, "it takes another's question", told=False)
        # An edit that answers what is none of its business may by luck say the right thing this once.
        new = {r.id for r in requests}
        self._check_silent(verdict, [*canaries, *regression.elsewhere], new, "it fires on an unrelated question")
        self._check_silent(verdict, held, new, "it takes an older edit's question")
        self._check_silent(verdict, strange, new, "it takes another's question", told=False)
        return verdict

    def _check_edits(
        self,
        verdict: Verdict,
        requests: Sequence[EditRequest],
        probes: dict[str, Sequence[str]],
        limits: tuple[float, float],
        known: Mapping[str, BesideEdit],
    ) -> None:
        answers = self.ask([Canary(r.prompt, r.scope) for r in requests])
        right = {r.id for r, text in zip(requests, answers, strict=True) if same_answer(text, r.target)}
        wordings = [(r, probe) for r in requests for probe in probes.get(r.id or "", ())]
        reached = iter(self.reached(wordings, right, known))
        for request, first in zip(requests, answers, strict=True):
            key = request.id or ""
            hits = {probe: next(reached) for probe in probes.get(key, ())}
            verdict.after[key] = first
            verdict.reliability[key] = float(same_answer(first, request.target))
            own = independent(hits, (request.prompt, *request.paraphrases), request.subject)
            general, any_way = share([hits[probe] for probe in own]), share(list(hits.values()))
            verdict.generality[key] = general
            # Wordings of the keys' own template prove nothing by being answered, but something by not being.
            # A reader has not been taught by keys: to it a phrasing of their template is one as any other.
            by_all = general is None or self._same is not None
            least, kind = (any_way, "phrasings") if by_all else (general, "wordings of their own")
            if verdict.reliability[key] < limits[0]:
                verdict.broken[key] = f"its own question is answered {first!r:.60}"
            elif (
                least is not None
                and least < limits[1]
                and not (self._same is not None and known.get(key, BesideEdit()).heard)
            ):
                # What was heard in use is read again when it is asked again: such an edit is reached, however far its question generalises.
                verdict.broken[key] = f"only {least:.0%} of the held-out {kind} are answered"

    def _check_silent(
        self, verdict: Verdict, canaries: Sequence[Canary], new: set[str | None], why: str, *, told: bool = True
    ) -> None:
        by_scope: dict[Scope | None, list[str]] = defaultdict(list)
        for canary in canaries:
            by_scope[canary.scope].append(canary.prompt)
        for scope, prompts in by_scope.items():
            for prompt, route in zip(prompts, self._editor.probe(prompts, scope), strict=True):
                if route.edit_id is not None and route.edit_id in new:
                    verdict.broken.setdefault(route.edit_id, f"{why} ({prompt!r:.60})" if told else why)
                    verdict.reaches.setdefault(route.edit_id, []).append(prompt)

    def _check_unchanged(
        self, verdict: Verdict, canaries: Sequence[Canary], before: Sequence[str], why: str, *, told: bool = True
    ) -> float | None:
        if not canaries:
            return None
        after = self.ask(canaries)
        changed = [c for c, old, new in zip(canaries, before, after, strict=True) if old != new]
        for canary in changed:
            route = self._editor.probe([canary.prompt], canary.scope)[0]
            said = f"{why} ({canary.prompt!r:.60})" if told else why
            if route.edit_id is not None:
                verdict.broken.setdefault(route.edit_id, said)
            else:
                verdict.broken.setdefault("", f"{said}, though no edit claims it")
        return 1.0 - len(changed) / len(canaries)
