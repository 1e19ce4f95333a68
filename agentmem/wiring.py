"""The composition root: the only place that names concrete stores, indexes and editors, each imported when needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from agentmem.ask.ask import Asker
from agentmem.ask.gate import EditGate
from agentmem.core import EVERYBODY, Core
from agentmem.embedding.cross_encoder import make_reranker
from agentmem.errors import InvalidArgument, ModelError, StoreError
from agentmem.experience.memory import ExperienceMemory
from agentmem.extract import Extractor
from agentmem.files.data_directory import DataDirectory, open_directory
from agentmem.files.reserve import Reserve
from agentmem.files.scratch import Scratch
from agentmem.forget.erase import Eraser
from agentmem.forget.fade import Fader
from agentmem.forget.finish import Scrubber
from agentmem.keyed.memory import AT_OPEN, KeyedMemory
from agentmem.notes.clock import SystemClock
from agentmem.notes.curves import curve
from agentmem.notes.evidence import Drawn
from agentmem.notes.ids import IdMaker
from agentmem.notes.note import Note, Receipt, Scope
from agentmem.notes.protocols import Clock, Embedder, LanguageModel, SameAsked
from agentmem.notes.rows import Selection
from agentmem.projections.readings import NoteReadings
from agentmem.projections.text import FullText
from agentmem.recall.page import Page
from agentmem.recall.result import Recollection
from agentmem.recall.search import Recaller
from agentmem.recall.weights import RankingWeights
from agentmem.records.transaction import NoteStore
from agentmem.remember.given_extractor import reader_of
from agentmem.remember.update import Keeper
from agentmem.remember.write import Rememberer
from agentmem.runtime.forks import at_fork
from agentmem.settings import Settings
from agentmem.upkeep.indexing import IndexUpkeep
from agentmem.upkeep.own import OwnUpkeep
from agentmem.upkeep.rebuild import Upkeep
from agentmem.weights.pack_store import PackStore
from agentmem.weights.registry import METHOD, PackContents, PackFiles, WeightRegistry

if TYPE_CHECKING:
    from agentmem.consolidation.drift import DriftMeter, VerifyReport
    from agentmem.consolidation.job import Consolidator
    from agentmem.consolidation.phraser import Phraser
    from agentmem.consolidation.policy import Policy
    from agentmem.consolidation.report import UndoReport
    from agentmem.consolidation.rewriting import Rewriter
    from agentmem.enrich.describe import Enricher
    from agentmem.enrich.reflect import Reflector
    from agentmem.forget.byte_report import RemnantReport
    from agentmem.llm.loading import ModelSpec
    from agentmem.llm.local_model import LocalModel
    from agentmem.stores.sqlite.store import SqliteStore
    from agentmem.transfer.export import Exporter
    from agentmem.transfer.load import Importer

__all__ = ["Parts", "build", "model_spec"]

Fail = Callable[[str], None]


@dataclass(slots=True, weakref_slot=True)
class Parts:
    """Everything a :class:`~agentmem.Memory` delegates to."""

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
    policy: Policy | None = None
    phraser: Phraser | None = None
    fail: Fail = lambda step: None
    scratch: Scratch | None = None
    path: Path | None = None
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

    def experience(self, scope: Scope) -> ExperienceMemory:
        return ExperienceMemory(self.core, scope, self.indexing.index_if_due, self.fail)

    def consolidator(self) -> Consolidator:
        from agentmem.consolidation.canaries import general_questions
        from agentmem.consolidation.job import Consolidator

        return Consolidator(
            self.core, self.weights, self.the_policy(), self.the_phraser(), _greedy_answers, _likelihoods, general_questions(), self.fail
        )  # fmt: skip

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

        return DriftMeter(self.core, self.weights, self.the_policy(), self.the_phraser())

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
                "A memory without a path has no files to look into.", hint="Memory('my-memory').verify_bytes()."
            )
        left = {} if self.core.store.read_only else self.scrubber.finish()
        if (
            not left and not self.core.store.read_only
        ):  # where nothing may be written, what a forgetting still owes is found as it is
            self.core.store.erase()
        with self.core.reading(EVERYBODY) as tx:
            active = tx.ledger.active_pack(METHOD)
        index = "" if self.core.indexer is None else str(self.core.indexer.directory.relative_to(self.path))
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


def build(
    path: Path | None,
    *,
    embedder: Embedder | Callable[[Sequence[str]], Any] | str | Path | None,
    model: ModelSpec | None,
    llm: Any,
    clock: Clock | None,
    settings: Settings | None,
    ranking: RankingWeights | None = None,
    extractor: Extractor | None = None,
    read_only: bool = False,
    store: NoteStore | None = None,
    fail: Fail = lambda step: None,
) -> Parts:
    """Wire a memory: a :class:`DataDirectory` holds the notes, the index and the packs; without one all stays in memory.

    With a ``store`` the notes are there, and in the directory the rest.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise InvalidArgument(f"settings must be Settings, not {type(settings).__name__}.", hint="Settings(recall=…).")
    if ranking is not None and not isinstance(ranking, RankingWeights):
        raise InvalidArgument(
            f"ranking must be RankingWeights, not {type(ranking).__name__}.", hint="RankingWeights(text=0.1)."
        )
    chosen, time = settings or Settings(), clock or SystemClock()
    scratch = Scratch() if path is None else None
    directory = open_directory(
        scratch.path if scratch else Path(path or ""), now=time.now(), read_only=read_only and path is not None
    )
    read_only = not directory.writable
    store = store or _store(None if path is None else directory, chosen, time)
    with _closed_on_error(store, scratch):
        notices = list if path is None else _bound(store, directory, fail)
        kept = directory if path is not None and not read_only else None
        core = _core(store, kept, chosen, ranking or RankingWeights(), time, embedder, reader_of(extractor), fail)
        with _closed_on_error(core.indexer):
            text = FullText(core, fail)
            text.complete()
            readings = NoteReadings(core)
            readings.complete()
            weights = _weights(core, directory.weights, fail)
            weights.collect()
            reranker = make_reranker(chosen.recall.reranker)
            language_model = _language_model(llm)
    indexing = IndexUpkeep(core)
    upkeep = Upkeep(core, weights, indexing, text, readings, lambda report: parts.rewriter().run(report), notices)
    reserve = Reserve(None if path is None or read_only else directory.root)
    scrubber = Scrubber(core, weights, indexing.purge, reserve, fail)
    with _closed_on_error(store, scratch, core.indexer):
        if not read_only:
            scrubber.at_open()
            indexing.resume_purge()
    keeper, eraser = Keeper(core, weights, fail), Eraser(core, weights, scrubber, reserve, fail)
    parts = Parts(
        core=core,
        weights=weights,
        rememberer=Rememberer(core, weights, fail),
        recaller=Recaller(core, reranker),
        keeper=keeper,
        indexing=indexing,
        upkeep=upkeep,
        eraser=eraser,
        scrubber=scrubber,
        fader=Fader(core),
        keyed=KeyedMemory(core, weights, keeper, eraser, indexing.index_if_due, fail),
        llm=language_model,
        model_spec=model,
        fail=fail,
        scratch=scratch,
        path=None if path is None else directory.root,
    )
    if not read_only:
        with (
            _closed_on_error(store, scratch, core.indexer),
            suppress(StoreError),
        ):  # what is left now, the next one does
            parts.keyed.sweep(Scope(), AT_OPEN)
    return parts


@contextmanager
def _closed_on_error(*made: Any) -> Iterator[None]:
    """What was opened is let go of when what comes after it fails: nobody else could."""
    try:
        yield
    except BaseException:
        for each in made:
            if each is not None:
                each.close()
        raise


def _bound(store: NoteStore, directory: DataDirectory, fail: Fail) -> Callable[[], list[str]]:
    from agentmem.stores.adopting import bind

    return bind(store, directory, METHOD, fail)


def _store(directory: DataDirectory | None, settings: Settings, clock: Clock) -> SqliteStore:
    from agentmem.stores.sqlite.store import SqliteStore

    database, read_only = (None, False) if directory is None else (directory.database, not directory.writable)
    return SqliteStore(database, durability=settings.index.durability, clock=clock, read_only=read_only)


def _core(
    store: NoteStore, indexed: DataDirectory | None, settings: Settings, ranking: RankingWeights, clock: Clock, embedder: Any,
    extractor: Extractor, fail: Fail,
) -> Core:  # fmt: skip
    from agentmem.embedding.embedders import make_embedder
    from agentmem.embedding.relation_model import RelationModel
    from agentmem.stores.text.text import TextIndex
    from agentmem.stores.vectors.exact import ExactIndex

    indexer = None
    if indexed is not None and settings.index.backend == "chroma":
        from agentmem.stores.chroma.indexer import Indexer

        indexer = Indexer(store, indexed.index, clock, fail=fail)
    return Core(
        store=store,
        exact=ExactIndex(store),
        text=TextIndex(store),
        indexer=indexer,
        make_embedder=lambda: make_embedder(embedder),
        clock=clock,
        curve=curve(settings.forgetting.curve),
        settings=settings,
        ranking=ranking,
        ids=IdMaker(clock),
        relations=None if settings.remember.updates == "rules" else RelationModel(),
        same_question=_reader(settings.consolidation.gate),
        extractor=extractor,
    )


def _reader(gate: str) -> SameAsked | None:
    """What confirms the edits that recall proposes; ``None`` where keys decide."""
    from agentmem.embedding.same_question import SameQuestion
    from agentmem.embedding.weights_files import has_packaged_minilm

    return SameQuestion() if gate == "memory" or (gate == "auto" and has_packaged_minilm()) else None


def _weights(core: Core, packs: Path, fail: Fail) -> WeightRegistry:
    method = METHOD if core.settings.consolidation.bulk_after is None else "tiered"

    def make(model: Any, tokenizer: Any) -> Any:
        from agentmem.editors import make_editor

        return make_editor(method, model, tokenizer)

    def drop(data: bytes, ids: Sequence[str]) -> bytes:
        from agentmem.editors import packs as pack_files

        return pack_files.drop(data, ids)

    def read(data: bytes) -> PackContents:
        from agentmem.editors import packs as pack_files

        about = pack_files.summary(data)
        return PackContents(frozenset(about.ids), frozenset(about.waiting), about.base)

    def stranded(model: Any) -> str:
        from agentmem.runtime.forked_torch import stranded

        return stranded(model)

    return WeightRegistry(core, PackStore(packs), make, PackFiles(drop, read), stranded, fail)


def _greedy_answers(model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
    from agentmem.editors.evaluation import answer, fitting

    # What the model cannot read it has no answer to: a note that is longer than the context is no reason to stop a night's work.
    readable = fitting(model, tokenizer, prompts)
    said = [""] * len(prompts)
    for i, text in zip(
        readable, answer(model, tokenizer, [prompts[i] for i in readable], max_new_tokens=max_new_tokens), strict=True
    ):
        said[i] = text
    return said


def _likelihoods(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[float]:
    from agentmem.editors.evaluation import likelihoods

    return likelihoods(model, tokenizer, pairs)


def _language_model(llm: Any) -> LanguageModel | None:
    if llm is None:
        return None
    from agentmem.llm.clients import as_language_model

    return as_language_model(llm)


def model_spec(
    model: Any, tokenizer: Any = None, *, device: Any = None, dtype: Any = None, plain: bool | None = None
) -> ModelSpec:
    """What was said about a model, checked."""
    from agentmem.llm.loading import ModelSpec

    return ModelSpec(model, tokenizer, device, dtype, plain)
