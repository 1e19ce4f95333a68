"""Language models behind one small protocol: local ones, OpenAI-compatible servers, and any function.

``as_language_model`` takes what you have; ``load_model`` loads a causal language model from disk.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing
from pathlib import Path
from typing import Any

from agentmem.errors import InvalidArgument, MissingExtra, ModelError
from agentmem.llm.loading import load_model
from agentmem.llm.local_model import LocalModel
from agentmem.notes.messages import as_mapping
from agentmem.notes.protocols import LanguageModel, Message
from agentmem.notes.speaking import failures
from agentmem.runtime.awaiting import Waiter

__all__ = ["AsyncModel", "CallableModel", "LocalModel", "OpenAIModel", "as_language_model", "load_model"]


class OpenAIModel:
    """A chat model behind an OpenAI-compatible server: vLLM, Ollama, llama.cpp, LM Studio, a hosted one.

    Args:
        client: an ``openai.OpenAI`` or ``openai.AsyncOpenAI`` client, or the base URL of a server.
        model: the model's name on that server.
        api_key: for a URL; local servers usually need none.
        timeout: seconds per request, for a URL.
        token_limit: the parameter that limits the answer; newer hosted models want ``max_completion_tokens``.
    """

    def __init__(
        self,
        client: Any,
        model: str,
        *,
        api_key: str | None = None,
        timeout: float = 60.0,
        token_limit: str = "max_tokens",  # noqa: S107 - the name of a parameter
    ) -> None:
        self.client = _client(client, api_key, timeout) if isinstance(client, str) else client
        self.model = model
        self.token_limit = token_limit
        self._waiter = Waiter()

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> str:
        """The answer to ``messages``."""
        reply = self._create(messages, max_tokens, temperature, stop, stream=False)
        if not _choices(reply):
            raise ModelError("The server's answer has no choices.", hint=_NO_CHAT)
        message = getattr(_choices(reply)[0], "message", None)
        if message is None:
            raise ModelError("The server's answer has no message.", hint=_NO_CHAT)
        return _content(message).strip()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """The same answer, piece by piece."""
        chunks = self._create(messages, max_tokens, temperature, stop, stream=True)
        heard = False
        try:
            for chunk in self._guarded(chunks):
                heard = heard or hasattr(chunk, "choices")
                if piece := "".join(
                    _content(choice.delta) for choice in _choices(chunk)[:1] if hasattr(choice, "delta")
                ):
                    yield piece
            if not heard:
                raise ModelError("The server's answer is no stream of pieces.", hint=_NO_CHAT)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None and not isinstance(chunks, AsyncIterable):
                close()

    def reply(
        self, messages: Sequence[Message], *, max_tokens: int = 256, temperature: float = 0.0, **options: Any
    ) -> Mapping[str, Any]:
        """The whole message that answers, which may call tools; ``options`` (``tools``, ``tool_choice`` …) are the server's own."""
        answer = self._create(messages, max_tokens, temperature, (), stream=False, **options)
        message = getattr(_choices(answer)[0], "message", None) if _choices(answer) else None
        if message is None:
            raise ModelError("The server's answer has no message.", hint=_NO_CHAT)
        return as_mapping(message)

    def deltas(
        self, messages: Sequence[Message], *, max_tokens: int = 256, temperature: float = 0.0, **options: Any
    ) -> Generator[Mapping[str, Any], None, None]:
        """The same message in the pieces that the server sends, as mappings."""
        chunks = self._create(messages, max_tokens, temperature, (), stream=True, **options)
        try:
            for chunk in self._guarded(chunks):
                for choice in _choices(chunk)[:1]:
                    if (delta := getattr(choice, "delta", None)) is not None:
                        yield as_mapping(delta)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None and not isinstance(chunks, AsyncIterable):
                close()

    def _create(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        temperature: float,
        stop: Sequence[str],
        *,
        stream: bool,
        **more: Any,
    ) -> Any:
        options: dict[str, Any] = {self.token_limit: max_tokens, "temperature": temperature, "stream": stream, **more}
        if stop:
            options["stop"] = [stop] if isinstance(stop, str) else list(stop)
        try:
            said = [as_mapping(message) for message in messages]
            reply = self.client.chat.completions.create(model=self.model, messages=said, **options)
            return self._waiter.wait(reply) if isinstance(reply, Awaitable) else reply
        except Exception as error:
            raise _translated(error) from error

    def _guarded(self, chunks: Iterable[Any] | AsyncIterable[Any]) -> Iterator[Any]:
        try:
            yield from self._waiter.each(chunks) if isinstance(chunks, AsyncIterable) else chunks
        except GeneratorExit:
            raise
        except Exception as error:
            raise _translated(error) from error

    def __repr__(self) -> str:
        return f"OpenAIModel({self.model!r})"


class CallableModel:
    """A function from messages to an answer: text, or an iterable of pieces; also an async one.

    The function gets ``max_tokens``, ``temperature`` and ``stop`` as far as it has parameters of these names;
    the answer is cut at stop strings whether it heeds them or not.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self._takes = _option_names(fn)
        self._waiter = Waiter()

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> str:
        """The answer to ``messages``."""
        return "".join(self._pieces(messages, max_tokens, temperature, stop)).strip()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """The same answer, in the pieces that the function gives."""
        yield from self._pieces(messages, max_tokens, temperature, stop)

    def _pieces(
        self, messages: Sequence[Message], max_tokens: int, temperature: float, stop: Sequence[str]
    ) -> Iterator[str]:
        options = {"max_tokens": max_tokens, "temperature": temperature, "stop": stop}
        with failures():
            answer = self.fn(list(messages), **{k: v for k, v in options.items() if k in self._takes})
            if isinstance(answer, Awaitable):
                answer = self._waiter.wait(answer)
        if isinstance(answer, AsyncIterable):
            answer = self._waiter.each(answer)
        whole = [answer] if isinstance(answer, str) else answer
        if not isinstance(whole, Iterable) or isinstance(whole, bytes | Mapping):
            raise ModelError(
                f"The function returned {type(answer).__name__}, not text.",
                hint="return a str, or yield pieces.",
            )
        return _until([stop] if isinstance(stop, str) else stop, _texts(whole))

    def __repr__(self) -> str:
        return f"CallableModel({getattr(self.fn, '__name__', type(self.fn).__name__)})"


class AsyncModel:
    """A chat model whose ``complete`` is awaited, and whose ``stream`` is an async iterator of pieces."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._waiter = Waiter()

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> str:
        """The answer to ``messages``."""
        answer = self.model.complete(messages, max_tokens=max_tokens, temperature=temperature, stop=stop)
        text: str = self._waiter.wait(answer) if isinstance(answer, Awaitable) else answer
        return text

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """The same answer, piece by piece."""
        pieces = self.model.stream(messages, max_tokens=max_tokens, temperature=temperature, stop=stop)
        if isinstance(pieces, Awaitable):
            pieces = self._waiter.wait(pieces)
        yield from self._waiter.each(pieces) if isinstance(pieces, AsyncIterable) else pieces

    def __repr__(self) -> str:
        return f"AsyncModel({self.model!r})"


def as_language_model(obj: Any, tokenizer: Any = None, *, model: str | None = None) -> LanguageModel:
    """The chat model that ``obj`` means.

    Args:
        obj: a :class:`~agentmem.notes.protocols.LanguageModel`; a transformers model with ``tokenizer``, or the pair of
            them; a name or a path for :func:`load_model`; an OpenAI client with ``model``; a function. What is async may be any of the
            last three.
        tokenizer: of a transformers model.
        model: the model's name, for a client.
    """
    if isinstance(obj, str | Path):
        return LocalModel(*load_model(obj))
    if isinstance(obj, tuple) and len(obj) == 2:
        return LocalModel(*obj)
    if hasattr(obj, "generate") and hasattr(obj, "config"):
        return LocalModel(obj, tokenizer)
    if isinstance(obj, LanguageModel):
        awaited = inspect.iscoroutinefunction(obj.complete) or inspect.isasyncgenfunction(obj.stream)
        return AsyncModel(obj) if awaited else obj
    if hasattr(obj, "chat") and hasattr(obj.chat, "completions"):
        if model is None:
            raise InvalidArgument("Which model of the server?", hint='OpenAIModel(client, "name-of-the-model").')
        return OpenAIModel(obj, model)
    if callable(obj):
        return CallableModel(obj)
    raise InvalidArgument(
        f"A language model cannot be made from {type(obj).__name__}.",
        hint="pass a model with its tokenizer, a client, a name or path, or a function of messages.",
    )


def _client(base_url: str, api_key: str | None, timeout: float) -> Any:
    if not base_url.startswith(("http://", "https://")):
        raise InvalidArgument(f"{base_url!r} is no URL.", hint='give one such as "http://127.0.0.1:8000/v1".')
    try:
        from openai import OpenAI
    except ImportError as error:
        raise MissingExtra(
            "Talking to a server needs the openai client.",
            hint="install the `openai` extra: pip install openai",
        ) from error
    return OpenAI(base_url=base_url, api_key=api_key or "none", timeout=timeout)


_END = object()
_NO_CHAT = "is it a chat completions server, and does the base URL lead there (it usually ends in /v1)?"


def _choices(reply: object) -> Sequence[Any]:
    """What a server offers as its answer; the client hands over whatever it sent, unchecked."""
    found = getattr(reply, "choices", None)
    return found if isinstance(found, list | tuple) else ()


def _content(message: object) -> str:
    """The words of a message or of a piece of one; a call of a tool has none."""
    said = getattr(message, "content", None)
    if said is not None and not isinstance(said, str):
        raise ModelError(
            f"The server's answer is {type(said).__name__}, not text.",
            hint="choose a model or a server that answers in plain text.",
        )
    return said or ""


def _translated(error: Exception) -> Exception:
    """The openai client's errors as ours, and those of reading what is no JSON; anything else as it is."""
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return ModelError(
            f"The language model's server sent what cannot be read: {error}", hint="the server's log says more."
        )
    module = type(error).__module__.partition(".")[0]
    if module not in {"openai", "httpx", "httpx2", "httpcore", "httpcore2"}:
        return error
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        hint = "check the API key."
    elif status == 404:
        hint = "check the base URL (it usually ends in /v1) and the model's name."
    elif status == 429:
        hint = "the server wants fewer requests; try again later."
    elif status is not None:
        hint = "the server refused the request; its log says more."
    else:
        hint = "is the server running, and the base URL right?"
    return ModelError(f"The language model's server failed: {error}", hint=hint)


def _option_names(fn: Callable[..., Any]) -> frozenset[str]:
    names = frozenset({"max_tokens", "temperature", "stop"})
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # some built-ins have no signature
        return frozenset()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return names
    return names & {p.name for p in parameters}


def _texts(pieces: Iterable[object]) -> Generator[str, None, None]:
    """The pieces, each checked; a server's last delta is often ``None``, which says nothing."""
    with failures():
        source = iter(pieces)
    try:
        while True:
            with failures():
                piece = next(source, _END)
            if piece is _END:
                return
            if piece is not None and not isinstance(piece, str):
                raise ModelError(
                    f"The function yielded {type(piece).__name__}, not text.", hint="yield the text of each chunk."
                )
            if isinstance(piece, str):
                yield piece
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()


def _until(stops: Sequence[str], pieces: Generator[str, None, None]) -> Iterator[str]:
    """``pieces`` up to the first stop string, which may lie across two of them."""
    wanted = [s for s in stops if s]
    keep = max((len(s) for s in wanted), default=1) - 1
    held = ""
    with closing(pieces) as source:
        for piece in source:
            held += piece
            found = [at for s in wanted if (at := held.find(s)) >= 0]
            if found:
                if min(found):
                    yield held[: min(found)]
                return
            if len(held) > keep:
                yield held[: len(held) - keep]
                held = held[len(held) - keep :]
    if held:
        yield held
