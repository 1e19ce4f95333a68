"""Two texts as the tokens that a reader of both reads, whatever computes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agentmem.embedding.minilm import padded
from agentmem.embedding.unknown_words import UnknownWords

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["PairTokens", "TokensOfPairs"]


class TokensOfPairs(NamedTuple):
    """Arrays of shape (pairs, tokens): ids, which of them are real, and of which of the two texts they are, 0 or 1."""

    ids: npt.NDArray[np.int64]
    real: npt.NDArray[np.bool_]
    types: npt.NDArray[np.int64]


class PairTokens:
    """A tokenizer of pairs.

    Args:
        path: a directory with ``tokenizer.json``.
        most: tokens of both texts together; the end of the longer one is left out beyond.
        tells_unknown: words that the vocabulary does not know are told apart.
    """

    def __init__(self, path: Path, most: int, *, tells_unknown: bool = False) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        self._tokenizer.enable_truncation(most)
        self._tokenizer.no_padding()
        self._unknown = UnknownWords(self._tokenizer) if tells_unknown else None

    def of(self, pairs: Sequence[tuple[str, str]]) -> TokensOfPairs:
        """The tokens of pairs, padded to one length."""
        encodings, unknown = self._tokenizer.encode_batch(list(pairs)), self._unknown
        named = [
            encoding.ids if unknown is None else unknown.ids(encoding, pair)
            for encoding, pair in zip(encodings, pairs, strict=True)
        ]
        ids, real = padded(named)
        types, _ = padded([encoding.type_ids for encoding in encodings])
        return TokensOfPairs(ids, real, types)
