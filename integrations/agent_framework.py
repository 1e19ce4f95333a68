"""A memory for agents of Microsoft's Agent Framework: what is known is shown before a run, and what was said is kept behind it.

    agent = Agent(client, context_providers=[MemoryHistoryProvider(memory, user="ana"), MemoryContextProvider(memory, user="ana")])

The first keeps each conversation as it was, the second remembers across conversations.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any, Final

from typing_extensions import override

from agentmem.errors import InvalidArgument
from agentmem.integrations.awaited import AnyMemory, called, checked_memory, reading, writing
from agentmem.integrations.extras import needs
from agentmem.integrations.history import Spoken, noted
from agentmem.integrations.tools import MemoryTool, memory_tools
from agentmem.integrations.turns import asked_with, remember_each, rests_on, whole_number
from agentmem.memory import MAX_K, Memory
from agentmem.notes.clock import micros
from agentmem.notes.note import Note, Receipt, Scope
from agentmem.runtime.forks import at_fork

needs("agent-framework", "agent_framework")

from agent_framework import (  # noqa: E402 - behind the question whether it is there
    AgentSession,
    ContextProvider,
    FunctionTool,
    HistoryProvider,
    Message,
    SessionContext,
)

__all__ = ["MemoryContextProvider", "MemoryHistoryProvider", "Whom"]

Whom = str | Callable[[AgentSession], str] | None
"""Whose memory it is: always the same one's, or whose the session of a run is."""

MAX_MESSAGES: Final = 100_000
SPACE: Final = "agent_framework"
SPEAKERS: Final = ("user", "assistant")


class MemoryContextProvider(ContextProvider):
    """Recalls what a message is about into the instructions of its run, and remembers what was said.

    Recalled notes are never messages: no history keeps them, and they are not remembered again. An answer that repeats one of them is
    forgotten with it. A run that fails, or a stream that nobody reads to its end, is not remembered.

    Args:
        memory: an :class:`~agentmem.AsyncMemory`, or a :class:`~agentmem.Memory`, which is then used on threads.
        user: whose notes: a name, or a function from the session of a run to one; ``None`` for notes that everybody shares.
        agent: which agent's, within those of the user.
        source_id: how the framework names this provider.
        k, context_tokens: how many notes are recalled at most, and the room for them.
        remember: whether what the user and the model said is kept.
        tools: whether the model may recall and remember by itself; forget: whether it may delete, too.
    """

    def __init__(
        self,
        memory: AnyMemory,
        *,
        user: Whom,
        agent: str | None = None,
        source_id: str = "agentmem",
        k: int = 8,
        context_tokens: int = 600,
        remember: bool = True,
        tools: bool = False,
        forget: bool = False,
    ) -> None:
        super().__init__(source_id)
        self.memory = checked_memory(memory)
        self.user, self.agent, self.remember = user, agent, remember
        self.k, self.context_tokens = whole_number(k, "k", most=MAX_K), context_tokens
        self._tools = memory_tools(forget=forget) if tools or forget else ()

    @override
    async def before_run(self, *, agent: Any, session: AgentSession, context: SessionContext, state: Any) -> None:
        """Show the model what is known of what it was asked, and offer it the tools."""
        whose: dict[str, Any] = {"user": _whom(self.user, session), "agent": self.agent}
        asked = asked_with("\n".join(text for role, text in _said(context.input_messages) if role == "user"))
        if asked:
            found = await reading(self.memory, lambda memory: memory.recall(asked, k=self.k, **whose))
            if block := found.context(self.context_tokens):
                context.extend_instructions(self.source_id, block)
            # Of this run alone: the framework keeps the state of a session, and not this.
            context.metadata[self.source_id] = tuple(hit.note for hit in found.within(self.context_tokens))
        if self._tools:
            told_in = Scope(whose["user"], self.agent, context.session_id)
            context.extend_tools(self.source_id, [self._tool(each, told_in) for each in self._tools])

    @override
    async def after_run(self, *, agent: Any, session: AgentSession, context: SessionContext, state: Any) -> None:
        """Remember the turn; ``context.metadata[f"{source_id}.receipts"]`` says what became of it."""
        if not self.remember:
            return
        whose = {"user": _whom(self.user, session), "agent": self.agent, "session": context.session_id}
        asked = [text for role, text in _said(context.input_messages) if role == "user"]
        answers = [
            text for role, text in _said(context.response.messages if context.response else ()) if role == "assistant"
        ]
        shown: Sequence[Note] = context.metadata.get(self.source_id, ())
        if asked or answers:
            receipts = await writing(self.memory, lambda memory: _remember(memory, asked, answers, shown, whose))
            context.metadata[f"{self.source_id}.receipts"] = receipts

    def _tool(self, tool: MemoryTool, scope: Scope) -> FunctionTool:
        async def run(**arguments: Any) -> str:
            return await called(self.memory, tool, arguments, scope)

        return FunctionTool(name=tool.name, description=tool.description, input_model=dict(tool.parameters), func=run)


class MemoryHistoryProvider(HistoryProvider):
    """Keeps the messages of each session exactly and in order, as records of a memory, and so beyond the process.

    Args:
        memory, user, agent: as for :class:`MemoryContextProvider`; each of them has conversations of its own, whatever they are called.
        source_id: how the framework names this provider; another name is another history.
        recalled: whose words are found by recall, as turns of their session; forgetting such a note takes the message out of its
            conversation. ``True``: the user's. ``("user", "assistant")``: the model's, too, which then outlive a note that they repeat,
            since a record cannot rest on one. Give :class:`MemoryContextProvider` ``remember=False``, or it keeps these words a second time.
        options: of the framework's ``HistoryProvider``: ``load_messages``, ``store_inputs``, ``store_outputs`` and so on.
    """

    def __init__(
        self,
        memory: AnyMemory,
        *,
        user: Whom,
        agent: str | None = None,
        source_id: str = "agentmem_history",
        recalled: bool | Collection[str] = False,
        **options: Any,
    ) -> None:
        super().__init__(source_id, **options)
        self.memory = checked_memory(memory)
        self.user, self.agent = user, agent
        self.recalled = _speakers(recalled)
        self._space = (SPACE, source_id.replace(".", "_"))
        self._session: ContextVar[AgentSession | None] = ContextVar(f"{source_id} of a run", default=None)
        self._free_lock()
        at_fork(self._free_lock)

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._one = threading.Lock()

    @override
    async def before_run(self, *, agent: Any, session: AgentSession, context: SessionContext, state: Any) -> None:
        """Put the earlier messages of the session before the new ones."""
        token = self._session.set(session)
        try:
            await super().before_run(agent=agent, session=session, context=context, state=state)
        finally:
            self._session.reset(token)

    @override
    async def after_run(self, *, agent: Any, session: AgentSession, context: SessionContext, state: Any) -> None:
        """Keep the new messages."""
        token = self._session.set(session)
        try:
            await super().after_run(agent=agent, session=session, context=context, state=state)
        finally:
            self._session.reset(token)

    @override
    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, user: str | None = None, **kwargs: Any
    ) -> list[Message]:
        """The messages of a session, oldest first.

        Args:
            user: whose session, outside of a run where that depends on the session.
        """
        whose = self._whose(session_id, user)
        return [
            Message.from_dict(each["message"]) for each in await reading(self.memory, lambda m: self._load(m, whose))
        ]

    @override
    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        user: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Add messages to a session, all or none; those that it has by id, or that repeat it from its beginning, are not added again.

        Raises:
            InvalidArgument: a message is no JSON, or larger than 1 MiB.
        """
        whose = self._whose(session_id, user)
        given = [json.loads(message.to_json()) for message in messages]
        words = [
            noted(message.text, str(message.role)) if message.role in self.recalled else None for message in messages
        ]
        if not given:
            return

        def save(memory: Memory) -> None:
            # An AsyncMemory does one write after another; a Memory is written to by as many threads as there are runs.
            with self._one if memory is self.memory else nullcontext():
                self._add(memory, given, words, whose)

        await writing(self.memory, save)

    async def clear(self, session_id: str, *, user: str | None = None) -> None:
        """Forget a session's messages, from everywhere."""
        whose = self._whose(session_id, user)

        def clear(memory: Memory) -> None:
            ids = [record.id for record in memory.search(self._space, limit=MAX_MESSAGES, **whose)]
            if ids:
                memory.forget(ids, user=whose["user"], agent=whose["agent"])

        await writing(self.memory, clear)

    def _whose(self, session_id: str | None, user: str | None) -> dict[str, Any]:
        if not isinstance(session_id, str) or not session_id.strip():
            raise InvalidArgument(
                "A history needs to know which session it is of.", hint="agent.run(…, session=AgentSession(…))."
            )
        session = self._session.get()
        if callable(self.user) and session is None and user is None:
            raise InvalidArgument("Whose session this is was not said.", hint='get_messages(session_id, user="ana").')
        named = user if session is None and callable(self.user) else _whom(self.user, session)
        return {"user": named, "agent": self.agent, "session": session_id}

    def _load(self, memory: Memory, whose: dict[str, Any]) -> list[dict[str, Any]]:
        records = memory.search(self._space, limit=MAX_MESSAGES, **whose)
        return [record.value for record in sorted(records, key=lambda record: record.key)]

    def _add(
        self, memory: Memory, given: Sequence[dict[str, Any]], words: Sequence[Spoken | None], whose: dict[str, Any]
    ) -> None:
        there = self._load(memory, whose)
        fresh = _fresh([each["message"] for each in there], given)
        at = max(micros(memory.clock.now()), there[-1]["at"] + 1 if there else 0)
        items = []
        for place, (message, text) in enumerate(zip(given, words, strict=True)):
            if place in fresh:
                # Times order the keys, and nobody else writes under the same one: what two processes add at once is all kept.
                key = f"{at:020d}-{place:05d}-{uuid.uuid4().hex[:8]}"
                value = {"at": at, "message": message, "words": "" if text is None else text.text}
                items.append({"namespace": self._space, "key": key, "value": value, **_as_turn(text)})
        if items:
            memory.put_many(items, **whose)


def _fresh(there: Sequence[dict[str, Any]], given: Sequence[dict[str, Any]]) -> set[int]:
    """The places of the messages that are new: some clients send the whole conversation again."""
    replayed = len(there) if len(there) > 1 and list(given[: len(there)]) == list(there) else 0
    known = {message["message_id"] for message in there if message.get("message_id")}
    return {
        place for place, message in enumerate(given) if place >= replayed and message.get("message_id") not in known
    }


def _speakers(recalled: bool | Collection[str]) -> frozenset[str]:
    named = (("user",) if recalled else ()) if isinstance(recalled, bool) else recalled
    if isinstance(named, str) or not set(named) <= set(SPEAKERS):
        raise InvalidArgument(
            f"recalled names whose words are found, not {recalled!r:.80}.", hint='recalled=("user",).'
        )
    return frozenset(named)


def _as_turn(words: Spoken | None) -> dict[str, Any]:
    """How a record is found: not at all, or as what somebody said; what a model says is no fact, and worth less trust."""
    if words is None:
        return {"index": False}
    said = {"facts": True} if words.actor == "user" else {"facts": False, "source": words.actor}
    return {"index": ["words"], "actor": words.actor, **said}


def _whom(user: Whom, session: AgentSession | None) -> str | None:
    """Whose a run is; a function that finds nobody does not make it everybody's."""
    if not callable(user):
        return user
    name: object = user(session) if session is not None else None
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgument(
            f"user(session) must say whose the session is, not {name!r:.80}.",
            hint='user=lambda session: session.state["user"].',
        )
    return name


def _said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Role and words of the messages that have words."""
    return [(str(message.role), message.text) for message in messages if message.text.strip()]


def _remember(
    memory: Memory, asked: Sequence[str], answers: Sequence[str], shown: Sequence[Note], whose: dict[str, Any]
) -> tuple[Receipt, ...]:
    """A turn, with a time of its own: the same words said again are another occurrence."""
    now = memory.clock.now()
    items: list[dict[str, Any]] = [{"role": "user", "content": text, "occurred_at": now} for text in asked]
    known, questions = {note.id: note.content for note in shown}, dict(enumerate(asked))
    for text in answers:
        told = rests_on(text, questions, known)
        items.append({"role": "assistant", "content": text, "occurred_at": now, "derived_from": told})
    return remember_each(memory, items, whose)
