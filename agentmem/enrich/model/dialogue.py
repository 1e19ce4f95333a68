"""One question to a model: its answer is parsed and validated, and asked for again a bounded number of times."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agentmem.errors import InvalidAnswer
from agentmem.notes.protocols import LanguageModel, Message
from agentmem.notes.speaking import said

__all__ = ["OUTAGE", "Dialogue", "parsed"]

Shape = TypeVar("Shape", bound=BaseModel)
Offered = Mapping[tuple[str, str], int]
"""The pairs of a note and an earlier one that a model was asked about, by id, and how many things the earlier one states."""

RETRIES = 2
"""Times that a model is told what is wrong with its answer."""
OUTAGE = 2
"""Failures of the model itself, in a row, that end a run."""
_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
_SHOWN_AGAIN = 2000  # characters of a wrong answer that the model sees again
_MAX_PROBLEMS = 5


@dataclass(slots=True)
class Dialogue:
    """Asks ``llm``, and says what was wrong with an answer at most ``retries`` times; counts what it did."""

    llm: LanguageModel
    retries: int = RETRIES
    max_tokens: int = 512
    calls: int = field(default=0, init=False)
    retried: int = field(default=0, init=False)

    def ask(
        self,
        messages: Sequence[Message],
        shape: type[Shape],
        ids: Collection[str] = (),
        *,
        offered: Offered | None = None,
    ) -> Shape:
        """The answer as a ``shape``; ids in it must be among ``ids``, and pairs of them among those ``offered``.

        Raises:
            InvalidAnswer: the last answer was still not what was asked for; the message never quotes it.
            ModelError: the model could not be reached, or failed.
        """
        shown = list(messages)
        for left in range(self.retries, -1, -1):
            text = self._complete(shown)
            try:
                return parsed(text, shape, ids, offered=offered)
            except InvalidAnswer as error:
                if not left:
                    raise
                self.retried += 1
                shown = [*messages, *_correction(text, error, ids)]
        raise AssertionError  # retries is 0 or more

    def _complete(self, messages: Sequence[Message]) -> str:
        self.calls += 1
        return said(self.llm, messages, max_tokens=self.max_tokens)


def _correction(text: str, error: InvalidAnswer, ids: Collection[str]) -> list[Message]:
    known = f" The ids are: {', '.join(ids)}." if ids else ""
    wrong = f"That is not valid: {error.message}{known} Answer again, with one JSON object and nothing else."
    return [{"role": "assistant", "content": text[:_SHOWN_AGAIN] or "…"}, {"role": "user", "content": wrong}]


def parsed(text: str, shape: type[Shape], ids: Collection[str] = (), *, offered: Offered | None = None) -> Shape:
    """The first JSON object of ``text`` as a ``shape``.

    Raises:
        InvalidAnswer: there is none, or it does not fit; says where and why, without what the model wrote.
    """
    found = _THINKING.sub("", text)
    start = found.find("{")
    if start < 0:
        raise InvalidAnswer("there is no JSON object in the answer.", hint=_HINT)
    try:
        value, _ = json.JSONDecoder().raw_decode(found, start)
        return shape.model_validate(value, context={"ids": frozenset(ids), "offered": offered or {}})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:_MAX_PROBLEMS]
        told = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'the object'}: {p['msg']}" for p in problems)
        raise InvalidAnswer(f"{told}.", hint=_HINT) from error
    except (ValueError, RecursionError) as error:
        where = f" ({error.msg}, character {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidAnswer(f"the JSON cannot be read{where}.", hint=_HINT) from error


_HINT = "a larger model keeps to the form; the note stays as the rules left it, and enrich() tries again."
