"""Structured logs of a memory: ``log_verbs(memory)`` writes a line for each verb under ``agentmem``, ``JsonFormatter`` makes it JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from agentmem.aio import AsyncMemory
from agentmem.events import MemoryEvent, NoticeEvent, VerbEvent
from agentmem.integrations.values import plain
from agentmem.integrations.watching import Naming
from agentmem.memory import Memory

__all__ = ["JsonFormatter", "log_verbs"]

FIELDS = "agentmem_fields"
"""The attribute of a log record that holds what is more than its sentence."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, and the fields of what is logged.

    For any logger; of an exception, ``exception`` is its trace.
    """

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= getattr(record, FIELDS, {})
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=True, default=plain)


def log_verbs(
    memory: Memory | AsyncMemory,
    *,
    logger: logging.Logger | None = None,
    names: Literal["none", "hashed", "plain"] = "none",
    key: bytes | str | None = None,
) -> Callable[[], None]:
    """Have each verb logged at its end, in one line at INFO without a word of notes; returns what takes that back.

    A verb that raised, and what was not as it should be, are logged at WARNING. At DEBUG a second line has the ids of the notes.

    Args:
        logger: by default ``agentmem``.
        names, key: how users, agents and sessions are named, see :class:`~agentmem.integrations.watching.Naming`.
    """
    log, naming = logger or logging.getLogger("agentmem"), Naming(names, key)

    def tell(event: MemoryEvent) -> None:
        if isinstance(event, NoticeEvent):
            fields = {"verb": event.verb, "at": event.at, event.kind: event.what}
            log.warning("%s %s: %s", event.verb, event.kind, event.what, extra={FIELDS: fields})
            return
        level = logging.INFO if event.ok else logging.WARNING
        if log.isEnabledFor(level):
            log.log(level, "%s", _line(event), extra={FIELDS: {**_fields(event), **naming.told(event)}})
        if event.ids and log.isEnabledFor(logging.DEBUG):
            log.debug(
                "%s ids: %s", event.verb, " ".join(event.ids), extra={FIELDS: {"verb": event.verb, "ids": event.ids}}
            )

    return memory.subscribe(tell, names=naming.any)


def _fields(event: VerbEvent) -> dict[str, Any]:
    told: dict[str, Any] = {"verb": event.verb, "at": event.at, "ms": round(1000 * event.seconds, 3)}
    told |= {"waited_ms": round(1000 * event.waited, 3)} if event.waited else {}
    told |= {"error": event.error} if not event.ok else {}
    told |= {"has_user": event.has_user, "has_agent": event.has_agent, "has_session": event.has_session}
    return told | {"counts": dict(event.counts)} | dict(event.labels)


def _line(event: VerbEvent) -> str:
    came = (
        f"raised {event.error}"
        if not event.ok
        else " ".join(f"{name}={count}" for name, count in event.counts.items() if count)
    )
    return f"{event.verb} {1000 * event.seconds:.1f}ms {came}".rstrip()
