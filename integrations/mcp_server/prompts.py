"""Prompts that a user picks in a client: what is known, what is new, and what should be kept of this session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import mcp_types as types

from agentmem.errors import InvalidArgument
from agentmem.integrations.mcp_server.desk import Desk, Request
from agentmem.integrations.mcp_server.resources import newest_block
from agentmem.integrations.tools import memory_tools
from agentmem.notes.quoting import one_line

if TYPE_CHECKING:
    from agentmem.integrations.auth.access import Right

__all__ = ["PROMPTS", "listed", "made"]

_ABOUT: Final = types.PromptArgument(name="about", description="A person, a project, a matter.", required=True)

PROMPTS: Final = (
    types.Prompt(
        name="what_do_you_know",
        title="What do you know about …?",
        description="Tell what memory holds on a matter, with dates, and what of it has changed.",
        arguments=[_ABOUT],
    ),
    types.Prompt(
        name="catch_up", title="Where were we?", description="Begin from the newest notes: what was decided, what is open."
    ),
    types.Prompt(
        name="end_of_session",
        title="What should be remembered?",
        description="Go through this conversation and keep what will matter later.",
    ),
)  # fmt: skip

_RIGHTS: Final[Mapping[str, Right]] = {"what_do_you_know": "read", "catch_up": "read", "end_of_session": "write"}

_CATCH_UP = (
    "Where were we? Sum up from these notes what was decided and what is still open, in a few sentences, with dates."
)
_END = (
    "This session ends. Go through our conversation and call `remember` once for each fact, wish, rule, decision or correction that "
    "will matter later and is not in memory yet: one plain sentence each, names instead of pronouns, dates instead of “tomorrow”. "
    "Leave out small talk, what was only tried, passwords and keys, and whatever came out of memory itself. Then list what you kept."
)
_KNOWN = (
    "What do you know about “{about}”? Tell it from the notes below, with the day each was said; where two disagree the later one holds, "
    "and say what it replaced. Call `recall` for what they lack. Say so if memory holds nothing on it."
)


def listed(desk: Desk, request: Request) -> list[types.Prompt]:
    """The prompts that the sender of a request has the right to."""
    return [prompt for prompt in PROMPTS if desk.may(request, _RIGHTS[prompt.name])]


async def made(desk: Desk, request: Request, name: str, given: Mapping[str, str]) -> types.GetPromptResult:
    """The messages of a prompt; notes in it are quoted as data.

    Raises:
        InvalidArgument: there is no such prompt, or what it needs is not given.
        RightMissing: the sender may not read, or for the one that ends a session not write.
    """
    if name in _RIGHTS:
        desk.need(request, _RIGHTS[name])
    if name == "end_of_session":
        return _saying(_END)
    if name == "catch_up":
        return _saying(_CATCH_UP, await newest_block(desk, request))
    if name != "what_do_you_know":
        names = ", ".join(prompt.name for prompt in PROMPTS)
        raise InvalidArgument(f"There is no prompt {name!r:.80}.", hint=f"there are {names}.")
    about = one_line(given.get("about", ""))
    if not about:
        raise InvalidArgument("what_do_you_know needs `about`.", hint='e.g. {"about": "the garden"}.')
    memory, scope = await desk.memory(), desk.scope(request)
    found = await memory.recall(about, k=20, user=scope.user, agent=scope.agent)
    return _saying(_KNOWN.format(about=about), memory_tools()[0].say(found))


def _saying(*parts: str) -> types.GetPromptResult:
    text = types.TextContent(text="\n\n".join(parts))
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=text)])
