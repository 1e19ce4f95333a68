"""Which notes a clause is answered from, and, where none can answer it, why not and what is known instead."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agentmem.ask.answer import Why, has_number
from agentmem.ask.bearing import Bearing, Likeness, bearings, holding, related, takes_back, tells_besides
from agentmem.ask.clauses import Clause, in_english
from agentmem.ask.present import about_others, informs, presentable, without_namesakes
from agentmem.extract.english import ENGLISH
from agentmem.extract.english.names import compare, named
from agentmem.extract.languages import LANGUAGES
from agentmem.extract.lexicon import GRAMMAR, grammar
from agentmem.notes.note import Hit, Note
from agentmem.recall.result import Recollection

__all__ = ["Sifted", "of_context", "sift"]

_WIDTH = 2  # times as many notes as are shown are compared by meaning
_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sifted:
    """The notes to answer from; with ``why``, none can answer. ``instead`` is what is known where it comes to no answer.

    What is another's, or of another matter, a model may still know by itself.

    ``about`` is whom they are about where the clause spells the name otherwise, or whom ``instead`` is about.
    """

    found: Recollection
    why: Why = ""
    instead: tuple[Note, ...] = ()
    about: str = ""

    @property
    def is_final(self) -> bool:
        """Whether a model need not be asked: what it were to say of itself would be what the notes say is over, or is not so."""
        return self.why in ("over", "not over")


def of_context(clause: Clause, said: str) -> bool:
    """Whether a clause may be about what was said around it, in earlier turns or a system prompt, so that notes do not tell whom it means."""
    if not said:
        return False
    who = named(clause)
    names = (*who.names, *who.places)
    return any(compare(name, said).likeness == "same" for name in names) or not (names or who.kin or who.asker)


def sift(
    clause: Clause,
    found: Recollection,
    k: int,
    now: datetime,
    *,
    shown: Collection[str] = (),
    unnamed: float = 0.0,
    unrelated: float = 0.0,
    likeness: Likeness | None = None,
    asker: str | None = None,
) -> Sifted:
    """The best ``k`` hits that a clause can be answered from, or why there are none.

    Args:
        now: the moment that is asked about.
        shown, unnamed: as for :func:`agentmem.ask.present.presentable`.
        unrelated, likeness, asker: as for :func:`agentmem.ask.bearing.related` and :func:`agentmem.ask.bearing.bearings`.
    """
    if not clause.asks:
        return Sifted(presentable(found, k, shown=shown, unnamed=unnamed))
    hits = [hit for hit in found.hits if hit.note.id not in shown and informs(hit.note)]
    said = bearings(clause, hits, now, asker=asker)
    if _elsewhere(clause, hits):  # another number is another thing in any language
        same = [b.hit for b in said if not (b.near and any(c.isdigit() for c in b.name))]
        return Sifted(_with(found, same[:k]))
    open_ones = [b for b in said if b.whose != "other"]
    ours = open_ones[: _WIDTH * k]
    mine = related(clause, ours, likeness, unrelated)
    mine = _named(clause, mine, unnamed)
    able = mine if clause.kind in ("whether", "reason") else holding(mine, clause)
    able, rest = _in_force(able, open_ones, clause)
    if rest:
        return Sifted(_with(found, ()), "over", tuple(b.note for b in rest))
    if clause.kind == "number":
        able = [b for b in able if has_number(b.note.content)] or able
    if able:
        chosen = [b.hit for b in able][:k]
        chosen = without_namesakes(clause.text, chosen) if unnamed else chosen
        about = next((b.name for b in able[:k] if b.name), "")
        own = tuple(b.note for b in able[:k] if b.whose == "own")
        return Sifted(_with(found, chosen, past=clause.sense != "holds"), instead=own, about=about)
    if mine:
        return Sifted(_with(found, ()), "over" if clause.sense == "holds" else "not over", tuple(b.note for b in mine))
    near = related(clause, [b for b in said if b.whose == "other" and b.near][:k], likeness, unrelated)
    if near:
        name = near[0].name
        return Sifted(_with(found, ()), "another's", tuple(b.note for b in near if b.name == name), name)
    known = tuple(b.note for b in ours if b.whose == "own" and not b.over)
    return Sifted(_with(found, ()), "untold" if known else "", known)


def _in_force(able: list[Bearing], said: Sequence[Bearing], clause: Clause) -> tuple[list[Bearing], list[Bearing]]:
    """The notes that can answer without those that a later one takes back, with that in their place where it says what is so instead;
    and those that take back all that there is.
    """
    if clause.sense != "holds" or clause.kind in ("whether", "reason"):
        return able, []
    against = [[other for other in said if takes_back(other.note, b.note, clause.text)] for b in able]
    left = [b for b, others in zip(able, against, strict=True) if not others]
    gone = [b for b, others in zip(able, against, strict=True) if others]
    by = [b for b in said if any(b in others for others in against)]
    instead = [b for b in by if b not in left and any(tells_besides(b.note, old.note, clause.text) for old in gone)]
    return [*instead, *left], [] if instead or left else by


def _elsewhere(clause: Clause, hits: Sequence[Hit]) -> bool:
    """Whether a question and the note that fits it best are in another language than English, of which the rules of what bears on what are.

    There a capital may be any noun's, and the embedder reads little: what recall found is what there is.
    """
    if not hits or in_english(clause):
        return False
    best = hits[0].note.content
    return grammar(best) < GRAMMAR or ENGLISH not in LANGUAGES.of(best)


def _named(clause: Clause, mine: list[Bearing], unnamed: float) -> list[Bearing]:
    """None, where the question names somebody whom none of these notes mentions, and none comes near it either."""
    hits = [b.hit for b in mine]
    nearest = max((hit.reasons.get("semantic", 0.0) for hit in hits), default=0.0)
    if any(b.name for b in mine) or nearest >= unnamed or not about_others(clause.text, hits):
        return mine
    return []


def _with(found: Recollection, hits: Sequence[Hit], *, past: bool = False) -> Recollection:
    return replace(found, hits=tuple(hits), at=_ALWAYS if past else found.at)
