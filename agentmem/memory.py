"""The one class users meet: the verbs of a memory, each checked here and done elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Self, cast, overload

from agentmem import wiring
from agentmem.ask.answer import is_unknown
from agentmem.ask.ask import Answer, Use
from agentmem.ask.conversation import earlier
from agentmem.ask.prompt import Steps, led, saying
from agentmem.embedding.cross_encoder import make_reranker
from agentmem.errors import AgentMemError, InvalidArgument, ScopeError
from agentmem.events import Events, Subscriber, gist
from agentmem.events.notices import READER
from agentmem.events.watched import steps, verb
from agentmem.extract import Extractor
from agentmem.keyed.asking import Namespaces, WantedRecords
from agentmem.keyed.putting import Put, checked_puts
from agentmem.keyed.record import Record, checked_key, checked_namespace
from agentmem.keyed.text import Index
from agentmem.notes.address import is_path
from agentmem.notes.clock import as_moment, micros
from agentmem.notes.edit import EditRequest
from agentmem.notes.evidence import Drawn, Evidence
from agentmem.notes.filters import parse
from agentmem.notes.names import flag, merge_scope
from agentmem.notes.note import Fact, ForgetReceipt, Hit, Link, Note, NoteVersion, Receipt, Scope
from agentmem.notes.protocols import Clock, Editor, Embedder, Message, Reranker
from agentmem.notes.rows import Selection
from agentmem.recall.page import ALL, MOST, Page, Score
from agentmem.recall.result import Recollection
from agentmem.recall.weights import RankingWeights
from agentmem.remember.changes import Changes
from agentmem.remember.draft import KEYWORDS, Draft, make_drafts
from agentmem.runtime.progress import progress_bar, stage_progress
from agentmem.settings import Settings
from agentmem.upkeep.own import in_percent
from agentmem.wiring import forgotten_in, is_begun, move

if TYPE_CHECKING:
    import networkx as nx

    from agentmem.consolidation.drift import VerifyReport, WeightStatus
    from agentmem.consolidation.phraser import Phraser
    from agentmem.consolidation.policy import Policy
    from agentmem.consolidation.proposal import Progress
    from agentmem.consolidation.report import ConsolidationReport, PastRun, UndoReport
    from agentmem.consolidation.workers import ModelWorkers
    from agentmem.enrich.model.report import EnrichReport, ReflectReport
    from agentmem.experience.memory import ExperienceMemory
    from agentmem.forget.byte_report import RemnantReport
    from agentmem.forget.fade import FadeReport
    from agentmem.graph.view import Connection
    from agentmem.llm.loading import ModelSpec
    from agentmem.notes.adapter import AdapterReport
    from agentmem.recall.why_not import WhyNot
    from agentmem.records.transaction import NoteStore
    from agentmem.transfer.export import ExportReport
    from agentmem.transfer.import_report import ImportReport
    from agentmem.upkeep.rebuild import CheckReport

__all__ = ["Memory", "is_begun", "move"]

MAX_K: Final = 1000


class Memory:
    """A memory of notes: durable in a directory, or in memory when ``path`` is ``None``.

    Args:
        path: a directory (made if missing), the address of a PostgreSQL database (``postgresql://user@host/name``), or ``None``.
        scope: binds the object: every call acts within it.
        embedder: ``None`` (the packaged MiniLM), a model name or path, an :class:`~agentmem.notes.protocols.Embedder`, or a
            callable from texts to an array.
        model: a causal language model for :meth:`ask` and :meth:`consolidate`: ``"small"`` (the one that ships), a Hugging Face
            name or path, or a pair ``(model, tokenizer)``; looked for at once, loaded on first use.
        device, dtype: where a model given by name runs, and in which numbers; by default on the accelerator that the machine has, as it
            was saved, else on the CPU in float32.
        device_map: in place of ``device``, for a model that fits on no device alone: ``"auto"``, or which module goes where; needs accelerate.
        plain: write ``User: …`` and ``Assistant:`` instead of the chat template; by default only for a model that has none.
        llm: a chat model for :meth:`enrich`, :meth:`reflect`, and for answers when no local model is attached: a client, a
            callable, or a ``LanguageModel``.
        clock, settings: injected time and numbers.
        ranking: what each part of a score is worth, where somebody measures it anew.
        extractor: reads what a text states and ends (:class:`~agentmem.extract.Extractor`), instead of the rules of the languages that come
            with agentmem.
        store: where the notes are kept, if not in SQLite; ``path`` is then where the rest lies. Closed with the memory.
        packs: where packs of weight edits are kept, if not with the notes: a folder, or an address that fsspec knows (``s3://bucket/prefix``), the same
            for all who open these notes. Credentials are taken from the environment.
        read_only: open what is there for reading: recall, answers, notes, export and checks work, nothing of the memory is written, and what would
            write raises :class:`~agentmem.errors.StoreReadOnly`. A directory that cannot be written is opened so by itself.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        scope: Scope | None = None,
        embedder: Embedder | Callable[[Sequence[str]], Any] | str | Path | None = None,
        model: Any = None,
        device: Any = None,
        dtype: Any = None,
        device_map: Any = None,
        plain: bool | None = None,
        llm: Any = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
        ranking: RankingWeights | None = None,
        extractor: Extractor | None = None,
        read_only: bool = False,
        store: NoteStore | None = None,
        packs: str | Path | None = None,
    ) -> None:
        if scope is not None and not isinstance(scope, Scope):
            raise InvalidArgument(
                f"scope must be a Scope, not {type(scope).__name__}.", hint="scope=Scope(user='ana')."
            )
        self.scope = merge_scope(Scope(), scope.user, scope.agent, scope.session) if scope is not None else Scope()
        self._events = Events()
        self.path, url = wiring.place(path)
        spec = _model_spec(model, device, dtype, plain, device_map)
        self._parts = wiring.build(
            self.path,
            embedder=embedder,
            model=spec,
            llm=llm,
            clock=clock,
            settings=settings,
            ranking=ranking,
            extractor=extractor,
            read_only=flag(read_only, "read_only"),
            store=store,
            url=url,
            packs=packs,
        )
        self.settings = self._parts.core.settings

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written, since it was asked for or the directory cannot be."""
        return self._parts.core.store.read_only

    @property
    def clock(self) -> Clock:
        """The time that this memory goes by."""
        return self._parts.core.clock

    @property
    def experience(self) -> ExperienceMemory:
        """What acting taught: ``record`` steps of episodes, ``advise`` on the next action."""
        return self._parts.experience(self.scope, self._events)

    def subscribe(self, tell: Subscriber, *, names: bool = False) -> Callable[[], None]:
        """Have a function told of every verb at its end, and of what was not as it should be; returns what takes that back.

        It is called on the thread of the verb, which waits for it, so it should be quick. What it raises does not reach the verb: it is
        logged, once, under ``agentmem.events``. What it says to the memory meanwhile makes no events.

        Args:
            tell: takes a :class:`~agentmem.events.VerbEvent` or a :class:`~agentmem.events.NoticeEvent`; no text of notes, queries or
                answers is in either.
            names: verbs also say the names of user, agent and session, rather than only whether there are any.
        """
        return self._events.subscribe(tell, names=names)

    # -- remember --------------------------------------------------------------------------------------------

    @verb(gist.receipts)
    def remember(
        self,
        content: str | Mapping[str, Any] | Sequence[Message],
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        kind: str = "episodic",
        actor: str | None = None,
        occurred_at: datetime | str | None = None,
        valid_from: datetime | str | None = None,
        valid_to: datetime | str | None = None,
        importance: float | None = None,
        tags: Iterable[str] = (),
        source: str | None = None,
        trust: float | str | None = None,
        fact: Fact | Sequence[str] | None = None,
        ends: Sequence[str | None] | Sequence[Sequence[str | None]] = (),
        facts: bool | Sequence[Fact | Sequence[str]] = True,
        merge: bool = True,
        metadata: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        derived_from: Sequence[str] = (),
    ) -> Receipt:
        """Store one text, one message, or a list of messages; durable when this returns.

        Needs no language model. Says what became of it: stored, merged, superseded (older notes of the same fact), rejected. Messages
        may be mappings or the objects of a client, with parts, calls of tools and their results; in a list, one that cannot be a note
        has a receipt that says so, and the others are stored.

        Args:
            fact: what the text states, or ``facts`` where it states several: each ends by itself, and the note stays while one holds or
                its words tell more. ends: what it says to hold no longer, (subject, relation, value) or several, the value ``None``
                for whichever there is. Without them, both are read from plain statements by rule; with ``facts=False`` none is.
            merge: ``False`` stores equal and nearly equal words as a note of their own; a repeated ``idempotency_key`` still stores nothing.
            derived_from: ids of the notes that the text was made from: it is forgotten with any of them. In a list of messages, an
                item may name earlier ones by their places, the first by 0.

        What the call says of the owner and of trust binds its items: one that names another owner is a :class:`ScopeError`, and
        one that asks for more trust does not get it.
        """
        thread = None
        if isinstance(content, Sequence) and not isinstance(content, str) and not (session or self.scope.session):
            thread = f"call:{self._parts.core.new_id()}"
        drafts = make_drafts(
            content, self.scope, thread, user=user, agent=agent, session=session, kind=kind, actor=actor,
            occurred_at=occurred_at, valid_from=valid_from, valid_to=valid_to, importance=importance, tags=tags,
            source=source, trust=trust, fact=fact, ends=ends, facts=facts, merge=merge, metadata=metadata,
            idempotency_key=idempotency_key, derived_from=derived_from,
        )  # fmt: skip
        receipts = self._remember(drafts)
        if len(receipts) == 1:
            return receipts[0]
        last = next((r for r in reversed(receipts) if r.ok), receipts[-1])
        return replace(last, items=tuple(receipts))

    @verb(gist.receipts)
    def remember_many(
        self,
        items: Iterable[str | Mapping[str, Any]],
        *,
        progress: bool | Callable[[int, int], None] = True,
        **options: Any,
    ) -> list[Receipt]:
        """Store many items; each a string, a message, or a mapping of :meth:`remember`'s keywords.

        All items are checked before the first is written. An item's ``derived_from`` may name earlier ones by their places.
        ``options`` are :meth:`remember`'s keywords for every item.
        """
        if isinstance(items, (str, Mapping)) or not isinstance(items, Iterable):
            raise InvalidArgument("remember_many takes a list of items.", hint="for a single item call remember().")
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise InvalidArgument(
                f"Unknown option {unknown[0]!r}.", hint=f"options are: {', '.join(sorted(_OPTIONS))}."
            )
        drafts: list[Draft | Receipt] = []
        for number, item in enumerate(items):
            try:
                if number and options.get("idempotency_key") is not None:
                    raise InvalidArgument(
                        "One key was given for several items: the second would pass for a repetition of the first.",
                        hint="give each item its own: {'content': …, 'idempotency_key': …}.",
                    )
                drafts += make_drafts(item, self.scope, **options)
            except AgentMemError as error:
                error.message = f"Item {number}: {error.message}"
                raise
        with progress_bar("remembering", progress, len(drafts)) as report:
            return self._remember(drafts, report)

    def _remember(
        self, drafts: Sequence[Draft | Receipt], progress: Callable[[int, int], None] | None = None
    ) -> list[Receipt]:
        receipts = self._parts.rememberer.remember(drafts, progress)
        self._parts.indexing.index_if_due()
        self._parts.scrubber.resume()
        return self._parts.enriched(receipts)

    # -- recall ----------------------------------------------------------------------------------------------

    @verb(gist.recollection)
    def recall(
        self,
        query: str,
        *,
        k: int | Literal["all"] = 10,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        where: Mapping[str, Any] | None = None,
        as_of: datetime | str | None = None,
        faded: bool = False,
        min_score: float | None = None,
        score: Score = "hybrid",
        offset: int = 0,
    ) -> Recollection:
        """The ``k`` notes that fit ``query`` best, with reasons.

        Args:
            k: at most so many; ``"all"``, for questions with many answers ("Which games did I play?"): every note that fits half as well as
                the best one, 200 at most.
            where: conditions on fields, e.g. ``{"tags": {"$contains": "work"}}``.
            as_of: only what was valid at that moment; faded: archived notes too.
            score: ``hybrid`` is a sum of parts, named in ``hit.reasons``, which may be above 1; ``cosine`` finds, orders and scores by nearness
                in meaning alone: the cosine, from -1 to 1, of the query's vector with that of the note, or with the nearest of a long note's
                passages, the vectors being kept in half precision. Equal ones come in the order in which they were stored. No reranker, no word, no link has a part in it.
            min_score: leaves out hits that score less; in the numbers of ``score``.
            offset: leaves out the first hits, for further pages of the same ``k``; what is written in between may shift them.
        """
        query, scope = self._query(query, MOST if k == ALL else k), merge_scope(self.scope, user, agent, session)
        page, selection = Page.of(k, offset, min_score, score), self._selection(where, as_of, faded)
        found = self._parts.recaller.recall(query, page, scope, selection)
        if found.degraded:
            self._parts.indexing.repair_soon()
        return found

    @verb()
    def why_not(self, query: str, id: str, *, k: int = 10, user: str | None = None, agent: str | None = None) -> WhyNot:
        """Why the note ``id`` is not among the first ``k`` hits of ``query``."""
        query, scope = self._query(query, k), merge_scope(self.scope, user, agent, None)
        note = self._parts.keeper.get(id, scope)
        return self._parts.recaller.why_not(query, note, k, scope, self._selection(None, None, False))

    @verb()
    def reinforce(
        self,
        hit: Hit | Note | str | Sequence[Hit | Note | str],
        grade: str = "good",
        *,
        user: str | None = None,
        agent: str | None = None,
        or_gone: bool = False,
        question: str | None = None,
        answer: str | None = None,
    ) -> None:
        """Say that notes were used: their curve is reviewed (``again``, ``hard``, ``good``, ``easy``), links between them grow.

        Args:
            or_gone: notes that were forgotten meanwhile are passed over instead of raising `UnknownNote`.
            question, answer: what was asked, in its own words, and what was answered from these notes: kept beside them as
                :meth:`evidence`, as :meth:`ask` does by itself; not where the answer is that it is not known, nor with ``again``.
        """
        drawn = Drawn.of(question, answer)
        many = [hit] if isinstance(hit, (Hit, Note, str)) else list(hit) if isinstance(hit, Iterable) else [hit]
        ids = [h.note.id if isinstance(h, Hit) else h.id if isinstance(h, Note) else h for h in many]
        if not all(isinstance(id, str) for id in ids):
            raise InvalidArgument(
                f"Cannot reinforce {hit!r:.80}.", hint="pass a hit, a note, an id, or several of them."
            )
        drawn = None if drawn is None or is_unknown(drawn.answer) else drawn
        scope = merge_scope(self.scope, user, agent, None)
        self._parts.keeper.reinforce(ids, grade, scope, or_gone=or_gone, drawn=drawn)

    @verb(gist.items("records"))
    def evidence(
        self, id: str | None = None, *, user: str | None = None, agent: str | None = None, session: str | None = None
    ) -> list[Evidence]:
        """What was asked and answered from notes, from one or from any, the latest first: how often, in which words, and what was answered.

        Each scope has what was asked in it, of shared notes too; the 32 latest wordings for each note. It goes with any of the notes that an answer was
        drawn from, when these get other words, and with notes that repeat it; ``Settings(remember=RememberSettings(evidence=False))`` keeps none.
        """
        return self._parts.keeper.evidence(id, merge_scope(self.scope, user, agent, session))

    # -- notes -----------------------------------------------------------------------------------------------

    @overload
    def get(self, id: str, *, user: str | None = None, agent: str | None = None) -> Note: ...
    @overload
    def get(
        self, id: Sequence[str], key: str, *, refresh: bool = False, user: str | None = None, agent: str | None = None,
        session: str | None = None,
    ) -> Record | None: ...  # fmt: skip
    @verb(gist.one)
    def get(
        self, id: str | Sequence[str], key: str | None = None, *, refresh: bool = False, user: str | None = None,
        agent: str | None = None, session: str | None = None,
    ) -> Note | Record | None:  # fmt: skip
        """One note by its id, or one record by its namespace and key, ``None`` where there is no such record.

        A note of another scope is as unknown as one that never was. ``refresh``: a record with a lifetime lives as long again from now on.
        """
        if key is None and isinstance(id, str):
            return self._parts.keeper.get(id, merge_scope(self.scope, user, agent, session))
        scope = merge_scope(self.scope, user, agent, session)
        return self._parts.keyed.get(checked_namespace(id), checked_key(key), scope, refresh=refresh)

    @verb(gist.items("notes"))
    def notes(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        as_of: datetime | str | None = None,
        faded: bool = True,
        limit: int | None = None,
        offset: int = 0,
        newest: bool = False,
    ) -> list[Note]:
        """Notes in the order of their creation; ``newest``: the last one first."""
        scope, order = (
            merge_scope(self.scope, user, agent, session),
            "-created" if newest else "created",
        )
        return self._parts.keeper.notes(self._selection(where, as_of, faded), scope, limit, offset, order)

    @verb(gist.items("owners"))
    def users(self) -> list[Scope]:
        """The users and agents that have notes, as scopes, by name; the empty scope stands for what is shared.

        It is for jobs that go from one to the next; a memory that is bound to somebody tells of that one alone.
        """
        return self._parts.keeper.users(self.scope)

    @verb(gist.receipts)
    def update(
        self,
        id: str,
        content: str | None = None,
        *,
        tags: Iterable[str] | None = None,
        importance: float | None = None,
        metadata: Mapping[str, object] | None = None,
        facts: bool = True,
        user: str | None = None,
        agent: str | None = None,
    ) -> Receipt:
        """Give a note new words, tags, importance or metadata: a new version; whatever follows from the words follows, id and links stay.

        Args:
            content: ``None`` leaves the words; the former ones stay in its history.
            tags, importance, metadata: take the place of what there is; ``None`` leaves it.
            facts: whether new words are read for what they state.
        """
        changes = Changes.of(content, tags=tags, importance=importance, metadata=metadata, facts=facts)
        return self._parts.keeper.update(id, changes, merge_scope(self.scope, user, agent, None))

    @verb(gist.items("versions"))
    def history(self, id: str, *, user: str | None = None, agent: str | None = None) -> list[NoteVersion]:
        """What a note said before, oldest first, and what it says now."""
        return self._parts.keeper.history(id, merge_scope(self.scope, user, agent, None))

    @verb(gist.note_ids)
    def undo_updates(self, id: str, *, user: str | None = None, agent: str | None = None) -> tuple[str, ...]:
        """Take back what models judged a note to replace: marks go, and what it ended by that holds again; returns the ids of those notes.

        What rules read off its words stays: ``update()`` gives a note other words.
        """
        return self._parts.keeper.undo_updates(id, merge_scope(self.scope, user, agent, None))

    @verb()
    def link(
        self,
        a: str,
        b: str,
        kind: str = "user",
        *,
        reason: str = "",
        weight: float = 1.0,
        user: str | None = None,
        agent: str | None = None,
    ) -> Link:
        """Connect two notes of one scope."""
        return self._parts.keeper.link(a, b, kind, reason, weight, merge_scope(self.scope, user, agent, None))

    @verb(gist.items("notes"))
    def graph(
        self,
        *,
        user: str | None = None,
        agent: str | None = None,
        around: str | None = None,
        hops: int = 2,
        limit: int | None = None,
    ) -> nx.DiGraph[str]:
        """The note graph as a networkx view: the newest notes of a scope, or the neighbourhood of one note, the nearest before others.

        Args:
            limit: at most so many notes, and never more than 20,000; ``view.graph["left_out"]`` says how many more were found.
        """
        return self._parts.keeper.graph(merge_scope(self.scope, user, agent, None), around, hops, limit)

    @verb()
    def why_linked(self, a: str, b: str, *, user: str | None = None, agent: str | None = None) -> Connection:
        """Why two notes are connected: the strongest way between them, with kinds, weights and reasons; false if there is none."""
        return self._parts.keeper.why_linked(a, b, merge_scope(self.scope, user, agent, None))

    @verb()
    def graph_page(
        self,
        path: str | Path,
        *,
        user: str | None = None,
        agent: str | None = None,
        around: str | None = None,
        hops: int = 2,
    ) -> Path:
        """Write the note graph as one HTML page that needs no server: search, and a click shows a note and why it is linked."""
        from agentmem.graph.page import write_page

        scope = merge_scope(self.scope, user, agent, None)
        return write_page(self._parts.keeper.graph(scope, around, hops), path)

    # -- records -----------------------------------------------------------------------------------------------

    @verb(gist.records)
    def put(
        self,
        namespace: Sequence[str],
        key: str,
        value: Mapping[str, Any],
        *,
        index: Index = None,
        ttl: float | timedelta | None = None,
        actor: str | None = None,
        tags: Iterable[str] | None = None,
        importance: float | None = None,
        metadata: Mapping[str, object] | None = None,
        source: str | None = None,
        trust: float | str | None = None,
        facts: bool = False,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
    ) -> Record:
        """Keep a JSON object under a key, durable when this returns; what was there gives way in place: its id, history and links stay.

        Its text is a note of kind ``record``, which is recalled, linked, exported and forgotten as any other, and is never merged with one.

        Args:
            namespace: labels without dots, such as ``("users", "ana")``; each scope has namespaces and keys of its own.
            index: what the text is: ``None`` all strings of the value, a list of paths (``author.name``, ``chapters[*].text``) what those
                lead to, ``False`` nothing: it is then found by its key and by filters alone.
            ttl: minutes, or a span, after which it is gone by itself; ``None`` for never.
            actor: who said it, of a record that is new: its note is then a turn of its session, behind what was said there before.
            tags, importance, metadata: of the note; ``None`` leaves what there is. source, trust, facts: as for :meth:`remember`; no fact is
                read unless asked for.
        """
        put = Put.of(
            namespace, key, value, merge_scope(self.scope, user, agent, session), index=index, ttl=ttl, actor=actor,
            tags=tags, importance=importance, metadata=metadata, source=source, trust=trust, facts=facts,
        )  # fmt: skip
        return self._put([put])[0]

    @verb(gist.records)
    def put_many(
        self,
        items: Iterable[Mapping[str, Any]],
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
    ) -> list[Record]:
        """:meth:`put` for several mappings of its arguments in one transaction: all of them or none; of several with one key the last counts."""
        return self._put(checked_puts(items, merge_scope(self.scope, user, agent, session)))

    def _put(self, puts: Sequence[Put]) -> list[Record]:
        records = self._parts.keyed.put(puts)
        self._parts.scrubber.resume()
        return records

    @verb(gist.forgotten)
    def delete(
        self,
        namespace: Sequence[str],
        key: str,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
    ) -> ForgetReceipt:
        """:meth:`forget` of a record's note, with its value; the receipt has no ``ids`` where there is no such record."""
        scope = merge_scope(self.scope, user, agent, session)
        return self._parts.keyed.delete(checked_namespace(namespace), checked_key(key), scope)

    @verb(gist.records)
    def search(
        self,
        namespace_prefix: Sequence[str] = (),
        query: str | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - what stores of other frameworks call it
        *,
        limit: int = 10,
        offset: int = 0,
        min_score: float | None = None,
        unscored: bool = False,
        refresh: bool = False,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
    ) -> list[Record]:
        """Records in a namespace and below it: the last put first, or by nearness of their text to ``query``, its cosine as ``score``.

        Args:
            filter: conditions on the value, such as ``{"author.name": "Ana", "year": {"$gte": 2020}}``.
            min_score: the least cosine; unscored: with a query, also records without a text, behind all others.
            refresh: those returned that have a lifetime live as long again from now on.
        """
        wanted = WantedRecords.of(
            namespace_prefix, query, filter, limit, offset, min_score, unscored=unscored, refresh=refresh
        )  # fmt: skip
        return self._parts.keyed.search(wanted, merge_scope(self.scope, user, agent, session))

    @verb(gist.items("namespaces"))
    def list_namespaces(
        self,
        *,
        prefix: Sequence[str] = (),
        suffix: Sequence[str] = (),
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
    ) -> list[tuple[str, ...]]:
        """The namespaces that hold records, sorted; ``*`` in ``prefix`` or ``suffix`` is any one label, ``max_depth`` cuts the names off."""
        wanted = Namespaces.of(prefix, suffix, max_depth, limit, offset)
        return self._parts.keyed.list_namespaces(wanted, merge_scope(self.scope, user, agent, session))

    @verb(gist.number("records"))
    def sweep(self, *, user: str | None = None, agent: str | None = None) -> int:
        """Forget the records whose time is over, which nobody sees any more; returns how many. Opening a memory sweeps up to 256.

        Without ``user`` and ``agent``, of a memory that is bound to nobody, everybody's.
        """
        return self._parts.keyed.sweep(merge_scope(self.scope, user, agent, None))

    # -- its model ---------------------------------------------------------------------------------------------

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
    def phraser(self) -> Phraser:
        """What finds how a note is asked for, and what is to be answered; any object with ``phrase`` can be put in its place."""
        return self._parts.the_phraser()

    @phraser.setter
    def phraser(self, phraser: Phraser) -> None:
        self._parts.phraser = phraser

    @property
    def reranker(self) -> Reranker | None:
        """What reads the first hits of a recall again; any object with ``scores``, or the name or path of a cross-encoder."""
        return self._parts.recaller.reranker

    @reranker.setter
    def reranker(self, reranker: Reranker | str | Path | None) -> None:
        self._parts.recaller.reranker = make_reranker(reranker)

    @verb()
    def attach(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        device: Any = None,
        dtype: Any = None,
        device_map: Any = None,
        plain: bool | None = None,
    ) -> None:
        """Attach a causal language model; what was consolidated is in its answers from here on, its weights are untouched.

        Args:
            model, device, dtype, device_map, plain: as for :class:`~agentmem.Memory`.
            tokenizer: of a model that is given as an object.
        """
        self._parts.attach(
            wiring.model_spec(model, tokenizer, device=device, dtype=dtype, plain=plain, device_map=device_map)
        )

    @verb()
    def detach(self) -> None:
        """Take all edits off the model: it is the base again, bit for bit."""
        self._parts.weights.detach()

    @verb(gist.consolidation)
    def consolidate(
        self,
        dry_run: bool = False,
        budget: int | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        each_owner: bool = False,
        progress: bool | Progress = False,
        workers: ModelWorkers | None = None,
    ) -> ConsolidationReport:
        """Move the facts that the policy admits into the model's side memory: written in shadow, verified, then committed.

        Args:
            budget: write at most so many facts, the most useful ones.
            each_owner: one user or agent after another, each committed alone: a run that ends early keeps what it has done.
            workers: answer and learn in place of the attached model, as those of a Ray cluster do
                (:class:`agentmem.integrations.ray_models.RayModels`); decided, verified and committed is here, and the pack is the same.
        """
        if budget is not None and (not isinstance(budget, int) or isinstance(budget, bool) or budget < 0):
            raise InvalidArgument(f"budget must be a whole number of 0 or more, not {budget!r}.", hint="budget=50.")
        if not dry_run:
            self._parts.need_model()
        scope = merge_scope(self.scope, user, agent, None)
        with stage_progress(progress) as report:
            return self._parts.consolidator(None if dry_run else workers).run(
                scope, dry_run=dry_run, budget=budget, progress=report, each_owner=each_owner
            )

    @verb()
    def export_lora(
        self, folder: str | Path, *, user: str | None = None, agent: str | None = None, rank: int = 16, epochs: int = 60
    ) -> AdapterReport:
        """What the model knows by heart, as a LoRA adapter in PEFT's layout, for servers that know no routing.

        An approximation: the adapter is trained on the edits of the scope, acts on every request of whoever loads it, and knows no
        scopes. The report says which edits it answers by free generation. :meth:`forget` of a note that it holds removes it in ``folder``
        and names it in the receipt, ``exports``; what was copied from there, or loaded, nobody can take back. Export again then.

        Args:
            rank: of the matrices; epochs: passes over the edits, at most.

        Raises:
            InvalidArgument: nothing was consolidated within the scope.
            EditError: the model's projections are no ordinary linear layers, or a note was forgotten meanwhile.
        """
        self._parts.need_model()
        scope = merge_scope(self.scope, user, agent, None)
        return self._parts.export_adapter(scope, Path(folder), rank=rank, epochs=epochs)

    @verb(gist.answer)
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
        llm = self._parts.llm
        steps = self._steps(
            question, k, user=user, agent=agent, session=session, llm=llm, use=use, context_tokens=context_tokens,
            max_tokens=max_tokens, system=system, turns=earlier(history), exclude=exclude,
        )  # fmt: skip
        answer = led(steps, saying(llm))
        self._parts.scrubber.resume()
        return answer

    @steps(gist.answer, "chat")
    def _answering(self, question: str, k: int, **options: Any) -> Steps[Answer]:
        """The steps of an answer, for a chat that has the model; see :meth:`agentmem.ask.ask.Asker.steps`."""
        return self._steps(question, k, **options)

    def _steps(
        self, question: str, k: int, *, user: str | None, agent: str | None, session: str | None = None,
        local: bool = True, **options: Any,
    ) -> Steps[Answer]:  # fmt: skip
        question, scope = self._query(question, k), merge_scope(self.scope, user, agent, session)
        asker = self._parts.asker(local=local)
        if local and self._parts.lacks_reader():
            self._events.notice("ask", self.clock, READER)
        return asker.steps(question, scope, k=k, local=local, **options)

    @verb()
    def explain(self, id: str, *, user: str | None = None, agent: str | None = None) -> str:
        """What the consolidation policy makes of a note, and why; with a model attached, from all signals."""
        scope = merge_scope(self.scope, user, agent, None)
        asked = self._parts.keeper.evidence(id, scope)
        said = self._parts.consolidator().explain(id, scope)
        return f"{said}\nquestions that were answered from it: {len(asked)}" if asked else said

    @verb(gist.weights)
    def status(self, *, user: str | None = None, agent: str | None = None) -> WeightStatus:
        """The drift meter: facts that wait, edits that the notes have overtaken, packs that cannot be served. Needs no model."""
        return self._parts.drift().status(merge_scope(self.scope, user, agent, None))

    @verb(gist.items("runs"))
    def jobs(self) -> list[PastRun]:
        """The consolidations that changed something, oldest first; of a memory that is bound to somebody, what they did to that one's."""
        return self._parts.drift().runs(self.scope.owner)

    @verb(gist.undone)
    def undo_consolidation(
        self, *, user: str | None = None, agent: str | None = None, dry_run: bool = False
    ) -> UndoReport:
        """Take the edits of the last consolidation out of the weights; the notes stay. Needs no model."""
        return self._parts.undo_consolidation(merge_scope(self.scope, user, agent, None), dry_run=dry_run)

    @verb(gist.verified)
    def verify(
        self, sample: int = 32, *, user: str | None = None, agent: str | None = None, seed: int = 0
    ) -> VerifyReport:
        """Ask a random sample of the edits again, by free generation."""
        if not isinstance(sample, int) or isinstance(sample, bool) or sample < 1:
            raise InvalidArgument(f"sample must be a whole number of 1 or more, not {sample!r}.", hint="sample=32.")
        self._parts.need_model()
        return self._parts.verify(merge_scope(self.scope, user, agent, None), sample, seed)

    @verb(gist.items("edits"))
    def edits(self, *, user: str | None = None, agent: str | None = None) -> list[EditRequest]:
        """What the registry says that the weights hold: question, answer, and the note it came from. Needs no model."""
        return self._parts.upkeep.edits(merge_scope(self.scope, user, agent, None))

    # -- the memory as a whole ---------------------------------------------------------------------------------

    @verb(gist.enrichment)
    def enrich(
        self,
        limit: int | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        again: bool = False,
        progress: bool | Callable[[int, int], None] = False,
    ) -> EnrichReport:
        """Let ``llm`` describe, link and evolve notes that it has not seen; ``again``: also those that were given up."""
        job, scope = self._parts.enricher(), merge_scope(self.scope, user, agent, None)
        with progress_bar("enriching", progress, 64) as report:
            return job.run(scope, limit, again=again, progress=report)

    @verb(gist.reflection)
    def reflect(
        self,
        day: date | str | None = None,
        *,
        user: str | None = None,
        agent: str | None = None,
        limit: int | None = None,
    ) -> ReflectReport:
        """Let ``llm`` sum up days (``None``: every past day not summed up yet), draw conclusions, and paint a portrait of the user."""
        return self._parts.reflector().run(merge_scope(self.scope, user, agent, None), day, limit)

    @verb(gist.check)
    def check(self, *, deep: bool = False) -> CheckReport:
        """Compare every note with what was written, and every projection with the notes; a memory that is bound to somebody compares
        that one's, and counts no others.

        Args:
            deep: compare all terms, links, contexts and vectors, and embed every note anew for it, rather than a sample of some hundred
                notes; and every vector of the index with the store's, rather than about 200. The files of the index are always read whole.
        """
        own = self._parts.own(self.scope)
        return self._parts.upkeep.check(deep=deep) if own is None else own.check()

    @verb(gist.remnants)
    def verify_bytes(self, texts: Sequence[str] = ()) -> RemnantReport:
        """Look into the bytes of every file: for rows that were deleted, files that are not in use, and ``texts`` that must not be there.

        What a forgetting had to leave is finished first, and unused room is blanked, so that whatever is found is a finding. It is for
        who runs the memory: the files hold everybody's notes.

        Raises:
            ScopeError: the memory is bound to a user or an agent.
        """
        if self.scope.owner:
            raise ScopeError(
                "The files hold everybody's notes, and this memory is bound to one.",
                hint="open it without a scope: Memory(path).verify_bytes(…).",
            )
        wanted = [texts] if isinstance(texts, str) else list(texts) if isinstance(texts, Iterable) else [texts]
        if not all(isinstance(text, str) and len(text) > 3 for text in wanted):
            raise InvalidArgument(
                "A text to look for has four characters or more.", hint='verify_bytes(["a word", "a sentence"]).'
            )
        return self._parts.verify_bytes(wanted)

    @verb(gist.number("items"))
    def rebuild(self, projection: str, *, progress: bool | Callable[[int, int], None] = False) -> int:
        """Rebuild ``vectors``, ``text``, ``readings``, ``graph`` or ``weights`` from the notes; returns how many items it holds now."""
        if projection == "weights":
            self._parts.need_model()
        own = self._parts.own(self.scope)
        with progress_bar(f"rebuilding {projection}", progress) as report:
            held = self._parts.upkeep.rebuild(projection, report if own is None else in_percent(report))
        return held if own is None else own.held(projection)

    @verb(gist.number("items"))
    def reembed(
        self,
        embedder: Embedder | Callable[[Sequence[str]], Any] | str | Path | None,
        *,
        progress: bool | Callable[[int, int], None] = False,
    ) -> int:
        """Change the embedder: every note anew, while the former one serves until the switch; resumes where it was stopped.

        Raises:
            ScopeError: this memory is bound to a user or an agent, and others have notes in it.
        """
        own = self._parts.own(self.scope)
        if own is not None and not own.is_alone():
            raise ScopeError(
                "The embedder is everybody's, and this memory is bound to one owner of several.",
                hint="reembed() with a Memory that is not bound.",
            )
        with progress_bar("embedding anew", progress) as report:
            held = self._parts.reembed(embedder, report if own is None else in_percent(report))
        return held if own is None else own.held("vectors")

    @verb(gist.export)
    def export(
        self, path: str | Path | IO[bytes], *, user: str | None = None, agent: str | None = None, everything: bool = False,
        vectors: bool = False, evidence: bool = False, key: bytes | str | None = None,
        progress: bool | Callable[[int, int], None] = False,
    ) -> ExportReport:  # fmt: skip
        """Write one scope's notes, or ``everything``, with history, links, uses and registry, to a file of JSON lines.

        Args:
            path: also a file that is open for writing bytes, such as one without a name, which nobody finds when the process is killed.
            evidence: also the questions that were answered from these notes, which packages before this format cannot read.
            key: signs the file with HMAC-SHA256 (16 bytes or more), so that :meth:`load_export` with the same key knows it for one's own.
        """
        with progress_bar("exporting", progress) as report:
            scope = merge_scope(self.scope, user, agent, None)
            return self._parts.exporter().export(
                _opened(path) or _file(path),
                scope,
                everything=everything,
                vectors=vectors,
                evidence=evidence,
                key=key,
                progress=report,
            )

    @verb(gist.imported)
    def load_export(
        self, path: str | Path, *, user: str | None = None, agent: str | None = None, forgotten: bool = False,
        dry_run: bool = False, key: bytes | str | None = None, trust: float | str | None = None,
        progress: bool | Callable[[int, int], None] = False,
    ) -> ImportReport:  # fmt: skip
        """Store what an exported file holds, checked as a whole first; what was ``forgotten`` here stays so unless asked for.

        What a file says is a claim: its notes are trusted with at most ``trust`` (by default 0.6, what an import is worth), and its edits
        are candidates, on which :meth:`consolidate` decides. A file that was exported with ``key`` is restored as it was.
        """
        with progress_bar("importing", progress) as report:
            scope = merge_scope(self.scope, user, agent, None)
            return self._parts.importer().load(
                _file(path), scope, forgotten=forgotten, dry_run=dry_run, key=key, trust=trust, progress=report
            )

    @verb()
    def stats(self, *, user: str | None = None, agent: str | None = None) -> Mapping[str, object]:
        """Counts and sizes, for people and dashboards; of somebody, or of a memory that is bound to somebody, that one's."""
        own = self._parts.own(merge_scope(self.scope, user, agent, None))
        return self._parts.upkeep.stats() if own is None else own.stats()

    @verb()
    def flush(self) -> None:
        """Bring the vector index up to date with the notes, and finish what a forgetting had to leave."""
        self._parts.scrubber.finish()
        self._parts.upkeep.flush()

    # -- forget ----------------------------------------------------------------------------------------------

    @verb(gist.forgotten)
    def forget(
        self,
        what: str | Note | Hit | Sequence[str] | Mapping[str, Any],
        *,
        user: str | None = None,
        agent: str | None = None,
        shared: bool = False,
        dry_run: bool = False,
    ) -> ForgetReceipt:
        """Remove notes from everywhere: text, vectors, links, what was derived from them, the registry, and the model's weights.

        Args:
            what: an id, several ids, or a filter as in :meth:`recall`; unknown ids raise, an empty filter is refused.
            shared: whether a filter also takes what others see, too: shared notes, and in a session what was said outside of it. An id always
                means its note.
        """
        scope = merge_scope(self.scope, user, agent, None)
        ids, where = self._doomed(what)
        seen = self._selection(where, None, True)
        return self._parts.eraser.forget(seen, ids, scope, shared=shared, dry_run=dry_run)

    @verb(gist.items("owners"))
    def forget_as_in(self, place: str | Path, *, dry_run: bool = False) -> list[ForgetReceipt]:
        """Forget here what was forgotten in another memory: after a backup was restored, what was forgotten since it was made.

        Args:
            place: the directory or the address of the memory that was in use until then; it is only read. A note is meant if it was forgotten there,
                or if its words were, after they were said; not what is there now.

        Returns:
            a receipt for each owner of whom something was forgotten.
        """
        scopes = [whose for whose in self.users() if not self.scope or whose.owner == self.scope.owner]
        doomed = forgotten_in(place, self._parts.core, scopes)
        return [self._parts.eraser.forget_of(whose, ids, dry_run=dry_run) for whose, ids in doomed.items()]

    @staticmethod
    def _doomed(what: object) -> tuple[list[str] | None, Mapping[str, Any] | None]:
        if isinstance(what, Mapping):
            if not what:
                raise InvalidArgument(
                    "An empty filter would forget everything.", hint='e.g. forget({"session": "monday"}).'
                )
            return None, what
        many = [what] if isinstance(what, (str, Note, Hit)) else list(what) if isinstance(what, Sequence) else []
        ids = [w.note.id if isinstance(w, Hit) else w.id if isinstance(w, Note) else w for w in many]
        if not ids or not all(isinstance(i, str) for i in ids):
            raise InvalidArgument(f"Cannot forget {what!r:.80}.", hint="pass an id, a list of ids, or a filter.")
        return ids, None

    @verb(gist.faded)
    def fade(self, dry_run: bool = False) -> FadeReport:
        """Archive notes that are faint, unimportant, unlinked and unused; ``recall(faded=True)`` still finds them."""
        return self._parts.fader.fade(self.scope, dry_run=dry_run)

    @verb(gist.note_ids)
    def unfade(self, what: FadeReport | str | Sequence[str]) -> tuple[str, ...]:
        """Take a ``fade`` back, by its report or by ids; returns the ids of the notes that had been archived."""
        return self._parts.fader.unfade(what, self.scope)

    @verb()
    def close(self) -> None:
        """Flush, detach the model, and let go of files and locks; closing twice is fine."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Memory({str(self.path or self._parts.place)!r}, scope={self.scope})"

    # -- checks ----------------------------------------------------------------------------------------------

    @staticmethod
    def _selection(where: Mapping[str, Any] | None, as_of: datetime | str | None, faded: bool) -> Selection:
        moment = None if as_of is None else as_moment(as_of, "as_of")
        return Selection(
            owners=(),
            where=parse(where),
            as_of=None if moment is None else micros(moment),
            archived=faded,
            closed=moment is None,
        )

    @staticmethod
    def _query(query: object, k: int) -> str:
        if not isinstance(query, str) or not query.strip():
            raise InvalidArgument(
                "The query is empty or not a text.", hint="ask in words, e.g. recall('where does Ana live?')."
            )
        if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MAX_K:
            raise InvalidArgument(
                f"k must be a whole number from 1 to {MAX_K}, not {k!r}.", hint='k=10, or recall(…, k="all").'
            )
        return query.encode("utf-8", "replace").decode("utf-8")


_OPTIONS = KEYWORDS - {"content"}


def _opened(path: object) -> IO[bytes] | None:
    """A file that is open for writing bytes, if it is one."""
    texts = isinstance(getattr(path, "file", path), io.TextIOBase)
    return cast("IO[bytes]", path) if hasattr(path, "write") and not texts else None


def _file(path: object) -> Path:
    """The path of a file, as a text or as such; never one that is open for texts."""
    if not is_path(path):
        raise InvalidArgument(
            f"A path is needed, not {path!r:.80}.",
            hint='"notes.jsonl", or for an export a file that is open for bytes: open(…, "wb").',
        )
    return Path(path)


def _model_spec(model: Any, device: Any, dtype: Any, plain: bool | None, device_map: Any) -> ModelSpec | None:
    if all(given is None for given in (model, device, dtype, plain, device_map)):
        return None
    return wiring.model_spec(model, device=device, dtype=dtype, plain=plain, device_map=device_map)
