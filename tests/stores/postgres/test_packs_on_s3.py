"""One that learns and two that serve, each a process, on one PostgreSQL with packs in S3: whoever is killed, and whatever is down."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmem.errors import PackUnreachable
from agentmem.stores.objects.remote import RemoteObjects
from tests.stores.postgres.server import Server

pytest.importorskip("s3fs") if "AGENTMEM_FRAMEWORKS" not in os.environ else None
pytest.importorskip("moto") if "AGENTMEM_FRAMEWORKS" not in os.environ else None

PROCESS = Path(__file__).with_name("pack_process.py")
PLACE = "s3://shared/packs/of-all"
SECRET = "s3cr3t-W0rd"
FACTS = [
    ("Ilva Quist", "lives in", "Porto", "Where does Ilva Quist live?"),
    ("Mira Halse", "lives in", "Bergen", "Where does Mira Halse live?"),
    ("Oren Dorrell", "plays", "cello", "What instrument does Oren Dorrell play?"),
]


class Bucket:
    """An S3 on this machine, which goes down and comes up again with what it holds."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]
        self._down = False

    @property
    def client(self) -> Any:
        import boto3

        return boto3.client("s3")

    def go_down(self) -> None:
        self._server.stop()
        self._server._server.server_close()
        self._down = True

    def come_up(self) -> None:
        from moto.server import ThreadedMotoServer

        if self._down:
            self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
            self._server.start()
            self._down = False

    def packs(self) -> dict[str, bytes]:
        """Every pack that is there, in any version, by its key."""
        found = self.client.list_object_versions(Bucket="shared").get("Versions", [])
        return {
            each["Key"]: self.client.get_object(Bucket="shared", Key=each["Key"], VersionId=each["VersionId"])[
                "Body"
            ].read()
            for each in found
            if each["Key"].endswith(".safetensors")
        }

    def holds(self, word: str) -> bool:
        return any(word.encode() in data for data in self.packs().values())


class Process:
    """A :mod:`pack_process`."""

    def __init__(self, url: str, packs: str, hours: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROCESS), url, packs, str(hours)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip

    def ready(self) -> Process:
        assert self._read() == "ready"
        return self

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise AssertionError(self._process.stderr.read()[-2000:])
        assert SECRET not in line
        return json.loads(line)

    def begin(self, *what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def do(self, *what: Any) -> Any:
        self.begin(*what)
        return self._read()

    def says(self, fact: tuple[str, str, str, str]) -> str:
        return str(self.do("ask", fact[3])[0])

    def consolidates(self, count: int = 1) -> None:
        """As soon as the place is asked again, which is not at once after it was down."""
        while isinstance(done := self.do("consolidate"), dict):
            assert done["error"] == "PackUnreachable"
            time.sleep(0.2)
        assert done == count

    def comes_to_say(self, fact: tuple[str, str, str, str], text: str) -> None:
        """Within the pause between two attempts to fetch a pack."""
        deadline = time.monotonic() + 60
        while (said := self.says(fact)) != text:
            assert time.monotonic() < deadline, said
            time.sleep(0.2)

    def learns(self, *facts: tuple[str, str, str, str]) -> list[str]:
        notes = [self.do("tell", *fact[:3]) for fact in facts]
        self.consolidates(len(facts))
        return notes

    def dies(self) -> None:
        assert self._process.wait(120) == -signal.SIGKILL

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def s3() -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        bucket = Bucket()
        patch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{bucket.port}")
        bucket.client.create_bucket(Bucket="shared")
        yield bucket
        bucket.go_down()


Start = Callable[[float], Process]
Three = tuple[Process, Process, Process]


@pytest.fixture(scope="module")
def start(s3: Bucket) -> Iterator[Start]:
    """Begins a process on one database, which has its packs in the bucket; so many hours ahead of others."""
    server, begun = Server(), list[Process]()

    def start(hours: float) -> Process:
        begun.append(Process(server.url(), PLACE, hours))
        return begun[-1]

    yield start
    for each in begun:
        each.end()
    server.stop()


@pytest.fixture(scope="module")
def begun(start: Start) -> Three:
    """A worker, and two that serve."""
    worker, one, other = start(0), start(48), start(48)
    return worker.ready(), one.ready(), other.ready()


@pytest.fixture
def bucket(s3: Bucket) -> Iterator[Bucket]:
    """Up again behind each test."""
    yield s3
    s3.come_up()


@pytest.fixture
def three(begun: Three, bucket: Bucket) -> Iterator[Three]:
    """They know nothing before and behind each test, and the bucket holds no pack then."""
    yield begun
    bucket.come_up()
    _, one, _ = begun
    assert one.do("clear") == 0
    while one.do("flush"):
        time.sleep(0.2)
    assert not bucket.packs()


def test_what_the_worker_publishes_two_processes_serve_and_what_one_forgets_is_gone_from_everywhere(
    three: Three, bucket: Bucket
) -> None:
    """And whatever is down meanwhile: at a publishing, at a load, at a forgetting."""
    worker, one, other = three
    doomed, _ = worker.learns(*FACTS[:2])
    ((key, data),) = bucket.packs().items()
    assert key.rsplit("/", 1)[1] == f"{hashlib.sha256(data).hexdigest()}.safetensors"
    assert key.startswith("packs/of-all/weights-")
    for process in (worker, one, other):
        assert process.says(FACTS[0]) == "Porto."

    # Down at a publishing: a typed error, and nothing changed.
    worker.do("tell", *FACTS[2][:3])
    bucket.go_down()
    failed = worker.do("consolidate")
    assert failed["error"] == "PackUnreachable"
    assert "s3://shared/packs/of-all" in failed["message"]
    assert failed["hint"]
    assert one.says(FACTS[0]) == "Porto."

    # Down at a forgetting: out of every answer at once, and the receipt says what is left.
    receipt = one.do("forget", doomed)
    assert not receipt["gone"]
    assert (receipt["probes"]["packs"], receipt["probes"]["model"], receipt["probes"]["notes"]) == (False, True, True)
    assert any("s3://shared" in text and "not gone yet" in text for text in receipt["warnings"])
    for process in (worker, one, other):
        assert "Porto" not in process.says(FACTS[0])
        assert process.says(FACTS[1]) == "Bergen."

    # Up again: who comes next finishes it.
    bucket.come_up()
    assert bucket.holds("Porto"), "else nothing is shown here"
    while other.do("flush"):
        pass
    assert not bucket.holds("Porto")
    worker.consolidates()
    for process in (worker, one, other):
        assert process.says(FACTS[2]) == "cello."
        assert process.says(FACTS[1]) == "Bergen."
        assert process.do("check") == []
    assert len(bucket.packs()) == 1


def test_who_starts_while_the_bucket_is_down_answers_from_notes_and_later_from_the_weights(
    three: Three, start: Start, bucket: Bucket
) -> None:
    worker, _, _ = three
    worker.learns(FACTS[0])
    bucket.go_down()
    late = start(48).ready()

    text, source, *warnings = late.do("ask", FACTS[0][3])
    assert source != "weights", text
    assert any("cannot be served" in each for each in warnings)
    bucket.come_up()
    late.comes_to_say(FACTS[0], "Porto.")
    late.end()


@pytest.mark.parametrize("damage", ["truncated", "changed", "gone"])
def test_an_object_that_is_not_what_its_name_says_is_never_loaded(three: Three, bucket: Bucket, damage: str) -> None:
    worker, one, _ = three
    worker.learns(FACTS[0])
    assert one.says(FACTS[0]) == "Porto."
    worker.learns(FACTS[1])
    ((key, data),) = bucket.packs().items()
    if damage == "gone":
        bucket.client.delete_object(Bucket="shared", Key=key)
    else:
        wrong = data[:-9] if damage == "truncated" else data[:-1] + bytes([data[-1] ^ 1])
        bucket.client.put_object(Bucket="shared", Key=key, Body=wrong)

    text, source, *warnings = one.do("ask", FACTS[0][3])
    assert (text, source) == ("Porto.", "weights")
    assert any("missing" in each or "damaged" in each for each in warnings)
    assert "Bergen" not in one.says(FACTS[1])
    assert any("weights" in problem for problem in one.do("check"))

    bucket.client.put_object(Bucket="shared", Key=key, Body=data)
    one.comes_to_say(FACTS[1], "Bergen.")


def test_a_worker_that_is_killed_at_any_step_leaves_nobody_without_a_pack_and_none_behind(
    three: Three, start: Start, bucket: Bucket
) -> None:
    """Before it puts the pack, between that and the commit, behind the commit, while it removes the former one."""
    _, one, other = three
    worker = start(1).ready()
    worker.learns(FACTS[0])
    assert one.says(FACTS[0]) == "Porto."
    steps = {"pack:ready": 1, "pack:written": 2, "consolidate:after-commit": 2, "packs:removed": 1}
    for number, (step, left) in enumerate(steps.items(), 2):
        fact = FACTS[2 if step == "packs:removed" else 1]
        if step in ("pack:ready", "packs:removed"):  # what was told before is still to be learnt
            worker.do("tell", *fact[:3])
        worker.do("die", step)
        worker.begin("consolidate")
        worker.dies()

        text = f"{fact[2]}."
        committed = step in ("consolidate:after-commit", "packs:removed")
        assert len(bucket.packs()) == left, step
        for process in (one, other):
            assert process.says(FACTS[0]) == "Porto."
            assert (process.says(fact) == text) == committed, step
        worker = start(number).ready()
        assert len(bucket.packs()) == 1, step
        assert (worker.says(fact) == text) == committed
        for process in (one, other, worker):
            assert process.says(FACTS[0]) == "Porto."
            assert process.do("check") == []
    worker.end()


def test_a_bucket_that_keeps_former_versions_loses_those_of_packs_too(bucket: Bucket) -> None:
    """Also one that was put before it kept any."""
    bucket.client.create_bucket(Bucket="versioned")
    objects = RemoteObjects("s3://versioned/p")
    objects.write("a", "before", b"first")
    bucket.client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    objects.write("a", "x", b"first")
    objects.write("a", "x", b"second")
    objects.write("a", "xy", b"another")

    objects.remove("a", "x")
    objects.remove("a", "before")

    left = bucket.client.list_object_versions(Bucket="versioned")
    assert [each["Key"] for each in left["Versions"]] == ["p/a/xy"]
    assert "DeleteMarkers" not in left
    assert objects.names("a") == ["xy"]


def test_a_bucket_that_is_none_or_does_not_answer_is_told_in_a_sentence_without_a_secret(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PackUnreachable, match="bucket") as caught:
        RemoteObjects("s3://no-such-bucket/p").write("a", "x", b"1")
    assert caught.value.hint
    bucket.go_down()
    with pytest.raises(PackUnreachable) as down:
        RemoteObjects("s3://shared/p").read("a", "x")

    for error in (caught.value, down.value):
        assert SECRET not in str(error)


def test_what_is_put_goes_in_one_request(bucket: Bucket) -> None:
    """In parts, those of a killed process would stay, unseen; what S3 takes at once is 5 GB."""
    objects = RemoteObjects("s3://shared/large")
    data = os.urandom(1 << 20) * 120

    objects.write("a", "x", data)

    assert objects.read("a", "x") == data
    assert "-" not in bucket.client.head_object(Bucket="shared", Key="large/a/x")["ETag"]
    objects.remove("a", "x")
