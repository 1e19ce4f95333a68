"""The driver, psycopg 3: imported when a store is opened, and taught how values are bound and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import MissingExtra
from agentmem.stores.postgres.texts import read, written

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

__all__ = ["connect", "need"]

_HINT: Final = "pip install 'agentmem-toolkit[postgres]'"
_PATIENCE: Final = 10  # seconds until a server that does not answer is given up


def need() -> Any:
    """The driver.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("The driver for PostgreSQL cannot be imported.", hint=_HINT) from error
    return psycopg


def connect(url: str) -> Connection:
    """A connection that begins no transaction by itself, with ``$1`` for values, and texts of any characters."""
    psycopg = need()
    found: Connection = psycopg.connect(
        url,
        autocommit=True,
        cursor_factory=psycopg.RawCursor,
        connect_timeout=_PATIENCE,
        fallback_application_name="agentmem",
    )
    _teach(found)
    return found


def _teach(connection: Connection) -> None:
    from psycopg.adapt import Loader
    from psycopg.pq import Format
    from psycopg.types.numeric import Int8Dumper
    from psycopg.types.string import StrDumper

    class Written(StrDumper):
        def dump(self, obj: str) -> Any:
            return super().dump(written(obj))

    class Read(Loader):
        def load(self, data: Any) -> str:
            return read(bytes(data).decode())

    class ReadBinary(Read):
        format = Format.BINARY

    adapters = connection.adapters
    adapters.register_dumper(str, Written)
    adapters.register_dumper(int, Int8Dumper)  # of one size: the statement stays the same for any number
    for loader in (Read, ReadBinary):
        adapters.register_loader("text", loader)
