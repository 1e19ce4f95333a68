"""Where attention should look while a note is read: lessons for single heads, besides the loss of the answers.

Reading a note takes several steps, none of which pays before the others are there, so that a small model finds them late or
never. What a training chat says is known, so each step is taught by itself (attention supervision: Liu et al. 2016, "Neural
machine translation with supervised attention"; here for one or two heads each):

- the end of a note, and the place where an answer begins, look at the name that the note or the question is about;
- the end of a note looks at the note's value, and could say how an answer with it would begin;
- the place where an answer begins looks at the end of the note that answers, or at the start of the chat if none does;
- inside an answer, each token looks at what followed it in the note.

So every note is read at its end, wherever in it the value stands. A model with further layers, which is to read notes of any shape,
is taught more: values of many tokens are looked at where they begin, for an average of twenty tokens says of none that it is the first;
and the end of a note, and the place where an answer begins, look at the words that tell what matter it is, for there are many of one name.
Some notes tell several values; which one is asked for is not known at their end. So the place where an answer begins looks in the last layer
at where the value begins that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from agentmem.extract.lexicon import STOPWORDS

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

    from benchmarks.small_model.corpus import Stated, Turn

__all__ = ["LESSONS", "SAYING", "WEIGHTS", "Guide", "Guides", "Heard", "Marker", "lesson_losses", "listening"]

SUBJECT, VALUE, READER, COPY, MATTER, FOUND, SAYING = range(7)
LESSONS = 7
Heads = Mapping[int, tuple[tuple[int, int], ...]]
# Layers and heads that learn a lesson; the last lesson has none: it asks what is known before a layer.
_HEADS: Heads = {SUBJECT: ((1, 0),), VALUE: ((1, 1),), READER: ((3, 0),), COPY: ((3, 1),)}
_SAID_BEFORE = (3,)
_FURTHER: Heads = {
    SUBJECT: ((1, 0), (2, 1), (4, 1)),
    VALUE: ((1, 1), (3, 2), (4, 2)),
    READER: ((3, 0), (5, 0)),
    COPY: ((3, 1), (5, 1), (6, 1)),
    MATTER: ((2, 0), (4, 0)),
    FOUND: ((6, 0),),
}
_SAID_BEFORE_FURTHER = (3, 5)
_LAYERS = 5  # of a model that has no further ones
# What the mean loss of each lesson counts beside the mean loss of the answers.
WEIGHTS = (0.1, 0.1, 0.2, 0.1, 0.1, 0.1, 0.1)
# So many tokens are looked at by one query at most.
_MOST = 8
_WORD = re.compile(r"[^\W\d_]{3,}")
_SELF = re.compile(r"\b(?:I|my|me|mine|am I|My)\b")

Span = tuple[int, int]


class Guide(NamedTuple):
    """What one query should look at.

    Attributes:
        query: The token that looks.
        lesson: Which lesson this is of.
        targets: The tokens to look at, in equal shares; for `SAYING` the number of the token to say.
    """

    query: int
    lesson: int
    targets: tuple[int, ...]

    def moved(self, by: int) -> Guide:
        """Return the guide for a chat that starts ``by`` tokens later."""
        targets = self.targets if self.lesson == SAYING else tuple(by + target for target in self.targets)
        return Guide(by + self.query, self.lesson, targets)


@dataclass(frozen=True)
class _Read:
    """The tokens of a message: ``ids``, where each stands in the text, and the number of the first in the chat."""

    text: str
    ids: Sequence[int]
    offsets: Sequence[Span]
    start: int

    def tokens(self, span: Span | None) -> list[int]:
        """Return the tokens that a part of the text reaches into."""
        if span is None:
            return []
        return [self.start + i for i, (a, b) in enumerate(self.offsets) if a < span[1] and b > span[0]]

    def find(self, part: str, start: int, stop: int) -> Span | None:
        """Find the first mention of ``part``, as it stands or else in other capitals."""
        at = self.text.find(part, start, stop)
        if at < 0:
            at = self.text.lower().find(part.lower(), start, stop)
        return (at, at + len(part)) if part and at >= 0 else None

    def matter(self, start: int, stop: int, *known: Span | None) -> list[int]:
        """Return how the words of a part begin that tell what matter it is: neither little words nor any of what is ``known``."""
        spans = [span for span in known if span is not None]
        found: list[int] = []
        for match in _WORD.finditer(self.text, start, stop):
            apart = all(match.end() <= a or match.start() >= b for a, b in spans)
            if apart and match[0].casefold() not in STOPWORDS:
                found += self.tokens(match.span())[:2]
        return found

    def last_mention(self, name: str, myself: str) -> Span | None:
        """Find the last mention of ``name``; of ``myself`` it is a word by which a speaker means themselves."""
        if name == myself:
            return self.speaker(0, len(self.text))
        at = self.text.rfind(name)
        return (at, at + len(name)) if name and at >= 0 else None

    def speaker(self, start: int, stop: int) -> Span | None:
        """Find the last word by which a speaker means themselves, in the last line of a part."""
        line = max(start, self.text.rfind("\n", start, stop) + 1)
        found = [match.span() for match in _SELF.finditer(self.text, line, stop)]
        return found[-1] if found else None


@dataclass
class Marker:
    """Follows a chat message by message and collects guides; tokens are counted from the chat's start.

    Attributes:
        first_token: Gives the token that an answer of some value begins with.
        myself: How the user is called as a subject.
        guides: What was collected.
    """

    first_token: Callable[[str], int]
    myself: str
    guides: list[Guide] = field(default_factory=list)
    _notes: dict[tuple[str, str], tuple[int, list[int]]] = field(default_factory=dict)
    _named: list[int] = field(default_factory=list)
    _asked: list[int] = field(default_factory=list)
    _heard: _Read | None = None

    def read(self, turn: Turn, ids: Sequence[int], offsets: Sequence[Span], start: int) -> None:
        """Take in a message whose content, behind a space, has these tokens from ``start`` on."""
        read, cursor = _Read(f" {turn.content}", ids, offsets, start), 0
        for stated in turn.stated:
            cursor = self._state(stated, read, cursor)
        if turn.role == "user":
            named = read.last_mention(turn.named, self.myself)
            self._named, self._heard = read.tokens(named), read
            self._asked = read.matter(read.text.rfind("\n") + 1, len(read.text), named)
        elif turn.role == "assistant":
            self._answer(turn, read)

    def _state(self, stated: Stated, read: _Read, cursor: int) -> int:
        at = read.text.find(stated.text, cursor)
        if at < 0:
            return cursor
        stop = at + len(stated.text)
        line = read.text.rfind("\n", 0, at) + 1
        # Whoever speaks of themselves is named in front of the note.
        name = read.find(stated.name, at, stop) or read.find(stated.name, line, at)
        if name is None and stated.name == self.myself:
            name = read.speaker(at, stop)
        end = read.tokens((stop - 1, stop))[-1]
        places = {key: read.find(value, at, stop) for key, value in ((stated.key, stated.value), *stated.also)}
        self._look(end, SUBJECT, read.tokens(name))
        self._look(end, MATTER, read.matter(at, stop, name, *places.values()))
        for key, place in places.items():
            self._notes[key] = (end, read.tokens(place))
        values = self._notes[stated.key][1]
        if values and not stated.also:
            self._look(end, VALUE, values)
            self.guides.append(Guide(end, SAYING, (self.first_token(stated.value),)))
        return stop

    def _answer(self, turn: Turn, read: _Read) -> None:
        if turn.sought is not None:
            self._look(read.start - 1, SUBJECT, self._named)
            self._look(read.start - 1, MATTER, self._asked)
            if self._notes:
                end, values = self._notes.get(turn.sought, (0, []))
                self._look(read.start - 1, READER, [end])
                self._look(read.start - 1, FOUND, values[:1])
                self._copy(read, values)
        if turn.copied and self._heard is not None:
            self._copy(read, _occurrence(read.ids, self._heard))

    def _copy(self, read: _Read, source: Sequence[int]) -> None:
        for i in range(1, min(len(read.ids), len(source))):
            self._look(read.start + i - 1, COPY, [source[i]])

    def _look(self, query: int, lesson: int, targets: Sequence[int]) -> None:
        if targets:
            self.guides.append(Guide(query, lesson, tuple(targets[:_MOST])))


def _occurrence(ids: Sequence[int], heard: _Read) -> range:
    """Return the tokens of a message that are ``ids``; none if they are not there."""
    for first in range(len(heard.ids) - len(ids) + 1):
        if list(heard.ids[first : first + len(ids)]) == list(ids):
            return range(heard.start + first, heard.start + first + len(ids))
    return range(0)


@dataclass(frozen=True)
class Guides:
    """The guides of many rows.

    Attributes:
        places: Row, query and lesson of each, shape `(n, 3)`.
        targets: What to look at, shape `(n, 8)`, filled up with -1.
    """

    places: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[Guide]]) -> Guides:
        """Gather the guides of each row."""
        flat = [(row, guide) for row, guides in enumerate(rows) for guide in guides]
        places = [(row, guide.query, guide.lesson) for row, guide in flat]
        targets = [guide.targets + (-1,) * (_MOST - len(guide.targets)) for _, guide in flat]
        return cls(
            torch.tensor(places, dtype=torch.long).reshape(-1, 3),
            torch.tensor(targets, dtype=torch.long).reshape(-1, _MOST),
        )

    def part(self, start: int, stop: int) -> Guides:
        """Return those of the rows from ``start`` to ``stop``."""
        inside = (self.places[:, 0] >= start) & (self.places[:, 0] < stop)
        return Guides(self.places[inside] - torch.tensor([start, 0, 0]), self.targets[inside])

    def lesson(self, lesson: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows `(m,)`, queries `(m,)` and targets `(m, 8)` of a lesson."""
        chosen = self.places[:, 2] == lesson
        return self.places[chosen, 0], self.places[chosen, 1], self.targets[chosen]

    def counts(self) -> torch.Tensor:
        """Return how many there are of each lesson, at least one, shape `(LESSONS,)`."""
        return torch.bincount(self.places[:, 2], minlength=LESSONS).clamp(min=1)


@dataclass(frozen=True)
class Heard:
    """What a forward pass of some rows gave to the layers that are taught.

    Attributes:
        streams: The residual stream before each layer, `(rows, length, width)`.
        read: The same as its attention reads it, normalised.
    """

    streams: dict[int, torch.Tensor] = field(default_factory=dict)
    read: dict[int, torch.Tensor] = field(default_factory=dict)


@contextmanager
def listening(model: LlamaForCausalLM) -> Iterator[Heard]:
    """Keep what the taught layers are given by the forward pass inside."""
    heard = Heard()

    def keep(layer: int) -> Callable[[Any, tuple[torch.Tensor], torch.Tensor], None]:
        def hook(_module: Any, args: tuple[torch.Tensor], normed: torch.Tensor) -> None:
            heard.streams[layer], heard.read[layer] = args[0], normed

        return hook

    heads, said_before = _taught(model)
    taught = {*said_before, *(layer for places in heads.values() for layer, _ in places)}
    hooks = [model.model.layers[layer].input_layernorm.register_forward_hook(keep(layer)) for layer in taught]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def lesson_losses(
    model: LlamaForCausalLM, heard: Heard, guides: Guides, mask: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Return the summed cross-entropy of each lesson, shape `(LESSONS,)`.

    Args:
        model: The model.
        heard: What its taught layers were given.
        guides: What to look at.
        mask: Additive mask, shape `(rows, 1, length, length)`.
        positions: Shape `(rows, length)`.
    """
    heads, said_before = _taught(model)
    losses = []
    for lesson in range(SAYING):
        rows, queries, targets = guides.lesson(lesson)
        if lesson == VALUE and heads is _FURTHER:
            targets = targets[:, :1]
        guide = (rows, queries, targets)
        each = [_looking(model, heard.read[place[0]], place, guide, mask, positions) for place in heads.get(lesson, ())]
        losses.append(torch.stack(each).mean() if each else mask.new_zeros(()))
    rows, queries, targets = guides.lesson(SAYING)
    asked = []
    for layer in said_before:
        said = model.lm_head(model.model.norm(heard.streams[layer][rows, queries]))
        asked.append(torch.nn.functional.cross_entropy(said.float(), targets[:, 0], reduction="sum"))
    losses.append(torch.stack(asked).mean())
    return torch.stack(losses)


def _taught(model: LlamaForCausalLM) -> tuple[Heads, tuple[int, ...]]:
    """Return which heads are taught, and before which layers is asked what could be said."""
    further = len(model.model.layers) > _LAYERS
    return (_FURTHER, _SAID_BEFORE_FURTHER) if further else (_HEADS, _SAID_BEFORE)


def _looking(
    model: LlamaForCausalLM,
    read: torch.Tensor,
    place: tuple[int, int],
    lesson: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    mask: torch.Tensor,
    positions: torch.Tensor,
) -> torch.Tensor:
    """Return the summed cross-entropy between the attention of one head and what it should look at."""
    (layer, head), (rows, queries, targets) = place, lesson
    attention, size = model.model.layers[layer].self_attn, int(model.model.layers[layer].self_attn.head_dim)
    part = slice(head * size, (head + 1) * size)
    q = torch.nn.functional.linear(read, attention.q_proj.weight[part])
    k = torch.nn.functional.linear(read, attention.k_proj.weight[part])
    cos, sin = model.model.rotary_emb(read, positions)
    q, k = (turned[:, 0] for turned in apply_rotary_pos_emb(q[:, None], k[:, None], cos, sin))
    scores = (q[rows, queries].float()[:, None] @ k[rows].float().mT)[:, 0] * size**-0.5
    logs = torch.log_softmax(scores + mask[rows, 0, queries], -1)
    there = targets >= 0
    means = (logs.gather(1, targets.clamp(min=0)) * there).sum(1) / there.sum(1)
    return -means.sum()
