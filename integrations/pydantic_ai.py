"""Pydantic AI with a memory: a capability that recalls before an answer and remembers after it, and its tools as a toolset.

    agent = Agent(model, deps_type=Visitor, capabilities=[MemoryCapability(memory, whose=lambda deps: Scope(user=deps.name))])
    result = await agent.run("Where do I live?", deps=Visitor("ana"))

Whose memory a run may touch is read off its dependencies; nothing that a model writes can name another.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import InvalidArgument, MissingExtra
from agentmem.integrations.awaited import AnyMemory, Whose, called, carried_out, checked_memory, scope_of, writing
from agentmem.integrations.extras import needs
from agentmem.integrations.history import Spoken
from agentmem.integrations.recalling import Recalling
from agentmem.integrations.tools import INSTRUCTIONS, MemoryTool, memory_tools
from agentmem.integrations.turns import keep_turns
from agentmem.notes.note import Hit
from agentmem.notes.quoting import notes_block

needs("pydantic-ai", "pydantic_ai")

from pydantic_ai import FunctionToolset, RunContext, Tool  # noqa: E402 - once it is known to be there
from pydantic_ai.capabilities import AbstractCapability  # noqa: E402
from pydantic_ai.messages import InstructionPart, ModelMessage, TextContent, TextPart, UserPromptPart  # noqa: E402

if TYPE_CHECKING:
    from pydantic_ai.models import ModelRequestContext
    from pydantic_ai.run import AgentRunResult

__all__ = ["MemoryCapability", "memory_toolset"]

if not hasattr(AbstractCapability, "prepare_model_request"):  # what keeps recalled notes out of the message history
    raise MissingExtra("This pydantic-ai is too old.", hint='pip install "pydantic-ai-slim>=2.68"')

SPEAKERS: Final = ("user", "assistant")


@dataclass
class MemoryCapability(AbstractCapability[Any]):
    """Recall before the model answers, remember after the run, and the tools of a memory between.

    The notes that fit the user's message go along with each request of the run as an instruction, but into no message: ``all_messages()``
    has none of them. What the user asked and the model answered in words is remembered when the run has ended well, in the session that the
    scope names, else under the run's ``conversation_id``; a run that fails or is cancelled leaves nothing.

    Args:
        memory: a :class:`~agentmem.Memory` or an :class:`~agentmem.AsyncMemory`; the capability does not close it.
        whose: a scope, or what gives one from the dependencies of a run.
        k, max_tokens: how many notes are recalled at most, and the room for them; ``k=0`` recalls none.
        remember: whose words are kept: ``"user"``, ``"assistant"``, both, or none.
        tools: whether the model gets ``recall`` and ``remember``, and a word on their use; forget: also ``forget``, for good.

    Raises:
        InvalidArgument: an argument is none of these.
        ScopeRequired: in a run, when its dependencies name nobody; the model is not asked.
    """

    memory: AnyMemory
    whose: Whose = None
    _: KW_ONLY
    k: int = 8
    max_tokens: int = 400
    remember: Collection[str] = SPEAKERS
    tools: bool = True
    forget: bool = False
    _told: tuple[Hit, ...] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        checked_memory(self.memory)
        Recalling(self.memory, self.k or 1, self.max_tokens)
        if isinstance(self.remember, str) or not set(self.remember) <= set(SPEAKERS):
            raise InvalidArgument(
                f"remember names whose words are kept, not {self.remember!r:.80}.", hint='remember=("user",).'
            )

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    async def for_run(self, ctx: RunContext[Any]) -> MemoryCapability:
        """One that is this run's own: what was recalled in it is nobody else's."""
        scope_of(self.whose, ctx.deps)
        return copy.copy(self)

    def get_toolset(self) -> FunctionToolset[Any] | None:
        return memory_toolset(self.memory, whose=self.whose, forget=self.forget) if self.tools else None

    def get_instructions(self) -> str | None:
        return INSTRUCTIONS if self.tools else None

    async def prepare_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Add what is recalled to the instructions that this request is sent with; history has none of it."""
        if self._told is None:
            query = _said(ctx.prompt) or _asked(request_context.messages)
            recalling = Recalling(self.memory, self.k or 1, self.max_tokens)
            scope, shown = scope_of(self.whose, ctx.deps), _shown(request_context.messages)
            self._told = await recalling.hits(query, scope, shown) if self.k else ()
        if not self._told:
            return request_context
        parameters = request_context.model_request_parameters
        parts = parameters.instruction_parts
        if parts is None and (before := getattr(request_context.messages[-1], "instructions", None)):
            parts = [InstructionPart(content=before)]
        parts = [*(parts or ()), InstructionPart(content=notes_block(self._told), dynamic=True)]
        return replace(request_context, model_request_parameters=replace(parameters, instruction_parts=parts))

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        """Remember the exchange, once, however often the run is carried on by a durable engine."""
        answer = result.output if isinstance(result.output, str) else ""
        spoken = (Spoken("user", _said(ctx.prompt)), Spoken("assistant", answer))
        turns = [turn for turn in spoken if turn.actor in self.remember and turn.text.strip()]
        scope = scope_of(self.whose, ctx.deps)
        scope = replace(scope, session=scope.session or ctx.conversation_id)
        told, key = self._told or (), None if ctx.run_id is None else f"pydantic-ai:{ctx.run_id}"
        if turns:
            await carried_out(writing(self.memory, lambda memory: keep_turns(memory, turns, scope, told=told, key=key)))
        return result


def memory_toolset(
    memory: AnyMemory, *, whose: Whose = None, forget: bool = False, id: str | None = "agentmem"
) -> FunctionToolset[Any]:
    """``recall`` and ``remember``, and where it is allowed ``forget``, as a toolset.

    Args:
        whose: a scope, or what gives one from the dependencies of a run.
        forget: whether the model may delete notes for good.
        id: names the toolset among an agent's.

    Raises:
        ScopeRequired: in a call, when the dependencies name nobody; what the model itself gets wrong it is told.
    """
    opened = checked_memory(memory)

    def made(tool: MemoryTool) -> Tool[Any]:
        async def invoke(ctx: RunContext[Any], **arguments: Any) -> str:
            return await called(opened, tool, arguments, scope_of(whose, ctx.deps))

        schema = copy.deepcopy(dict(tool.parameters))
        return Tool.from_schema(invoke, tool.name, tool.description, schema, takes_ctx=True)

    return FunctionToolset([made(tool) for tool in memory_tools(forget=forget)], id=id)


def _said(prompt: str | Sequence[Any] | None) -> str:
    """The words of a prompt, which may hold pictures and files as well."""
    if prompt is None or isinstance(prompt, str):
        return prompt or ""
    texts = (
        part if isinstance(part, str) else part.content if isinstance(part, TextContent) else "" for part in prompt
    )
    return "\n".join(text for text in texts if text)


def _asked(messages: Sequence[ModelMessage]) -> str:
    """What the user said last, in a run that goes on from its history."""
    said = [_said(part.content) for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return next((text for text in reversed(said) if text.strip()), "")


def _shown(messages: Sequence[ModelMessage]) -> Iterable[str]:
    """What the conversation shows the model anyway."""
    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                yield _said(part.content)
            elif isinstance(part, TextPart):
                yield part.content
