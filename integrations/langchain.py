"""LangChain's agents with a long-term memory: what is known enters each prompt, what was said is kept.

    agent = create_agent(model, middleware=[MemoryMiddleware(Memory("my-memory"))], context_schema=Context)
    agent.invoke({"messages": [{"role": "user", "content": "Where do I live?"}]}, context=Context(user_id="ana"))

Recalled notes stand in the system message of a model call and nowhere else: a checkpointer never sees them, and they are not remembered
again. Needs the ``langchain`` extra.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import warnings
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from agentmem.integrations.extras import needs

needs("langchain", "langchain")

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse  # noqa: E402
from langchain.tools import ToolRuntime  # noqa: E402, TC002 - what a tool is given is read off its annotations
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage  # noqa: E402
from langchain_core.tools import BaseTool, StructuredTool  # noqa: E402
from langgraph.runtime import Runtime  # noqa: E402, TC002

from agentmem.aio import AsyncMemory  # noqa: E402
from agentmem.errors import AgentMemError, InvalidArgument, InvalidNote, ScopeRequired, UnknownNote  # noqa: E402
from agentmem.integrations.awaited import checked_memory  # noqa: E402
from agentmem.integrations.tools import MemoryTool, memory_tools, refusal  # noqa: E402
from agentmem.integrations.turns import asked_with, rests_on, whole_number  # noqa: E402
from agentmem.memory import MAX_K, Memory  # noqa: E402
from agentmem.notes.names import flag, merge_scope  # noqa: E402
from agentmem.notes.note import Hit, Scope  # noqa: E402
from agentmem.recall.result import Recollection  # noqa: E402
from agentmem.runtime.forks import at_fork  # noqa: E402

__all__ = ["MemoryMiddleware"]

R = TypeVar("R")
Steps = Generator[tuple[str, dict[str, Any]], Any, R]
"""Yields a verb of a memory with its keywords, and is sent what it returns; so one text serves those who wait and those who await."""

MOST_TURNS: Final = 1024
_FIELDS: Final = {"user": ("user", "user_id"), "agent": ("agent", "agent_id"), "session": ("session", "session_id")}


@dataclass(frozen=True, slots=True)
class _Turn:
    """The last turn of a conversation: what the user said, and whose it is."""

    said: tuple[HumanMessage, ...]
    answer: AIMessage | None
    scope: Scope

    @property
    def question(self) -> str:
        return "\n".join(text for message in self.said if (text := _words(message)))

    @property
    def whose(self) -> dict[str, str | None]:
        return {"user": self.scope.user, "agent": self.scope.agent}

    def key(self, message: BaseMessage) -> str:
        """Known again when a run is repeated: by the message's own id, in its conversation, with its words."""
        known = "\0".join((self.scope.session or "", message.id or "", type(message).__name__, _words(message)))
        return f"langchain:{hashlib.sha256(known.encode('utf-8', 'replace')).hexdigest()[:32]}"

    @property
    def name(self) -> tuple[Scope, str]:
        return self.scope, self.key(self.said[-1])


@dataclass(slots=True)
class _Shown:
    """What a turn was shown: found for its prompt, and besides by its tools, or until it was forgotten."""

    found: Recollection
    besides: dict[str, Hit] = field(default_factory=dict)


class MemoryMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """A memory for an agent of ``create_agent``.

    Before a model is called, what fits the user's last message is recalled, once a turn, into the system message; notes that were forgotten
    since are not shown again. When the agent has ended, its last turn is remembered: what the user said, and the final answer, which is
    forgotten with the notes whose words it repeats. A run that fails remembers nothing; one that is repeated, nothing twice.

    Whose memory it is, is said by who runs the agent and never by a model: the arguments here, or the ``context`` of the run.

    Args:
        memory: a :class:`~agentmem.Memory`, or for agents that are awaited an :class:`~agentmem.AsyncMemory`; it is not closed.
        user, agent: whose memory it is, for every run; a context that names another is refused.
        whose: from the ``context`` of a run to a :class:`~agentmem.Scope` or a user's name. By default ``user`` or ``user_id``, ``agent`` or
            ``agent_id``, and ``session`` or ``session_id`` of it, as attributes or keys. Where no session is named, it is the ``thread_id``.
        k, context_tokens: how many notes, and how much room for them.
        remember: whether turns are kept; answers: whether the agent's answers are.
        tools: whether the model may call ``recall`` and ``remember``; forget: also ``forget``, which deletes for good.

    Raises:
        InvalidArgument: one of them is wrong. At a run, :class:`~agentmem.errors.ScopeRequired` where nobody says whose memory it is, and
            :class:`~agentmem.errors.ScopeError` where that is contradicted.
    """

    def __init__(
        self,
        memory: Memory | AsyncMemory,
        *,
        user: str | None = None,
        agent: str | None = None,
        whose: Callable[[Any], Scope | str] | None = None,
        k: int = 5,
        context_tokens: int = 400,
        remember: bool = True,
        answers: bool = True,
        tools: bool = False,
        forget: bool = False,
    ) -> None:
        super().__init__()
        self.memory, self.k = checked_memory(memory), whole_number(k, "k", most=MAX_K, usual=5)
        self.context_tokens = whole_number(context_tokens, "context_tokens", most=1_000_000, usual=400)
        self.remembers, self.answers = flag(remember, "remember"), flag(answers, "answers")
        self._bound, self._whose = merge_scope(_bound(memory), user, agent, None), whose
        self._turns: OrderedDict[tuple[Scope, str], _Shown] = OrderedDict()
        self._free_lock()
        at_fork(self._free_lock)
        offered = memory_tools(forget=flag(forget, "forget")) if flag(tools, "tools") or forget else ()
        self.tools: Sequence[BaseTool] = [self._tool(each) for each in offered]

    def _free_lock(self) -> None:
        """Also in a forked child: who held it stayed with the parent."""
        self._lock = threading.Lock()

    # -- hooks -------------------------------------------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Call the model with what is known in its system message."""
        return handler(_with(request, self._led(self._recalled(request.state["messages"], request.runtime))))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """The same, awaited."""
        return await handler(
            _with(request, await self._aled(self._recalled(request.state["messages"], request.runtime)))
        )

    def after_agent(self, state: AgentState[Any], runtime: Runtime[Any]) -> None:
        """Remember the last turn."""
        self._led(self._kept(state["messages"], runtime))

    async def aafter_agent(self, state: AgentState[Any], runtime: Runtime[Any]) -> None:
        """The same, awaited; a turn that is being kept is kept, though whoever awaits it is cancelled."""
        await asyncio.shield(asyncio.ensure_future(self._aled(self._kept(state["messages"], runtime))))

    # -- recall ------------------------------------------------------------------------------------------------

    def _recalled(self, messages: Sequence[AnyMessage], runtime: Any) -> Steps[str]:
        turn = self._turn(messages, runtime)
        if turn is None or not turn.question:
            return ""
        with self._lock:
            shown = self._turns.get(turn.name)
        if shown is None:
            found: Recollection = yield "recall", {"query": asked_with(turn.question), "k": self.k, **turn.whose}
            shown = _Shown(found)
            with self._lock:
                shown = self._turns.setdefault(turn.name, shown)
                while len(self._turns) > MOST_TURNS:
                    self._turns.popitem(last=False)
        else:  # it may have been forgotten since, by a tool of this very turn
            there = yield from self._there([hit.note.id for hit in shown.found], turn)
            gone = {hit.note.id: hit for hit in shown.found if hit.note.id not in there}
            with self._lock:
                shown.besides.update(gone)  # the model was shown it all the same
            shown.found = replace(shown.found, hits=tuple(hit for hit in shown.found if hit.note.id in there))
        return shown.found.context(self.context_tokens)

    @staticmethod
    def _there(ids: Sequence[str], turn: _Turn) -> Steps[set[str]]:
        """Those of these notes that the memory still holds."""
        if not ids:
            return set()
        notes = yield "notes", {"where": {"id": {"$in": list(ids)}}, **turn.whose}
        return {note.id for note in notes}

    # -- remember ----------------------------------------------------------------------------------------------

    def _kept(self, messages: Sequence[AnyMessage], runtime: Any) -> Steps[None]:
        turn = self._turn(messages, runtime)
        if turn is None:
            return
        with self._lock:
            shown = self._turns.pop(turn.name, None)
        if not self.remembers:
            return
        said: list[dict[str, Any]] = [
            {"role": "user", "content": words, "idempotency_key": turn.key(message)}
            for message in turn.said
            if (words := _words(message))
        ]
        if self.answers and turn.answer is not None and (answer := _words(turn.answer)):
            hits = {} if shown is None else {hit.note.id: hit for hit in shown.found} | shown.besides
            known = {id: hit.note.content for id, hit in hits.items()}
            told = rests_on(answer, {place: each["content"] for place, each in enumerate(said)}, known)
            key = turn.key(turn.answer)
            said.append({"role": "assistant", "content": answer, "idempotency_key": key, "derived_from": told})
        if not said:
            return
        whose = {**turn.whose, "session": turn.scope.session}
        try:
            try:
                yield "remember", {"content": said, **whose}
            except UnknownNote:  # what the answer repeats was forgotten meanwhile: these words do not come back in it
                yield "remember", {"content": [each for each in said if each["role"] == "user"], **whose}
        except InvalidNote as error:  # the answer is there all the same: losing it as well would help nobody
            warnings.warn(f"The last turn was not remembered: {error}", RuntimeWarning, stacklevel=2)

    # -- whose it is -------------------------------------------------------------------------------------------

    def _turn(self, messages: Sequence[AnyMessage], runtime: Any) -> _Turn | None:
        """The last turn of a conversation; ``None`` where no user has said anything."""
        scope = self._scope(runtime)
        last = next((n for n in range(len(messages) - 1, -1, -1) if _said_by_user(messages[n])), None)
        if last is None:
            return None
        first = last
        while first and _said_by_user(messages[first - 1]):
            first -= 1
        said = tuple(message for message in messages[first : last + 1] if isinstance(message, HumanMessage))
        final = messages[-1]
        return _Turn(said, final if isinstance(final, AIMessage) and not final.tool_calls else None, scope)

    def _scope(self, runtime: Any) -> Scope:
        context = getattr(runtime, "context", None)
        if self._whose is not None:
            named = self._whose(context)
            named = Scope(user=named) if isinstance(named, str) else named
            if not isinstance(named, Scope):
                raise InvalidArgument(
                    f"whose() must return a Scope or a user's name, not {type(named).__name__}.",
                    hint="whose=lambda context: Scope(user=context.user_id).",
                )
        else:
            named = Scope(**{name: _named(context, fields) for name, fields in _FIELDS.items()})
        scope = merge_scope(self._bound, named.user, named.agent, named.session)
        if not scope.owner and self._whose is None:
            raise ScopeRequired(
                "Nobody says whose memory this is.",
                hint="agent.invoke(…, context={'user_id': 'ana'}) with a context_schema, or MemoryMiddleware(memory, user='ana').",
            )
        return replace(scope, session=scope.session or _thread(runtime))

    # -- tools -------------------------------------------------------------------------------------------------

    def _tool(self, tool: MemoryTool) -> BaseTool:
        """A tool whose scope is that of the run; an error is told to the model, which may mend what it asked."""

        def steps(runtime: Any, arguments: Mapping[str, Any]) -> Steps[str]:
            try:
                turn = self._turn(runtime.state["messages"], runtime)
                scope = turn.scope if turn is not None else self._scope(runtime)
                session = {"session": scope.session} if tool.verb == "remember" else {}
                result = yield (
                    tool.verb,
                    {**tool.keywords(arguments), "user": scope.user, "agent": scope.agent, **session},
                )
            except AgentMemError as error:
                return refusal(error)
            if turn is not None and isinstance(result, Recollection):
                with self._lock:
                    if (shown := self._turns.get(turn.name)) is not None:
                        shown.besides.update({hit.note.id: hit for hit in result})
            return tool.say(result)

        def run(runtime: ToolRuntime, **arguments: Any) -> str:
            return self._led(steps(runtime, arguments))

        async def arun(runtime: ToolRuntime, **arguments: Any) -> str:
            return await self._aled(steps(runtime, arguments))

        return StructuredTool(
            name=tool.name, description=tool.description, args_schema=dict(tool.parameters), func=run, coroutine=arun
        )

    # -- waiting, and awaiting ---------------------------------------------------------------------------------

    def _led(self, steps: Steps[R]) -> R:
        memory = self.memory
        if isinstance(memory, AsyncMemory):
            raise InvalidArgument(
                "An AsyncMemory cannot serve an agent that is not awaited.",
                hint="await agent.ainvoke(…), or MemoryMiddleware(Memory(…)), which serves both.",
            )
        try:
            verb, keywords = next(steps)
            while True:
                try:
                    result = getattr(memory, verb)(**keywords)
                except AgentMemError as error:
                    verb, keywords = steps.throw(error)
                else:
                    verb, keywords = steps.send(result)
        except StopIteration as done:
            value: R = done.value
            return value

    async def _aled(self, steps: Steps[R]) -> R:
        memory = self.memory
        if isinstance(memory, Memory):
            return await asyncio.to_thread(self._led, steps)
        try:
            verb, keywords = next(steps)
            while True:
                try:
                    result = await getattr(memory, verb)(**keywords)
                except AgentMemError as error:
                    verb, keywords = steps.throw(error)
                else:
                    verb, keywords = steps.send(result)
        except StopIteration as done:
            value: R = done.value
            return value


def _with(request: ModelRequest[Any], notes: str) -> ModelRequest[Any]:
    """A request with notes behind its system message; the messages of the conversation stay what they are."""
    if not notes:
        return request
    told = request.system_message
    if told is None:
        return request.override(system_message=SystemMessage(notes))
    content = (
        f"{told.content}\n\n{notes}"
        if isinstance(told.content, str)
        else [*told.content, {"type": "text", "text": notes}]
    )
    return request.override(system_message=told.model_copy(update={"content": content}))


def _said_by_user(message: BaseMessage) -> bool:
    """Not what some middleware wrote in the user's name, such as the summary of what was before."""
    return isinstance(message, HumanMessage) and "lc_source" not in message.additional_kwargs


def _words(message: BaseMessage) -> str:
    return str(message.text).strip()


def _named(context: Any, fields: Sequence[str]) -> Any:
    """The first of some fields of a context that says something."""
    for name in fields:
        value = context.get(name) if isinstance(context, Mapping) else getattr(context, name, None)
        if value is not None:
            return value
    return None


def _thread(runtime: Any) -> str | None:
    told = getattr(getattr(runtime, "execution_info", None), "thread_id", None)
    return None if told is None else str(told)


def _bound(memory: Memory | AsyncMemory) -> Scope:
    return memory.scope if isinstance(memory, Memory) else Scope()
