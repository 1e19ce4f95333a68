"""What a vocabulary has no pieces for, known again: each such word gets one of the rows that nothing uses, by its hash.

To BERT's tokenizer of English (Devlin et al. 2019) most Chinese characters are one and the same token, "unknown", so that a name and another one are
alike. It has 994 rows which no text leads to; a reader that compares two texts needs no meaning of a character to see that it is the same.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["UnknownWords"]

_FREE: Final = "[unused"


class UnknownWords:
    """Ids of tokens, with those that the vocabulary does not know told apart.

    Args:
        tokenizer: one whose vocabulary has rows that nothing uses; where it has none, everything unknown stays the same.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._unknown = tokenizer.token_to_id("[UNK]")
        self._free = sorted(id for token, id in tokenizer.get_vocab().items() if token.startswith(_FREE))

    def ids(self, encoding: Encoding, texts: tuple[str, str]) -> list[int]:
        """The ids of a pair that was read together; equal unknown words have equal ids, whatever their case."""
        ids: list[int] = encoding.ids
        if not self._free or self._unknown not in ids:
            return ids
        named = list(ids)
        for place, id in enumerate(ids):
            if id == self._unknown:
                start, end = encoding.offsets[place]
                named[place] = self._row(texts[encoding.type_ids[place]][start:end])
        return named

    def _row(self, word: str) -> int:
        return self._free[zlib.crc32(word.casefold().encode()) % len(self._free)]
