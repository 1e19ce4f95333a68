"""What an installation weighs: read off the lists of files that the installed distributions have, without looking at the disk."""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

__all__ = ["CPU_TORCH", "has_accelerator", "installed_sizes"]

CPU_TORCH: Final = (
    "pip install --force-reinstall torch --index-url URL, with the URL that PyTorch's page for installing gives for CPU"
)
"""How the build of torch without CUDA is had, where the default is the one with it."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_DEVICES: Final = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def installed_sizes(root: str = "agentmem-toolkit") -> dict[str, int]:
    """Bytes of a distribution and of each that it asks for, directly or not, without extras; the largest first.

    What is not installed, and what is asked for on other machines alone, is not there.
    """
    sizes: dict[str, int] = {}
    names = [root]
    while names:
        name = _plain(names.pop())
        if name in sizes or (found := _found(name)) is None:
            continue
        sizes[name] = sum(file.size or 0 for file in found.files or ())
        names += [match[0] for each in found.requires or () if "extra ==" not in each and (match := _NAME.match(each))]
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def has_accelerator() -> bool:
    """Whether this machine shows a device that a build of torch with CUDA or ROCm could use; on other systems nothing is known against it."""
    return sys.platform != "linux" or any(Path(device).exists() for device in _DEVICES)


def _found(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
