"""Text as tokens that are text and nothing else: no word of it is read as one of a tokenizer's control tokens.

A tokenizer looks for the names of its special and added tokens in whatever it is given, so a text that holds such a name would
become the token. Here each of these tokens gets a name that nobody can guess, in a copy of the tokenizer that is the same in all
else (normaliser, splitting, vocabulary, merges, prefix blanks): what stands in a text under the old name is text, and who knows the new
name can still write the token.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from agentmem.runtime.lazily import cached_property

__all__ = ["TextEncoder", "control_tokens", "draw_name", "literal"]

_NAME_DIGITS = 39  # 128 bits


def draw_name() -> str:
    """A name that nobody can guess: digits alone, which no normaliser, filter or template changes."""
    return f"{secrets.randbits(128):0{_NAME_DIGITS}d}"


def control_tokens(tokenizer: Any, template: str = "") -> dict[int, str]:
    """The tokens that no text may become: every special token, and every added one but words, single characters and white space.

    Some vocabularies were widened by ordinary words, digits or runs of blanks. They are text in a text, unless the template writes
    such a word itself. The unknown token stands for what has no other, so it counts as one only if it means something else as well.
    """
    added: Mapping[int, Any] = getattr(tokenizer, "added_tokens_decoder", None) or {}
    found = {
        int(id): str(token.content)
        for id, token in added.items()
        if token.special
        or not _is_word(str(token.content))
        or (len(token.content) > 1 and token.content.strip() and token.content in template)
    }
    for id in getattr(tokenizer, "all_special_ids", None) or ():
        found.setdefault(int(id), str(tokenizer.convert_ids_to_tokens(int(id))))
    unknown = getattr(tokenizer, "unk_token_id", None)
    if unknown is not None and unknown not in _meaning(tokenizer):
        found.pop(int(unknown), None)
    return found


def literal(names: Iterable[str]) -> re.Pattern[str]:
    """Matches any of ``names``, the longest first."""
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name) or "(?!)")


class TextEncoder:
    """Token ids of a text in which control tokens can be written by secret names alone.

    Args:
        tokenizer: a transformers tokenizer, fast or slow.
        control: ids of control tokens with their contents, from :func:`control_tokens`.
    """

    def __init__(self, tokenizer: Any, control: Mapping[int, str]) -> None:
        self._tokenizer = tokenizer
        self._control = control
        unknown = getattr(tokenizer, "unk_token", None)
        contents = dict.fromkeys([*control.values(), *([unknown] if isinstance(unknown, str) and unknown else [])])
        self.names: Mapping[str, str] = {content: draw_name() for content in contents}
        self._ids = {self.names[content]: id for id, content in control.items()}
        if isinstance(unknown, str) and unknown:
            self._ids.setdefault(self.names[unknown], int(tokenizer.unk_token_id))
        self._contents = literal(contents)
        self._called = literal(self._ids)

    def holds(self, text: str) -> bool:
        """Whether a control token stands in ``text`` by its ordinary name."""
        return self._contents.search(text) is not None

    def written(self, text: str) -> str:
        """``text`` with its control tokens under their secret names."""
        return self._contents.sub(lambda found: self.names[found[0]], text)

    def defused(self, text: str) -> str:
        """``text`` with a blank inside of each control token's name."""
        while (changed := self._contents.sub(lambda found: f"{found[0][:1]} {found[0][1:]}", text)) != text and len(
            changed
        ) < 4 * len(text) + 64:
            text = changed
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``, without what the tokenizer puts around a text; secret names become their tokens."""
        if self._copy is None:
            return self._by_stretches(text)
        copy, ids = self._copy
        encoded = copy.encode(text, add_special_tokens=False)
        found = []
        for id, (start, end) in zip(encoded.ids, encoded.offsets, strict=True):
            own = ids.get(id, id)
            # What is unknown may come out as a token that means something; a control token has a name in the text.
            if own not in self._control or text[start:end].strip() in self._ids:
                found.append(own)
        return found

    @cached_property
    def _copy(self) -> tuple[Any, dict[int, int]] | None:
        """The renamed tokenizer, and its ids of added tokens as ours; ``None`` for one that cannot be copied."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None:
            return None
        from tokenizers import Tokenizer

        try:
            described = backend.to_str()
        except Exception:  # noqa: BLE001 - parts written in Python cannot be saved; the library raises a bare Exception
            return None
        copy = Tokenizer.from_str(json.dumps(_renamed(json.loads(described), self.names)))
        added = {str(token.content): id for id, token in backend.get_added_tokens_decoder().items()}
        ids = {copy.token_to_id(self.names.get(content, content)): id for content, id in added.items()}
        return copy, {theirs: ours for theirs, ours in ids.items() if theirs is not None}

    # -- tokenizers that cannot be copied --------------------------------------------------------------------

    def _by_stretches(self, text: str) -> list[int]:
        """What stands between secret names, stretch by stretch, as slow tokenizers do it themselves."""
        names = [match[0] for match in self._called.finditer(text)]
        stretches = self._called.split(text)
        for at, name in enumerate(names):
            token = (getattr(self._tokenizer, "added_tokens_decoder", None) or {}).get(self._ids[name])
            if getattr(token, "lstrip", False):
                stretches[at] = stretches[at].rstrip()
            if getattr(token, "rstrip", False):
                stretches[at + 1] = stretches[at + 1].lstrip()
        found = self._stretch(stretches[0])
        for name, stretch in zip(names, stretches[1:], strict=True):
            found += [self._ids[name], *self._stretch(stretch)]
        return found

    def _stretch(self, text: str) -> list[int]:
        """A stretch without names: cut inside of what would be a control token, until nothing is one."""
        parts, start = [], 0
        for found in self._contents.finditer(text):
            cut = found.start() + max(1, len(found[0]) // 2)
            parts.append(text[start:cut])
            start = cut
        return [id for part in (*parts, text[start:]) for id in self._cut(part)]

    def _cut(self, text: str) -> list[int]:
        if not text:
            return []
        ids: list[int] = list(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
        if not any(id in self._control for id in ids):
            return ids
        if len(text) == 1:
            return []  # a single character that is a control token has no other form
        half = len(text) // 2
        return [*self._cut(text[:half]), *self._cut(text[half:])]


def _renamed(described: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A saved tokenizer with other names for some tokens; merges that would still make them are left out."""
    model = described["model"]
    for token in described["added_tokens"]:
        if token["content"] in names:
            token |= {"content": names[token["content"]], "single_word": False}
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        model["vocab"] = {names.get(piece, piece): id for piece, id in vocabulary.items()}
    elif isinstance(vocabulary, list):
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in vocabulary]
    if model.get("merges"):
        inside = model.get("continuing_subword_prefix") or ""
        pairs = [pair.split(" ", 1) if isinstance(pair, str) else pair for pair in model["merges"]]
        model["merges"] = [pair for pair in pairs if not {*pair, pair[0] + pair[1].removeprefix(inside)} & names.keys()]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    return described | {"truncation": None, "padding": None, "post_processor": None}


def _is_word(content: str) -> bool:
    return len(content) == 1 or all(ch.isalnum() or ch.isspace() for ch in content)


def _meaning(tokenizer: Any) -> set[int]:
    """Ids of special tokens that have a part of their own in a prompt."""
    names = ("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id")
    found = {id for name in names if (id := getattr(tokenizer, name, None)) is not None}
    extra = getattr(tokenizer, "extra_special_tokens", None) or ()
    return found | {tokenizer.convert_tokens_to_ids(str(token)) for token in extra}
