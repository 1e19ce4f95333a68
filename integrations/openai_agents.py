"""The OpenAI Agents SDK on a memory: a session that lasts, instructions that recall, and tools.

    session = MemorySession("monday", memory, user="ana")
    agent = Agent(
        name="assistant", instructions=recalled_instructions(memory, "Be brief.", whose=Scope(user="ana")),
        tools=memory_function_tools(memory, whose=Scope(user="ana")),
    )
    result = await Runner.run(agent, "Where do I live?", session=session)

A session gives a model back what was said in one conversation, item by item; recall gives it what was said in any.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from agentmem.errors import InvalidArgument, StoreError
from agentmem.integrations.awaited import (
    AnyMemory,
    Whose,
    called,
    carried_out,
    checked_memory,
    names_of,
    reading,
    scope_of,
    writing,
)  # fmt: skip
from agentmem.integrations.extras import needs
from agentmem.integrations.history import ItemHistory, Spoken, as_json, noted
from agentmem.integrations.recalling import Recalling
from agentmem.integrations.tools import MemoryTool, memory_tools
from agentmem.memory import Memory
from agentmem.notes.names import merge_scope
from agentmem.notes.note import Scope

needs("openai-agents", "agents")

from agents import FunctionTool, SessionSettings  # noqa: E402 - once it is known to be there
from agents.memory.session_settings import coerce_session_settings  # noqa: E402

if TYPE_CHECKING:
    from agents import Agent, RunContextWrapper, TResponseInputItem
    from agents.tool_context import ToolContext

__all__ = ["MemorySession", "SessionClosed", "memory_function_tools", "recalled_instructions"]

ROOT: Final = "openai-agents"
SPEAKERS: Final = ("user", "assistant")

Instructions = Callable[["RunContextWrapper[Any]", "Agent[Any]"], Awaitable[str]]


class SessionClosed(StoreError, RuntimeError):
    """A session was used after it was closed."""


class MemorySession:
    """A conversation of the SDK (its ``Session`` protocol), kept in a memory.

    Items come back exactly as they were added and in their order, also the same words twice, from any process that opens the directory. What
    the user and the model said in words is a note besides, a turn of the session, so that :meth:`agentmem.Memory.recall` finds it;
    calls of tools, their results and reasoning are kept, and are no notes. A change that has begun is carried out, though its caller
    is cancelled, who hears so when it is done.

    Args:
        session_id: names the conversation, among those of this user and agent.
        memory: a :class:`~agentmem.Memory` or an :class:`~agentmem.AsyncMemory`; the session does not close it.
        user, agent: whose conversation it is; others have none of it, under the same ``session_id`` too.
        notes: whose words become notes: ``"user"``, ``"assistant"``, both, or none.
        session_settings: ``SessionSettings`` of the SDK or a mapping of them; its ``limit`` is how many items are read by default.

    Raises:
        InvalidArgument, ScopeError: an argument is none of these, or the memory is bound to somebody else.
        TypeError: ``session_settings`` has an unknown field.
    """

    session_settings: SessionSettings | None = None

    def __init__(
        self,
        session_id: str,
        memory: AnyMemory,
        *,
        user: str | None = None,
        agent: str | None = None,
        notes: Collection[str] = SPEAKERS,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self._memory = checked_memory(memory)
        bound = memory.scope if isinstance(memory, Memory) else Scope()
        scope = merge_scope(bound, user, agent, session_id)
        if scope.session is None or isinstance(notes, str) or not set(notes) <= set(SPEAKERS):
            raise InvalidArgument(
                "A session needs an id, and notes of the user, of the assistant, of both or of none.",
                hint="MemorySession('monday', memory, user='ana', notes=('user',)).",
            )
        self.session_id = scope.session
        self.session_settings = coerce_session_settings({} if session_settings is None else session_settings)
        self._notes = frozenset(notes)
        self._history = ItemHistory(ROOT, names_of(scope))
        self._closed = False

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The latest ``limit`` items, the earliest first; without a limit as many as the settings say, by default all."""
        self._check_open()
        if limit is None and self.session_settings is not None:
            limit = coerce_session_settings(self.session_settings).limit
        most = limit if limit is None or limit >= 0 else None  # as the SDK's own session: below zero is no limit
        items: Any = await reading(self._memory, lambda memory: self._history.items(memory, most))
        return items  # type: ignore[no-any-return]  # what add_items was given

    async def add_items(self, items: Sequence[TResponseInputItem]) -> None:
        """Put items behind those that are there: all of them, or none.

        Raises:
            InvalidArgument: one is not JSON; nothing was written.
        """
        self._check_open()
        if not items:
            return
        kept = [(as_json(item), self._words(item)) for item in items]
        await carried_out(writing(self._memory, lambda memory: self._history.add(memory, kept)))

    async def pop_item(self) -> TResponseInputItem | None:
        """Take the latest item away, with its note, and return it; ``None`` where there is none."""
        self._check_open()
        item = await carried_out(writing(self._memory, self._history.pop))
        return cast("TResponseInputItem | None", item)

    async def clear_session(self) -> None:
        """Forget all items of this session, with their notes; what tools remembered in it stays."""
        self._check_open()
        await carried_out(writing(self._memory, self._history.clear))

    def close(self) -> None:
        """Take no more calls; the memory stays open, and closing twice is fine."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise SessionClosed(
                f"{type(self).__name__} is closed.", hint="open another: MemorySession(session_id, memory)."
            )

    def _words(self, item: object) -> Spoken | None:
        role, text = _said(item)
        return noted(text, role) if role in self._notes else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session_id!r}, {self._memory!r})"


def recalled_instructions(
    memory: AnyMemory,
    instructions: str | Callable[[Any, Any], Any] = "",
    *,
    whose: Whose = None,
    k: int = 8,
    max_tokens: int = 400,
) -> Instructions:
    """Instructions for an agent that end with the notes which fit what the user says.

    The notes are in no item, so that no session stores them. What the conversation shows the model anyway is not told again.

    Args:
        memory: asked before each answer of the model.
        instructions: what comes first: a text, or a function of the SDK's kind.
        whose: a scope, or what gives one from the context of a run (``Runner.run(…, context=…)``).
        k, max_tokens: how many notes at most, and the room for them.

    Raises:
        ScopeRequired: in a run, when the context names nobody.
    """
    notes = Recalling(checked_memory(memory), k, max_tokens)

    async def told(context: RunContextWrapper[Any], agent: Agent[Any]) -> str:
        scope = scope_of(whose, context.context)
        first = instructions(context, agent) if callable(instructions) else instructions
        first = (await first if isinstance(first, Awaitable) else first) or ""
        shown = [text for role, text in map(_said, context.turn_input) if role in SPEAKERS and text]
        asked = next((text for role, text in map(_said, reversed(context.turn_input)) if role == "user" and text), "")
        block = await notes.block(asked, scope, shown)
        return "\n\n".join(part for part in (first, block) if part)

    return told


def memory_function_tools(memory: AnyMemory, *, whose: Whose = None, forget: bool = False) -> list[FunctionTool]:
    """``recall`` and ``remember``, and where it is allowed ``forget``, as tools of an agent.

    Args:
        whose: a scope, or what gives one from the context of a run; no argument of a model can name another.
        forget: whether the model may delete notes for good.

    Raises:
        ScopeRequired: in a call, when the context names nobody; what the model itself gets wrong it is told.
    """
    opened = checked_memory(memory)

    def made(tool: MemoryTool) -> FunctionTool:
        async def invoke(context: ToolContext[Any], arguments: str) -> str:
            return await called(opened, tool, arguments, scope_of(whose, context.context))

        schema = copy.deepcopy(dict(tool.parameters))
        # Strict mode demands every argument; some of these may be left out.
        return FunctionTool(tool.name, tool.description, schema, invoke, strict_json_schema=False)

    return [made(tool) for tool in memory_tools(forget=forget)]


def _said(item: object) -> tuple[str, str]:
    """Who said what in an item, in words; nobody and nothing in a call, a result or a thought."""
    if not isinstance(item, Mapping) or item.get("type", "message") != "message":
        return "", ""
    role, content = item.get("role"), item.get("content")
    if isinstance(content, str):
        return str(role), content
    parts = content if isinstance(content, list | tuple) else ()
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return str(role), "\n".join(text for text in texts if isinstance(text, str))
