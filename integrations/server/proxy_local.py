"""The memory's own model as what a proxy asks: what was consolidated answers first, then notes, and what it says is checked."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from agentmem.aio import AsyncMemory
from agentmem.ask.answer import Answer
from agentmem.ask.conversation import Conversation, Turn
from agentmem.errors import InvalidArgument
from agentmem.integrations.server.proxy_conversation import ProxiedTurn, system_of
from agentmem.notes.note import Scope
from agentmem.recall.result import estimate_tokens

__all__ = ["MODEL", "answer_of", "chunks", "completion", "local_models", "stopped"]

MODEL: Final = "agentmem-local"
_LONGEST: Final = 4096
_DEFAULT: Final = 256
_HISTORY: Final = 800
"""Tokens of earlier turns that it is shown."""


async def answer_of(
    memory: AsyncMemory, body: Mapping[str, Any], turn: ProxiedTurn | None, scope: Scope, *, recalls: bool, shown: Sequence[str]
) -> Answer:  # fmt: skip
    """What the memory's model answers.

    Args:
        recalls: with what the memory knows, by notes or by heart; otherwise by what the model says of itself.
        shown: ids of notes that the conversation shows already.

    Raises:
        InvalidArgument: something is asked for that this model does not do. ModelError: the memory has none.
    """
    most = _checked(body)
    if turn is None or not turn.words:
        raise InvalidArgument(
            "There is nothing to answer.",
            hint='the last message of the user needs words: {"role": "user", "content": "…"}.',
        )
    before = Conversation(Turn(role, text) for role, text in turn.before).window(_HISTORY, estimate_tokens)
    return await memory.ask(
        turn.words, user=scope.user, agent=scope.agent, session=scope.session, use="auto" if recalls else "nothing",
        system=system_of(body["messages"]) or None, history=[{"role": each.role, "content": each.content} for each in before],
        exclude=tuple(shown), max_tokens=most,
    )  # fmt: skip


def _checked(body: Mapping[str, Any]) -> int:
    """The length of the answer; tools may be offered, and are never called."""
    kind = body.get("response_format")
    wanted = {
        "n": body.get("n") not in (None, 1),
        "tool_choice": body.get("tool_choice") not in (None, "auto", "none"),
        "response_format": isinstance(kind, Mapping) and kind.get("type") not in (None, "text"),
    }
    wrong = next((name for name, so in wanted.items() if so), None)
    if wrong is not None:
        raise InvalidArgument(
            f"The memory's own model cannot do what {wrong} asks for.",
            hint=f"leave {wrong} out, or serve another --upstream.",
        )
    most = body.get("max_completion_tokens") or body.get("max_tokens") or _DEFAULT
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise InvalidArgument(
            f"max_tokens must be a whole number of 1 or more, not {most!r:.80}.", hint="max_tokens=256."
        )
    return min(most, _LONGEST)


def stopped(text: str, stop: object) -> str:
    """An answer up to the first of the stop strings of a request."""
    many = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    found = [at for each in many if isinstance(each, str) and each and (at := text.find(each)) >= 0]
    return text[: min(found)].rstrip() if found else text


def completion(text: str, answer: Answer, at: datetime) -> dict[str, Any]:
    """An answer as a whole chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_head(at, "chat.completion"), "choices": [choice], "usage": _usage(text, answer)}


async def chunks(text: str, answer: Answer, at: datetime, *, usage: bool) -> AsyncIterator[bytes]:
    """The same as events. What is checked is checked as a whole, so its words come together."""
    head = _head(at, "chat.completion.chunk")

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n"

    for delta, reason in (({"role": "assistant", "content": ""}, None), ({"content": text}, None), ({}, "stop")):
        yield event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}])
    if usage:
        yield event([], usage=_usage(text, answer))
    yield b"data: [DONE]\n\n"


def local_models() -> dict[str, Any]:
    """What there is to choose from."""
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "agentmem"}]}


def _head(at: datetime, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(at.timestamp()), "model": MODEL}


def _usage(text: str, answer: Answer) -> dict[str, int]:
    """The prompt as the model counts it; the answer is estimated."""
    said = estimate_tokens(text)
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": said,
        "total_tokens": answer.prompt_tokens + said,
    }
