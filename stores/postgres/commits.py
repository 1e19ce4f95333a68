"""Being told of the commits of others, instead of asking."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from agentmem.errors import StoreError
from agentmem.stores.postgres.driver import connect
from agentmem.stores.postgres.failures import driver_errors, translate

__all__ = ["Commits"]


class Commits:
    """A connection that hears of each commit to a store, whoever made it. What a read sees never depends on it.

    Args:
        url: the address of the database; channel: on which its commits are told; place: names the store in errors.
    """

    def __init__(self, url: str, channel: str, place: str) -> None:
        self._place = place
        try:
            self._connection = connect(url)
            self._connection.execute(f"LISTEN {channel}")
        except driver_errors() as error:
            raise translate(error, place) from error

    def wait(self, timeout: float) -> bool:
        """Whether anything was committed since the last call, waiting so many seconds for it.

        Raises:
            StoreError: the connection was lost; commits may have been missed.
        """
        if self._connection.closed:
            raise StoreError(f"The connection to {self._place} is closed.", hint="ask the store for changes() anew.")
        try:
            return bool(list(self._connection.notifies(timeout=timeout, stop_after=1)))
        except driver_errors() as error:
            raise translate(error, self._place) from error

    def close(self) -> None:
        """Stop listening."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
