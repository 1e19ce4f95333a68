"""The one class users meet: the verbs of a memory, each checked here and done elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agentmem import wiring
from agentmem._memory_keeping import KeepingVerbs
from agentmem._memory_model import ModelVerbs
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.notes.clock import as_moment, micros
from agentmem.notes.filters import parse
from agentmem.notes.note import Fact, ForgetReceipt, Hit, Link, Note, NoteVersion, Receipt, Scope
from agentmem.notes.protocols import Clock, Embedder, Message
from agentmem.notes.storage import Selection
from agentmem.recall.result import Recollection
from agentmem.remember.draft import KEYWORDS, Draft, make_drafts, merge_scope
from agentmem.settings import Settings

if TYPE_CHECKING:
    import networkx as nx

    from agentmem.experience.memory import ExperienceMemory
    from agentmem.forget.fade import FadeReport
    from agentmem.graph.view import Connection
    from agentmem.llm.loading import ModelSpec
    from agentmem.recall.search import WhyNot

__all__ = ["Memory"]


class Memory(ModelVerbs, KeepingVerbs):
    """A memory of notes: durable in a directory, or in memory when ``path`` is ``None``.

    Args:
        path: a directory (made if missing), or ``None``.
        scope: binds the object: every call acts within it.
        embedder: ``None`` (the packaged MiniLM), a model name or path, an :class:`~agentmem.notes.protocols.Embedder`, or a
            callable from texts to an array.
        model: a causal language model for :meth:`ask` and :meth:`consolidate`: ``"small"`` (the one that ships), a Hugging Face
            name or path, or a pair ``(model, tokenizer)``; looked for at once, loaded on first use.
        device, dtype: where a model given by name runs, and in which numbers; by default on the accelerator that the machine has, as it
            was saved, else on the CPU in float32.
        plain: write ``User: …`` and ``Assistant:`` instead of the chat template; by default only for a model that has none.
        llm: a chat model for :meth:`enrich`, :meth:`reflect`, and for answers when no local model is attached: a client, a
            callable, or a ``LanguageModel``.
        clock, settings: injected time and numbers.
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
        plain: bool | None = None,
        llm: Any = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
        read_only: bool = False,
    ) -> None:
        if scope is not None and not isinstance(scope, Scope):
            raise InvalidArgument(f"scope must be a Scope, not {type(scope).__name__}.", hint="scope=Scope(user='ana').")
        self.scope = merge_scope(Scope(), scope.user, scope.agent, scope.session) if scope is not None else Scope()
        self.path = None if path is None else Path(os.path.expanduser(path))  # noqa: PTH111 - leaves a name that is no user's as it is
        spec = _model_spec(model, device, dtype, plain)
        self._parts = wiring.build(self.path, embedder=embedder, model=spec, llm=llm, clock=clock, settings=settings, read_only=read_only)
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
        return self._parts.experience(self.scope)

    # -- remember --------------------------------------------------------------------------------------------

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
        metadata: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        derived_from: Sequence[str] = (),
    ) -> Receipt:
        """Store one text, one message, or a list of messages; durable when this returns.

        Needs no language model. Says what became of it: stored, merged, superseded (older notes of the same fact), rejected. Messages
        may be mappings or the objects of a client, with parts, calls of tools and their results; in a list, one that cannot be a note
        has a receipt that says so, and the others are stored.

        Args:
            fact: what the text states; ends: what it says to hold no longer, (subject, relation, value) or several, the value ``None``
                for whichever there is. Without them, both are read from plain statements by rule.
            derived_from: ids of the notes that the text was made from: it is forgotten with any of them.

        What the call says of the owner and of trust binds its items: one that names another owner is a :class:`ScopeError`, and
        one that asks for more trust does not get it.
        """
        thread = None
        if isinstance(content, Sequence) and not isinstance(content, str) and not (session or self.scope.session):
            thread = f"call:{self._parts.core.new_id()}"
        drafts = make_drafts(
            content, self.scope, thread, user=user, agent=agent, session=session, kind=kind, actor=actor,
            occurred_at=occurred_at, valid_from=valid_from, valid_to=valid_to, importance=importance, tags=tags,
            source=source, trust=trust, fact=fact, ends=ends, metadata=metadata, idempotency_key=idempotency_key,
            derived_from=derived_from,
        )  # fmt: skip
        receipts = self._remember(drafts)
        if len(receipts) == 1:
            return receipts[0]
        last = next((r for r in reversed(receipts) if r.ok), receipts[-1])
        return replace(last, items=tuple(receipts))

    def remember_many(
        self,
        items: Iterable[str | Mapping[str, Any]],
        *,
        progress: bool | Callable[[int, int], None] = True,
        **options: Any,
    ) -> list[Receipt]:
        """Store many items; each a string, a message, or a mapping of :meth:`remember`'s keywords.

        All items are checked before the first is written. ``options`` are :meth:`remember`'s keywords for every item.
        """
        if isinstance(items, (str, Mapping)):
            raise InvalidArgument("remember_many takes a list of items.", hint="for a single item call remember().")
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise InvalidArgument(f"Unknown option {unknown[0]!r}.", hint=f"options are: {', '.join(sorted(_OPTIONS))}.")
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
        with wiring.progress_bar("remembering", progress, len(drafts)) as report:
            return self._remember(drafts, report)

    def _remember(self, drafts: Sequence[Draft | Receipt], progress: Callable[[int, int], None] | None = None) -> list[Receipt]:
        receipts = self._parts.rememberer.remember(drafts, progress)
        self._parts.upkeep.index_if_due()
        self._parts.scrubber.resume()
        return self._parts.enriched(receipts)

    # -- recall ----------------------------------------------------------------------------------------------

    def recall(
        self,
        query: str,
        *,
        k: int = 10,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        where: Mapping[str, Any] | None = None,
        as_of: datetime | str | None = None,
        faded: bool = False,
    ) -> Recollection:
        """The ``k`` notes that fit ``query`` best, with reasons.

        Args:
            where: conditions on fields, e.g. ``{"tags": {"$contains": "work"}}``.
            as_of: only what was valid at that moment; faded: archived notes too.
        """
        query, scope = self._query(query, k), merge_scope(self.scope, user, agent, session)
        selection = self._selection(where, as_of, faded)
        found = self._parts.recaller.recall(query, k, scope, selection)
        if found.degraded:
            self._parts.upkeep.repair_soon()
        return found

    def why_not(self, query: str, id: str, *, k: int = 10, user: str | None = None, agent: str | None = None) -> WhyNot:
        """Why the note ``id`` is not among the first ``k`` hits of ``query``."""
        query, scope = self._query(query, k), merge_scope(self.scope, user, agent, None)
        note = self.get(id, user=user, agent=agent)
        return self._parts.recaller.why_not(query, note, k, scope, self._selection(None, None, False))

    def reinforce(
        self,
        hit: Hit | Note | str | Sequence[Hit | Note | str],
        grade: str = "good",
        *,
        user: str | None = None,
        agent: str | None = None,
        or_gone: bool = False,
    ) -> None:
        """Say that notes were used: their curve is reviewed (``again``, ``hard``, ``good``, ``easy``), links between them grow.

        With ``or_gone``, notes that were forgotten meanwhile are passed over instead of raising `UnknownNote`.
        """
        many = [hit] if isinstance(hit, (Hit, Note, str)) else list(hit) if isinstance(hit, Iterable) else [hit]
        ids = [h.note.id if isinstance(h, Hit) else h.id if isinstance(h, Note) else h for h in many]
        if not all(isinstance(id, str) for id in ids):
            raise InvalidArgument(f"Cannot reinforce {hit!r:.80}.", hint="pass a hit, a note, an id, or several of them.")
        self._parts.keeper.reinforce(ids, grade, merge_scope(self.scope, user, agent, None), or_gone=or_gone)

    # -- notes -----------------------------------------------------------------------------------------------

    def get(self, id: str, *, user: str | None = None, agent: str | None = None) -> Note:
        """One note; a note of another scope is as unknown as one that never was."""
        return self._parts.keeper.get(id, merge_scope(self.scope, user, agent, None))

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
    ) -> list[Note]:
        """Notes in the order of their creation."""
        scope = merge_scope(self.scope, user, agent, session)
        return self._parts.keeper.notes(self._selection(where, as_of, faded), scope, limit, offset)

    def update(self, id: str, content: str, *, user: str | None = None, agent: str | None = None) -> Receipt:
        """Give a note new words: a new version; vector, full text and weights follow, the former words stay in its history."""
        return self._parts.keeper.update(id, content, merge_scope(self.scope, user, agent, None))

    def history(self, id: str, *, user: str | None = None, agent: str | None = None) -> list[NoteVersion]:
        """What a note said before, oldest first, and what it says now."""
        return self._parts.keeper.history(id, merge_scope(self.scope, user, agent, None))

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

    def graph(self, *, user: str | None = None, agent: str | None = None, around: str | None = None, hops: int = 2) -> nx.DiGraph:
        """The note graph as a networkx view: the newest 20,000 notes of a scope, or the neighbourhood of one note.

        ``view.graph["left_out"]`` says how many older ones a large scope has besides.
        """
        return self._parts.keeper.graph(merge_scope(self.scope, user, agent, None), around, hops)

    def why_linked(self, a: str, b: str, *, user: str | None = None, agent: str | None = None) -> Connection:
        """Why two notes are connected: the strongest way between them, with kinds, weights and reasons; false if there is none."""
        return self._parts.keeper.why_linked(a, b, merge_scope(self.scope, user, agent, None))

    def graph_page(
        self, path: str | Path, *, user: str | None = None, agent: str | None = None, around: str | None = None, hops: int = 2
    ) -> Path:
        """Write the note graph as one HTML page that needs no server: search, and a click shows a note and why it is linked."""
        return wiring.graph_page(self.graph(user=user, agent=agent, around=around, hops=hops), path)

    # -- forget ----------------------------------------------------------------------------------------------

    def forget(
        self,
        what: str | Note | Hit | Sequence[str] | Mapping[str, Any],
        *,
        user: str | None = None,
        agent: str | None = None,
        dry_run: bool = False,
    ) -> ForgetReceipt:
        """Remove notes from everywhere: text, vectors, links, what was derived from them, books, and the model's weights.

        Args:
            what: an id, several ids, or a filter as in :meth:`recall`; unknown ids raise, an empty filter is refused.
        """
        scope = merge_scope(self.scope, user, agent, None)
        ids, where = self._doomed(what)
        return self._parts.eraser.forget(self._selection(where, None, True), ids, scope, dry_run=dry_run)

    @staticmethod
    def _doomed(what: object) -> tuple[list[str] | None, Mapping[str, Any] | None]:
        if isinstance(what, Mapping):
            if not what:
                raise InvalidArgument("An empty filter would forget everything.", hint='e.g. forget({"session": "monday"}).')
            return None, what
        many = [what] if isinstance(what, (str, Note, Hit)) else list(what) if isinstance(what, Sequence) else []
        ids = [w.note.id if isinstance(w, Hit) else w.id if isinstance(w, Note) else w for w in many]
        if not ids or not all(isinstance(i, str) for i in ids):
            raise InvalidArgument(f"Cannot forget {what!r:.80}.", hint="pass an id, a list of ids, or a filter.")
        return ids, None

    def fade(self, dry_run: bool = False) -> FadeReport:
        """Archive notes that are faint, unimportant, unlinked and unused; ``recall(faded=True)`` still finds them."""
        return self._parts.fader.fade(self.scope, dry_run=dry_run)

    def unfade(self, what: FadeReport | str | Sequence[str]) -> tuple[str, ...]:
        """Take a ``fade`` back, by its report or by ids; returns the ids of the notes that had been archived."""
        return self._parts.fader.unfade(what, self.scope)

    def close(self) -> None:
        """Flush, detach the model, and let go of files and locks; closing twice is fine."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Memory({str(self.path) if self.path else 'in memory'!r}, scope={self.scope})"

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


_OPTIONS = KEYWORDS - {"content"}


def _model_spec(model: Any, device: Any, dtype: Any, plain: bool | None) -> ModelSpec | None:
    if model is None and device is None and dtype is None and plain is None:
        return None
    return wiring.model_spec(model, device=device, dtype=dtype, plain=plain)
