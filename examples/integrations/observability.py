"""One memory, watched three ways: a trace, metrics and a log, and not a word of what is remembered in any of them.

python examples/integrations/observability.py
"""

from __future__ import annotations

import logging
import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentmem import Memory
from agentmem.integrations.logs import JsonFormatter, log_verbs
from agentmem.integrations.prometheus import PrometheusMetrics
from agentmem.integrations.telemetry import observe

finished = InMemorySpanExporter()  # instead of one that sends them away
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(finished))

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(JsonFormatter())
logging.getLogger("agentmem").addHandler(handler)
logging.getLogger("agentmem").setLevel(logging.INFO)

with Memory(embedder="hash") as memory:
    observe(memory, tracer_provider=provider)
    metrics = PrometheusMetrics(memory)
    stop = log_verbs(memory)

    print("-- the log")
    with provider.get_tracer("shop").start_as_current_span("answer a customer"):
        memory.remember("I am allergic to walnuts.", user="ana")
        memory.remember("The oven is slow.", user="ana")
        memory.recall("What may Ana not eat?", user="ana")
    memory.forget({"kind": "episodic"}, user="ana")
    stop()

    print("-- the trace")
    spans = {span.context.span_id: span for span in finished.get_finished_spans()}
    for span in spans.values():
        above = spans.get(span.parent.span_id) if span.parent else None
        counts = {
            name.removeprefix("agentmem.count."): n for name, n in span.attributes.items() if ".count." in name and n
        }
        print(span.name, "<", above.name if above else "-", counts)

    print("-- the metrics")
    text, _ = metrics.text()
    print(
        "\n".join(
            line
            for line in text.decode().splitlines()
            if line.startswith(("agentmem_outcomes_total", "agentmem_notes"))
        )
    )
