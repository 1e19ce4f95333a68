"""A place of objects as a user names it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from agentmem.errors import InvalidArgument
from agentmem.notes.address import has_password
from agentmem.stores.objects.folder import FolderObjects
from agentmem.stores.objects.objects import Objects
from agentmem.stores.objects.remote import RemoteObjects

__all__ = ["open_objects"]

_HINT: Final = (
    "packs='s3://bucket/prefix', or a folder; credentials are for the environment, or for fsspec's configuration."
)


def open_objects(place: str | Path) -> Objects:
    """The objects at a place that a user named: a folder, ``file://…``, or another address that fsspec knows. Nothing is asked there yet.

    Raises:
        InvalidArgument: it is none, or has a secret in it. MissingExtra: what reaches it is not installed.
    """
    if "\0" in str(place):
        raise InvalidArgument("The name of a place has no NUL in it.", hint=_HINT)
    if isinstance(place, Path) or (isinstance(place, str) and place and "://" not in place):
        return FolderObjects(Path(os.path.expanduser(place)).absolute())  # noqa: PTH111 - leaves a name that is no user's as it is
    if not isinstance(place, str) or not place:
        raise InvalidArgument(f"packs must be a folder or an address, not {type(place).__name__}.", hint=_HINT)
    try:
        parts = urlsplit(place)
    except ValueError as error:
        raise InvalidArgument("The address of the packs cannot be read.", hint=_HINT) from error
    if (
        ("@" in parts.netloc and ":" in parts.netloc.rsplit("@", 1)[0])
        or has_password(place)
        or parts.query
        or parts.fragment
    ):
        raise InvalidArgument("The address of the packs has more in it than a place.", hint=_HINT)
    if "::" in place:
        raise InvalidArgument(f"{place!r:.200} is a chain: its first link would keep copies of its own.", hint=_HINT)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise InvalidArgument(f"{place!r:.200} is no folder of this machine.", hint="packs='file:///mnt/packs'.")
        return FolderObjects(Path(unquote(parts.path)))
    return RemoteObjects(place.rstrip("/"))
