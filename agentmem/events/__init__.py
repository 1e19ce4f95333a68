"""What a memory tells those who watch it: one event at the end of each verb, and one for each thing that was not as it should be.

    stop = memory.subscribe(print)
    memory.recall("Where does Ana live?")
    stop()

No event holds a word of a note, a query or an answer: numbers, names of verbs and of errors, words of closed sets, and ids.
"""

from __future__ import annotations

from agentmem.events.event import MemoryEvent, NoticeEvent, Subscriber, VerbEvent
from agentmem.events.hub import Events, unwatched

__all__ = ["Events", "MemoryEvent", "NoticeEvent", "Subscriber", "VerbEvent", "unwatched"]
