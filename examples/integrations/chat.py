"""One line around a chat function, and a folder of notes: what was told and what was written answer together."""

from __future__ import annotations

import tempfile
from pathlib import Path

from agentmem import Memory
from agentmem.integrations import import_documents, with_memory


def chat(messages: list[dict[str, str]]) -> str:
    """A scripted model: it says the note that has most words of the question, as a real one would in better words."""
    if messages[0]["role"] != "system":
        return "Noted."
    asked = set(messages[-1]["content"].lower().strip("?").split())
    notes = [line.split("] ", 1)[-1] for line in messages[0]["content"].splitlines() if "] " in line]
    return max(notes, key=lambda note: len(asked & set(note.lower().replace(".", "").split())))


with tempfile.TemporaryDirectory() as place:
    notes = Path(place, "notes")
    notes.mkdir()
    (notes / "boat.md").write_text("# The boat\n\n## Harbour\n\nSigrid lies at berth 14 in the north harbour.\n")
    with Memory(Path(place, "memory"), embedder="hash") as memory:
        print("imported:", import_documents(memory, notes, user="ana").stored)
        remembering = with_memory(chat, memory, user="ana")
        for said in ("I like sardines.", "At which berth in the harbour lies Sigrid?", "What do I like?"):
            print(f"ana: {said}\n  → {remembering([{'role': 'user', 'content': said}])}")
        (notes / "boat.md").write_text("# The boat\n\n## Harbour\n\nSigrid lies at berth 3 in the north harbour.\n")
        print("changed:", import_documents(memory, notes, user="ana").changed)
        print("  →", remembering([{"role": "user", "content": "Which berth in the north harbour is that of Sigrid?"}]))
        print("ben sees:", memory.recall("Sigrid", user="ben").hits)
