"""A model and its side memory that cost no time: what an edit answers is said, everything else is the prompt again.

Editor and model are doubles of what is plugged in; the job, the registry, the packs and whoever asks are the real ones. An edit answers
the requests that its scope admits, as those of the real editors do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from agentmem import Memory, Scope
from agentmem.editors.core.requests import taken
from agentmem.llm.speculation import Prefilled
from agentmem.notes.edit import EditReceipt, EditRequest, Route
from agentmem.notes.protocols import Message
from agentmem.weights.registry import PackContents, PackFiles
from tests.attack.tenants import Teller
from tests.property.test_ledger_replay import PlainEditor

__all__ = ["teach"]


def to_bytes(edits: Sequence[EditRequest]) -> bytes:
    return json.dumps([asdict(edit) for edit in sorted(edits, key=lambda edit: str(edit.id))], sort_keys=True).encode()


def from_bytes(data: bytes) -> dict[str, EditRequest]:
    made = [
        EditRequest(**{**each, "scope": Scope(**each["scope"]) if each["scope"] else None}) for each in json.loads(data)
    ]
    return {str(edit.id): edit for edit in made}


class ScopedEditor(PlainEditor):
    """Tells what fired in the last request, and answers nobody but whom an edit is for, in whatever words its subject is named."""

    def __init__(self) -> None:
        super().__init__()
        self.routes: list[Route] = []
        self.greedy = ""
        """The newest edit takes every question with this word, whoever asks: what verification is there to find."""
        self.newest: EditRequest | None = None
        self.rival = ""
        """With it, nothing is written: this edit answers the same prompt otherwise."""

    def write(self, requests: Sequence[EditRequest]) -> list[EditReceipt]:
        if self.rival:
            return [EditReceipt(str(request.id), "failed", taken(self.rival)) for request in requests]
        self.held |= {str(request.id): request for request in requests}
        self.newest = requests[-1] if requests else None
        return [EditReceipt(str(request.id), "written") for request in requests]

    def probe(self, prompts: Sequence[str], scope: Scope | None = None) -> list[Route]:
        seen = [edit for edit in self.edits() if edit.scope is None or (scope or Scope()).admits(edit.scope)]
        found = [next((edit for edit in seen if edit.subject and edit.subject in prompt), None) for prompt in prompts]
        if self.greedy and self.newest is not None and self.newest.id in self.held:
            found = [
                self.newest if self.greedy in prompt else edit for prompt, edit in zip(prompts, found, strict=True)
            ]
        return [Route(None) if edit is None else Route(edit.id, edit.note_id, 0.0, 1.0) for edit in found]

    def explain(self) -> list[Route]:
        return self.routes

    def dump(self) -> bytes:
        return to_bytes(self.edits())

    def load(self, path: Path | str | bytes) -> None:
        self.held = from_bytes(path if isinstance(path, bytes) else Path(path).read_bytes())


class PlainModel:
    """Says what the editor answers; without an answer, the prompt again."""

    def __init__(self, editor: ScopedEditor, teller: Teller) -> None:
        self.editor, self.teller = editor, teller

    def complete(self, messages: Sequence[Message], *, max_tokens: int = 64) -> str:
        return self.prefill(messages, max_tokens=max_tokens).finish()

    def prefill(self, messages: Sequence[Message], *, max_tokens: int = 64) -> Prefilled:
        question = messages[-1]["content"]
        self.editor.routes = [] if self.editor.silent else self.editor.probe([question], self.editor.scope)
        fired = any(route.edit_id is not None for route in self.editor.routes)
        return Prefilled(lambda draft: self.editor.answer(question) if fired else self.teller(list(messages)))


def teach(memory: Memory, teller: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attach the two to a memory."""
    editor, parts = ScopedEditor(), memory._parts
    parts.weights._make_editor = lambda model, tokenizer: editor  # type: ignore[assignment,return-value]
    parts.weights._files = PackFiles(
        drop=lambda data, ids: to_bytes([edit for key, edit in from_bytes(data).items() if key not in set(ids)]),
        read=lambda data: PackContents(frozenset(from_bytes(data)), base="base"),
    )
    parts.weights.attach(None, None)
    parts._local = PlainModel(editor, teller)  # type: ignore[assignment]

    def answers(model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        return [editor.answer(prompt) for prompt in prompts]

    monkeypatch.setattr(parts, "answer", answers)
