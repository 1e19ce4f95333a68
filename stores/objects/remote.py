"""Objects at an address that fsspec knows: S3 and what speaks it, and whatever else has a driver."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final, TypeVar

from agentmem.errors import InvalidArgument, MissingExtra, PackUnreachable
from agentmem.notes.address import shown
from agentmem.runtime.forks import at_fork
from agentmem.stores.objects.objects import unreachable
from agentmem.stores.objects.versions import remove_versions

__all__ = ["RemoteObjects"]

T = TypeVar("T")

_S3: Final = ("s3", "s3a")
_CONNECT, _ANSWER, _AGAIN = 3, 20, 1
"""Seconds until a server of S3 is given up that does not listen, or does not answer; and how often it is asked again."""
_REST: Final = 2.0
"""Seconds in which a place that was out of reach is not asked again: a verb asks several times."""
_ONE_PUT: Final = 5 * 2**30
"""Bytes that S3 takes at once. In parts, what a killed process had sent would stay there unseen."""
_LONGEST: Final = 200


class RemoteObjects:
    """``address/folder/name``, each written in one request and read whole.

    Credentials, endpoints and the like are found by fsspec and its drivers: in the environment (``AWS_…``, ``FSSPEC_S3_…``), or in their files.

    Args:
        address: with a scheme, without a slash at its end, and with nothing secret in it.
        monotonic: seconds, for the rest after a failure.

    Raises:
        InvalidArgument: fsspec knows no such scheme. MissingExtra: fsspec, or its driver for the scheme, is not installed.
    """

    def __init__(self, address: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._scheme = address.split("://", 1)[0]
        self._monotonic = monotonic
        _need_driver(self._scheme, address)
        self._opened: tuple[Any, str] | None = None
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        """Also in a forked child: a driver's thread and its connections stayed with the parent."""
        self._lock = threading.Lock()
        self._of_parent, self._opened = (
            self._opened,
            None,
        )  # closed in a child, it would wait for a thread that is not there
        self._failed: tuple[float, PackUnreachable] | None = None

    @property
    def place(self) -> str:
        return shown(self._address)

    def read(self, folder: str, name: str) -> bytes | None:
        def read(fs: Any, root: str) -> bytes | None:
            try:
                return bytes(fs.cat_file(f"{root}/{folder}/{name}"))
            except FileNotFoundError:
                return None

        return self._asked(read)

    def write(self, folder: str, name: str, data: bytes) -> None:
        options = {"chunksize": _ONE_PUT} if self._scheme in _S3 else {}

        def write(fs: Any, root: str) -> None:
            if self._scheme not in _S3:
                fs.makedirs(f"{root}/{folder}", exist_ok=True)
            fs.pipe_file(f"{root}/{folder}/{name}", data, **options)

        self._asked(write)

    def remove(self, folder: str, name: str) -> None:
        def remove(fs: Any, root: str) -> None:
            try:
                (remove_versions if self._scheme in _S3 else _remove)(fs, f"{root}/{folder}/{name}")
            except FileNotFoundError:
                return  # another process was faster

        self._asked(remove)

    def names(self, folder: str) -> list[str]:
        def names(fs: Any, root: str) -> list[str]:
            fs.invalidate_cache()
            try:
                found = fs.ls(f"{root}/{folder}", detail=False)
            except FileNotFoundError:
                return []
            return sorted(str(each).rstrip("/").rsplit("/", 1)[-1] for each in found)

        return self._asked(names)

    def _asked(self, work: Callable[[Any, str], T]) -> T:
        """What the place answers; whatever its driver raises is said in words, and the place left alone for a moment."""
        with self._lock:
            failed = self._failed
            if failed is not None and self._monotonic() < failed[0]:
                raise PackUnreachable(failed[1].message, hint=failed[1].hint) from failed[1]
            try:
                fs, root = self._open()
                answer = work(fs, root)
            except Exception as error:
                trouble = unreachable(self._address, _said(error))
                self._failed = self._monotonic() + _REST, trouble
                raise trouble from error
            self._failed = None
            return answer

    def _open(self) -> tuple[Any, str]:
        if self._opened is None:
            from fsspec.core import url_to_fs

            fs, root = url_to_fs(self._address, **self._options())
            if self._scheme in _S3:
                fs.retries = _AGAIN + 1
            self._opened = fs, root.rstrip("/")
        return self._opened

    def _options(self) -> dict[str, Any]:
        """An object of its own with no memory of listings; and patience, where a user has set none."""
        from fsspec.config import conf

        options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
        if self._scheme in _S3 and not any("config_kwargs" in conf.get(scheme, {}) for scheme in _S3):
            options["config_kwargs"] = {
                "connect_timeout": _CONNECT,
                "read_timeout": _ANSWER,
                "retries": {"max_attempts": _AGAIN},
            }
        return options


def _remove(fs: Any, path: str) -> None:
    fs.rm_file(path)


def _need_driver(scheme: str, address: str) -> None:
    try:
        from fsspec.registry import known_implementations, registry
    except ImportError as error:
        raise MissingExtra(
            "The package fsspec cannot be imported.", hint="pip install 'agentmem-toolkit[objects]'"
        ) from error
    known = known_implementations.get(scheme)
    if known is None and scheme not in registry:
        raise InvalidArgument(
            f"fsspec knows no address like {shown(address)!r:.200}.", hint="packs='s3://bucket/prefix', or a folder."
        )
    package = "" if known is None else str(known["class"]).split(".", 1)[0]
    if package and find_spec(package) is None:
        extra = "'agentmem-toolkit[objects]'" if scheme in _S3 else package
        raise MissingExtra(f"Addresses like {scheme}://… need the package {package!r}.", hint=f"pip install {extra}")


def _said(error: BaseException) -> str:
    """The first line of what a driver said, cut."""
    told = str(error).strip().split("\n", 1)[0][:_LONGEST]
    return f"{type(error).__name__}: {shown(told)}" if told else type(error).__name__
