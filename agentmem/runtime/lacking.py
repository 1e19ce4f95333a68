"""What an object that a caller brings lacks of a protocol, by name."""

from __future__ import annotations

__all__ = ["lacking"]


def lacking(brought: object, protocol: type) -> list[str]:
    """The public members of ``protocol`` that an object has not, sorted; methods and properties, not bare annotations."""
    return [name for name in dir(protocol) if not name.startswith("_") and not hasattr(brought, name)]
