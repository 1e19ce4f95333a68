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

from agentmem.ask.answer import Answer, repeated
from agentmem.ask.conversation import UNANSWERED, Conversation, Turn
from agentmem.ask.prompt import Prompt, led, saying
from agentmem.errors import AgentMemError, InvalidArgument, InvalidNote, StoreError, UnknownNote
from agentmem.llm.clients import OpenAIModel, as_language_model
from agentmem.llm.tokenizing import PromptEncoder
from agentmem.memory import MAX_K, Memory
from agentmem.notes.note import Receipt
from agentmem.notes.protocols import LanguageModel
from agentmem.notes.speaking import heard
from agentmem.recall.query import query_words
from agentmem.recall.result import estimate_tokens

__all__ = ["ChatAgent", "Reply", "check_options"]

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
        self._count = _counter(tokenizer if tokenizer is not None else model[1] if isinstance(model, tuple) else None)
        self._turns = self._resume() if session or memory.scope.session else Conversation()

    # -- the conversation ------------------------------------------------------------------------------------

    def chat(self, text: str) -> Reply:
        """Answer ``text``, and remember both; what the user said is kept as a note even when the model fails."""
        say = saying(self._model)
        steps = self._exchange(text, self._heard(text))
        return led(steps, lambda step: say(step) if isinstance(step, Prompt) else step.text)

    def stream(self, text: str) -> Generator[str, None, None]:
        """The same answer, piece by piece; remembered when it is finished or no longer listened to.

        What is checked, against notes or edits, is checked as a whole, so its pieces come together; what asks nothing comes as the
        model says it. :attr:`last` holds the :class:`Reply` afterwards. When the model fails on the way, what it had said is not
        remembered.
        """
        return self._streamed(self._exchange(text, self._heard(text)))

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

    def _exchange(self, text: str, at: datetime) -> Exchange:
        try:
            shown = self.turns
            # Without the session: it would narrow recall to this conversation.
            answer = yield from self.memory._answering(
                text, self.k, user=self.user, agent=self.agent, llm=self._model, local=self._client is None, turns=shown,
                system=self.system, context_tokens=self.context_tokens, max_tokens=self.max_tokens, count=self._count,
            )  # fmt: skip
            answer = replace(answer, text=(yield answer))
        except BaseException as error:
            self._unanswered(text, at, error)
            raise
        receipts = self._remember(text, answer, at, shown)
        warnings = (*answer.warnings, *(warning for receipt in receipts for warning in receipt.warnings))
        given = {field.name: getattr(answer, field.name) for field in fields(answer)}
        self.last = Reply(**given | {"warnings": warnings}, receipts=receipts)
        return self.last

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

    def _heard(self, text: str) -> datetime:
        if not isinstance(text, str) or not text.strip():
            raise InvalidArgument("There is nothing to answer.", hint="chat('Where does my sister live?').")
        return self.memory.clock.now()

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

    @property
    def _model(self) -> LanguageModel | None:
        """Who is asked, unless the memory's local model answers."""
        return self._client if self._client is not None else self.memory._parts.llm

    # -- remembering -----------------------------------------------------------------------------------------

    def _unanswered(self, text: str, at: datetime, error: BaseException) -> None:
        """Keep what the user said in a turn that failed, out of the conversation; if that fails too, the error says so."""
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
        turns: list[dict[str, Any]] = [{"role": "user", "content": text, "occurred_at": at}]
        if answer.text.strip():
            later = max(at, self.memory.clock.now())
            told = _repeats(text, answer, shown)
            turns.append({"role": "assistant", "content": answer.text, "occurred_at": later, "derived_from": told})
        try:
            receipts = self.memory.remember_many(turns, progress=False, **self._whose)
        except (InvalidNote, StoreError, UnknownNote):
            receipts = []
            for turn in turns:
                receipts.append(self._alone(turn, receipts))
        for turn, receipt in zip(turns, receipts, strict=True):
            self._turns.add(turn["role"], turn["content"], receipt.id)
        return tuple(receipts)

    def _alone(self, turn: dict[str, Any], before: Sequence[Receipt]) -> Receipt:
        """One turn by itself, with a warning when it was not remembered."""
        told = [before[each].id if isinstance(each, int) else each for each in turn.get("derived_from", ())]
        try:
            return self.memory.remember(turn | {"derived_from": [id for id in told if id]}, **self._whose)
        except (InvalidNote, StoreError, UnknownNote) as error:
            why = f"the {turn['role']}'s turn was not remembered: {error}"
            return Receipt(None, "rejected", error.message, warnings=(why,))

    @property
    def _whose(self) -> dict[str, Any]:
        return {"user": self.user, "agent": self.agent, "session": self.session}

    def _resume(self) -> Conversation:
        return Conversation.of(self.memory.notes(**self._whose), self.session)

    def __repr__(self) -> str:
        answers = "the memory's model" if self._client is None else repr(self._client)
        return f"ChatAgent({answers}, session={self.session!r}, {len(self._turns)} turns)"


def _repeats(text: str, answer: Answer, shown: Sequence[Turn]) -> list[str | int]:
    """What an answer says again, to be forgotten with it: recalled notes, those that taught an edit which fired, earlier turns, and
    the message that it answers, which is the first of the exchange.
    """
    fired = [route.note_id for route in answer.routes if route.note_id and route.edit_id in answer.edits]
    again = repeated(answer.text, text, [turn.content for turn in shown])
    earlier = [turn.note_id for turn, so in zip(shown, again, strict=True) if so and turn.note_id]
    echoes = set(query_words(answer.text)) & set(query_words(text))
    return [*(note.id for note in answer.used), *fired, *earlier, *([0] if echoes else [])]


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
