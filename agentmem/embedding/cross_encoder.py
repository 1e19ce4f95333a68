"""Cross-encoders of sentence-transformers as rerankers; torch is loaded at the first query."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentmem.embedding.weights_files import locate_embedder
from agentmem.errors import EmbedderError, MissingExtra
from agentmem.notes.protocols import Reranker
from agentmem.runtime.forked_torch import stranded
from agentmem.runtime.forks import at_fork

__all__ = ["CrossEncoderReranker", "make_reranker"]


def make_reranker(spec: Reranker | str | Path | None) -> Reranker | None:
    """A reranker from an object, or from the name or path of a cross-encoder."""
    return CrossEncoderReranker(spec) if isinstance(spec, (str, Path)) else spec


class CrossEncoderReranker:
    """A sentence-transformers cross-encoder with one output, loaded at the first query.

    Args:
        name_or_path: a directory, or the name of a model in the local Hugging Face cache.
        device: where it runs: ``cpu``, ``cuda`` …
        batch_size: notes per forward.
        allow_download: let a name that is not on disk be fetched; only safetensors, and no code from its repository runs.

    Raises:
        EmbedderError: there is no such model on disk.
    """

    def __init__(
        self, name_or_path: str | Path, *, device: str = "cpu", batch_size: int = 32, allow_download: bool = False
    ) -> None:
        self.path = locate_embedder(name_or_path, allow_download=allow_download)
        self.device, self.batch_size = device, batch_size
        self._model: Any = None
        self._begin_anew()
        at_fork(self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._stranded = "" if self._model is None else stranded(self._model)

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the query: the sigmoid of the model's output, in [0, 1]."""
        if not texts:
            return []
        from torch.nn import Sigmoid

        if self._stranded:
            raise EmbedderError(
                self._stranded, hint="open the memory in the child, or start it with multiprocessing's 'spawn'."
            )
        with self._lock:
            if self._model is None:
                self._model = _load(self.path, self.device)
            found = self._model.predict(
                [(query, text) for text in texts],
                batch_size=self.batch_size,
                activation_fn=Sigmoid(),
                show_progress_bar=False,
            )
        return [float(score) for score in found]


def _load(path: Path, device: str) -> Any:
    try:
        from sentence_transformers import CrossEncoder
    except ImportError as error:
        raise MissingExtra(
            "sentence-transformers cannot be imported.", hint="pip install sentence-transformers"
        ) from error
    from agentmem.runtime.quiet import quiet

    cure = "check that the directory was written by sentence-transformers or transformers and is complete."
    with quiet():
        try:
            model = CrossEncoder(
                str(path),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise EmbedderError(
                f"The cross-encoder in {path} could not be loaded on {device}: {error}", hint=cure
            ) from error
    if model.num_labels != 1:
        raise EmbedderError(
            f"The model in {path} has {model.num_labels} outputs: it is a classifier, not a reranker.",
            hint="choose a cross-encoder with one output, trained for ranking.",
        )
    return model
