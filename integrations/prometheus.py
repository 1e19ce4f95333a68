"""Prometheus metrics of a memory, made from its events: ``metrics_app(memory)``, or ``PrometheusMetrics(memory).text()``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from agentmem.aio import AsyncMemory
from agentmem.events import MemoryEvent, NoticeEvent
from agentmem.integrations.extras import needs
from agentmem.integrations.watching import BUCKETS, StoreGauges, outcomes
from agentmem.memory import Memory

needs("telemetry", "prometheus_client")

from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: E402 - once it is known to be there
from prometheus_client.core import GaugeMetricFamily  # noqa: E402
from prometheus_client.exposition import choose_encoder  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = ["PrometheusMetrics", "metrics_app"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class PrometheusMetrics:
    """Counters and histograms of a memory's verbs, and gauges of what it holds; no label is a name or a word of somebody's.

    Args:
        memory: what is watched.
        registry: where the metrics are kept; by default one of their own. Two memories need two.
        every: seconds that the gauges are good for.
    """

    def __init__(
        self, memory: Memory | AsyncMemory, *, registry: CollectorRegistry | None = None, every: float = 30.0
    ) -> None:
        gauges = _GaugeCollector(StoreGauges(memory, every=every))
        self.registry = registry if registry is not None else CollectorRegistry()
        kept = self.registry
        self._verbs = Histogram(
            "agentmem_verb_duration_seconds",
            "How long a verb took, by what it raised.",
            ("verb", "error"),
            buckets=BUCKETS,
            registry=kept,
        )
        self._waits = Histogram(
            "agentmem_verb_wait_seconds",
            "How long a verb stood in a queue before.",
            ("verb",),
            buckets=BUCKETS,
            registry=kept,
        )
        self._outcomes = Counter(
            "agentmem_outcomes", "What verbs did: stored, hits, notes …", ("verb", "outcome"), registry=kept
        )
        self._notices = Counter(
            "agentmem_notices", "What was not as it should be.", ("verb", "kind", "what"), registry=kept
        )
        self._tokens = Counter("agentmem_prompt_tokens", "Tokens of prompts.", ("verb",), registry=kept)
        self._requests = Histogram(
            "agentmem_http_request_duration_seconds", "How long a request took, by the pattern of its route.", ("method", "route", "status"),
            buckets=BUCKETS, registry=kept,
        )  # fmt: skip
        self.registry.register(gauges)
        self._parts = (self._verbs, self._waits, self._outcomes, self._notices, self._tokens, self._requests, gauges)
        self._open = True
        self._stop = memory.subscribe(self._tell)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics as text, and its content type.

        Args:
            accept: the header of the request; OpenMetrics where it asks for that.
        """
        encode, kind = choose_encoder(accept)
        return encode(self.registry), kind

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request that a server answered; a method that is none is ``_OTHER``."""
        self._requests.labels(method if method in _METHODS else "_OTHER", route, str(status)).observe(seconds)

    def close(self) -> None:
        """Watch no longer, and leave the registry; closing twice is fine."""
        if self._open:
            self._open = False
            self._stop()
            for part in self._parts:
                self.registry.unregister(part)

    def _tell(self, event: MemoryEvent) -> None:
        if isinstance(event, NoticeEvent):
            self._notices.labels(event.verb, event.kind, event.what).inc()
            return
        self._verbs.labels(event.verb, event.error).observe(event.seconds)
        if event.waited:
            self._waits.labels(event.verb).observe(event.waited)
        if tokens := event.counts.get("prompt_tokens"):
            self._tokens.labels(event.verb).inc(tokens)
        for outcome, count in outcomes(event).items():
            self._outcomes.labels(event.verb, outcome).inc(count)


class _GaugeCollector(Collector):
    """What a memory holds, asked when somebody collects."""

    def __init__(self, gauges: StoreGauges) -> None:
        self._gauges = gauges

    def describe(self) -> list[Metric]:
        return []  # so that registering asks the memory nothing

    def collect(self) -> Iterator[Metric]:
        for name, held in self._gauges.read().items():
            yield GaugeMetricFamily(f"agentmem_{name}", f"How many {name} there are.", value=held)


def metrics_app(
    memory: Memory | AsyncMemory | PrometheusMetrics,
) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """The metrics of a memory as an ASGI application, which answers every GET.

        app.mount("/metrics", metrics_app(memory))

    It lets everybody in: who may reach it is for whoever mounts it to say. Counting what the memory holds is done on a thread.
    """
    told = memory if isinstance(memory, PrometheusMetrics) else PrometheusMetrics(memory)

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
            return
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, b"GET is what there is.\n", "text/plain; charset=utf-8")
            return
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
        body, kind = await asyncio.to_thread(told.text, accept)
        await _answer(send, 200, b"" if scope["method"] == "HEAD" else body, kind)

    return app


async def _answer(send: Send, status: int, body: bytes, kind: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})
    await send({"type": "http.response.body", "body": body})
