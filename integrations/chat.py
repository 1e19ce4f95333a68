"""A chat agent that remembers: recall, answer, remember the exchange, reinforce what the answer drew on."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from agentmem.ask.answer import repeated
from agentmem.ask.ask import Answer, Source, not_counted, used_notes
from agentmem.ask.present import presentable
from agentmem.errors import AgentMemError, InvalidArgument, InvalidNote, ModelError, StoreError, UnknownNote
from agentmem.integrations.conversation import UNANSWERED, Conversation, Turn, as_messages, hanging
from agentmem.llm.clients import OpenAIModel, as_language_model
from agentmem.llm.tokenizing import PromptEncoder
from agentmem.memory import Memory
from agentmem.notes.note import Note, Receipt
from agentmem.notes.protocols import LanguageModel, Message
from agentmem.notes.quoting import notes_block
from agentmem.notes.speaking import heard, said
from agentmem.recall.query import query_words
from agentmem.recall.result import Recollection, estimate_tokens

__all__ = ["ChatAgent", "Reply"]

_PIECE = re.compile(r"\s*\S+|\s+$")
_MAX_K = 1000


@dataclass(frozen=True, slots=True)
class Reply:
    """What the agent said; ``str(reply)`` is the text alone.

    ``notes`` stood in the prompt, ``used`` are those that the answer draws on; ``source`` says whether it came from
    the ``weights``, the ``notes``, ``both``, or the ``model`` alone; ``receipts`` say what became of the two turns;
    ``degraded`` says that notes were found by a slower way, because an index is missing or damaged.
    """

    text: str
    source: Source = "model"
    notes: tuple[Note, ...] = ()
    used: tuple[Note, ...] = ()
    edits: tuple[str, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    prompt_tokens: int = 0
    warnings: tuple[str, ...] = ()
    degraded: bool = False

    def __str__(self) -> str:
        return self.text

    def __contains__(self, words: str) -> bool:
        return words in self.text


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What the model is shown for one turn."""

    messages: list[Message]
    notes: tuple[Note, ...]
    warnings: tuple[str, ...]
    tokens: int
    degraded: bool


class ChatAgent:
    """One conversation of a user with a model that has a memory.

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
        _check(system, k, {"context_tokens": context_tokens, "history_tokens": history_tokens}, max_tokens)
        self.memory = memory
        self.user, self.agent = user, agent
        self.session = session or memory.scope.session or f"chat-{uuid.uuid4().hex[:12]}"
        self.system = system
        self.k, self.context_tokens, self.history_tokens, self.max_tokens = (
            k,
            context_tokens,
            history_tokens,
            max_tokens,
        )
        self.last: Reply | None = None
        self._client = self._connect(model, tokenizer, model_name)
        self._count = _counter(tokenizer if tokenizer is not None else model[1] if isinstance(model, tuple) else None)
        self._turns = self._resume() if session or memory.scope.session else Conversation()

    # -- the conversation ------------------------------------------------------------------------------------

    def chat(self, text: str) -> Reply:
        """Answer ``text``, and remember both; what the user said is kept as a note even when the model fails."""
        at = self._heard(text)
        try:
            answer = self._answered(text)
        except BaseException as error:
            self._unanswered(text, at, error)
            raise
        return self._finish(text, answer, at)

    def stream(self, text: str) -> Iterator[str]:
        """The same answer, piece by piece; remembered when it is finished or no longer listened to.

        A local model's answer is checked against its edits as a whole, so its pieces come together. :attr:`last`
        holds the :class:`Reply` afterwards. When the model fails on the way, what it had said is not remembered.
        """
        return self._streamed(text, self._heard(text))

    def _streamed(self, text: str, at: datetime) -> Iterator[str]:
        spoken: list[str] = []
        answer = Answer("", "model")
        try:
            for known, piece in self._pieces(text):
                answer = known
                spoken.append(piece)
                yield piece
        except GeneratorExit as error:
            if not "".join(spoken).strip():
                self._unanswered(text, at, error)
                raise
            self._finish_streamed(text, answer, spoken, at)
            raise
        except BaseException as error:
            self._unanswered(text, at, error)
            raise
        self._finish_streamed(text, answer, spoken, at)

    def _finish_streamed(self, text: str, answer: Answer, spoken: Sequence[str], at: datetime) -> None:
        answer = replace(answer, text="".join(spoken).strip())
        self._finish(text, self._drawn_on(text, answer) if self._client is not None else answer, at)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What the model will be shown of this session on the next turn; turns whose notes were forgotten are not shown again."""
        window = self._turns.window(self.history_tokens, self._count)
        while gone := self._gone(_ids(window)):
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

    # -- answering -------------------------------------------------------------------------------------------

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

    def _answered(self, text: str) -> Answer:
        try:
            return self._once(text, ())
        except ModelError:
            doubtful = self._doubtful(text)
            if not doubtful:
                raise
            return self._once(text, doubtful)

    def _once(self, text: str, without: Sequence[str]) -> Answer:
        if self._client is None:
            return self._from_memory(text, without)
        prompt = self._prompt(text, without)
        answer = said(self._client, prompt.messages, max_tokens=self.max_tokens)
        return self._drawn_on(text, _answer(answer, prompt))

    def _pieces(self, text: str) -> Iterator[tuple[Answer, str]]:
        """The pieces of an answer, each with what is known of the answer before it is whole."""
        if self._client is None:
            answer = self._answered(text)
            yield from ((answer, piece) for piece in _PIECE.findall(answer.text))
            return
        begun = False
        try:
            for found in self._from_client(text, self._client, ()):
                begun = True
                yield found
        except ModelError:
            doubtful = () if begun else self._doubtful(text)
            if not doubtful:
                raise
            yield from self._from_client(text, self._client, doubtful)

    def _from_client(self, text: str, client: LanguageModel, without: Sequence[str]) -> Iterator[tuple[Answer, str]]:
        prompt = self._prompt(text, without)
        with closing(heard(client, prompt.messages, max_tokens=self.max_tokens)) as pieces:
            for piece in pieces:
                yield _answer("", prompt), piece

    def _doubtful(self, text: str) -> tuple[str, ...]:
        """What a prompt that failed may have failed for: notes, and turns before, that the model never answered."""
        turns = self.turns
        found = [hit.note.id for hit in self._recall(text, _ids(turns), ()) if hit.note.metadata.get(UNANSWERED)]
        return (*found, *_ids(hanging(turns)))

    def _from_memory(self, text: str, without: Sequence[str]) -> Answer:
        # Without the session: it would narrow recall to this conversation.
        turns = self._shown(without)
        return self.memory.ask(
            text, user=self.user, agent=self.agent, k=self.k, context_tokens=self.context_tokens,
            max_tokens=self.max_tokens, system=self.system, history=as_messages(turns), exclude=(*_ids(turns), *without),
        )  # fmt: skip

    def _shown(self, without: Sequence[str]) -> tuple[Turn, ...]:
        return tuple(turn for turn in self.turns if turn.note_id is None or turn.note_id not in without)

    def _prompt(self, text: str, without: Sequence[str]) -> _Prompt:
        turns = self._shown(without)
        found = self._recall(text, _ids(turns), without)
        hits = found.within(self.context_tokens, self._count)
        notes = tuple(hit.note for hit in hits)
        parts = [part for part in (self.system, notes_block(hits)) if part]
        head: list[Message] = [{"role": "system", "content": "\n\n".join(parts)}] if parts else []
        messages = [*head, *as_messages([*turns, Turn("user", text)])]
        return _Prompt(
            messages, notes, found.warnings, sum(self._count(m["content"]) for m in messages), found.degraded
        )

    def _recall(self, text: str, shown: Sequence[str], without: Sequence[str]) -> Recollection:
        """The best notes that say something, and that the conversation does not show anyway."""
        out = (*shown, *without)
        wanted = min(4 * self.k + len(out), _MAX_K)
        found = self.memory.recall(text, k=wanted, user=self.user, agent=self.agent)
        return presentable(found, self.k, shown=out, unnamed=self.memory.settings.recall.unnamed)

    def _drawn_on(self, text: str, answer: Answer) -> Answer:
        used = used_notes(answer.text, text, answer.notes)
        try:
            if used:
                self.memory.reinforce(
                    used, user=self.user, agent=self.agent, or_gone=True
                )  # one may be forgotten while the model answers
        except StoreError as error:
            # A full disk takes nobody's answer away.
            return replace(answer, used=used, warnings=(*answer.warnings, not_counted(error)))
        return replace(answer, used=used)

    # -- remembering -----------------------------------------------------------------------------------------

    def _finish(self, text: str, answer: Answer, at: datetime) -> Reply:
        receipts, warnings = self._remember(text, answer, at)
        self.last = Reply(
            answer.text, answer.source, answer.notes, answer.used, answer.edits, receipts, answer.prompt_tokens,
            (*answer.warnings, *warnings), answer.degraded,
        )  # fmt: skip
        return self.last

    def _unanswered(self, text: str, at: datetime, error: BaseException) -> None:
        """Keep what the user said in a turn that failed, out of the conversation; if that fails too, the error says so."""
        message = {"role": "user", "content": text, "occurred_at": at, "metadata": {UNANSWERED: True}}
        try:
            self.memory.remember(message, user=self.user, agent=self.agent, session=self.session)
        except AgentMemError as second:
            error.add_note(f"What was said was not remembered either: {second}")

    def _remember(self, text: str, answer: Answer, at: datetime) -> tuple[tuple[Receipt, ...], tuple[str, ...]]:
        """Both turns as messages with a time of their own: the same words said again are another occurrence.

        One that cannot be a note (too long, not text, made from what was forgotten meanwhile) does not take the other with it: the answer
        is there all the same, and losing it as well would help nobody.
        """
        shown = self._turns.window(self.history_tokens, self._count)
        asked, warned = self._store({"role": "user", "content": text, "occurred_at": at})
        if not answer.text.strip():
            return asked, warned
        said = {"role": "assistant", "content": answer.text, "occurred_at": max(at, self.memory.clock.now())}
        stored, more = self._store(said | {"derived_from": self._repeats(text, answer, shown, asked)})
        return asked + stored, warned + more

    def _repeats(self, text: str, answer: Answer, shown: Sequence[Turn], asked: Sequence[Receipt]) -> list[str]:
        """The notes whose words an answer says again, to be forgotten with them: recalled ones, those that taught an edit which fired,
        earlier turns, and the message that it answers.
        """
        fired = [route.note_id for route in answer.routes if route.note_id and route.edit_id in answer.edits]
        again = repeated(answer.text, text, [turn.content for turn in shown])
        earlier = [turn.note_id for turn, so in zip(shown, again, strict=True) if so and turn.note_id]
        echoes = set(query_words(answer.text)) & set(query_words(text))
        return [*(note.id for note in answer.used), *fired, *earlier, *(r.id for r in asked if r.id and echoes)]

    def _store(self, message: dict[str, Any]) -> tuple[tuple[Receipt, ...], tuple[str, ...]]:
        """One turn, with a warning when it was not remembered."""
        try:
            receipt = self.memory.remember(message, user=self.user, agent=self.agent, session=self.session)
        except (InvalidNote, StoreError, UnknownNote) as error:
            self._turns.add(message["role"], message["content"], None)
            return (), (f"the {message['role']}'s turn was not remembered: {error}",)
        self._turns.add(message["role"], message["content"], receipt.id)
        return (receipt,), receipt.warnings

    def _resume(self) -> Conversation:
        notes = self.memory.notes(user=self.user, agent=self.agent, session=self.session)
        return Conversation.of(notes, self.session)

    def __repr__(self) -> str:
        answers = "the memory's model" if self._client is None else repr(self._client)
        return f"ChatAgent({answers}, session={self.session!r}, {len(self._turns)} turns)"


def _check(system: object, k: object, room: Mapping[str, object], max_tokens: object) -> None:
    """What would otherwise fail in the middle of a conversation."""
    if system is not None and not isinstance(system, str):
        raise InvalidArgument(
            f"system must be a text, not {type(system).__name__}.", hint='system="Answer in one sentence."'
        )
    for name, value, least, most in (
        ("k", k, 1, _MAX_K),
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


def _answer(text: str, prompt: _Prompt) -> Answer:
    source: Source = "notes" if prompt.notes else "model"
    return Answer(
        text, source, prompt.notes, prompt_tokens=prompt.tokens, warnings=prompt.warnings, degraded=prompt.degraded
    )


def _ids(turns: Sequence[Turn]) -> tuple[str, ...]:
    return tuple(turn.note_id for turn in turns if turn.note_id is not None)


def _counter(tokenizer: Any) -> Callable[[str], int]:
    if tokenizer is None:
        return estimate_tokens
    encoder = PromptEncoder(tokenizer)
    return lambda text: len(encoder.text(text))
