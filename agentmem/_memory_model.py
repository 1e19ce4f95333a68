"""The verbs of a memory that are about its model: attach one, move facts into it, ask it, and see what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmem import wiring
from agentmem._memory_base import MemoryBase
from agentmem.ask.ask import Answer, Use
from agentmem.embedding.cross_encoder import make_reranker
from agentmem.errors import InvalidArgument
from agentmem.notes.edit import EditRequest
from agentmem.notes.protocols import Editor, Message, Reranker
from agentmem.remember.draft import merge_scope

if TYPE_CHECKING:
    from agentmem.consolidation.drift import VerifyReport, WeightStatus
    from agentmem.consolidation.policy import Policy
    from agentmem.consolidation.proposal import Progress
    from agentmem.consolidation.report import ConsolidationReport, PastRun, UndoReport

__all__ = ["ModelVerbs"]


class ModelVerbs(MemoryBase):
    """What :class:`~agentmem.Memory` does with a language model."""

    @property
    def editor(self) -> Editor | None:
        """The side memory of the attached model, to look at; what it holds is changed by ``consolidate`` and ``forget``."""
        return self._parts.weights.editor

    @property
    def policy(self) -> Policy:
        """What decides on consolidation; any object with ``decide`` and ``explain`` can be put in its place."""
        return self._parts.the_policy()

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._parts.policy = policy

    @property
    def reranker(self) -> Reranker | None:
        """What reads the first hits of a recall again; any object with ``scores``, or the name or path of a cross-encoder."""
        return self._parts.recaller.reranker

    @reranker.setter
    def reranker(self, reranker: Reranker | str | Path | None) -> None:
        self._parts.recaller.reranker = make_reranker(reranker)

    def attach(
        self, model: Any, tokenizer: Any = None, *, device: Any = None, dtype: Any = None, plain: bool | None = None
    ) -> None:
        """Attach a causal language model; what was consolidated is in its answers from here on, its weights are untouched.

        Args:
            model, device, dtype, plain: as for :class:`~agentmem.Memory`.
            tokenizer: of a model that is given as an object.
        """
        self._parts.attach(wiring.model_spec(model, tokenizer, device=device, dtype=dtype, plain=plain))

    def detach(self) -> None:
        """Take all edits off the model: it is the base again, bit for bit."""
        self._parts.weights.detach()

    def consolidate(
        self,
        dry_run: bool = False,
        budget: int | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        progress: bool | Progress = False,
    ) -> ConsolidationReport:
        """Move the facts that the policy admits into the model's side memory: written in shadow, verified, then committed."""
        if budget is not None and (not isinstance(budget, int) or isinstance(budget, bool) or budget < 0):
            raise InvalidArgument(f"budget must be a whole number of 0 or more, not {budget!r}.", hint="budget=50.")
        if not dry_run:
            self._parts.need_model()
        scope = merge_scope(self.scope, user, agent, None)
        with wiring.stage_progress(progress) as report:
            return self._parts.consolidator().run(scope, dry_run=dry_run, budget=budget, progress=report)

    def ask(
        self,
        question: str,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        use: Use = "auto",
        k: int = 5,
        context_tokens: int = 400,
        max_tokens: int = 64,
        system: str | None = None,
        history: Sequence[Message] = (),
        exclude: Sequence[str] = (),
    ) -> Answer:
        """Answer from weights alone, from notes in the prompt, or both, and say which.

        Args:
            history, exclude: earlier turns of the conversation, and ids of notes that they show already.
            use: ``auto`` (an edit that answers makes notes unnecessary), ``weights``, ``notes``, ``both`` or ``nothing``.
            k, context_tokens: how many notes, and how much room for them; max_tokens: length of the answer.
        """
        question = self._query(question, k)
        scope = merge_scope(self.scope, user, agent, session)
        return self._parts.asker().ask(
            question, scope, use=use, k=k, context_tokens=context_tokens, max_tokens=max_tokens, system=system,
            history=history, exclude=exclude, remote=self._parts.llm,
        )  # fmt: skip

    def explain(self, id: str, *, user: str | None = None, agent: str | None = None) -> str:
        """What the consolidation policy makes of a note, and why; with a model attached, from all signals."""
        scope = merge_scope(self.scope, user, agent, None)
        self._parts.keeper.get(id, scope)
        return self._parts.consolidator().explain(id, scope)

    def status(self, *, user: str | None = None, agent: str | None = None) -> WeightStatus:
        """The drift meter: facts that wait, edits that the notes have overtaken, packs that cannot be served. Needs no model."""
        return self._parts.drift().status(merge_scope(self.scope, user, agent, None))

    def jobs(self) -> list[PastRun]:
        """The consolidations that changed something, oldest first; of a memory that is bound to somebody, what they did to that one's."""
        return self._parts.drift().runs(self.scope.owner)

    def undo_consolidation(self, *, user: str | None = None, agent: str | None = None, dry_run: bool = False) -> UndoReport:
        """Take the edits of the last consolidation out of the weights; the notes stay. Needs no model."""
        return self._parts.consolidator().undo(merge_scope(self.scope, user, agent, None), dry_run=dry_run)

    def verify(self, sample: int = 32, *, user: str | None = None, agent: str | None = None, seed: int = 0) -> VerifyReport:
        """Ask a random sample of the edits again, by free generation."""
        if not isinstance(sample, int) or isinstance(sample, bool) or sample < 1:
            raise InvalidArgument(f"sample must be a whole number of 1 or more, not {sample!r}.", hint="sample=32.")
        self._parts.need_model()
        return self._parts.verify(merge_scope(self.scope, user, agent, None), sample, seed)

    def edits(self, *, user: str | None = None, agent: str | None = None) -> list[EditRequest]:
        """What the books say that the weights hold: question, answer, and the note it came from. Needs no model."""
        return self._parts.upkeep.edits(merge_scope(self.scope, user, agent, None))
