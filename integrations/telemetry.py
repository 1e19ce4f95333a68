"""OpenTelemetry spans and metrics of a memory, made from its events: ``observe(memory)``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final, Literal, Self

from agentmem import __version__
from agentmem.aio import AsyncMemory
from agentmem.events import MemoryEvent, NoticeEvent, VerbEvent
from agentmem.integrations.extras import needs
from agentmem.integrations.watching import BUCKETS, HELD, Naming, StoreGauges, outcomes
from agentmem.memory import Memory

needs("telemetry", "opentelemetry")

from opentelemetry import metrics, trace  # noqa: E402 - once it is known to be there
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation  # noqa: E402
from opentelemetry.trace import Status, StatusCode, TracerProvider  # noqa: E402

__all__ = ["Observer", "observe"]

# Names of the semantic conventions for generative AI, and of others where these have some; `tests` compare them with the installed package.
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - the name of an attribute
TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - the name of a metric
CONVERSATION: Final = "gen_ai.conversation.id"
AGENT: Final = "gen_ai.agent.id"
USER: Final = "user.id"
USER_HASH: Final = "user.hash"
ERROR: Final = "error.type"
OPERATIONS: Final = {"recall": "retrieval", "search": "retrieval", "ask": "chat", "chat": "chat"}
"""Verbs that the conventions have a word for. Others have none rather than one that says something else."""
_SYSTEM: Final = "agentmem"
_TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_SECOND: Final = 1_000_000_000


def observe(
    memory: Memory | AsyncMemory,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    names: Literal["none", "hashed", "plain"] = "none",
    key: bytes | str | None = None,
    every: float = 30.0,
) -> Observer:
    """Have a memory's verbs told as spans and metrics, until the observer is closed.

    A span ``agentmem.recall`` (or another verb) is a child of the span that is current where the verb is awaited or called, in threads of
    the memory too. No attribute holds a word of notes, queries or answers.

    Args:
        tracer_provider, meter_provider: by default those that are set for the process.
        names, key: how spans name users, agents and sessions, see :class:`~agentmem.integrations.watching.Naming`; metrics never do.
        every: seconds that the numbers of notes, edits and items that wait are good for.

    Raises:
        InvalidArgument: no memory, or ``names`` and ``key`` contradict each other.
    """
    return Observer(memory, tracer_provider, meter_provider, Naming(names, key), every)


class Observer:
    """What :func:`observe` returns: it ends with ``close()``, or as a context manager."""

    def __init__(
        self,
        memory: Memory | AsyncMemory,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        naming: Naming,
        every: float,
    ) -> None:
        self._naming = naming
        self._gauges: StoreGauges | None = StoreGauges(memory, every=every)
        self._tracer = trace.get_tracer(_SYSTEM, __version__, tracer_provider)
        meter = metrics.get_meter(_SYSTEM, __version__, meter_provider)
        self._duration = meter.create_histogram(
            "agentmem.verb.duration", "s", "How long a verb took.", explicit_bucket_boundaries_advisory=BUCKETS
        )
        self._wait = meter.create_histogram(
            "agentmem.verb.wait",
            "s",
            "How long it stood in a queue before.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._tokens = meter.create_histogram(
            TOKEN_USAGE, "{token}", "Tokens of prompts.", explicit_bucket_boundaries_advisory=_TOKENS
        )
        self._outcomes = meter.create_counter("agentmem.outcomes", "{item}", "What verbs did: stored, hits, notes …")
        self._notices = meter.create_counter("agentmem.notices", "{notice}", "What was not as it should be.")
        for name in HELD:
            meter.create_observable_gauge(
                f"agentmem.{name}", [_reading(self, name)], f"{{{name}}}", f"How many {name} there are."
            )
        self._stop = memory.subscribe(self._tell, names=naming.any)

    def close(self) -> None:
        """Take it back; closing twice is fine."""
        self._stop()
        self._gauges = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def held(self, name: str) -> int | None:
        """How many of something the memory holds, where that is known."""
        return None if self._gauges is None else self._gauges.read().get(name)

    def _tell(self, event: MemoryEvent) -> None:
        if isinstance(event, NoticeEvent):
            self._notices.add(
                1, {"agentmem.verb": event.verb, "agentmem.notice": event.what, "agentmem.notice.kind": event.kind}
            )
            return
        self._span(event)
        common = {"agentmem.verb": event.verb} | _operation(event) | ({} if event.ok else {ERROR: event.error})
        self._duration.record(event.seconds, common)
        if event.waited:
            self._wait.record(event.waited, {"agentmem.verb": event.verb})
        if tokens := event.counts.get("prompt_tokens"):
            self._tokens.record(tokens, {"agentmem.verb": event.verb, TOKEN_TYPE: "input"} | _operation(event))
        for outcome, count in outcomes(event).items():
            self._outcomes.add(count, {"agentmem.verb": event.verb, "agentmem.outcome": outcome})

    def _span(self, event: VerbEvent) -> None:
        """It has ended already: its times are given, on the clock that traces go by; what is current is still the caller's span."""
        end = time.time_ns()
        span = self._tracer.start_span(
            f"agentmem.{event.verb}", attributes=self._attributes(event), start_time=end - int(event.seconds * _SECOND)
        )
        if not event.ok:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)

    def _attributes(self, event: VerbEvent) -> dict[str, Any]:
        told: dict[str, Any] = {"agentmem.verb": event.verb, **_operation(event)}
        told |= {f"agentmem.{name}": getattr(event, name) for name in ("has_user", "has_agent", "has_session")}
        told |= {f"agentmem.count.{name}": count for name, count in event.counts.items()}
        told |= {f"agentmem.{name}": word for name, word in event.labels.items()}
        told |= {"agentmem.waited": event.waited} if event.waited else {}
        told |= {"agentmem.notices": event.notices} if event.notices else {}
        told |= {ERROR: event.error} if not event.ok else {}
        if tokens := event.counts.get("prompt_tokens"):
            told[INPUT_TOKENS] = tokens
        called = {"user": USER if self._naming.names == "plain" else USER_HASH, "agent": AGENT, "session": CONVERSATION}
        return told | {called[what]: name for what, name in self._naming.told(event).items()}


def _operation(event: VerbEvent) -> dict[str, str]:
    known = OPERATIONS.get(event.verb)
    return {} if known is None else {OPERATION: known, PROVIDER: _SYSTEM}


def _reading(observer: Observer, name: str) -> Any:
    """What a meter calls when it collects."""

    def read(_: CallbackOptions) -> Iterable[Observation]:
        held = observer.held(name)
        return [] if held is None else [Observation(held)]

    return read
