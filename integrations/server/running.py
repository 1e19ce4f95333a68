"""An application on a port, until it is told to stop: what has begun is finished, and nothing new is taken."""

from __future__ import annotations

from agentmem.errors import StoreError
from agentmem.integrations.extras import needs

needs("server", "fastapi", "uvicorn")

import uvicorn
from fastapi import FastAPI

__all__ = ["server", "started"]


def server(
    app: FastAPI,
    *,
    host: str = "127.0.0.1",
    port: int = 8642,
    grace: float = 30.0,
    cert: str | None = None,
    key: str | None = None,
) -> uvicorn.Server:
    """What serves an application on an address; its ``serve()`` is awaited.

    On SIGTERM or SIGINT it takes no further connections, finishes the requests that have begun, and ends the application.

    Args:
        grace: seconds that requests may take for it; what has begun to be written is carried out all the same.
        cert, key: files in PEM, for TLS.
    """
    # No proxy is believed: what a header says of its sender decides nothing here.
    config = uvicorn.Config(
        app, host=host, port=port, access_log=False, log_config=None, server_header=False, proxy_headers=False, ws="none",
        timeout_graceful_shutdown=max(1, int(grace)), ssl_certfile=cert, ssl_keyfile=key, h11_max_incomplete_event_size=65_536,
    )  # fmt: skip
    return uvicorn.Server(config)


def started(running: uvicorn.Server) -> None:
    """Raise unless a server that has ended had begun.

    Raises:
        StoreError: its port was taken, or may not be bound.
    """
    if not running.started:
        raise StoreError("The server could not be started.", hint="another port: --port 8643.")
