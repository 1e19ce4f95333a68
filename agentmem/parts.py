"""What a memory delegates to, as :mod:`agentmem.wiring` put it together; what a verb alone needs is imported when it is said."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from agentmem.ask.ask import Asker
from agentmem.ask.gate import EditGate
from agentmem.core import EVERYBODY, Core
from agentmem.errors import EditError, InvalidArgument, ModelError
from agentmem.events import Events
from agentmem.experience.memory import ExperienceMemory
from agentmem.files.scratch import Scratch
from agentmem.forget.erase import Eraser
from agentmem.forget.fade import Fader
from agentmem.forget.finish import Scrubber
from agentmem.forget.places import INDEX
from agentmem.keyed.memory import KeyedMemory
from agentmem.notes.evidence import Drawn
from agentmem.notes.note import Note, Receipt, Scope
from agentmem.notes.protocols import LanguageModel
from agentmem.notes.rows import Selection
from agentmem.recall.page import Page
from agentmem.recall.result import Recollection
from agentmem.recall.search import Recaller
from agentmem.remember.update import Keeper
from agentmem.remember.write import Rememberer
from agentmem.runtime.forks import at_fork
from agentmem.upkeep.indexing import IndexUpkeep
from agentmem.upkeep.own import OwnUpkeep
from agentmem.upkeep.rebuild import Upkeep
from agentmem.weights.registry import METHOD, WeightRegistry

if TYPE_CHECKING:
    from agentmem.consolidation.drift import DriftMeter, VerifyReport
    from agentmem.consolidation.job import Consolidator
    from agentmem.consolidation.phraser import Phraser
    from agentmem.consolidation.policy import Policy
    from agentmem.consolidation.report import UndoReport
    from agentmem.consolidation.rewriting import Rewriter
    from agentmem.consolidation.verify import Answerer, Weigher
    from agentmem.consolidation.workers import ModelWorkers
    from agentmem.enrich.describe import Enricher
    from agentmem.enrich.reflect import Reflector
    from agentmem.forget.byte_report import RemnantReport
    from agentmem.llm.loading import ModelSpec
    from agentmem.llm.local_model import LocalModel
    from agentmem.notes.adapter import AdapterReport
    from agentmem.transfer.export import Exporter
    from agentmem.transfer.load import Importer

__all__ = ["Fail", "Parts"]

Fail = Callable[[str], None]


@dataclass(slots=True, weakref_slot=True)
class Parts:
    """Everything a :class:`~agentmem.Memory` delegates to: made once, or when a verb is first said.

    Args:
        answer, weigh: what the attached model says greedily, and how likely it finds an answer; fingerprint: which model this is.
    """

    core: Core
    weights: WeightRegistry
    rememberer: Rememberer
    recaller: Recaller
    keeper: Keeper
    indexing: IndexUpkeep
    upkeep: Upkeep
    eraser: Eraser
    scrubber: Scrubber
    fader: Fader
    keyed: KeyedMemory
    llm: LanguageModel | None
    model_spec: ModelSpec | None
    answer: Answerer
    weigh: Weigher
    fingerprint: Callable[[Any, Any], str]
    policy: Policy | None = None
    phraser: Phraser | None = None
    fail: Fail = lambda step: None
    scratch: Scratch | None = None
    path: Path | None = None
    place: str = "in memory"
    closed: bool = False
    _local: LocalModel | None = None
    _plain: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = threading.RLock()

    def attach(self, spec: ModelSpec) -> None:
        """Attach a model, which is loaded when it was given by name or path."""
        from agentmem.llm.clients import LocalModel

        model, tokenizer = spec.load()
        # Nobody may be answered by one model through the hooks of another.
        with self._lock, self.weights.lock:
            local = LocalModel(model, tokenizer, plain=spec.plain)
            self.weights.attach(model, tokenizer)
            self._local, self._plain = local, spec.plain is True

    def need_model(self) -> None:
        """Attach the model named at construction, if that has not happened yet."""
        with self._lock:
            if not self.weights.attached and self.model_spec is not None:
                self.attach(self.model_spec)
        self.weights.need()

    def local(self) -> LocalModel | None:
        return self._local if self.weights.attached else None

    def asker(self, *, local: bool = True) -> Asker:
        if local and not self.weights.attached and self.model_spec is not None:
            self.need_model()
        use = self._use_of_plain if local and self._plain else self._use
        same = self.core.same_question if local else None
        gate = None if same is None else EditGate(self.core, self._recall, same)
        return Asker(self.core, self.weights, self._recall, use, self.local, gate)

    def lacks_reader(self) -> bool:
        """Whether edits answer by their keys alone since what reads questions is not installed."""
        wanted = self.core.settings.consolidation.gate == "auto"
        return wanted and self.core.same_question is None and self.weights.attached

    def _recall(self, question: str, k: int, scope: Scope) -> Recollection:
        return self.recaller.recall(question, Page(k), scope, Selection(()))

    def _use(self, notes: Sequence[Note], scope: Scope, drawn: Drawn | None) -> None:
        if notes and not self.core.store.read_only:  # an answer is worth more than the note of it
            self.keeper.reinforce([n.id for n in notes], "good", scope, or_gone=True, drawn=drawn)

    def _use_of_plain(self, notes: Sequence[Note], scope: Scope, _: Drawn | None) -> None:
        """A model that was to be asked in plain lines goes on with a text: what it says is a use, and nothing to learn an answer by."""
        self._use(notes, scope, None)

    def own(self, scope: Scope) -> OwnUpkeep | None:
        """What a memory bound to ``scope`` may tell of its own state; ``None`` when that is nobody's in particular."""
        return OwnUpkeep(self.core, self.weights, scope) if scope.owner else None

    def experience(self, scope: Scope, events: Events) -> ExperienceMemory:
        return ExperienceMemory(self.core, scope, self.indexing.index_if_due, self.fail, events)

    def consolidator(self, workers: ModelWorkers | None = None) -> Consolidator:
        from agentmem.consolidation.canaries import general_questions
        from agentmem.consolidation.job import Consolidator

        return Consolidator(
            self.core, self.weights, self.the_policy(), self.the_phraser(), self.answer, self.weigh, general_questions(), self.fail, workers
        )  # fmt: skip

    def export_adapter(self, scope: Scope, folder: Path, *, rank: int, epochs: int) -> AdapterReport:
        """What the model was taught within ``scope``, as an adapter; the store knows of it before its first byte is written."""
        from agentmem.editors.lora.export import export_adapter
        from agentmem.weights import adapters

        def announce(report: AdapterReport) -> None:
            with self.core.writing(scope) as tx:
                adapters.keep(tx, report)

        with self.weights.serving() as editor:
            with self.core.reading(scope) as tx:
                seen = {edit.id for edit in tx.ledger.edits()}
            chosen = [edit for edit in editor.edits() if edit.id in seen]
            model, tokenizer = self.weights.model, self.weights.tokenizer
            report = export_adapter(model, tokenizer, chosen, folder, rank=rank, epochs=epochs, announce=announce)
        with self.core.reading(scope) as tx:
            known = any(row.sha256 == report.sha256 and not row.condemned for row in adapters.rows(tx))
        if not known:  # another process has forgotten one of its notes, before there was a file to be found
            adapters.scrub(adapters.AdapterRow(str(folder.absolute()), report.sha256, report.edits, report.notes))
            raise EditError("A note that the adapter holds was forgotten meanwhile.", hint="export again.")
        return report

    def undo_consolidation(self, scope: Scope, *, dry_run: bool) -> UndoReport:
        from agentmem.consolidation.undo import undo

        return undo(self.core, self.weights, scope, dry_run=dry_run, fail=self.fail)

    def rewriter(self) -> Rewriter:
        from agentmem.consolidation.rewriting import Rewriter

        return Rewriter(self.core, self.weights, self.the_policy(), self.the_phraser(), self.consolidator().prober)

    def the_policy(self) -> Policy:
        from agentmem.consolidation.policy import DefaultPolicy

        if self.policy is None:
            self.policy = DefaultPolicy(self.core.settings.consolidation)
        return self.policy

    def the_phraser(self) -> Phraser:
        from agentmem.consolidation.phraser import default_phraser

        if self.phraser is None:
            self.phraser = default_phraser()
        return self.phraser

    def drift(self) -> DriftMeter:
        from agentmem.consolidation.drift import DriftMeter

        spec = self.model_spec
        unloaded = spec is not None and spec.named
        policy, phraser = self.the_policy(), self.the_phraser()
        return DriftMeter(self.core, self.weights, policy, phraser, unloaded=unloaded, base=self._base)

    def _base(self) -> str | None:
        """Which model the one is that waits to be attached; one that was given by name is not loaded to be asked for it."""
        return None if self.model_spec is None or self.model_spec.named else self.fingerprint(*self.model_spec.load())

    def verify(self, scope: Scope, sample: int, seed: int) -> VerifyReport:
        with self.weights.serving() as editor:
            self.weights.need_sound()
            return self.drift().verify(self.consolidator().prober(editor), scope, sample, Random(seed))

    def verify_bytes(self, texts: Sequence[str]) -> RemnantReport:
        """Finish what a forgetting left, blank what is not used, and look into every file."""
        from agentmem.forget.byte_report import Remnant, RemnantReport
        from agentmem.stores.byte_search import Wanted, look_beside

        if self.path is None:
            raise InvalidArgument(
                "A memory without a directory has no files to look into.",
                hint="Memory('my-memory').verify_bytes(); what a database server keeps, its administrator looks into.",
            )
        left = dict[str, str]()
        if (
            not self.core.store.read_only
        ):  # where nothing may be written, what a forgetting still owes is found as it is
            left = self.scrubber.finish()
            if waits := self.indexing.finish_purge():
                left[INDEX] = waits
            if not left.keys() - {INDEX}:
                self.core.store.erase()
        with self.core.reading(EVERYBODY) as tx:
            active = tx.ledger.active_pack(METHOD)
        folder = None if self.core.indexer is None else self.core.indexer.in_use()
        index = "" if folder is None else str(folder.relative_to(self.path))
        wanted = Wanted(tuple(texts), () if active is None else (active[0],), index, tuple(self.core.store.own_pages()))
        return RemnantReport(tuple(Remnant(*each) for each in look_beside(self.path, wanted)), tuple(left.values()))

    def enricher(self) -> Enricher:
        from agentmem.enrich.describe import Enricher

        return Enricher(self.core, self.need_llm(), self.weights.retire, self.fail)

    def reflector(self) -> Reflector:
        from agentmem.enrich.reflect import Reflector

        return Reflector(self.core, self.need_llm(), self.rememberer.remember)

    def need_llm(self) -> LanguageModel:
        """The chat model given at construction, or an error that says how to give one."""
        if self.llm is None:
            raise ModelError(
                "No language model was given to describe notes with.",
                hint="Memory(path, llm=OpenAIModel('http://127.0.0.1:8000/v1', 'name')), or any function of messages.",
            )
        return self.llm

    def enriched(self, receipts: list[Receipt]) -> list[Receipt]:
        """The receipts of what was just stored, after enrichment when the settings ask for it at once."""
        if self.llm is None or not self.core.settings.enrichment.inline:
            return receipts
        return self.enricher().after(receipts)

    def exporter(self) -> Exporter:
        from agentmem.transfer.export import Exporter

        return Exporter(self.core, self.fail)

    def importer(self) -> Importer:
        from agentmem.transfer.load import Importer

        return Importer(self.core, self.fail)

    def reembed(self, embedder: Any, progress: Callable[[int, int], None]) -> int:
        from agentmem.embedding.embedders import make_embedder

        return self.upkeep.reembed(make_embedder(embedder), progress, self.fail)

    def close(self) -> None:
        """Flush what is pending, then let go of everything, also when flushing fails."""
        if self.closed:
            return
        self.closed = True
        try:
            if self.core.settings.index.flush_on_close:
                self.upkeep.flush_if_consulted()
        finally:
            self.scrubber.wait()
            self.indexing.wait()
            self.weights.detach()
            if self.core.indexer is not None:
                self.core.indexer.close()
            self.core.store.close()
            if self.scratch is not None:
                self.scratch.close()
