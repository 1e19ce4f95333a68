"""Finding the last token of the subject in a rendered prompt, whatever the tokenizer or the template."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentmem.editors.background import guess_subject
from agentmem.editors.prompts import Renderer
from agentmem.errors import InvalidArgument

__all__ = ["LocatedPrompt", "locate", "subject_of"]


@dataclass(frozen=True, slots=True)
class LocatedPrompt:
    """A rendered prompt cut after its subject.

    Attributes:
        head: ids up to and including the subject's last token, where the key is read.
        rest: the ids of the prompt that follow.
    """

    head: tuple[int, ...]
    rest: tuple[int, ...]


def subject_of(prompt: str, subject: str | None) -> str:
    """The subject given, or the longest run of capitalised words.

    Raises:
        InvalidArgument: there is none, or it does not stand in the prompt.
    """
    name = (subject or guess_subject(prompt)).strip()
    if not name:
        raise InvalidArgument(
            f"No subject was found in {prompt!r}.",
            hint="EditRequest(…, subject=…) names the entity it is about.",
        )
    if _end(prompt, name) < 0:
        raise InvalidArgument(
            f"The subject {name!r} does not stand in the prompt {prompt!r}.",
            hint="name it as it is written in the prompt, or leave subject=None.",
        )
    return name


def locate(renderer: Renderer, prompt: str, subject: str, *, before: str = "") -> LocatedPrompt:
    """Cut a prompt after the last token of its subject's last mention.

    The head is the shortest run of tokens that shows the prompt up to there, so a token that holds the subject's
    end together with what follows counts as the subject's, and a template may write what it likes around it.

    Args:
        before: a text to put in front.

    Raises:
        InvalidArgument: the rendered prompt does not show the subject.
    """
    text = f"{before} {prompt}" if before else prompt
    end = _end(text, subject)
    if end < 0:
        raise InvalidArgument(f"{subject!r} does not stand in {text!r}.", hint="name the subject as it is written.")
    whole, wanted = renderer.prompt(text), _loose(text[:end])
    shown = (n for n in range(1, len(whole) + 1) if wanted in _loose(str(renderer.tokenizer.decode(whole[:n]))))
    size = next(shown, 0)
    if not size:
        raise InvalidArgument(
            f"The rendered prompt does not show {subject!r} as it was given.",
            hint="use other words, or chat=False.",
        )
    return LocatedPrompt(whole[:size], whole[size:])


def _end(text: str, subject: str) -> int:
    """Where the last mention ends; a mention as whole words is better than one inside a word. -1 for none."""
    whole = list(re.finditer(rf"(?<!\w){re.escape(subject)}(?!\w)", text))
    at = whole[-1].start() if whole else text.rfind(subject)
    return at + len(subject) if at >= 0 else -1


def _loose(text: str) -> str:
    """Decoding may add or lose spaces."""
    return "".join(text.split())
