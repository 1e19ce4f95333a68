"""The composition root: the only place that names concrete stores, indexes and editors, each imported when needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmem.core import EVERYBODY, Core
from agentmem.embedding.cross_encoder import make_reranker
from agentmem.errors import InvalidArgument, StoreError
from agentmem.extract import Extractor
from agentmem.files.data_directory import DataDirectory, holds_notes, open_directory
from agentmem.files.reserve import Reserve
from agentmem.files.scratch import Scratch
from agentmem.forget.erase import Eraser
from agentmem.forget.fade import Fader
from agentmem.forget.finish import Scrubber
from agentmem.keyed.memory import AT_OPEN, KeyedMemory
from agentmem.notes.address import address_of, is_path, is_url, shown
from agentmem.notes.clock import SystemClock
from agentmem.notes.curves import curve
from agentmem.notes.ids import IdMaker
from agentmem.notes.note import Scope
from agentmem.notes.protocols import Clock, Embedder, LanguageModel, SameAsked
from agentmem.parts import Fail, Parts
from agentmem.projections.readings import NoteReadings
from agentmem.projections.text import FullText
from agentmem.recall.search import Recaller
from agentmem.recall.weights import RankingWeights
from agentmem.records.transaction import NoteStore
from agentmem.remember.given_extractor import reader_of
from agentmem.remember.update import Keeper
from agentmem.remember.write import Rememberer
from agentmem.runtime.lacking import lacking
from agentmem.settings import Settings
from agentmem.transfer.afterwards import forgotten_there
from agentmem.upkeep.indexing import IndexUpkeep
from agentmem.upkeep.rebuild import Upkeep
from agentmem.weights.pack_store import Packs, PackStore
from agentmem.weights.registry import METHOD, PackContents, PackFiles, WeightRegistry
from agentmem.weights.shared_packs import SharedPacks

if TYPE_CHECKING:
    from agentmem.llm.loading import ModelSpec
    from agentmem.stores.chroma.indexer import Indexer
    from agentmem.stores.moving import Moved, Packed
    from agentmem.stores.objects.objects import Objects
    from agentmem.stores.postgres.near import NearIndex
    from agentmem.stores.postgres.store import PostgresStore
    from agentmem.stores.sqlite.store import SqliteStore

__all__ = ["build", "forgotten_in", "is_begun", "model_spec", "move", "place"]


def place(path: str | Path | None) -> tuple[Path | None, str | None]:
    """The directory that is meant, or the address of the database."""
    if path is None:
        return None, None
    if not is_path(path):
        raise InvalidArgument(
            f"A memory is kept in a directory, not in {path!r:.80}.",
            hint='Memory("my-memory"), or None for one in memory alone.',
        )
    if is_url(path):
        return None, address_of(path)
    return Path(os.path.expanduser(path)), None  # noqa: PTH111 - leaves a name that is no user's as it is


def is_begun(url: str) -> bool:
    """Whether there is a memory in the database of this address; nothing is made.

    Raises:
        MissingExtra: the driver is not installed. StoreError: the server does not answer.
    """
    from agentmem.stores.postgres.migrations import begun

    return begun(url)


def move(
    source: str | Path,
    target: str | Path,
    *,
    packs: str | Path | None = None,
    progress: Callable[[str, int, int], None] = lambda table, done, total: None,
    fail: Fail = lambda step: None,
) -> Moved:
    """Copy a whole memory into an empty place, of whichever kind either is: a directory, or the address of a database.

    Notes with their history, links, vectors, evidence, keys, experiences, edits with their packs, the ledger, and what was forgotten. Called again after
    it was interrupted, it goes on. The source is only read; until all is there, the target cannot be opened.

    Args:
        packs: where the packs of the source are, if not with its notes; those of the target are with them.
        progress: told the name of a table, how many of its rows are done, and of how many.

    Returns:
        what was copied, with the digest of each table in both.

    Raises:
        StoreError: there is no memory at ``source``, or one of the two cannot be read or written.
        StoreCorrupt: the source is damaged. InvalidArgument: the target is no empty place.
    """
    from agentmem.stores import moving

    with _opened(source, read_only=True, packs=packs) as here:
        moving.refuse_unfinished(here.store, here.place)
        with _opened(target, read_only=False) as there:
            if here.place == there.place:
                raise InvalidArgument(f"{here.place} is both source and target.", hint="name another target.")
            return moving.move(here, there, progress=progress, fail=fail)


def forgotten_in(where: str | Path, core: Core, scopes: Sequence[Scope]) -> dict[Scope, list[str]]:
    """By scope the ids of those of its notes in this memory that were forgotten in another; that one is only read.

    Raises:
        StoreError: there is no memory at ``where``, or it cannot be read.
    """
    from agentmem.stores import moving

    with _opened(where, read_only=True) as other:
        moving.refuse_unfinished(other.store, other.place)
        with other.store.snapshot() as there, core.reading(EVERYBODY) as here:
            found = {scope: forgotten_there(here, there, scope) for scope in scopes}
    return {scope: ids for scope, ids in found.items() if ids}


@contextmanager
def _opened(where: str | Path, *, read_only: bool, packs: str | Path | None = None) -> Iterator[Packed]:
    """A store and its packs, without the rest of a memory."""
    from agentmem.stores.moving import Packed

    path, url = place(where)
    scratch = Scratch()
    objects = None if packs is None else _objects(packs, kept=True)
    store: SqliteStore | PostgresStore | None = None
    try:
        if url is not None:
            if read_only and not is_begun(url):
                raise _no_memory(shown(url))
            store = database = _postgres(url, Settings(), SystemClock(), read_only=read_only)
            yield Packed(store, _packs(PackStore(scratch.path), database, objects, store, _nowhere), store.place)
        else:
            root = Path(path or "")
            if read_only and not holds_notes(root):
                raise _no_memory(shown(root))
            directory = open_directory(root, now=SystemClock().now(), read_only=read_only)
            store = _store(directory, Settings(), SystemClock())
            beside = PackStore(directory.weights)
            yield Packed(store, _packs(beside, None, objects, store, _nowhere), shown(directory.root))
    finally:
        if store is not None:
            store.close()
        scratch.close()


def _nowhere(step: str) -> None:
    """No step is stopped at."""


def _no_memory(where: str) -> StoreError:
    return StoreError(f"There is no memory at {where}.", hint="name the directory or the database that holds it.")


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
    url: str | None = None,
    packs: str | Path | None = None,
    fail: Fail = lambda step: None,
) -> Parts:
    """Wire a memory: a :class:`DataDirectory` holds the notes, the index and the packs; without one all stays in memory.

    With a ``store`` the notes are there, and in the directory the rest. With a ``url`` all is in the database that it names.
    Where ``packs`` names a place, the packs of weight edits are there.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise InvalidArgument(f"settings must be Settings, not {type(settings).__name__}.", hint="Settings(recall=…).")
    if ranking is not None and not isinstance(ranking, RankingWeights):
        raise InvalidArgument(
            f"ranking must be RankingWeights, not {type(ranking).__name__}.", hint="RankingWeights(text=0.1)."
        )
    if store is not None and (lacks := lacking(store, NoteStore)):
        raise InvalidArgument(
            f"{type(store).__name__} is no store: it lacks {', '.join(lacks)}.",
            hint="agentmem.records.transaction.NoteStore says what each does; agentmem.testing.stores.StoreConformance tests it.",
        )
    nowhere = path is None and url is None and store is None
    objects = None if packs is None else _objects(packs, kept=not nowhere)
    if clock is not None and not callable(getattr(clock, "now", None)):
        raise InvalidArgument(
            f"A clock has now(), which {type(clock).__name__} has not.", hint="agentmem.notes.clock.ManualClock()."
        )
    chosen, time = settings or Settings(), clock or SystemClock()
    if url is not None and store is not None:
        raise InvalidArgument("A store was given, and the address of another.", hint="give one of them.")
    database = None if url is None else _postgres(url, chosen, time, read_only=read_only)
    scratch = Scratch() if path is None else None
    directory = open_directory(
        scratch.path if scratch else Path(path or ""), now=time.now(), read_only=read_only and path is not None
    )
    read_only = not directory.writable or (url is not None and read_only)
    store = store or database or _store(None if path is None else directory, chosen, time)
    with _closed_on_error(store, scratch):
        _refuse_unfinished(store, "the memory" if url is None and path is None else shown(url or directory.root))
        notices = list if path is None else _bound(store, directory, fail)
        kept = directory if path is not None and not read_only else None
        core = _core(
            store, kept, chosen, ranking or RankingWeights(), time, embedder, reader_of(extractor), fail, database
        )
        with _closed_on_error(core.indexer):
            text = FullText(core, fail)
            text.complete()
            readings = NoteReadings(core)
            readings.complete()
            weights = _weights(core, _packs(PackStore(directory.weights), database, objects, store, fail), fail)
            weights.begin(serving=model is not None)
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
        answer=_greedy_answers,
        weigh=_likelihoods,
        fingerprint=_fingerprint,
        fail=fail,
        scratch=scratch,
        path=None if path is None else directory.root,
        place="in memory" if database is None else database.place,
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


def _refuse_unfinished(store: NoteStore, where: str) -> None:
    from agentmem.stores.moving import refuse_unfinished

    refuse_unfinished(store, where)


def _bound(store: NoteStore, directory: DataDirectory, fail: Fail) -> Callable[[], list[str]]:
    from agentmem.stores.adopting import bind

    return bind(store, directory, METHOD, fail)


def _store(directory: DataDirectory | None, settings: Settings, clock: Clock) -> SqliteStore:
    from agentmem.stores.sqlite.store import SqliteStore

    database, read_only = (None, False) if directory is None else (directory.database, not directory.writable)
    return SqliteStore(database, durability=settings.index.durability, clock=clock, read_only=read_only)


def _postgres(url: str, settings: Settings, clock: Clock, *, read_only: bool) -> PostgresStore:
    from agentmem.stores.postgres.store import PostgresStore

    return PostgresStore(url, durability=settings.index.durability, clock=clock, read_only=read_only)


def _core(
    store: NoteStore, indexed: DataDirectory | None, settings: Settings, ranking: RankingWeights, clock: Clock, embedder: Any,
    extractor: Extractor, fail: Fail, database: PostgresStore | None,
) -> Core:  # fmt: skip
    from agentmem.embedding.embedders import make_embedder
    from agentmem.embedding.relation_model import RelationModel
    from agentmem.stores.holding import LEAST_ROOM
    from agentmem.stores.text.text import TextIndex
    from agentmem.stores.vectors.exact import ExactIndex

    indexer: Indexer | NearIndex | None = None
    if database is not None and settings.index.backend == "chroma":  # it lies beside the notes
        indexer = database.near
    elif indexed is not None and settings.index.backend == "chroma":
        from agentmem.stores.chroma.indexer import Indexer

        indexer = Indexer(store, indexed.index, clock, fail=fail)
    room = max(settings.index.exact_limit, LEAST_ROOM)
    return Core(
        store=store,
        exact=ExactIndex(store, room),
        text=TextIndex(store, room),
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


def _objects(place: str | Path, *, kept: bool) -> Objects:
    """The place of packs that a user named, for notes that are kept."""
    from agentmem.stores.objects.opening import open_objects

    if not kept:
        raise InvalidArgument(
            "The packs of a memory that is gone when it is closed would stay.", hint="name a path as well, or no packs."
        )
    return open_objects(place)


def _packs(
    beside: PackStore, database: PostgresStore | None, objects: Objects | None, store: NoteStore, fail: Fail
) -> Packs:
    """Where packs are: in a directory beside the notes, with them in their database, or where a user said."""
    with_notes = beside if database is None else SharedPacks(database.packs)
    if objects is None:
        return with_notes
    from agentmem.stores.objects.packs import ObjectPacks

    return SharedPacks(ObjectPacks(objects, store, fail), with_notes)


def _weights(core: Core, packs: Packs, fail: Fail) -> WeightRegistry:
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

    return WeightRegistry(core, packs, make, PackFiles(drop, read), stranded, fail)


def _greedy_answers(model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
    from agentmem.editors.evaluation import answer_readable

    return answer_readable(model, tokenizer, prompts, max_new_tokens)


def _likelihoods(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[float]:
    from agentmem.editors.evaluation import likelihoods

    return likelihoods(model, tokenizer, pairs)


def _fingerprint(model: Any, tokenizer: Any) -> str:
    from agentmem.editors.fingerprint import fingerprint

    return fingerprint(model, tokenizer)


def _language_model(llm: Any) -> LanguageModel | None:
    if llm is None:
        return None
    from agentmem.llm.clients import as_language_model

    return as_language_model(llm)


def model_spec(
    model: Any,
    tokenizer: Any = None,
    *,
    device: Any = None,
    dtype: Any = None,
    plain: bool | None = None,
    device_map: Any = None,
) -> ModelSpec:
    """What was said about a model, checked."""
    from agentmem.llm.loading import ModelSpec

    return ModelSpec(model, tokenizer, device, dtype, plain, device_map)
