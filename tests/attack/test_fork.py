"""A process may fork while its threads use a memory: nothing hangs in the child, and nothing is lost in either."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmem import AsyncMemory, Memory, Settings
from agentmem.errors import AgentMemError, ModelError, StoreError
from agentmem.integrations import AsyncChatAgent
from agentmem.runtime import forks
from agentmem.settings import IndexSettings
from agentmem.stores.sqlite.store import SqliteStore

FORKER = Path(__file__).with_name("forker.py")


def forked(directory: Path, forks: int, seed: int, seconds: float, *more: str) -> list[dict[str, Any]]:
    """What the process of ``forker.py`` said."""
    done = subprocess.run(
        [sys.executable, str(FORKER), str(directory), str(forks), str(seed), str(seconds), *more],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, timeout=30 + 10 * forks + seconds,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    if "naive" not in more:
        assert [each["status"] for each in said if "child" in each] == [0] * forks, done.stderr
    return said


def in_child(work: Callable[[], object], seconds: int = 20) -> int:
    """Fork, work, and end without any of pytest's own clearing up; the child's exit status, -14 when it hangs."""
    pid = os.fork()
    if pid == 0:
        status = 1
        signal.alarm(seconds)
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - shown, and told by the status
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def nothing_lost(directory: Path, said: list[dict[str, Any]]) -> None:
    kept = {each["remembered"] for each in said if "remembered" in each} - {each.get("forgotten") for each in said}
    with Memory(directory, embedder="hash") as memory:
        users = ["children", *(f"u{n}" for n in range(4))]
        present = {note.id for user in users for note in memory.notes(user=user)}
        assert kept <= present
        assert not present & {each.get("forgotten") for each in said}
        assert memory.check().ok, memory.check()


@pytest.mark.parametrize(
    ("forks", "seed"),
    [(6, 1), pytest.param(20, 2, marks=pytest.mark.slow), pytest.param(60, 3, marks=pytest.mark.slow)],
)
def test_children_use_what_they_inherit(tmp_path: Path, forks: int, seed: int) -> None:
    """Four threads write and two recall while the process forks: each child remembers, recalls and forgets, in the memory that it
    inherited and in one that it opens; what was acknowledged is there.
    """
    said = forked(tmp_path / "m", forks, seed, 40)

    assert said[-1] == {"threads": 0}
    nothing_lost(tmp_path / "m", said)


@pytest.mark.slow
def test_children_hang_without_the_guard(tmp_path: Path) -> None:
    """The null control: with nobody told of forks, children hang on what the threads of their parent held."""
    said = forked(tmp_path / "m", 3, 1, 3, "naive")

    assert -signal.SIGALRM in [each.get("status") for each in said]


def test_a_fork_inside_a_transaction(tmp_path: Path) -> None:
    """The transaction stays the parent's: the child is told so, writes nothing, and cannot use SQLite from the middle on."""
    store = SqliteStore(tmp_path / "n.db")

    def child() -> None:
        with pytest.raises(StoreError, match=r"forked inside this transaction|outside of its with"):
            inside.__exit__(None, None, None)
        with pytest.raises(StoreError, match="forked while a transaction"), store.read():
            pass
        with pytest.raises(StoreError, match="forked while a transaction"):
            SqliteStore(tmp_path / "n.db")

    inside = store.write()
    tx = inside.__enter__()
    tx.meta_set("a", "1")
    status = in_child(child)
    tx.meta_set("b", "2")
    inside.__exit__(None, None, None)

    assert status == 0
    with store.read() as tx:
        assert (tx.meta_get("a"), tx.meta_get("b")) == ("1", "2")
    store.close()


def test_a_fork_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's transaction that does not end holds a fork up for a while; the child then has a typed error, not a hang."""
    monkeypatch.setattr(forks, "PATIENCE", 0.2)
    store, begun, end = SqliteStore(tmp_path / "n.db"), threading.Event(), threading.Event()

    def hold() -> None:
        with store.write():
            begun.set()
            end.wait(30)

    def child() -> None:
        with pytest.raises(StoreError, match="forked while"), store.read():
            pass

    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait(10)
    began = time.perf_counter()
    status = in_child(child)
    took = time.perf_counter() - began
    end.set()
    holder.join()

    assert status == 0
    assert took < 10
    assert in_child(store.size) == 0, "the next child finds all at rest"
    store.close()


def test_the_child_of_a_memory_without_a_path(tmp_path: Path) -> None:
    """It is told that nothing can be shared, and takes nothing of the parent's away, however it ends."""
    memory = Memory(None, embedder="hash")
    memory.remember("The kettle is blue.")
    scratch = memory._parts.scratch
    assert scratch is not None

    def child() -> None:
        with pytest.raises(StoreError, match="in-memory") as refused:
            memory.recall("kettle")
        assert "path" in refused.value.hint
        memory._parts.scratch.close()

    assert in_child(child) == 0
    assert scratch.path.is_dir()
    assert memory.recall("kettle").hits
    memory.close()


def test_an_async_memory_in_a_child(tmp_path: Path) -> None:
    """The thread of an AsyncMemory stays with the parent; in the child it has another, and awaits nothing for ever."""
    memory = AsyncMemory(tmp_path / "m", embedder="hash")
    asyncio.run(memory.remember("The kettle is blue."))

    def child() -> None:
        assert asyncio.run(memory.recall("kettle")).hits
        asyncio.run(memory.remember("The child saw a heron."))
        asyncio.run(memory.close())

    assert in_child(child) == 0
    assert len(asyncio.run(memory.notes())) == 2
    asyncio.run(memory.close())


def test_an_async_chat_in_a_child(tmp_path: Path) -> None:
    """Forked in the middle of a turn, it has its own next one in the child, and ends this one in the parent."""
    said = threading.Event()

    def slow(messages: Any) -> str:
        assert said.wait(30)
        return "It is blue."

    async def talk() -> None:
        async with AsyncMemory(tmp_path / "m", embedder="hash") as memory:
            agent = AsyncChatAgent(slow, memory, user="ana", session="s")
            await memory.remember("The kettle is blue.", user="ana")
            turn = asyncio.create_task(agent.chat("I have a kettle."))
            await asyncio.sleep(0.1)
            assert await asyncio.to_thread(in_child, lambda: child(agent)) == 0
            said.set()
            assert str(await turn) == "It is blue."

    def child(agent: AsyncChatAgent) -> None:
        said.set()
        assert str(asyncio.run(agent.chat("And a heron."))) == "It is blue."

    asyncio.run(talk())


def test_chroma_in_a_child(tmp_path: Path) -> None:
    """The index stays the parent's, also when the parent has closed it: a child compares exactly, and says why."""
    memory = Memory(tmp_path / "m", embedder="hash", settings=Settings(index=IndexSettings(exact_limit=0, batch=1)))
    memory.remember_many([f"Kettle {n} is blue." for n in range(20)], progress=False)
    memory.flush()
    assert memory.recall("kettle 3").degraded is False

    def child() -> None:
        found = memory.recall("kettle 3")
        assert found.hits[0].note.content == "Kettle 3 is blue."
        assert found.plan["why"] == "the vector index is unowned"
        memory.close()

    def later() -> None:
        with Memory(
            tmp_path / "m", embedder="hash", settings=Settings(index=IndexSettings(exact_limit=0, batch=1))
        ) as own:
            own.remember("The child saw a heron.")
            found = own.recall("heron")
            assert found.hits[0].note.content == "The child saw a heron."
            assert found.plan["vectors"] == "exact"

    assert in_child(child) == 0
    assert memory.recall("kettle 3").degraded is False
    memory.close()
    assert in_child(later) == 0


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch computes in two threads, which a child does not have."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.randn(300_000).sigmoid().sum()
    yield
    torch.set_num_threads(threads)


def test_a_local_model_in_a_child(two_threads: None) -> None:
    """It answers as in the parent, although torch's threads are not there."""
    from agentmem.llm.clients import LocalModel
    from agentmem.llm.small_model import load_small_model

    local = LocalModel(*load_small_model())
    said = local.complete([{"role": "user", "content": "Hello!"}], max_tokens=4)

    def child() -> None:
        import torch

        assert local.complete([{"role": "user", "content": "Hello!"}], max_tokens=4) == said
        torch.randn(300_000).sigmoid().sum()

    assert in_child(child, 60) == 0


@pytest.mark.slow
def test_an_edited_model_in_a_child(tmp_path: Path, two_threads: None) -> None:
    """A child asks the model that it inherited, unless another thread was at work on it; then it is told."""
    from agentmem.llm.small_model import load_small_model

    model, tokenizer = load_small_model()
    memory = Memory(tmp_path / "m", embedder="hash", model=(model, tokenizer))
    memory.remember("Ana lives in Porto.")
    memory._parts.need_model()
    busy, end = threading.Event(), threading.Event()

    def work() -> None:
        with memory._parts.weights.serving():
            busy.set()
            end.wait(30)

    def answers() -> None:
        assert memory.ask("Where does Ana live?").text

    def refuses() -> None:
        assert memory.recall("Where does Ana live?").hits
        with pytest.raises(ModelError, match="forked") as refused:
            memory.ask("Where does Ana live?")
        assert "attach" in refused.value.hint
        with pytest.raises(AgentMemError):
            memory.attach(model, tokenizer)

    worker = threading.Thread(target=work)
    try:
        assert in_child(answers, 60) == 0
        worker.start()
        busy.wait(30)
        assert in_child(refuses, 60) == 0
    finally:
        end.set()
        worker.join(30)
        memory.close()


def test_embedders_in_a_child() -> None:
    """An encoder on ONNX Runtime is loaded once more in a child, since its threads stayed with the parent."""
    pytest.importorskip("onnxruntime")
    from agentmem.embedding.models import OnnxEmbedder

    embedder = OnnxEmbedder(threads=2, cache_size=0)
    before = embedder.embed(["The kettle is blue."])

    def child() -> None:
        assert abs(embedder.embed(["The kettle is blue."]) @ before.T - 1).max() < 1e-5

    assert in_child(child, 60) == 0


def test_every_lock_is_made_anew(tmp_path: Path) -> None:
    """No lock, event or pool of threads is made in a module that knows nothing of forks."""
    root = Path(__file__).parents[2]
    made = (
        "threading.Lock(",
        "threading.RLock(",
        "Lock()",
        "ThreadPoolExecutor(1",
        "threading.Event(",
        "Condition(",
        "Semaphore(",
    )
    here = {
        "lanes.py",
        "lease.py",
        "turns.py",
        "models.py",
        "suite.py",
    }  # a job's own, told by its owner, one call's own, a test's
    files = [
        p
        for folder in ("agentmem", "stores", "editors", "integrations")
        for p in (root / folder).rglob("*.py")
        if not p.is_symlink()
    ]
    unaware = [
        str(path.relative_to(root))
        for path in files
        if any(word in path.read_text() for word in made)
        and "at_fork(" not in path.read_text()
        and path.name not in here
    ]

    assert unaware == []
    assert not [str(p) for p in files if "functools import cached_property" in p.read_text()], (
        "it has a lock before Python 3.12"
    )
