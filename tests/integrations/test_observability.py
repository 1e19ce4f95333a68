"""Watching a memory with OpenTelemetry, Prometheus and logs: in their own exporters, parsed by their own parsers."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("opentelemetry.sdk")
    pytest.importorskip("prometheus_client")
    pytest.importorskip("fastapi")

import httpx
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import use_span
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from agentmem import AsyncMemory, Memory
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.integrations import telemetry
from agentmem.integrations.auth.access import RIGHTS
from agentmem.integrations.chat import ChatAgent
from agentmem.integrations.logs import JsonFormatter, log_verbs
from agentmem.integrations.prometheus import PrometheusMetrics, metrics_app
from agentmem.integrations.server import Access, Tokens, make_app
from agentmem.integrations.telemetry import observe
from agentmem.integrations.watching import Naming, StoreGauges

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs/integrations/observability.md"
KEY = b"0123456789abcdef"
ALL = frozenset(RIGHTS)


class Traced:
    """Providers that keep what they are told."""

    def __init__(self) -> None:
        self.spans_in = InMemorySpanExporter()
        self.traces = TracerProvider()
        self.traces.add_span_processor(SimpleSpanProcessor(self.spans_in))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.tracer = self.traces.get_tracer("caller")

    @property
    def providers(self) -> dict[str, Any]:
        return {"tracer_provider": self.traces, "meter_provider": self.meters}

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans_in.get_finished_spans() if span.name == name]

    def points(self) -> dict[str, list[Any]]:
        """The points of each metric; read once, as a collector does."""
        told = self.reader.get_metrics_data()
        scopes = [] if told is None else [scope for each in told.resource_metrics for scope in each.scope_metrics]
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.meters.shutdown()
    made.traces.shutdown()


# -- OpenTelemetry ---------------------------------------------------------------------------------------------


def test_a_span_is_a_child_of_the_caller_s_and_says_what_came_of_the_verb(traced: Traced):
    request = traced.tracer.start_span("request")
    with (
        Memory(embedder="hash", llm=lambda messages: "In Porto.") as memory,
        observe(memory, **traced.providers),
        use_span(request, True),
    ):
        memory.remember("Ana lives in Porto.", user="ana")
        memory.recall("Where does Ana live?", user="ana")
        memory.ask("Where does Ana live?", user="ana")

    (recalled,), (asked,) = traced.spans("agentmem.recall"), traced.spans("agentmem.ask")
    assert recalled.parent.span_id == asked.parent.span_id == request.get_span_context().span_id
    assert recalled.start_time < recalled.end_time <= asked.start_time < asked.end_time
    assert recalled.attributes["gen_ai.operation.name"] == "retrieval"
    assert recalled.attributes["agentmem.count.hits"] == 1
    assert recalled.attributes["agentmem.plan"] == "exact"
    assert recalled.attributes["agentmem.has_user"] is True
    assert asked.attributes["agentmem.source"] == "notes"
    assert asked.attributes["gen_ai.usage.input_tokens"] > 0
    assert "ana" not in repr([dict(span.attributes) for span in traced.spans_in.get_finished_spans()]).lower()


async def test_tasks_of_an_event_loop_each_have_their_own_span_above(traced: Traced):
    async with AsyncMemory(embedder="hash") as memory:
        with observe(memory, **traced.providers):

            async def task(number: int) -> tuple[int, int]:
                with traced.tracer.start_as_current_span(f"task {number}") as span:
                    await asyncio.sleep(0)
                    await memory.remember(f"Note number {number}.")
                    await memory.recall(f"number {number}")
                    return number, span.get_span_context().span_id

            tasks = dict(await asyncio.gather(*(task(number) for number in range(8))))

    for name in ("agentmem.remember", "agentmem.recall"):
        assert sorted(span.parent.span_id for span in traced.spans(name)) == sorted(tasks.values())
    assert all(span.attributes["agentmem.waited"] >= 0 for span in traced.spans("agentmem.recall"))


def test_threads_each_have_their_own_span_above(traced: Traced):
    parents: list[int] = []
    with Memory(embedder="hash") as memory, observe(memory, **traced.providers):

        def work(number: int) -> None:
            with traced.tracer.start_as_current_span("thread") as span:
                parents.append(span.get_span_context().span_id)
                memory.remember(f"Note number {number}.")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(span.parent.span_id for span in traced.spans("agentmem.remember")) == sorted(parents)


def test_an_error_is_told_by_its_class_alone(traced: Traced):
    with Memory(embedder="hash") as memory, observe(memory, **traced.providers), pytest.raises(AgentMemError):
        memory.get("no-such-note-of-ana")

    (span,) = traced.spans("agentmem.get")
    assert not span.status.is_ok
    assert (span.status.description, span.events, span.attributes["error.type"]) == (None, (), "UnknownNote")


def test_metrics_count_outcomes_time_verbs_and_tell_how_much_there_is(traced: Traced):
    with (
        Memory(embedder="hash", llm=lambda messages: "In Porto.") as memory,
        observe(memory, **traced.providers, every=0),
    ):
        memory.remember("Ana lives in Porto.")
        memory.remember("Ana lives in Porto.")
        memory.ask("Where does Ana live?")
        memory.forget({"tags": {"$contains": "none"}})
        memory.forget({"kind": "episodic"}, dry_run=True)
        points = traced.points()

    done = {
        (p.attributes["agentmem.verb"], p.attributes["agentmem.outcome"]): p.value for p in points["agentmem.outcomes"]
    }
    assert done["remember", "stored"] == 1
    assert done["remember", "merged"] == 1
    assert not [verb for verb, _ in done if verb == "forget"]
    timed = {p.attributes["agentmem.verb"]: p.count for p in points["agentmem.verb.duration"]}
    assert timed == {"remember": 2, "ask": 1, "forget": 2}
    (tokens,) = points["gen_ai.client.token.usage"]
    assert (tokens.attributes["gen_ai.token.type"], tokens.count, tokens.sum > 0) == ("input", 1, True)
    assert [p.value for p in points["agentmem.notes"]] == [1]
    assert [p.value for p in points["agentmem.edits"]] == [0]
    (notice,) = points["agentmem.notices"]
    assert notice.attributes["agentmem.notice"] == "nothing matched"


def test_the_gauges_are_no_verbs_and_end_with_the_observer(traced: Traced):
    with Memory(embedder="hash") as memory:
        observer = observe(memory, **traced.providers, every=0)
        memory.remember("A note.")
        first = traced.points()
        observer.close()
        observer.close()
        memory.remember("Another.")
        second = traced.points()

    assert {p.attributes["agentmem.verb"] for p in first["agentmem.verb.duration"]} == {"remember"}
    assert "agentmem.notes" in first
    assert "agentmem.notes" not in second
    assert len(traced.spans("agentmem.remember")) == 1


def test_names_are_left_out_hashed_with_a_key_or_told_as_the_caller_wants(traced: Traced):
    with Memory(embedder="hash") as memory:
        for ways in ({}, {"names": "hashed", "key": KEY}, {"names": "plain"}):
            with observe(memory, **traced.providers, **ways):
                memory.remember("A note.", user="ana", agent="bot", session="monday")

    left_out, hashed, plain = (dict(span.attributes) for span in traced.spans("agentmem.remember"))
    assert not {"user.id", "user.hash", "gen_ai.agent.id", "gen_ai.conversation.id"} & left_out.keys()
    assert re.fullmatch("[0-9a-f]{16}", hashed["user.hash"])
    assert len({hashed["user.hash"], hashed["gen_ai.agent.id"], hashed["gen_ai.conversation.id"]}) == 3
    assert "ana" not in repr(hashed)
    assert (plain["user.id"], plain["gen_ai.agent.id"], plain["gen_ai.conversation.id"]) == ("ana", "bot", "monday")


@pytest.mark.parametrize(
    "wrong",
    [{"names": "hashed"}, {"names": "none", "key": KEY}, {"names": "all"}, {"names": "hashed", "key": b"short"}],
)
def test_names_that_could_be_guessed_are_refused(wrong: dict[str, Any]):
    with pytest.raises(InvalidArgument):
        Naming(**wrong)


def test_the_names_of_attributes_are_those_of_the_semantic_conventions():
    """As the installed package has them."""
    home = "opentelemetry.semconv._incubating."
    gen_ai, user = (importlib.import_module(f"{home}attributes.{name}_attributes") for name in ("gen_ai", "user"))
    usage = importlib.import_module(f"{home}metrics.gen_ai_metrics")

    assert telemetry.OPERATION == gen_ai.GEN_AI_OPERATION_NAME
    assert telemetry.PROVIDER == gen_ai.GEN_AI_PROVIDER_NAME
    assert telemetry.INPUT_TOKENS == gen_ai.GEN_AI_USAGE_INPUT_TOKENS
    assert telemetry.TOKEN_TYPE == gen_ai.GEN_AI_TOKEN_TYPE
    assert telemetry.TOKEN_USAGE == usage.GEN_AI_CLIENT_TOKEN_USAGE
    assert telemetry.CONVERSATION == gen_ai.GEN_AI_CONVERSATION_ID
    assert telemetry.AGENT == gen_ai.GEN_AI_AGENT_ID
    assert (telemetry.USER, telemetry.USER_HASH) == (user.USER_ID, user.USER_HASH)
    assert set(telemetry.OPERATIONS.values()) <= {each.value for each in gen_ai.GenAiOperationNameValues}


# -- Prometheus ------------------------------------------------------------------------------------------------


def samples(text: str, parse: Any = text_string_to_metric_families) -> dict[tuple[str, ...], float]:
    """By the name and the values of the labels, without buckets."""
    found = [
        sample
        for family in parse(text)
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    ]
    return {(sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value for sample in found}


@pytest.mark.parametrize(
    ("accept", "parse"),
    [("", text_string_to_metric_families), ("application/openmetrics-text; version=1.0.0", open_metrics)],
)
def test_the_text_is_prometheus_s(accept: str, parse: Any):
    with Memory(embedder="hash") as memory:
        told = PrometheusMetrics(memory, every=0)
        memory.remember("Ana lives in Porto.", user="ana")
        memory.recall("Where does Ana live?", user="ana")
        with pytest.raises(AgentMemError):
            memory.recall("")
        text, kind = told.text(accept)

    found = samples(text.decode(), parse)
    assert ("openmetrics" in kind) == bool(accept)
    assert found["agentmem_outcomes_total", "stored", "remember"] == 1
    assert found["agentmem_outcomes_total", "hits", "recall"] == 1
    assert found["agentmem_verb_duration_seconds_count", "", "recall"] == 1
    assert found["agentmem_verb_duration_seconds_count", "InvalidArgument", "recall"] == 1
    assert found["agentmem_notes",] == 1
    assert not re.search(r"ana|porto", text.decode(), re.IGNORECASE)


def test_a_registry_of_one_s_own_is_left_as_it_was():
    registry = CollectorRegistry()
    with Memory(embedder="hash") as memory:
        for _ in range(2):  # a second one would be refused if anything of the first were left
            told = PrometheusMetrics(memory, registry=registry)
            told.close()
            told.close()

    assert list(registry.collect()) == []


async def test_an_async_memory_is_scraped_beside_its_event_loop():
    async with AsyncMemory(embedder="hash") as memory:
        app = metrics_app(memory)
        await memory.remember("A note.")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            answer, refused = await client.get("/"), await client.post("/")

    found = samples(answer.text)
    assert found["agentmem_notes",] == 1
    assert found["agentmem_verb_wait_seconds_count", "remember"] == 1
    assert (answer.status_code, refused.status_code) == (200, 405)


def test_a_memory_that_is_closed_has_no_gauges_and_says_so_once(caplog: pytest.LogCaptureFixture):
    memory = Memory(embedder="hash")
    gauges = StoreGauges(memory, every=0)
    memory.remember("A note.")
    before = dict(gauges.read())
    memory.close()
    after = [dict(gauges.read()) for _ in range(2)]

    assert before["notes"] == 1
    assert after == [{}, {}]
    assert caplog.text.count("StoreError") == 1


async def test_the_server_tells_prometheus_only_where_it_was_asked_to_and_only_who_may_know(tmp_path: Path):
    tokens = Tokens(tmp_path / "tokens.json")
    admin, _ = tokens.add(Access("service", anyone=True, rights=ALL))
    ana, _ = tokens.add(Access("ana", user="ana", rights=ALL))
    reader, _ = tokens.add(Access("reader", anyone=True))
    async with AsyncMemory(embedder="hash") as memory:
        with_it, without = make_app(memory, tokens=tokens, metrics=True), make_app(memory, tokens=tokens)

        async def get(app: Any, path: str, token: str = "", method: str = "GET", **more: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
                return await client.request(method, path, headers=headers, **more)

        statuses = [(await get(with_it, "/metrics", token)).status_code for token in ("", ana, reader, admin)]
        missing = (await get(without, "/metrics", admin)).status_code
        note = (await get(with_it, "/v1/notes", ana, "POST", json={"content": "Ana lives in Porto."})).json()
        await get(with_it, f"/v1/notes/{note['id']}", ana)
        await get(with_it, "/v1/nothing/secret", ana)
        await get(with_it, "/v1/notes", ana, "SECRET")
        text = (await get(with_it, "/metrics", admin)).text

    found = samples(text)
    assert statuses == [401, 403, 403, 200]
    assert missing == 404
    assert found["agentmem_http_request_duration_seconds_count", "POST", "/v1/notes", "201"] == 1
    assert found["agentmem_http_request_duration_seconds_count", "GET", "/v1/notes/{id}", "200"] == 1
    assert any(key[:3] == ("agentmem_http_request_duration_seconds_count", "_OTHER", "/v1/notes") for key in found)
    assert found["agentmem_outcomes_total", "stored", "remember"] == 1
    assert not re.search(r"porto|secret|\bana\b", text, re.IGNORECASE)
    assert note["id"] not in text


def test_serve_writes_a_log_of_json_and_tells_prometheus(tmp_path: Path):
    """As a process of its own: each line is JSON, those of requests and of verbs too, and none has a word of notes."""
    command = "-m agentmem --path memory --embedder hash serve --port 0 --log json --metrics"
    process = subprocess.Popen(
        [sys.executable, *command.split()],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    told: list[dict[str, Any]] = []
    try:
        while not told or "running on" not in told[-1]["message"]:
            told.append(json.loads(process.stderr.readline()))
        port = re.search(r":(\d+)", told[-1]["message"].split("127.0.0.1")[1])[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            assert client.post("/v1/notes", json={"content": "Ana lives in Porto."}).status_code == 201
            found = samples(client.get("/metrics").text)
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=60)
    told += [json.loads(line) for line in rest.splitlines()]

    assert found["agentmem_outcomes_total", "stored", "remember"] == 1
    assert [line["counts"]["stored"] for line in told if line.get("verb") == "remember"] == [1]
    assert ("/v1/notes", 201) in [(line.get("route"), line.get("status")) for line in told]
    assert "porto" not in json.dumps(told).lower()


# -- logs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[Any]:
    """A logger of its own with the formatter, and what it wrote."""
    written = io.StringIO()
    logger, handler = logging.getLogger("agentmem.test_lines"), logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logger.removeHandler(handler)


def test_a_verb_is_one_line_of_json_without_names_or_ids(lines: Any):
    logger, written = lines
    logger.setLevel(logging.INFO)
    with Memory(embedder="hash") as memory:
        log_verbs(memory, logger=logger)
        id = memory.remember("Ana lives in Porto.", user="ana").id
        with pytest.raises(AgentMemError):
            memory.get("no-such-note", user="ana")
        memory.forget({"tags": {"$contains": "none"}}, user="ana")

    told = written()
    assert [(line["level"], line["verb"]) for line in told] == [
        ("INFO", "remember"), ("WARNING", "get"), ("WARNING", "forget"), ("INFO", "forget"), ("INFO", "close"),
    ]  # fmt: skip
    assert told[0]["counts"]["stored"] == 1
    assert told[0]["has_user"] is True
    assert told[1]["error"] == "UnknownNote"
    assert told[2]["warning"] == "nothing matched"
    assert not re.search(rf"ana\b|porto|{id}|no-such", json.dumps(told), re.IGNORECASE)


def test_ids_are_for_debugging(lines: Any):
    logger, written = lines
    logger.setLevel(logging.DEBUG)
    with Memory(embedder="hash") as memory:
        stop = log_verbs(memory, logger=logger, names="hashed", key=KEY)
        id = memory.remember("Ana lives in Porto.", user="ana").id
        stop()
        memory.recall("Ana", user="ana")

    info, debug = written()
    assert (debug["level"], debug["ids"]) == ("DEBUG", [id])
    assert id not in json.dumps(info)
    assert re.fullmatch("[0-9a-f]{16}", info["user"])


def test_a_line_stays_one_line_whatever_is_logged():
    """The record is made by hand: what is logged, pytest keeps, and half a character cannot be sent on to another process."""
    error = ValueError("first\nsecond")
    told = {"levelname": "ERROR", "msg": "a\nb \u2028 %s", "args": ("\ud800",), "exc_info": (ValueError, error, None)}
    said = JsonFormatter().format(logging.makeLogRecord(told))
    line = json.loads(said)

    assert len(said.splitlines()) == 1
    assert ascii(line["message"]) == ascii("a\nb \u2028 \ud800")
    assert "ValueError" in line["exception"]


# -- together --------------------------------------------------------------------------------------------------


def test_whatever_the_words_are_none_is_in_a_span_a_metric_or_a_line(traced: Traced, lines: Any, tmp_path: Path):
    """Of notes, queries, answers, names, keys, tags, errors of a model, and unknown ids."""
    logger, written = lines
    logger.setLevel(logging.DEBUG)
    words = ["qxfoo", "qxbar", "qxbaz", "qxana", "qxkey", "qxfail"]

    def model(messages: Any) -> str:
        if "qxfail" in str(messages):
            raise OSError("qxfail")
        return "qxfoo qxbar."

    with Memory(tmp_path / "m", embedder="hash", llm=model) as memory, observe(memory, **traced.providers, every=0):
        prometheus = PrometheusMetrics(memory, every=0)
        log_verbs(memory, logger=logger)
        memory.remember("Qxfoo lives in Qxbar.", user="qxana", tags=["qxbaz"], session="qxkey")
        memory.recall("qxfoo?", user="qxana")
        memory.ask("Where does Qxfoo live?", user="qxana")
        memory.put(("qxfoo",), "qxkey", {"qxbar": "qxbaz"}, user="qxana")
        ChatAgent(model, memory, user="qxana", session="qxkey").chat("qxbaz?")
        for wrong in (
            lambda: memory.get("qxfoo", user="qxana"),
            lambda: memory.recall("qxfoo", user="qxana", where={"$qxbar": 1}),
            lambda: memory.rebuild("qxbaz"),
            lambda: ChatAgent(model, memory, user="qxana").chat("qxfail"),
            lambda: memory.load_export(tmp_path / "qxfoo"),
        ):
            with pytest.raises((AgentMemError, OSError)):
                wrong()
        memory.forget({"tags": {"$contains": "qxbaz"}}, user="qxana")
        shown = prometheus.text()[0].decode() + json.dumps(written()) + repr(traced.points())

    for span in traced.spans_in.get_finished_spans():
        shown += span.to_json()
    assert len(shown) > 5000
    assert [word for word in words if word in shown.lower()] == []


def ran(script: str, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments, script], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("number", range(3))
def test_the_blocks_of_the_how_to_run_from_an_empty_directory(number: int, tmp_path: Path):
    blocks = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)

    assert len(blocks) == 3
    assert ran(blocks[number], tmp_path, "-c").strip()


def test_the_example_shows_a_trace_metrics_and_a_log_without_words(tmp_path: Path):
    told = ran(str(ROOT / "examples/integrations/observability.py"), tmp_path)

    assert "agentmem.recall < answer a customer" in told
    assert 'agentmem_outcomes_total{outcome="stored",verb="remember"} 2.0' in told
    assert '"verb": "forget"' in told
    assert "walnut" not in told.lower()
