"""A memory around a chat function of your own, in one line.

    chat = with_memory(chat, memory, user="ana")

The function is called as before, and gets messages in which the notes that fit stand; what was said is remembered. Sync, awaited or
streaming, text or completions: whatever it gives, its caller gets.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, Self, TypeAlias, TypeVar, cast

from agentmem.aio import AsyncMemory
from agentmem.ask.answer import used_notes
from agentmem.errors import InvalidArgument, InvalidNote, StoreError, UnknownNote
from agentmem.integrations.awaited import reading, writing
from agentmem.integrations.chat import check_options
from agentmem.integrations.parts import words_of
from agentmem.integrations.turns import rests_on
from agentmem.memory import Memory
from agentmem.notes.messages import as_mapping, is_message
from agentmem.notes.note import Note
from agentmem.notes.quoting import notes_block
from agentmem.recall.result import Recollection, tells

__all__ = ["NotRemembered", "Whose", "with_memory"]

P = ParamSpec("P")
R = TypeVar("R")
Whose: TypeAlias = str | Callable[[], str] | None
"""A name, or what tells it at each call, such as the ``get`` of a context variable."""
_MOST_SHOWN = 50
_FAILURES = (InvalidNote, StoreError, UnknownNote)


class NotRemembered(UserWarning):
    """An answer was given, and what was said could not be remembered."""


def with_memory(
    fn: Callable[P, R],
    memory: Memory | AsyncMemory,
    *,
    user: Whose = None,
    agent: Whose = None,
    session: Whose = None,
    k: int = 5,
    context_tokens: int = 400,
    remember: bool = True,
) -> Callable[P, R]:
    """``fn`` with a memory: the same signature and results, with recalled notes in its messages, and what was said remembered.

    Its messages are its argument ``messages``, else the first one; the list that the caller passes stays as it is. Notes stand in the system
    message. Of a call the last message is kept, if it is the user's, and the answer, once it was given or is no longer listened to; a call that
    fails leaves nothing, and may be made again. Pictures and files are passed on, and not kept.

    Args:
        fn: ``fn(messages, …)`` that gives a text, a completion as chat APIs have it, or the pieces of either: at once, awaited, or as an
            iterator. A client's ``chat.completions.create`` will do.
        memory: a :class:`~agentmem.Memory`, or for what is awaited an :class:`~agentmem.AsyncMemory`.
        user, agent, session: whose the notes are, for every call; or functions that say it at each call. A session says where something
            was said; what is recalled may be of any.
        k, context_tokens: how many notes are recalled, and the room for them.
        remember: ``False`` only recalls.

    Raises:
        InvalidArgument: ``fn`` cannot be called, or is not awaited while the memory is; at a call, it has no messages, or nobody says whose it is.
    """
    if not callable(fn):
        raise InvalidArgument(f"{type(fn).__name__} is no function.", hint="with_memory(chat, memory, user='ana').")
    if not isinstance(memory, (Memory, AsyncMemory)):
        raise InvalidArgument(
            f"memory must be a Memory, not {type(memory).__name__}.", hint="with_memory(chat, Memory('my-memory'))."
        )
    check_options(None, k, {"context_tokens": context_tokens}, 1)
    kind = _kind(fn)
    if isinstance(memory, AsyncMemory) and kind == "called":
        raise InvalidArgument(
            "This function is not awaited, and the memory is.", hint="give it a Memory, or pass an async function."
        )
    around = _Around(memory, {"user": user, "agent": agent, "session": session}, k, context_tokens, remember)
    wrapped = getattr(around, kind)(fn)
    return cast(Callable[P, R], functools.update_wrapper(wrapped, fn))


def _kind(fn: Any) -> str:
    """How a function is to be called: ``called``, ``awaited`` or ``iterated``; also one behind a decorator, a partial or ``__call__``."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    fn = inspect.unwrap(fn)
    bare = fn if inspect.isroutine(fn) else getattr(fn, "__call__", fn)  # noqa: B004 - an object's own, to look at
    if inspect.isasyncgenfunction(bare):
        return "iterated"
    return "awaited" if inspect.iscoroutinefunction(bare) else "called"


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: its messages, the question in the last of the user's, and whose it is; ``notes`` are those that it shows."""

    messages: Sequence[Any]
    question: str
    spoken: bool
    whose: Mapping[str, Any]
    notes: tuple[Note, ...] = ()


class _Around:
    """What is done before and after each call."""

    def __init__(
        self, memory: Memory | AsyncMemory, whose: Mapping[str, Whose], k: int, context_tokens: int, remember: bool
    ) -> None:
        self._memory, self._whose = memory, whose
        self._k, self._context_tokens, self._remember = k, context_tokens, remember

    # -- the three ways to be called ---------------------------------------------------------------------------

    def called(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        memory = cast(Memory, self._memory)  # with_memory has seen to that

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            call = self._begun(args, kwargs)
            found = memory.recall(**self._wanted(call)) if call.question else None
            call, args, kwargs = self._shown(call, found, args, kwargs)
            return self._given(call, fn(*args, **kwargs))

        return wrapped

    def awaited(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            call, args, kwargs = await self._looked_up(args, kwargs)
            return await self._answered(call, await fn(*args, **kwargs))

        return wrapped

    def iterated(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapped(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
            call, args, kwargs = await self._looked_up(args, kwargs)
            pieces = self._heard_later(call, fn(*args, **kwargs))
            try:
                async for piece in pieces:
                    yield piece
            finally:
                await pieces.aclose()

        return wrapped

    # -- before ------------------------------------------------------------------------------------------------

    def _begun(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Call:
        given = kwargs["messages"] if "messages" in kwargs else args[0] if args else None
        if (
            isinstance(given, (str, bytes, Mapping))
            or not isinstance(given, Sequence)
            or not all(map(is_message, given))
        ):
            raise InvalidArgument(
                "The function is not called with messages.", hint='chat([{"role": "user", "content": "…"}]).'
            )
        said = [as_mapping(message) for message in given]
        last = next((message for message in reversed(said) if message["role"] == "user"), None)
        question = words_of(last.get("content")).strip() if last is not None else ""
        spoken = bool(said) and said[-1] is last
        return _Call(given, question, spoken, {name: _name(name, value) for name, value in self._whose.items()})

    def _wanted(self, call: _Call) -> dict[str, Any]:
        """What is recalled: enough for what stands in the messages already to be left out."""
        owner = {name: value for name, value in call.whose.items() if name != "session"}
        return {"query": call.question, "k": self._k + min(len(call.messages), _MOST_SHOWN), **owner}

    def _shown(
        self, call: _Call, found: Recollection | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[_Call, tuple[Any, ...], dict[str, Any]]:
        """The call with notes in its messages."""
        if found is None:
            return call, args, kwargs
        said = {" ".join(words_of(as_mapping(message).get("content")).split()) for message in call.messages}
        fresh = tuple(hit for hit in found if " ".join(hit.note.content.split()) not in said and tells(hit))[: self._k]
        hits = replace(found, hits=fresh).within(self._context_tokens)
        if not hits:
            return call, args, kwargs
        messages = _with_notes(call.messages, notes_block(hits))
        call = replace(call, notes=tuple(hit.note for hit in hits))
        if "messages" in kwargs:
            return call, args, {**kwargs, "messages": messages}
        return call, (messages, *args[1:]), kwargs

    async def _looked_up(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[_Call, tuple[Any, ...], dict[str, Any]]:
        call = self._begun(args, kwargs)
        wanted = self._wanted(call) if call.question else None
        found = None if wanted is None else await reading(self._memory, lambda memory: memory.recall(**wanted))
        return self._shown(call, found, args, kwargs)

    # -- after -------------------------------------------------------------------------------------------------

    def _given(self, call: _Call, result: Any) -> Any:
        """The result of a function that is not awaited, which may itself be something to wait for."""
        if isinstance(result, Awaitable):
            return self._later(call, result)
        if isinstance(result, AsyncIterable):
            return _AsyncPieces(result, self._heard_later(call, result))
        if isinstance(result, Iterator):
            return _Pieces(result, self._heard(call, result))
        self._keep(call, _text(result))
        return result

    async def _later(self, call: _Call, result: Awaitable[Any]) -> Any:
        return await self._answered(call, await result)

    async def _answered(self, call: _Call, result: Any) -> Any:
        if isinstance(result, AsyncIterable):
            return _AsyncPieces(result, self._heard_later(call, result))
        if isinstance(result, Iterator):
            raise InvalidArgument(
                "An awaited function gave pieces that are not awaited.",
                hint="give an async iterator, or the whole text.",
            )
        await self._keep_later(call, _text(result))
        return result

    def _heard(self, call: _Call, source: Iterable[Any]) -> Generator[Any, None, None]:
        """The pieces; what was heard is kept at the end, or when nobody wants more."""
        spoken: list[str] = []
        try:
            for piece in source:
                spoken.append(_text(piece))
                yield piece
        except GeneratorExit:
            getattr(source, "close", lambda: None)()
            if spoken:
                self._keep(call, "".join(spoken))
            raise
        self._keep(call, "".join(spoken))

    async def _heard_later(self, call: _Call, source: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        spoken: list[str] = []
        try:
            async for piece in source:
                spoken.append(_text(piece))
                yield piece
        except GeneratorExit:
            closing = getattr(source, "aclose", getattr(source, "close", None))
            done = closing() if closing is not None else None
            if isinstance(done, Awaitable):
                await done
            if spoken:
                await self._keep_later(call, "".join(spoken))
            raise
        await self._keep_later(call, "".join(spoken))

    def _keep(self, call: _Call, answer: str) -> None:
        memory, (turns, used) = cast(Memory, self._memory), self._turns(call, answer)
        try:
            if turns:
                memory.remember(turns, **call.whose)
            if used:
                memory.reinforce(**used)
        except _FAILURES as error:
            _warn(error)

    async def _keep_later(self, call: _Call, answer: str) -> None:
        turns, used = self._turns(call, answer)
        try:
            if turns:
                await writing(self._memory, lambda memory: memory.remember(turns, **call.whose))
            if used:
                await writing(self._memory, lambda memory: memory.reinforce(**used))
        except _FAILURES as error:
            _warn(error)

    def _turns(self, call: _Call, answer: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What is to be remembered, and which notes were used; an answer goes with what it repeats."""
        used, answer = used_notes(answer, call.question, call.notes), answer.strip()
        turns: list[dict[str, Any]] = []
        if self._remember and call.spoken and call.question:
            turns.append({"role": "user", "content": call.question})
        if self._remember and answer:
            shown = {note.id: note.content for note in call.notes}
            told = [*(note.id for note in used), *rests_on(answer, {0: call.question} if turns else {}, shown)]
            turns.append({"role": "assistant", "content": answer, "derived_from": told})
        if not used:
            return turns, {}
        owner = {name: value for name, value in call.whose.items() if name != "session"}
        alone = len([m for m in call.messages if as_mapping(m)["role"] in ("user", "assistant")]) == 1
        # In a conversation a question may point to what was said before it, and be none by itself.
        asked = {"question": call.question, "answer": answer} if alone else {}
        return turns, {"hit": list(used), "or_gone": True, **owner, **asked}


def _name(which: str, value: Whose) -> str | None:
    if value is None or isinstance(value, str):
        return value
    told = value()
    if not isinstance(told, str) or not told:
        raise InvalidArgument(
            f"{which} is to be told at each call, and was {told!r:.80}.",
            hint=f"{which}=… must return a name, or raise.",
        )
    return told


def _with_notes(messages: Sequence[Any], block: str) -> list[Any]:
    """The messages with notes in the system message, which is made where there is none."""
    first = as_mapping(messages[0])
    if first["role"] not in ("system", "developer"):
        return [{"role": "system", "content": block}, *messages]
    content = first.get("content") or ""
    joined: Any = (
        f"{content}\n\n{block}".lstrip() if isinstance(content, str) else [*content, {"type": "text", "text": block}]
    )
    return [{**first, "content": joined}, *messages[1:]]


def _text(result: Any) -> str:
    """The words of an answer or of a piece of one; what calls a tool, or says nothing, has none."""
    if isinstance(result, str):
        return result
    if isinstance(told := _of(result, "output_text"), str):
        return told
    choices = _of(result, "choices")
    first = choices[0] if isinstance(choices, Sequence) and choices and not isinstance(choices, str) else result
    message = _of(first, "message") or _of(first, "delta") or first
    return words_of(_of(message, "content"))


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _warn(error: Exception) -> None:
    warnings.warn(f"What was said was not remembered: {error}", NotRemembered, stacklevel=3)


class _Pieces(Iterator[Any]):
    """A stream that is listened to: everything else of it is its own."""

    def __init__(self, source: Any, heard: Generator[Any, None, None]) -> None:
        self._source, self._heard = source, heard

    def __next__(self) -> Any:
        return next(self._heard)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nobody listens any more."""
        self._heard.close()
        getattr(self._source, "close", lambda: None)()  # of what was never begun

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


class _AsyncPieces(AsyncIterator[Any]):
    """The same of what is awaited."""

    def __init__(self, source: Any, heard: AsyncGenerator[Any, None]) -> None:
        self._source, self._heard = source, heard

    async def __anext__(self) -> Any:
        return await anext(self._heard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Nobody listens any more."""
        await self._heard.aclose()

    close = aclose

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)
