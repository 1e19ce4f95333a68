"""A chat model that looks into the memory itself: it is given tools, and what it calls is carried out until it answers."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Final

from agentmem.errors import InvalidArgument, ModelError
from agentmem.integrations.tools import INSTRUCTIONS, Called, MemoryTool, called
from agentmem.llm.clients import OpenAIModel
from agentmem.memory import Memory
from agentmem.notes.note import Note
from agentmem.notes.protocols import LanguageModel, Message
from agentmem.recall.result import Recollection

__all__ = ["MAX_CALLS", "ToolModel"]

MAX_CALLS: Final = 32
"""Calls of one answer that are carried out at once; a model that asks for more has lost its way."""


class ToolModel:
    """A :class:`~agentmem.notes.protocols.LanguageModel` that answers after calling ``tools`` as often as it wants to, within ``steps`` rounds.

    What goes wrong with a call is told to the model, which may try again. After the last round it has to answer without tools.

    Attributes:
        recalled: the notes that it looked up for the latest answer.
        calls: what it called for that, in order: name, arguments, and what it was told.

    Args:
        model: a client that speaks chat completions, since other models have no tools.
        whose: user, agent and session of every call; no argument of the model's can name others.
    """

    def __init__(
        self, model: LanguageModel | None, memory: Memory, tools: Sequence[MemoryTool], *, steps: int, whose: Mapping[str, str | None]
    ) -> None:  # fmt: skip
        if not isinstance(model, OpenAIModel):
            raise InvalidArgument(
                "Tools are called by a model behind an OpenAI-compatible server.",
                hint='ChatAgent(client_or_url, memory, model_name="…", tools=True), or leave tools out.',
            )
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise InvalidArgument(
                f"tool_steps must be a whole number of 1 or more, not {steps!r:.80}.", hint="tool_steps=8."
            )
        self._model, self._memory, self._tools, self._steps, self._whose = (
            model,
            memory,
            tuple(tools),
            steps,
            dict(whose),
        )
        self.recalled: tuple[Note, ...] = ()
        self.calls: tuple[tuple[str, str, str], ...] = ()

    def complete(
        self, messages: Sequence[Message], *, max_tokens: int = 256, temperature: float = 0.0, stop: Sequence[str] = ()
    ) -> str:
        """The answer, after whatever was called for it."""
        del stop
        steps = self._rounds(messages)
        told = next(steps)
        while True:
            reply = self._model.reply(told[0], max_tokens=max_tokens, temperature=temperature, **told[1])
            try:
                told = steps.send(reply)
            except StopIteration:
                return _text(reply).strip()

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int = 256, temperature: float = 0.0, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """The same, piece by piece; what the model says before it calls a tool is said, too."""
        del stop
        steps = self._rounds(messages)
        told = next(steps)
        while True:
            whole = _Gathered()
            deltas = self._model.deltas(told[0], max_tokens=max_tokens, temperature=temperature, **told[1])
            try:
                for delta in deltas:
                    if piece := whole.add(delta):
                        yield piece
            finally:
                deltas.close()
            try:
                told = steps.send(whole.message())
            except StopIteration:
                return
            if whole.text:
                yield "\n"

    def _rounds(
        self, messages: Sequence[Message]
    ) -> Generator[tuple[list[Mapping[str, Any]], dict[str, Any]], Mapping[str, Any], None]:
        """Yields what the model is asked, with the server's options, and is sent its message; ends with one that calls nothing."""
        self.recalled, self.calls = (), ()
        asked: list[Mapping[str, Any]] = _instructed(messages)
        offered = [tool.openai() for tool in self._tools]
        for left in range(self._steps, -1, -1):
            reply = yield asked, {"tools": offered, **({} if left else {"tool_choice": "none"})}
            calls = _calls(reply)
            if not calls or not left:
                return
            asked = [*asked, {"role": "assistant", "content": reply.get("content"), "tool_calls": calls}]
            asked += [self._carried_out(call) for call in calls]

    def _carried_out(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        function = call["function"]
        name, arguments = str(function.get("name")), function.get("arguments") or "{}"
        done: Called = called(self._memory, self._tools, name, arguments, **self._whose)
        if isinstance(done.value, Recollection):
            known = {note.id: note for note in (*self.recalled, *done.value.notes)}
            self.recalled = tuple(known.values())
        self.calls += ((name, str(arguments), done.text),)
        return {"role": "tool", "tool_call_id": call["id"], "content": done.text}

    def __repr__(self) -> str:
        return f"ToolModel({self._model!r}, {', '.join(tool.name for tool in self._tools)})"


class _Gathered:
    """A message put together from the pieces of a stream."""

    def __init__(self) -> None:
        self.text = ""
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, delta: Mapping[str, Any]) -> str:
        """Take one piece in; returns the words that it says."""
        for place, part in enumerate(delta.get("tool_calls") or ()):
            at = part.get("index")
            call = self._calls.setdefault(place if at is None else at, {"id": "", "name": "", "arguments": ""})
            function = part.get("function") or {}
            call["id"] = part.get("id") or call["id"]
            call["name"] += function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""
        piece = _text(delta)
        self.text += piece
        return piece

    def message(self) -> Mapping[str, Any]:
        """The whole."""
        made = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
            for _, call in sorted(self._calls.items())
        ]
        return {"content": self.text or None, "tool_calls": made}


def _instructed(messages: Sequence[Message]) -> list[Mapping[str, Any]]:
    """The messages, with how to use the tools at the end of the system prompt."""
    given: list[Mapping[str, Any]] = [dict(message) for message in messages]
    if given and given[0]["role"] == "system":
        return [{"role": "system", "content": f"{given[0]['content']}\n\n{INSTRUCTIONS}"}, *given[1:]]
    return [{"role": "system", "content": INSTRUCTIONS}, *given]


def _calls(reply: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of a message, each with an id and a function, or an error: a server's answer is not checked by its client."""
    given = reply.get("tool_calls") or []
    calls = [dict(call) for call in given if isinstance(call, Mapping) and isinstance(call.get("function"), Mapping)]
    if len(calls) != len(given) or len(calls) > MAX_CALLS:
        raise ModelError(
            f"The model called {len(given)} tools at once, {len(calls)} of them as functions.",
            hint=f"it may call up to {MAX_CALLS} functions at once.",
        )
    return [{"id": str(call.get("id") or f"call-{n}"), "type": "function", "function": call["function"]} for n, call in enumerate(calls)]  # fmt: skip


def _text(message: Mapping[str, Any]) -> str:
    said = message.get("content")
    if said is not None and not isinstance(said, str):
        raise ModelError(
            f"The server's answer is {type(said).__name__}, not text.",
            hint="choose a model that answers in plain text.",
        )
    return said or ""
