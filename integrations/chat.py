"""A chat agent that remembers: :meth:`agentmem.Memory.ask` with the conversation before it, and the exchange kept."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from agentmem.ask.answer import Answer, used_notes
from agentmem.ask.conversation import UNANSWERED, Conversation, Turn
from agentmem.ask.prompt import Prompt, led, messages, saying
from agentmem.errors import AgentMemError, InvalidArgument, InvalidNote, ScopeError, StoreError, UnknownNote
from agentmem.integrations.chat_tools import ToolModel
from agentmem.integrations.parts import MessageParts, UserMessage
from agentmem.integrations.tools import MemoryTool, memory_tools
from agentmem.integrations.turns import names_again, remember_each, rests_on
from agentmem.llm.clients import OpenAIModel, as_language_model
from agentmem.llm.tokenizing import PromptEncoder
from agentmem.memory import MAX_K, Memory
from agentmem.notes.note import Hit, Receipt
from agentmem.notes.protocols import LanguageModel, Message
from agentmem.notes.speaking import heard
from agentmem.recall.result import estimate_tokens

__all__ = ["ChatAgent", "Reply", "check_options"]

_UNWORDED = "[no words]"
"""What stands in the conversation for a message of pictures or files alone; it is no note."""
_PIECE = re.compile(r"\s*\S+|\s+$")


@dataclass(frozen=True, slots=True)
class Reply(Answer):
    """What the agent said, as any :class:`~agentmem.ask.answer.Answer`; ``receipts`` say what became of the two turns."""

    receipts: tuple[Receipt, ...] = ()

    def __contains__(self, words: str) -> bool:
        return words in self.text


Exchange = Generator[Prompt | Answer, str, Reply]
"""One turn: yields what a model is to answer, and is sent that; then the answer, and is sent how much of it was heard."""


class ChatAgent:
    """One conversation of a user with a model that has a memory.

    Every message is answered as :meth:`agentmem.Memory.ask` does, whoever the model is: what is asked in it is answered from the notes
    that tell it, and the answer is checked against them. What may be about the conversation, and what asks nothing, is the model's own.

    A turn that the model did not answer (it refused, or failed) is no part of the conversation: it is not shown again, neither now
    nor after a restart. What the user said in it is kept as a note with ``metadata["unanswered"]``, which is recalled like any other; if a prompt
    fails that shows such a note, the model is asked once more without it. So a message that is refused blocks no other.

    Args:
        model: a callable from messages to an answer; an OpenAI-compatible client or base URL (with ``model_name``), also async; a
            :class:`~agentmem.notes.protocols.LanguageModel`; a local model by name, path, or as a pair ``(model, tokenizer)``,
            which is attached to the memory so that what was consolidated answers first; or ``None`` for the model that
            the memory has already.
        memory: where the exchange is remembered and recalled from.
        user, agent, session: whose conversation it is; a session that has notes is taken up where it ended.
        tokenizer: of a local model, or what counts tokens for the budgets; without one they are estimated.
        system: what the model is told first.
        k, context_tokens: how many notes are recalled, and the room for them in the prompt.
        history_tokens: room for the latest turns of this session.
        max_tokens: length of an answer.
        tools: the model looks into the memory, and keeps what it wants to, itself: ``True`` for
            :func:`~agentmem.integrations.tools.memory_tools`, or which of them; it needs an OpenAI-compatible client. Nothing is then recalled for
            it, and what it says is not checked against notes.
        tool_steps: how many times it may call tools before it has to answer.
    """

    def __init__(
        self,
        model: Any,
        memory: Memory,
        *,
        user: str | None = None,
        agent: str | None = None,
        session: str | None = None,
        tokenizer: Any = None,
        model_name: str | None = None,
        system: str | None = None,
        k: int = 5,
        context_tokens: int = 400,
        history_tokens: int = 800,
        max_tokens: int = 256,
        tools: bool | Sequence[MemoryTool] = False,
        tool_steps: int = 8,
    ) -> None:
        if not isinstance(memory, Memory):
            raise InvalidArgument(
                f"memory must be a Memory, not {type(memory).__name__}.", hint="ChatAgent(model, Memory(…))."
            )
        check_options(system, k, {"context_tokens": context_tokens, "history_tokens": history_tokens}, max_tokens)
        self.memory = memory
        self.user, self.agent = user, agent
        self.session = session or memory.scope.session or f"chat-{uuid.uuid4().hex[:12]}"
        self.system, self.k, self.max_tokens = system, k, max_tokens
        self.context_tokens, self.history_tokens = context_tokens, history_tokens
        self.last: Reply | None = None
        self._client = self._connect(model, tokenizer, model_name)
        self._tools = self._tooled(tools, tool_steps)
        self._count = _counter(tokenizer if tokenizer is not None else model[1] if isinstance(model, tuple) else None)
        self._turns = self._resume() if session or memory.scope.session else Conversation()

    # -- the conversation ------------------------------------------------------------------------------------

    def chat(self, text: str | MessageParts) -> Reply:
        """Answer ``text``, and remember both; what the user said is kept as a note even when the model fails.

        ``text`` may be a message's content in parts: its words are the message, and what else there is (images, files) is shown to the
        model with them, and kept nowhere. What is asked about a picture no note can confirm, so such an answer is not checked.
        """
        say = saying(self._model)
        steps = self._turn(text)
        return led(steps, lambda step: say(step) if isinstance(step, Prompt) else step.text)

    def stream(self, text: str | MessageParts) -> Generator[str, None, None]:
        """The same answer, piece by piece; remembered when it is finished or no longer listened to.

        What is checked, against notes or edits, is checked as a whole, so its pieces come together; what asks nothing comes as the
        model says it. :attr:`last` holds the :class:`Reply` afterwards. When the model fails on the way, what it had said is not
        remembered.
        """
        return self._streamed(self._turn(text))

    def _streamed(self, steps: Exchange) -> Generator[str, None, None]:
        spoken: list[str] = []
        with suppress(StopIteration):
            step = next(steps)
            while True:
                try:
                    text = yield from self._pieces(step, spoken)
                except GeneratorExit:
                    break
                except BaseException as error:  # noqa: BLE001 - the exchange raises it again, unless it knows better
                    step = steps.throw(error)
                else:
                    step = steps.send(text)
            while text := "".join(spoken).strip():  # nobody listens any more: what was heard is the answer
                steps.send(text)
            steps.close()

    def _pieces(self, step: Prompt | Answer, spoken: list[str]) -> Generator[str, None, str]:
        """The words of one step that can be given on, which ``spoken`` gathers; returns what the step comes to."""
        if isinstance(step, Prompt) and not step.live:
            return saying(self._model)(step)
        if isinstance(step, Prompt):
            assert self._model is not None
            with closing(heard(self._model, step.messages, max_tokens=step.max_tokens)) as pieces:
                for piece in pieces:
                    step.spoken.append(piece)
                    spoken.append(piece)
                    yield piece
        elif not spoken:
            for piece in _PIECE.findall(step.text):
                spoken.append(piece)
                yield piece
        return "".join(spoken).strip()

    def _turn(self, content: str | MessageParts) -> Exchange:
        message = UserMessage.of(content)
        if message.shown and self._client is None and self._tools is None and self.memory._parts.llm is None:
            raise InvalidArgument(
                "A local model reads text alone.", hint="leave images and files out, or name a server."
            )
        return self._exchange(message, self.memory.clock.now())

    def _exchange(self, message: UserMessage, at: datetime) -> Exchange:
        text = message.text
        try:
            shown = self.turns
            if message.shown or self._tools is not None:
                answer = yield from self._unchecked(message, shown)
            else:
                # Without the session: it would narrow recall to this conversation.
                answer = yield from self.memory._answering(
                    text, self.k, user=self.user, agent=self.agent, llm=self._model, local=self._client is None, turns=shown,
                    system=self.system, context_tokens=self.context_tokens, max_tokens=self.max_tokens, count=self._count,
                )  # fmt: skip
            answer = replace(answer, text=(yield answer))
        except ScopeError:  # whose it is was not said, so that what was said would be everybody's
            raise
        except BaseException as error:
            self._unanswered(text, at, error)
            raise
        receipts = self._remember(text, answer, at, shown)
        warnings = (*answer.warnings, *(warning for receipt in receipts for warning in receipt.warnings))
        given = {field.name: getattr(answer, field.name) for field in fields(answer)}
        self.last = Reply(**given | {"warnings": warnings}, receipts=receipts)
        return self.last

    def _unchecked(self, message: UserMessage, shown: Sequence[Turn]) -> Generator[Prompt | Answer, str, Answer]:
        """An answer that is the model's own: it looked notes up by itself, or has seen what no note tells."""
        hits: tuple[Hit, ...] = ()
        if self._tools is None and message.text:
            known = [turn.note_id for turn in shown if turn.note_id is not None]
            found = self.memory.recall(message.text, k=self.k + len(known), user=self.user, agent=self.agent)
            fresh = tuple(hit for hit in found if hit.note.id not in known)[: self.k]
            hits = replace(found, hits=fresh).within(self.context_tokens, self._count)
        asked: list[Message] = messages(self.system, hits, shown, message.text)
        tokens = sum(self._count(str(each["content"])) for each in asked)
        content: Any = message.content(asked[-1]["content"])  # parts are the model's to read: here they are passed on
        asked[-1] = {"role": "user", "content": content}
        text = yield Prompt(asked, self.max_tokens, True, [])
        notes = tuple(hit.note for hit in hits) if self._tools is None else self._tools.recalled
        used = used_notes(text, message.text, notes)
        if used:
            self.memory.reinforce(used, user=self.user, agent=self.agent, or_gone=True)
        return Answer(text, "notes" if used else "model", notes, used, prompt_tokens=tokens)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What the model will be shown of this session on the next turn; turns whose notes were forgotten are not shown again."""
        window = self._turns.window(self.history_tokens, self._count)
        while gone := self._gone([turn.note_id for turn in window if turn.note_id is not None]):
            self._turns.drop(gone)
            window = self._turns.window(self.history_tokens, self._count)  # older turns may fit now
        return window

    def _gone(self, ids: Sequence[str]) -> set[str]:
        """Those of these notes that the memory holds no more."""
        if not ids:
            return set()
        there = self.memory.notes(where={"id": {"$in": list(ids)}}, user=self.user, agent=self.agent)
        return set(ids) - {note.id for note in there}

    # -- its model -------------------------------------------------------------------------------------------

    def _connect(self, model: Any, tokenizer: Any, name: str | None) -> LanguageModel | None:
        """A client of its own, or ``None`` when the memory answers: then edits come first."""
        if model is None:
            return None
        if isinstance(model, str) and model.startswith(("http://", "https://")):
            return OpenAIModel(model, name or "default")
        local = isinstance(model, (str, Path, tuple)) or (hasattr(model, "generate") and hasattr(model, "config"))
        if local:
            self.memory.attach(model, tokenizer)
            return None
        return as_language_model(model, model=name)

    def _tooled(self, tools: bool | Sequence[MemoryTool], steps: int) -> ToolModel | None:
        if tools is False:
            return None
        offered = memory_tools() if tools is True else tuple(tools)
        return ToolModel(self._client, self.memory, offered, steps=steps, whose=self._whose)

    @property
    def _model(self) -> LanguageModel | None:
        """Who is asked, unless the memory's local model answers."""
        if self._tools is not None:
            return self._tools
        return self._client if self._client is not None else self.memory._parts.llm

    # -- remembering -----------------------------------------------------------------------------------------

    def _unanswered(self, text: str, at: datetime, error: BaseException) -> None:
        """Keep what the user said in a turn that failed, out of the conversation; if that fails too, the error says so."""
        if not text:
            return  # a picture alone: nothing of it is kept
        message = {"role": "user", "content": text, "occurred_at": at, "metadata": {UNANSWERED: True}}
        try:
            self.memory.remember(message, **self._whose)
        except AgentMemError as second:
            error.add_note(f"What was said was not remembered either: {second}")

    def _remember(self, text: str, answer: Answer, at: datetime, shown: Sequence[Turn]) -> tuple[Receipt, ...]:
        """Both turns in one transaction, with a time of their own: the same words said again are another occurrence.

        One that cannot be a note (too long, not text, made from what was forgotten meanwhile) does not take the other with it: the answer
        is there all the same, and losing it as well would help nobody.
        """
        turns: list[dict[str, Any]] = [{"role": "user", "content": text, "occurred_at": at}] if text else []
        if answer.text.strip():
            later = max(at, self.memory.clock.now())
            told = _repeats(text, answer, shown, at_hand=bool(text))
            turns.append({"role": "assistant", "content": answer.text, "occurred_at": later, "derived_from": told})
        if not text:
            self._turns.add("user", _UNWORDED, None)
        receipts = remember_each(self.memory, turns, self._whose, spare=(InvalidNote, StoreError, UnknownNote))
        for turn, receipt in zip(turns, receipts, strict=True):
            self._turns.add(turn["role"], turn["content"], receipt.id)
        return receipts

    @property
    def _whose(self) -> dict[str, Any]:
        return {"user": self.user, "agent": self.agent, "session": self.session}

    def _resume(self) -> Conversation:
        return Conversation.of(self.memory.notes(**self._whose), self.session)

    def __repr__(self) -> str:
        answers = "the memory's model" if self._client is None else repr(self._client)
        return f"ChatAgent({answers}, session={self.session!r}, {len(self._turns)} turns)"


def _repeats(text: str, answer: Answer, shown: Sequence[Turn], *, at_hand: bool) -> list[str | int]:
    """What an answer says again, to be forgotten with it: recalled notes, those that tell what is known instead, those that taught an edit which fired, earlier turns, and
    the message that it answers, which is the first of the exchange where it is ``at_hand``.
    """
    fired = [route.note_id for route in answer.routes if route.note_id and route.edit_id in answer.edits]
    earlier = {turn.note_id: turn.content for turn in shown if turn.note_id}
    named = (note for note in answer.notes if names_again(answer.text, text, note.content))
    quoted = (note.id for note in (*answer.used, *answer.known, *named))
    return [*quoted, *fired, *rests_on(answer.text, {0: text} if at_hand else {}, earlier)]


def check_options(system: object, k: object, room: Mapping[str, object], max_tokens: object) -> None:
    """What would otherwise fail in the middle of a conversation."""
    if system is not None and not isinstance(system, str):
        raise InvalidArgument(
            f"system must be a text, not {type(system).__name__}.", hint='system="Answer in one sentence."'
        )
    for name, value, least, most in (
        ("k", k, 1, MAX_K),
        *((n, v, 0, None) for n, v in room.items()),
        ("max_tokens", max_tokens, 1, None),
    ):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]  # whole is checked first
            span = f"from {least} to {most}" if most is not None else f"of {least} or more"
            raise InvalidArgument(
                f"{name} must be a whole number {span}, not {value!r:.80}.",
                hint=f"{name}={max(least, 5)}, or leave it out.",
            )


def _counter(tokenizer: Any) -> Callable[[str], int]:
    if tokenizer is None:
        return estimate_tokens
    encoder = PromptEncoder(tokenizer)
    return lambda text: len(encoder.text(text))
