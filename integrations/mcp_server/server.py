"""The server: which tools, resources and prompts it offers, and how a request becomes a call of the memory."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import mcp_types as types
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from agentmem import __version__
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.integrations.auth.access import Access, Right
from agentmem.integrations.inspection_tools import inspection_tools, record_tools
from agentmem.integrations.mcp_server import prompts, resources
from agentmem.integrations.mcp_server.desk import Desk, Request, protocol_error, told
from agentmem.integrations.tools import INSTRUCTIONS, MemoryTool, memory_tools

if TYPE_CHECKING:
    from agentmem.aio import AsyncMemory
    from agentmem.notes.note import Scope

__all__ = ["make_server", "offered", "right_of"]

log = logging.getLogger(__name__)

_LISTS = CacheHint(ttl_ms=60_000)
_RIGHTS: Mapping[str, Right] = {"forget": "forget", "consolidate": "consolidate"}
"""Of verbs that have a right of their own."""
_PAGE = types.PaginatedRequestParams


def offered(*, forget: bool = False, writing: bool = True, basic: bool = False) -> tuple[MemoryTool, ...]:
    """The tools of a server: ``forget`` only where it is allowed, those that write only where they may, all or the ``basic`` ones."""
    tools = memory_tools(forget=forget)
    if not basic:
        tools = (*tools, *inspection_tools(), *record_tools())
    return tuple(tool for tool in tools if writing or not tool.writes)


def make_server(
    memory: AsyncMemory | Callable[[], Awaitable[AsyncMemory]],
    *,
    scope: Scope | None = None,
    access: Callable[[Request], Access] | None = None,
    allow_forget: bool = False,
    writing: bool = True,
    basic: bool = False,
) -> Server[dict[str, object]]:
    """A low-level server of the MCP SDK over a memory, for any transport, and for ``mcp.Client(server)`` in the same process.

    The memory is the caller's: opened and closed there, since one server may serve many connections, and one memory several servers.

    Args:
        memory: or what returns it when it is first needed.
        scope: whose notes every request works on, by default those that are shared; no argument of a tool can name another.
        access: instead, who sends a request, with which rights: what these do not cover is not offered, and refused. Over HTTP
            :func:`~agentmem.integrations.mcp_server.http.access_of_request`.
        allow_forget: offer ``forget``, which deletes for good.
        writing: offer the tools that write.
        basic: offer ``recall`` and ``remember`` alone, and ``forget`` where it is allowed.

    Raises:
        InvalidArgument: both ``scope`` and ``access`` were given.
    """
    if scope is not None and access is not None:
        raise InvalidArgument("scope and access both say whose notes are meant.", hint="give one of them.")
    desk = Desk(memory if callable(memory) else _ready(memory), access or (lambda _: Access.local(scope)))
    does = _Handlers(desk, offered(forget=allow_forget, writing=writing, basic=basic))
    return Server(
        "agentmem",
        version=__version__,
        title="Long-term memory",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": _LISTS, "prompts/list": _LISTS, "resources/templates/list": _LISTS},
        on_list_tools=does.list_tools,
        on_call_tool=does.call_tool,
        on_list_resources=does.list_resources,
        on_list_resource_templates=does.list_templates,
        on_read_resource=does.read_resource,
        on_list_prompts=does.list_prompts,
        on_get_prompt=does.get_prompt,
    )


def right_of(tool: MemoryTool) -> Right:
    """The right that a tool needs, as the same verb does over REST."""
    return _RIGHTS.get(tool.verb, "write" if tool.writes else "read")


class _Handlers:
    """What the server does for each method of the protocol."""

    def __init__(self, desk: Desk, tools: Sequence[MemoryTool]) -> None:
        self._desk = desk
        self._tools = {tool.name: tool for tool in tools}

    async def list_tools(self, request: Request, _: _PAGE | None) -> types.ListToolsResult:
        with _as_protocol_errors():
            offered_here = [tool for tool in self._tools.values() if self._desk.may(request, right_of(tool))]
        return types.ListToolsResult(tools=[_described(tool) for tool in offered_here])

    async def call_tool(self, request: Request, asked: types.CallToolRequestParams) -> types.CallToolResult:
        tool = self._tools.get(asked.name)
        if tool is None:
            words = f"There is no tool {asked.name!r:.80}. Hint: {', '.join(self._tools)}."
            raise MCPError(code=types.INVALID_PARAMS, message=words)
        return await _called(self._desk, tool, request, asked.arguments)

    async def list_resources(self, request: Request, page: _PAGE | None) -> types.ListResourcesResult:
        with _as_protocol_errors():
            return await resources.listed(self._desk, request, None if page is None else page.cursor)

    async def list_templates(self, _: Request, __: _PAGE | None) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=list(resources.TEMPLATES))

    async def read_resource(self, request: Request, asked: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        with _as_protocol_errors():
            return await resources.read(self._desk, request, str(asked.uri))

    async def list_prompts(self, request: Request, _: _PAGE | None) -> types.ListPromptsResult:
        with _as_protocol_errors():
            return types.ListPromptsResult(prompts=prompts.listed(self._desk, request))

    async def get_prompt(self, request: Request, asked: types.GetPromptRequestParams) -> types.GetPromptResult:
        with _as_protocol_errors():
            return await prompts.made(self._desk, request, asked.name, asked.arguments or {})


@contextmanager
def _as_protocol_errors() -> Iterator[None]:
    try:
        yield
    except AgentMemError as error:
        raise protocol_error(error) from error


def _ready(memory: AsyncMemory) -> Callable[[], Awaitable[AsyncMemory]]:
    async def opened() -> AsyncMemory:
        return memory

    return opened


def _described(tool: MemoryTool) -> types.Tool:
    hints = types.ToolAnnotations(
        title=tool.title,
        read_only_hint=not tool.writes,
        destructive_hint=tool.destroys,
        idempotent_hint=tool.repeatable,
        open_world_hint=False,
    )
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=dict(tool.parameters),
        output_schema=None if tool.shape is None else dict(tool.shape),
        annotations=hints,
    )


async def _called(desk: Desk, tool: MemoryTool, request: Request, arguments: object) -> types.CallToolResult:
    """What a tool answers; what a model can mend, and what it cannot, is told to it as a result that failed."""
    try:
        desk.need(request, right_of(tool))
        verbs = tool.calls(arguments if arguments is not None else {}, **desk.whose(request))
        memory = await desk.memory()
        for verb, keywords in verbs:
            if verb == "forget":
                await desk.own(request, keywords["what"])
        results = [await getattr(memory, verb)(**keywords) for verb, keywords in verbs]
        text, shown = tool.told(results), tool.shown(results)
    except AgentMemError as error:
        return _failed(told(error))
    except Exception:
        log.exception("tool %r raised", tool.name)
        return _failed(f"{tool.name} failed by a fault of the server; its log says more.")
    return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=shown)


def _failed(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
