"""A transformers causal language model as a chat model, one request at a time.

Answers go through ``model.generate`` in the caller's own context, so that hooks on the model (agentmem's editors
among them) see the request they were prepared for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any

from agentmem.errors import InvalidArgument, ModelError, NoChatTemplate, PromptTooLong
from agentmem.llm.placement import device_of
from agentmem.llm.speculation import Prefilled, ReadPrompt
from agentmem.llm.tokenizing import PromptEncoder, conversational, is_plain
from agentmem.notes.messages import plain_messages
from agentmem.notes.protocols import Message
from agentmem.runtime.forks import at_fork

__all__ = ["LocalModel", "context_length"]

_UNFINISHED = "\ufffd"


class LocalModel:
    """A :class:`~agentmem.notes.protocols.LanguageModel` over a loaded model and its tokenizer.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        plain: write ``User: …`` and ``Assistant:`` line by line, whatever chat template there is. By default only when there
            is none, as with base models that were never trained to chat; with false such a model is refused.
        seed: makes sampled answers (``temperature > 0``) repeatable, without touching the global generator.
    """

    def __init__(self, model: Any, tokenizer: Any, *, plain: bool | None = None, seed: int | None = None) -> None:
        if tokenizer is None:
            raise InvalidArgument("A local model needs its tokenizer.", hint="LocalModel(model, tokenizer).")
        self.model = model
        self.tokenizer = conversational(tokenizer, plain)
        self.plain = is_plain(self.tokenizer)
        self.seed = seed
        self._encoder = PromptEncoder(self.tokenizer)
        self._lock = threading.RLock()
        self._stranded = ""
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """In a forked child."""
        from agentmem.runtime.forked_torch import stranded

        self._lock = threading.RLock()
        self._stranded = stranded(self.model)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> str:
        """The answer to ``messages``, without the stop string that ended it; greedy unless ``temperature`` is set."""
        answer = _Answer(self.tokenizer, self._stops(stop))
        self._generate(messages, answer, max_tokens, temperature)
        return answer.text.strip()

    def prefill(self, messages: Sequence[Message], *, max_tokens: int = 256, stop: Sequence[str] = ()) -> Prefilled:
        """Let the model read ``messages``, and decide then whether it answers: what hooks on it make of a question shows meanwhile."""
        ids, options = self._prepared(messages, max_tokens, 0.0)
        with self._at_work(0.0):
            reading = ReadPrompt(self.model, ids)

        def answer(draft: str) -> str:
            found = _Answer(self.tokenizer, self._stops(stop))
            with self._at_work(0.0):
                if ReadPrompt.fits(self.model):
                    self._finish(messages, reading, found, draft, **options)
                else:  # its first choice may be none that this checkpoint's ``generate`` makes
                    self._continue(ids, found, **options)
            return found.text.strip()

        return Prefilled(answer)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """The same answer, piece by piece; closing the iterator stops the model after its current token."""
        pieces: SimpleQueue[str | BaseException | None] = SimpleQueue()
        answer = _Answer(self.tokenizer, self._stops(stop), pieces.put)
        context = copy_context()

        def work() -> None:
            try:
                context.run(self._generate, messages, answer, max_tokens, temperature)
                pieces.put(None)
            except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
                pieces.put(error)

        worker = threading.Thread(target=work, name="agentmem-stream", daemon=True)
        worker.start()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            answer.cancelled = True
            worker.join()
            _adopt(context)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text alone."""
        return len(self._encoder.text(text))

    def count_prompt(self, messages: Sequence[Message]) -> int:
        """Tokens that the model reads for ``messages``, the template's own included."""
        return len(self._prompt(messages))

    def prompt(self, messages: Sequence[Message]) -> str:
        """What the model is given for ``messages``, as text."""
        return str(self.tokenizer.decode(self._prompt(messages)))

    def _prompt(self, messages: Sequence[Message]) -> list[int]:
        said = _checked(messages)
        if not getattr(self.tokenizer, "chat_template", None):
            raise NoChatTemplate(
                "Messages were given to a tokenizer that has no chat template.",
                hint="plain=True writes the turns out; or use the model's chat variant, or set tokenizer.chat_template.",
            )
        from jinja2 import TemplateError

        try:
            return self._encoder.chat(said, opened=True)
        except TemplateError as error:
            try:
                return self._encoder.chat(_without_system(said), opened=True)
            except TemplateError:
                raise ModelError(
                    f"The model's chat template refuses these messages: {error}",
                    hint="most templates want user and assistant turns in alternation, the user first.",
                ) from error

    def _stops(self, stop: Sequence[str]) -> tuple[str, ...]:
        stops = (stop,) if isinstance(stop, str) else tuple(stop)
        return (*stops, "\nUser:", "\nAssistant:") if self.plain else stops

    def _generate(
        self,
        messages: Sequence[Message],
        answer: _Answer,
        max_tokens: int,
        temperature: float,
    ) -> None:
        ids, options = self._prepared(messages, max_tokens, temperature)
        with self._at_work(temperature):
            self._continue(ids, answer, **options)

    def _prepared(
        self, messages: Sequence[Message], max_tokens: int, temperature: float
    ) -> tuple[list[int], dict[str, Any]]:
        """The tokens of a prompt, and how to generate behind it."""
        if max_tokens < 1:
            raise InvalidArgument(f"max_tokens is {max_tokens}.", hint="use 1 or more.")
        if temperature < 0:
            raise InvalidArgument(f"temperature is {temperature}.", hint="use 0 for greedy answers, or up to about 1.")
        ids = self._prompt(messages)
        room = self._room(len(ids))
        options = self._options(min(max_tokens, room), temperature)
        if self._stranded:
            raise ModelError(
                self._stranded, hint="load the model in the child, or start it with multiprocessing's 'spawn'."
            )
        return ids, options

    @contextmanager
    def _at_work(self, temperature: float) -> Iterator[None]:
        """The model for oneself, as one that answers."""
        with self._lock, self._seeded(temperature), _evaluating(self.model):
            yield

    def _continue(self, ids: Sequence[int], answer: _Answer, **options: Any) -> None:
        """Let ``generate`` write behind ``ids``."""
        import torch

        answer.skip = answer.skip or len(ids)  # the answer's first tokens may be there already
        tokens = torch.tensor([list(ids)], device=device_of(self.model))
        self.model.generate(tokens, attention_mask=torch.ones_like(tokens), stopping_criteria=[answer], **options)
        answer.finish()

    def _finish(
        self, messages: Sequence[Message], reading: ReadPrompt, answer: _Answer, draft: str, *, generation_config: Any
    ) -> None:
        """Let ``generate`` write what no draft has answered."""
        ends, room = generation_config.eos_token_id or (), generation_config.max_new_tokens
        if draft:
            reading.check(self._drafted(messages, reading.ids, draft, ends)[:room])
        answer.skip = len(reading.ids)
        generation_config.max_new_tokens = room - len(reading.tokens)
        if answer.take(reading.tokens) or reading.tokens[-1] in ends or generation_config.max_new_tokens <= 0:
            answer.finish()
            return
        cache = {"past_key_values": reading.cache} if reading.cache is not None else {}
        self._continue([*reading.ids, *reading.tokens], answer, generation_config=generation_config, **cache)

    def _drafted(self, messages: Sequence[Message], ids: list[int], text: str, ends: Sequence[int]) -> list[int]:
        """The tokens of ``text`` as the template writes an answer, up to the one that ends it."""
        from jinja2 import TemplateError

        said = [*_checked(messages), {"role": "assistant", "content": text}]
        try:
            tokens = self._encoder.chat(said)
        except (TemplateError, ModelError):
            return []
        drafted = tokens[len(ids) :] if tokens[: len(ids)] == ids else []
        end = next((i + 1 for i, token in enumerate(drafted) if token in ends), len(drafted))
        return drafted[:end]

    def _options(self, max_tokens: int, temperature: float) -> dict[str, Any]:
        from transformers import GenerationConfig

        own = getattr(self.model, "generation_config", None)
        ends = _ids(getattr(own, "eos_token_id", None)) | _ids(self.tokenizer.eos_token_id)
        pad = self.tokenizer.pad_token_id
        # What is not set here comes from the checkpoint: top_p and top_k are its authors' advice when sampling, but a
        # greedy answer must be the model's first choice, token by token.
        greedy = {"do_sample": False, "temperature": 1.0, "top_p": 1.0, "top_k": 50}
        config = GenerationConfig(
            max_new_tokens=max_tokens,
            num_beams=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            eos_token_id=sorted(ends) or None,
            pad_token_id=pad if pad is not None else min(ends, default=0),
            **({"do_sample": True, "temperature": temperature} if temperature > 0 else greedy),
        )
        return {"generation_config": config}

    def _room(self, prompt: int) -> int:
        """Tokens left after a prompt in the model's context."""
        limit = context_length(self.model)
        if limit is None:
            return 1 << 30
        if prompt >= limit:
            raise PromptTooLong(
                f"The prompt has {prompt} tokens; the model reads at most {limit}.",
                hint="recall fewer notes (k=, context_tokens=), or shorten the conversation.",
            )
        return limit - prompt

    @contextmanager
    def _seeded(self, temperature: float) -> Iterator[None]:
        if self.seed is None or temperature == 0:
            yield
            return
        import torch

        device = device_of(self.model)
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(self.seed)
            yield

    def __repr__(self) -> str:
        return f"LocalModel({type(self.model).__name__})"


def context_length(model: Any) -> int | None:
    """How many tokens a transformers model reads at most; ``None`` when its config names no limit."""
    config = getattr(model, "config", None)
    names = ("max_position_embeddings", "n_positions", "max_seq_len")
    limit = next((found for name in names if (found := getattr(config, name, None))), None)
    return None if limit is None or limit < 0 else int(limit)


class _Answer:
    """Collects the generated tokens as text, stops at stop strings, and hands out what cannot change any more.

    It is called by ``generate`` after each token, as a stopping criterion.
    """

    def __init__(
        self,
        tokenizer: Any,
        stops: tuple[str, ...],
        emit: Callable[[str], None] | None = None,
    ) -> None:
        self.text = ""
        self.skip = 0
        self.cancelled = False
        self._tokenizer = tokenizer
        self._stops = tuple(s for s in stops if s)
        self._emit = emit
        self._sent = 0
        self._ids: list[int] = []

    def __call__(self, input_ids: Any, _scores: Any, **_: Any) -> Any:
        import torch

        stopped = self.take(input_ids[0, self.skip :].tolist())
        return torch.tensor([stopped or self.cancelled], device=input_ids.device)

    def take(self, ids: list[int]) -> bool:
        """Note the answer's tokens so far; true when a stop string has come."""
        self._ids = ids
        if not self._stops and self._emit is None:
            return False
        self.text, stopped = self._read()
        self._hand_out(self.text if stopped else self._safe_part())
        return stopped

    def finish(self) -> None:
        """Read everything once more, now that no token can follow."""
        self.text, _ = self._read()
        self._hand_out(self.text)

    def _read(self) -> tuple[str, bool]:
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        return (text[: min(found)], True) if found else (text, False)

    def _safe_part(self) -> str:
        """The text without an unfinished character and without what may become a stop string."""
        text = self.text.rstrip(_UNFINISHED)
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        return text[: len(text) - held]

    def _hand_out(self, text: str) -> None:
        """Emit what is new, without the white space at both ends that a complete answer does not have either."""
        start = max(self._sent, len(text) - len(text.lstrip()))
        end = len(text.rstrip())
        if self._emit is not None and end > start:
            self._emit(text[start:end])
            self._sent = end


def _checked(messages: Sequence[Message]) -> list[Message]:
    if isinstance(messages, str) or not messages:
        raise InvalidArgument("A chat model was given no messages.", hint='pass [{"role": "user", "content": "…"}].')
    return plain_messages(messages)


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """For templates that know no system role: what the system says opens the first user message, or is one."""
    system = [m["content"] for m in messages if m["role"] == "system"]
    others = [m for m in messages if m["role"] != "system"]
    if system and others:
        others[0] = {**others[0], "content": "\n\n".join([*system, others[0]["content"]])}
    return others or [{"role": "user", "content": "\n\n".join(system)}]


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Dropout off, and every module back as it was; a walk to look is cheaper than two to set what is set."""
    training = [module for module in model.modules() if module.training]
    if training:
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _overlap(text: str, stop: str) -> int:
    """How many last characters of ``text`` are the beginning of ``stop``."""
    return next((n for n in range(min(len(text), len(stop)), 0, -1) if text.endswith(stop[:n])), 0)


def _ids(value: Any) -> set[int]:
    if value is None:
        return set()
    return {int(value)} if isinstance(value, int) else {int(v) for v in value}


def _adopt(context: Context) -> None:
    """Set the variables that a copied context changed, as if its work had been done here."""
    for variable, value in context.items():
        if variable.get(None) is not value:
            variable.set(value)
