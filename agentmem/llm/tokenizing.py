"""From messages to token ids: only the chat template writes control tokens, whatever the messages say.

A prompt that is rendered to one string and then tokenised reads the markers of turns wherever they stand, so a note from the web that
holds them opens turns of its own. What the template writes is told from what is quoted by rendering once more with unguessable numbers in the
places of the contents. As long as the string has the control tokens that the template wrote, and no others, its ids are taken as they
are; otherwise the contents are encoded as text (:mod:`agentmem.llm.text_tokens`), beside the template's own tokens.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentmem.errors import ModelError
from agentmem.llm.text_tokens import TextEncoder, control_tokens, draw_name, literal
from agentmem.notes.protocols import Message
from agentmem.runtime.lazily import cached_property

__all__ = ["PLAIN", "PromptEncoder", "conversational", "is_plain"]

PLAIN = "{#- plain turns, for models that have no chat template -#}"
"""How the template of :func:`conversational` begins."""

_TURNS = (
    "{%- set names = {'system': '', 'user': 'User: ', 'assistant': 'Assistant: ', 'tool': 'Tool: '} -%}"
    "{%- for m in messages -%}{%- if not loop.first -%}{{ '\n' }}{%- endif -%}{{ names[m['role']] + m['content'] }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '\nAssistant:' }}{%- endif -%}"
)
_BREAK = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_COLON = "[:\uff1a\ufe55\ufe13\u2236\ua789]"
_TURN_FIRST = re.compile(
    rf"^(?=\W{{0,8}}(?:user|assistant|tool|system|human|ai)\b[^\n]{{0,20}}?{_COLON})", re.IGNORECASE
)
_TURN_INSIDE = re.compile(rf"(?m)(?<=\n)(?=[^\S\n]?\W{{0,8}}\w[\w ]{{0,30}}[^\w\s]{{0,4}}{_COLON})")

_KNOWN = 256

Part = str | int
"""What a template writes, or the number of the content that it puts there."""


def conversational(tokenizer: Any, plain: bool | None = None) -> Any:
    """A tokenizer that can render messages: itself, or a copy with a plain template, ``User: …`` and ``Assistant:`` line by line.

    Args:
        plain: write plain turns whatever template there is; by default only when there is none, and with false not even then.
    """
    has_one = bool(getattr(tokenizer, "chat_template", None))
    if plain is False or (plain is None and has_one) or is_plain(tokenizer):
        return tokenizer
    made = copy.copy(tokenizer)  # the caller's own stays as it was
    begin = list(tokenizer("a")["input_ids"])[:1]
    bos = "{{- bos_token -}}" if begin and begin[0] == getattr(tokenizer, "bos_token_id", None) else ""
    made.chat_template = PLAIN + bos + _TURNS
    return made


def is_plain(tokenizer: Any) -> bool:
    """Whether the tokenizer writes the plain turns of :func:`conversational`."""
    template = getattr(tokenizer, "chat_template", None)
    return isinstance(template, str) and template.startswith(PLAIN)


class PromptEncoder:
    """Token ids of conversations and of texts, for one tokenizer.

    The ids are those of the tokenizer itself wherever no text names a control token. A text that does is encoded as that text: its
    ids hold none of :attr:`control`, and decode to what was written.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._template = str(getattr(tokenizer, "chat_template", None) or "")
        self._known: dict[object, list[int]] = {}

    @cached_property
    def control(self) -> Mapping[int, str]:
        """Ids and contents of the tokens that only a template may write."""
        return control_tokens(self.tokenizer, self._template)

    def chat(self, messages: Sequence[Message], *, opened: bool = False) -> list[int]:
        """Ids of a conversation as the chat template writes it.

        Args:
            messages: mappings with a known role and a text as content.
            opened: let the template begin the assistant's next message.

        Raises:
            jinja2.TemplateError: the template refuses the roles, or their order.
            ModelError: the template makes control tokens of what is said, whichever way it is written.
        """
        plain = is_plain(self.tokenizer)
        said = [{"role": m["role"], "content": _indented(m["content"]) if plain else m["content"]} for m in messages]
        wanted = self._wanted(said, opened)
        whole = self._rendered(said, opened)
        if whole is not None:
            ids = self._ids(whole)
            if self._controls(ids) == wanted and not self._unknown_named(said):
                return ids
        skeleton, keeps = self._skeleton(said, opened)
        if keeps:
            placed = _placed(whole, skeleton, [m["content"].strip() for m in said])
            written = "".join(
                self._text.written(part) if isinstance(part, str) else placed[at] for at, part in enumerate(skeleton)
            )
            ids = self._text.encode(written)
            if self._controls(ids) == wanted:
                return ids
        return self._defused(said, opened, wanted)

    def text(self, text: str) -> list[int]:
        """Ids of a text alone; none of them is a control token."""
        ids = self._ids(text)
        if any(id in self.control for id in ids) or self._unknown_named([{"content": text}]):
            return self._text.encode(text)
        return ids

    def begun(self, text: str) -> list[int]:
        """Ids of a text between the tokens that the tokenizer itself begins and ends every text with."""
        ids = list(self.tokenizer(text)["input_ids"])
        before, after = self._around
        inside = self._controls(ids[len(before) : len(ids) - len(after)])
        if not inside and not self._unknown_named([{"content": text}]):
            return ids
        return [*before, *self._text.encode(text), *after]

    # -- parts ------------------------------------------------------------------------------------------------

    @cached_property
    def _text(self) -> TextEncoder:
        return TextEncoder(self.tokenizer, self.control)

    @cached_property
    def _around(self) -> tuple[list[int], list[int]]:
        whole, inner = list(self.tokenizer("a")["input_ids"]), self._ids("a")
        at = next((n for n in range(len(whole) - len(inner) + 1) if whole[n : n + len(inner)] == inner), 0)
        return whole[:at], whole[at + len(inner) :]

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _wanted(self, said: Sequence[Message], opened: bool) -> list[int]:
        """The control tokens that the template writes; the same for all contents that have blanks in the same places."""
        blanks = tuple((m["role"], bool(m["content"].strip()), *_ends(m["content"])) for m in said)
        key = (self.tokenizer.chat_template, opened, blanks)
        found = self._known.get(key)
        if found is None:
            skeleton, _ = self._skeleton(said, opened)
            parts = [part for part in skeleton if isinstance(part, str) and part]
            rows = self.tokenizer(parts, add_special_tokens=False)["input_ids"] if parts else []
            found = [id for row in rows for id in self._controls(row)]
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[key] = found
        return found

    def _controls(self, ids: Iterable[int]) -> list[int]:
        return [id for id in ids if id in self.control]

    def _unknown_named(self, said: Sequence[Message]) -> bool:
        """Whether a text spells the unknown token, which may stand in a text but not be written there."""
        name = getattr(self.tokenizer, "unk_token", None)
        return isinstance(name, str) and bool(name) and any(name in m["content"] for m in said)

    def _render(self, said: Sequence[Message], opened: bool) -> str:
        return str(self.tokenizer.apply_chat_template(list(said), tokenize=False, add_generation_prompt=opened))

    def _rendered(self, said: Sequence[Message], opened: bool) -> str | None:
        """The conversation; ``None`` when the template refuses a content that it would take in other words."""
        from jinja2 import TemplateError

        try:
            return self._render(said, opened)
        except TemplateError:
            return None  # roles that it refuses were refused with the placeholders already

    def _skeleton(self, said: Sequence[Message], opened: bool) -> tuple[list[Part], bool]:
        """What the template writes and where the contents stand in it, and whether each does, as it was said.

        White space around a content stays with what stands in for it, so that a template that strips contents strips it here.
        """
        contents = [m["content"] for m in said]
        drawn = draw_name()
        while any(drawn in content for content in contents):
            drawn = draw_name()
        names = {f"{drawn}{at:06d}": at for at, content in enumerate(contents) if content.strip()}
        stand_ins = [dict(m) for m in said]
        for name, at in names.items():
            before, after = _ends(contents[at])
            stand_ins[at]["content"] = before + name + after
        text = self._render(stand_ins, opened)
        parts: list[Part] = []
        start = 0
        for found in literal(names).finditer(text):
            parts += [text[start : found.start()], names[found[0]]]
            start = found.end()
        parts.append(text[start:])
        written = "".join(part for part in parts if isinstance(part, str))
        cut = drawn[:12] in written or drawn[-12:] in written
        return parts, not cut and set(names.values()) <= set(parts)

    def _defused(self, said: Sequence[Message], opened: bool, wanted: list[int]) -> list[int]:
        """For templates that rewrite what is said: a blank inside of each control token's name makes text of it."""
        whole = self._rendered([{**m, "content": self._text.defused(m["content"])} for m in said], opened)
        if whole is not None and self._controls(ids := self._ids(whole)) == wanted:
            return ids
        raise ModelError(
            "The chat template makes control tokens of what is said in the conversation.",
            hint="set a tokenizer.chat_template that writes each content as it is, or attach(model, tokenizer, plain=True).",
        )


def _placed(whole: str | None, skeleton: Sequence[Part], cores: Sequence[str]) -> dict[int, str]:
    """What stands at each place of the skeleton: the content as the template wrote it, if that can be told; else as it was said.

    Some templates write a content as JSON, or a part of it only (not the thoughts of an earlier answer).
    """
    plain = {at: cores[part] for at, part in enumerate(skeleton) if isinstance(part, int)}
    if whole is None:
        return plain
    found: dict[int, str] = {}
    start = 0
    for at, part in enumerate(skeleton):
        if isinstance(part, str):
            if not whole.startswith(part, start):
                return plain
            start += len(part)
            continue
        after = str(skeleton[at + 1])
        end = whole.find(after, start) if after else len(whole)
        ways = [cores[part], json.dumps(cores[part], ensure_ascii=False)[1:-1]]
        if end >= 0 and whole[start:end] in cores[part]:
            ways.append(whole[start:end])
        way = next((w for w in ways if whole.startswith(w + after, start)), None)
        if way is None:
            return plain
        found[at] = way
        start += len(way)
    return found if start == len(whole) else plain


def _indented(content: str) -> str:
    """A plain template tells turns by how lines begin: a line inside of a content that could begin one is moved in by a blank.

    Whatever a model may take for the end of a line is one, and any name before a colon could be somebody's who speaks.
    """
    lines = _BREAK.sub("\n", content)
    return _TURN_FIRST.sub(" ", _TURN_INSIDE.sub(" ", lines))


def _ends(content: str) -> tuple[str, str]:
    """The white space before and after what a content says; all of it before, when it says nothing."""
    bare = content.lstrip()
    return content[: len(content) - len(bare)], bare[len(bare.rstrip()) :]
