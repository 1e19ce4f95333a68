"""From chats to rows of tokens: encoding, packing, masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from benchmarks.small_model.corpus import MYSELF, ChatKind, Turn, make_chat
from benchmarks.small_model.guidance import Guide, Guides, Marker
from benchmarks.small_model.recipe import LONG_MIXTURE, STAGES, Schedule, Stage
from benchmarks.small_model.shapes import chats as shapes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tokenizers import Tokenizer

    from agentmem.evaluation.world import Kind, World, WorldFact

    Mixture = Sequence[tuple[ChatKind | shapes.Style, float]]
    Chat = tuple[list[int], list[float], list[Guide]]
    Row = list[Chat]

__all__ = ["Batch", "RowSource", "encode_turns"]


@dataclass(frozen=True)
class Batch:
    """Packed rows.

    Attributes:
        tokens: Shape `(rows, length)`.
        weights: Weight of each token as a target, same shape.
        chats: Number of the chat a token belongs to, same shape; -1 for padding.
        positions: Position of a token inside its chat, same shape.
    """

    tokens: torch.Tensor
    weights: torch.Tensor
    chats: torch.Tensor
    positions: torch.Tensor
    guides: Guides

    def part(self, start: int, stop: int) -> Batch:
        """Return the rows from ``start`` to ``stop``."""
        tensors = (t[start:stop] for t in (self.tokens, self.weights, self.chats, self.positions))
        return Batch(*tensors, self.guides.part(start, stop))

    def mask(self) -> torch.Tensor:
        """Return the additive attention mask, shape `(rows, 1, length, length)`: causal and inside one chat only."""
        length = self.tokens.shape[1]
        same = self.chats[:, None, :, None] == self.chats[:, None, None, :]
        allowed = same & torch.ones(length, length, dtype=torch.bool).tril()
        return torch.zeros(allowed.shape).masked_fill_(~allowed, -1e9)


def _special(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        message = f"the tokenizer has no token {token}"
        raise ValueError(message)
    return int(number)


def _first_token(tokenizer: Tokenizer, value: str) -> int:
    """Return the token that an answer of ``value`` begins with."""
    return int(tokenizer.encode(f" {value}.", add_special_tokens=False).ids[0])


def encode_turns(turns: Sequence[Turn], tokenizer: Tokenizer, limit: int) -> Chat:
    """Encode a chat as the chat template does, with a weight per token; whole turns beyond ``limit`` are left out."""
    tokens, weights = [_special(tokenizer, "<s>")], [0.0]
    end = _special(tokenizer, "<|end|>")
    marker = Marker(lambda value: _first_token(tokenizer, value), MYSELF)
    kept, guided = 0, 0  # up to the last answer that has room
    for turn in turns:
        encoding = tokenizer.encode(" " + turn.content, add_special_tokens=False)
        ids = encoding.ids
        if len(tokens) + len(ids) + 2 > limit:
            break
        marker.read(turn, ids, encoding.offsets, len(tokens) + 1)
        tokens += [_special(tokenizer, f"<|{turn.role}|>"), *ids, end]
        weights += [0.0, *[turn.weight] * len(ids), turn.weight if turn.role == "assistant" else 0.0]
        if turn.role == "assistant":
            kept, guided = len(tokens), len(marker.guides)
    return tokens[:kept], weights[:kept], marker.guides[:guided]


class RowSource:
    """Draws batches of packed rows for any point of the training."""

    def __init__(
        self,
        world: World,
        tokenizer: Tokenizer,
        schedule: Schedule,
        rng: Random,
        stages: Sequence[Stage] = STAGES,
        long_mixture: Mixture = LONG_MIXTURE,
        sources: shapes.Sources | None = None,
    ) -> None:
        """Prepare the facts of every stage; all randomness comes from ``rng``. Chats over notes of any shape draw them from ``sources``."""
        self._world, self._tokenizer, self._schedule, self.rng = world, tokenizer, schedule, rng
        self._stages, self._long_mixture, self._sources = tuple(stages), long_mixture, sources
        self._known = {stage.subjects: _facts_of_share(world, stage.subjects) for stage in stages}
        self._drawn: dict[tuple[int, ChatKind | shapes.Style], int] = {}

    def batch(self, step: int, progress: float) -> Batch:
        """Return the rows of one step at ``progress`` (0 to 1) of the training."""
        stage = next((stage for stage in self._stages if progress < stage.until), self._stages[-1])
        known = self._known[stage.subjects]
        if stage.long_every and step % stage.long_every == 0:
            length = self._schedule.long_row
            mixture: Mixture = self._long_mixture
        else:
            length, mixture = self._schedule.row, stage.mixture
        count = self._schedule.tokens_per_step // length
        return _stack([self._row(length, mixture, known) for _ in range(count)], length, self._pad())

    def _row(self, length: int, mixture: Mixture, known: Sequence[WorldFact]) -> Row:
        row: Row = []
        used, failures = 0, 0
        while failures < 3 and length - used > 12:
            kind = self._most_lacking(mixture)
            turns = self._turns(kind, known)
            chat = encode_turns(turns, self._tokenizer, length - used)
            if not chat[0]:
                failures += 1
                continue
            row.append(chat)
            used += len(chat[0])
            self._drawn[id(mixture), kind] = self._drawn.get((id(mixture), kind), 0) + len(chat[0])
        return row

    def _turns(self, kind: ChatKind | shapes.Style, known: Sequence[WorldFact]) -> list[Turn]:
        if isinstance(kind, ChatKind):
            return make_chat(kind, self._world, known, self.rng)
        if self._sources is None:
            message = "chats over notes of any shape need sources of such notes"
            raise ValueError(message)
        return shapes.make_chat(self._sources, kind, self.rng)

    def _most_lacking(self, mixture: Mixture) -> ChatKind | shapes.Style:
        # Shares are shares of tokens: the next chat is of the kind that is furthest behind its share.
        return min(mixture, key=lambda item: self._drawn.get((id(mixture), item[0]), 0) / item[1])[0]

    def _pad(self) -> int:
        return _special(self._tokenizer, "<|pad|>")


def _facts_of_share(world: World, share: float) -> list[WorldFact]:
    """Return the facts of the first ``share`` of the subjects of every kind."""
    kinds: tuple[Kind, ...] = ("person", "company", "place")
    chosen: set[str] = set()
    for kind in kinds:
        subjects = world.subjects(kind)
        chosen.update(subjects[: max(1, round(share * len(subjects)))])
    return [fact for fact in world.facts if fact.subject in chosen]


def _shifted(row: Row) -> list[Guide]:
    """Return the guides of a row's chats, counted from the start of the row."""
    guides: list[Guide] = []
    start = 0
    for tokens, _, its in row:
        guides += [guide.moved(start) for guide in its]
        start += len(tokens)
    return guides


def _stack(rows: Sequence[Row], length: int, pad: int) -> Batch:
    shape = (len(rows), length)
    batch = Batch(
        torch.full(shape, pad),
        torch.zeros(shape),
        torch.full(shape, -1),
        torch.zeros(shape, dtype=torch.long),
        Guides.of([_shifted(row) for row in rows]),
    )
    for index, row in enumerate(rows):
        start = 0
        for number, (tokens, weights, _) in enumerate(row):
            span = slice(start, start + len(tokens))
            batch.tokens[index, span] = torch.tensor(tokens)
            batch.weights[index, span] = torch.tensor(weights)
            batch.chats[index, span] = number
            batch.positions[index, span] = torch.arange(len(tokens))
            start = span.stop
    return batch
