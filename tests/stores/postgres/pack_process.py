"""A process with a memory on a database and its packs elsewhere, which does what each line of its input says: url, place of the packs, and
how many hours it is ahead, so that what a killed one had on lease is free.

A line is ``[what, argument…]`` in JSON, and so is what it answers. ``die`` names a durable step, at which the process ends by SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime, timedelta
from typing import Any

import torch

from agentmem import Fact, Memory
from agentmem.errors import AgentMemError
from agentmem.llm.small_model import load_small_model
from agentmem.notes.clock import SystemClock


class AheadClock(SystemClock):
    """Hours ahead of the others."""

    def __init__(self, hours: float) -> None:
        self._ahead = timedelta(hours=hours)

    def now(self) -> datetime:
        return super().now() + self._ahead


def do(memory: Memory, what: str, *given: Any) -> Any:
    """What was asked for; ``None`` where there is nothing to say."""
    if what == "tell":
        subject, relation, value = given
        note = memory.remember(f"{subject} {relation} {value}.", user="ana", fact=Fact(subject, relation, value))
        memory.reinforce(str(note.id), user="ana")
        return str(note.id)
    if what == "consolidate":
        return len(memory.consolidate(user="ana").promoted)
    if what == "ask":
        answer = memory.ask(given[0], user="ana", use="weights")
        return [answer.text, answer.source, *answer.warnings]
    if what == "forget":
        receipt = memory.forget(given[0], user="ana")
        return {"gone": receipt.gone, "probes": dict(receipt.probes), "warnings": list(receipt.warnings)}
    if what == "clear":
        for note in memory.notes(user="ana"):
            memory.forget(note.id, user="ana")
        return len(memory.edits(user="ana"))
    if what == "flush":
        memory.flush()
        return sorted(memory._parts.scrubber.due())
    if what == "check":
        return list(memory.check().problems)
    if what == "die":
        (doomed,) = given

        def stop(step: str) -> None:
            if step == doomed:
                os.kill(os.getpid(), signal.SIGKILL)

        memory._parts.fail = memory._parts.weights._fail = memory._parts.weights.pack_store._copies._fail = stop  # type: ignore[attr-defined]
        return None
    raise ValueError(what)


def main(url: str, packs: str, hours: str) -> None:
    torch.set_num_threads(1)
    with Memory(url, embedder="hash", model=load_small_model(), packs=packs, clock=AheadClock(float(hours))) as memory:
        memory._parts.need_model()
        print(json.dumps("ready"), flush=True)  # noqa: T201 - this is how it talks
        for line in sys.stdin:
            try:
                said = do(memory, *json.loads(line))
            except AgentMemError as error:
                said = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
            print(json.dumps(said), flush=True)  # noqa: T201 - this is how it talks


if __name__ == "__main__":
    main(*sys.argv[1:])
