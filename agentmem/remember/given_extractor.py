"""A caller's own extractor, whose answers are checked like facts that a caller gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agentmem.errors import AgentMemError, InvalidArgument, InvalidNote
from agentmem.extract import LANGUAGES, MOST_FACTS, Extractor, Said
from agentmem.remember.given_facts import endings, facts_given

__all__ = ["CheckedExtractor", "reader_of"]

_CURE: Final = (
    "said(text, actor) returns Said(facts, ended); remember(…, facts=False) stores this text without asking it."
)


class CheckedExtractor:
    """Hands on what another extractor reads, once it is known to be facts and endings.

    Raises:
        InvalidNote: it failed, or returned something else; the text is not stored.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor

    def said(self, text: str, actor: str | None = None) -> Said:
        """See :class:`~agentmem.extract.Extractor`."""
        try:
            return _checked(self._extractor.said(text, actor))
        except AgentMemError as error:
            raise InvalidNote(f"The extractor gave something else than facts: {error.message}", hint=_CURE) from error
        except Exception as error:
            raise InvalidNote(f"The extractor failed: {type(error).__name__}: {error}", hint=_CURE) from error


def _checked(found: object) -> Said:
    if not isinstance(found, Said):
        raise InvalidArgument(f"said() returned {type(found).__name__}.", hint=_CURE)
    facts = [replace(fact, ended_by=None) for fact in found.facts[:MOST_FACTS]]
    return Said(facts_given(None, facts) if facts else (), endings(found.ended or None))


def reader_of(extractor: Extractor | None) -> Extractor:
    """What reads the facts of a memory: the rules of the languages that come with it, unless a caller brings something else."""
    if extractor is None:
        return LANGUAGES
    if not isinstance(extractor, Extractor):
        raise InvalidArgument(
            f"extractor must have a method said(text, actor), not be a {type(extractor).__name__}.",
            hint="see agentmem.extract.Extractor; without one the rules that come with agentmem read facts.",
        )
    return CheckedExtractor(extractor)
