"""The server on stdin and stdout: nothing but protocol there, an answer to all that was read, and an end when it is asked for."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from mcp.server.stdio import stdio_server
from mcp.types import PARSE_ERROR

from agentmem.integrations.mcp_server.opening import stopping

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

__all__ = ["StdioWire", "claim_standard_streams", "serve_stdio"]

log = logging.getLogger(__name__)

LONGEST: Final = 4 * 1024 * 1024
"""Bytes of one message, as over HTTP."""
PATIENCE: Final = 10.0
"""Seconds in which what was read is answered after the end of the input."""
_AHEAD: Final = 64


def claim_standard_streams() -> tuple[int, int]:
    """Descriptors of the client's ends; from here on stdin is empty, and whatever is printed goes to stderr."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


async def serve_stdio(server: Server[Any], streams: tuple[int, int]) -> None:
    """Serve one client until it closes its end, or SIGTERM or SIGINT comes; what was read until then is answered first."""
    wire = StdioWire(*streams)
    ends: Any = wire  # the SDK iterates the one and writes to the other; it needs no more of a file
    with stopping(wire.stop):
        async with stdio_server(stdin=ends, stdout=ends) as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())


class StdioWire:
    """Lines in and out of two descriptors, which knows what has not been answered yet.

    Input is read on a thread of its own, which nobody waits for: a read that blocks cannot be cancelled, and the descriptor, which others may
    share, stays in its mode. Iterating ends after :meth:`stop`, or at the end of the input, once every request is answered or
    ``patience`` seconds are over. A line longer than ``longest`` bytes is dropped, and stands for an empty one, which is no message.
    """

    def __init__(self, source: int, sink: int, *, longest: int = LONGEST, patience: float = PATIENCE) -> None:
        self._source, self._sink = source, sink
        self._longest, self._patience = longest, patience
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)
        self._open: set[str] = set()
        self._answered, self._stopped = asyncio.Event(), asyncio.Event()

    def stop(self) -> None:
        """Read no further."""
        self._stopped.set()

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="agentmem-mcp-stdin", daemon=True).start()
        stopped = asyncio.ensure_future(self._stopped.wait())
        try:
            while (line := await self._next(stopped)) is not None:
                if (refusal := _half_said(line)) is not None:
                    await self.write(refusal)
                    continue
                self._note(line)
                yield line
            await self._settle()
        finally:
            stopped.cancel()

    async def _next(self, stopped: asyncio.Future[Any]) -> str | None:
        line = asyncio.ensure_future(self._lines.get())
        try:
            await asyncio.wait({line, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return line.result() if line.done() else None
        finally:
            line.cancel()

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                while self._open and not self._answered.is_set():
                    await self._answered.wait()
        except TimeoutError:
            log.warning("%d requests were not answered within %g seconds", len(self._open), self._patience)

    def _note(self, line: str) -> None:
        message = _message(line)
        if "method" in message and "id" in message:
            self._open.add(_key(message["id"]))
            self._answered.clear()
        elif message.get("method") == "notifications/cancelled" and isinstance(message.get("params"), dict):
            self._close(message["params"].get("requestId"))

    def _close(self, id: object) -> None:
        self._open.discard(_key(id))
        if not self._open:
            self._answered.set()

    async def write(self, text: str) -> None:
        """Send a message."""
        try:
            await asyncio.to_thread(self._send, text.encode())
        except OSError as error:
            log.info("the client is gone: %s", error)
            self.stop()
        message = _message(text)
        if "method" not in message and "id" in message:
            self._close(message["id"])

    async def flush(self) -> None:
        """Nothing is held back."""

    def _send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._sink, data) :]

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        """On its thread: as far ahead as there is room."""
        held, dropping = bytearray(), False
        try:
            while chunk := os.read(self._source, 65536):
                *whole, rest = chunk.split(b"\n")
                for part in whole:
                    held += part
                    self._hand_over(
                        loop, "" if dropping or len(held) > self._longest else held.decode(errors="replace")
                    )
                    held, dropping = bytearray(), False
                held += rest
                if len(held) > self._longest:
                    held, dropping = bytearray(), True
            if held and not dropping:
                self._hand_over(loop, held.decode(errors="replace"))
        except OSError as error:
            log.info("the input cannot be read any more: %s", error)
        finally:
            self._hand_over(loop, None)

    def _hand_over(self, loop: asyncio.AbstractEventLoop, line: str | None) -> None:
        putting = self._lines.put(line)
        try:
            asyncio.run_coroutine_threadsafe(putting, loop).result()
        except RuntimeError:  # the loop has ended: nobody reads what comes now
            putting.close()


def _message(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _half_said(line: str) -> str | None:
    """The answer to a message that holds half a character, as of an emoji that a model cut in two: JSON can say it, UTF-8 cannot."""
    if "\\ud" not in line.lower():
        return None
    message = _message(line)
    try:
        json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        id = message.get("id") if isinstance(message.get("id"), (int, str)) else None
        error = {
            "code": PARSE_ERROR,
            "message": "A text of the message holds half a character (a lone surrogate). Send whole ones.",
        }
        return json.dumps({"jsonrpc": "2.0", "id": id, "error": error}) + "\n"
    return None


def _key(id: object) -> str:
    """1 and "1" are two ids."""
    return json.dumps(id)
