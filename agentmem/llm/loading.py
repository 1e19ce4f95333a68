"""Language models given by name, by path or as objects: what was asked for is checked at once, the weights come when they are needed.

Nothing is downloaded, and no code from a model's repository runs, unless asked for by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agentmem.errors import InvalidArgument, MissingExtra, ModelError
from agentmem.llm.tokenizing import conversational

__all__ = ["SHIPPED", "ModelSpec", "load_model"]

SHIPPED = frozenset({"small", "shipped"})
_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")
_FETCH = 'fetch it first: load_model("…", allow_download=True) of agentmem.llm.clients gives the pair; "small" comes with agentmem.'


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as a caller gives it, and how it is to be loaded.

    Args:
        model: a directory, a name in the local Hugging Face cache, ``"small"``, a transformers model, or a pair of model and tokenizer.
        tokenizer: of a transformers model.
        device, dtype: for a model given by name or path, as in :func:`load_model`.
        plain: write ``User: …`` and ``Assistant:`` instead of the chat template; by default only when there is none.
        device_map: in place of ``device``, as in :func:`load_model`.

    Raises:
        InvalidArgument: this is no model, or the options do not fit it.
        ModelError: there is no model of this name on disk.
    """

    model: Any
    tokenizer: Any = None
    device: Any = None
    dtype: Any = None
    plain: bool | None = None
    device_map: Any = None

    def __post_init__(self) -> None:
        if self.plain is not None and not isinstance(self.plain, bool):
            raise InvalidArgument(
                f"plain must be True, False or None, not {self.plain!r:.80}.", hint="plain=True for base models."
            )
        _check_dtype(self.dtype)
        if isinstance(self.model, str | Path):
            _check_device(self.device)
            _check_map(self.device_map, self.device, str(self.model))
            _need_on_disk(self.model)
            return
        if self.model is None:
            raise InvalidArgument(
                "There is no model.", hint='Memory(path, model="small"), or memory.attach(model, tokenizer).'
            )
        if self.device is not None or self.dtype is not None or self.device_map is not None:
            raise InvalidArgument(
                "device, dtype and device_map are for a model that is given by name or path.",
                hint="move this one yourself: model.to(…), or accelerate's dispatch_model(…).",
            )
        self._pair()

    def load(self) -> tuple[Any, Any]:
        """The model, and its tokenizer with a template for messages unless ``plain`` is false and there is none.

        Raises:
            ModelError: it cannot be loaded.
        """
        options = {"device": self.device, "dtype": self.dtype, "device_map": self.device_map}
        model, tokenizer = load_model(self.model, **options) if self.named else self._pair()
        return model, conversational(tokenizer, self.plain)

    @property
    def named(self) -> bool:
        """Whether it has to be loaded: it is a name or a path."""
        return isinstance(self.model, str | Path)

    def _pair(self) -> tuple[Any, Any]:
        pair = isinstance(self.model, tuple) and len(self.model) == 2 and self.tokenizer is None
        model, tokenizer = self.model if pair else (self.model, self.tokenizer)
        if not hasattr(model, "parameters"):
            raise InvalidArgument(
                f"{type(model).__name__} is no language model of transformers.",
                hint="give a name or path, or (model, tokenizer); a client or a function goes to llm=.",
            )
        if tokenizer is None:
            raise InvalidArgument(
                "A model needs its tokenizer.",
                hint="memory.attach(model, tokenizer), or Memory(model=(model, tokenizer)).",
            )
        return model, tokenizer


def load_model(
    name_or_path: str | Path,
    *,
    device: Any = None,
    dtype: Any = None,
    device_map: Any = None,
    allow_download: bool = False,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """A causal language model and its tokenizer, in evaluation mode, with frozen weights.

    Args:
        name_or_path: a directory, a name in the local Hugging Face cache, or ``"small"`` for the model that comes with
            agentmem.
        device: ``cpu``, ``cuda``, ``mps`` …; by default the accelerator that the machine has, and the CPU for ``"small"``.
        dtype: a torch dtype or its name; by default float32 on the CPU and for ``"small"``, and as it was saved elsewhere.
        device_map: in place of ``device``: ``"auto"`` spreads the layers over what the machine has and fetches from memory or disk what
            does not fit, layer by layer; or which module goes where (``{"model.layers.0": "cpu", …: "disk"}``). Needs accelerate.
        allow_download: let a name that is not on disk be fetched.
        revision: a branch, tag or commit, for a name.
        trust_remote_code: run code from the model's repository. Only with repositories that you have read.

    Raises:
        InvalidArgument: there is no such device or type of numbers.
        MissingExtra: a device map was given, and accelerate is not installed.
        ModelError: it cannot be loaded.
    """
    _check_dtype(dtype)
    _check_device(device)
    _check_map(device_map, device, str(name_or_path))
    if str(name_or_path) in SHIPPED:
        return _shipped(device, dtype)
    path = Path(name_or_path).expanduser()
    source = str(path) if path.is_dir() else str(name_or_path)
    options: dict[str, Any] = {
        "local_files_only": not allow_download,
        "trust_remote_code": trust_remote_code,
        "revision": revision or "main",
    }
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtra("transformers cannot be imported.", hint="pip install transformers torch") from error
    from agentmem.runtime.quiet import quiet

    place = str(device) if device is not None else _accelerator()
    if device_map is not None:
        options["device_map"] = device_map
    kind = dtype if dtype is not None else "float32" if place == "cpu" else "auto"
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, **{k: v for k, v in options.items() if k != "device_map"})
            model: Any = AutoModelForCausalLM.from_pretrained(source, use_safetensors=True, dtype=kind, **options)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise _not_loaded(source, path.is_dir(), allow_download, error) from error
    if device_map is None:
        _move(model, place)
    model.eval()
    model.requires_grad_(requires_grad=False)
    return model, tokenizer


def _shipped(device: Any, dtype: Any) -> tuple[Any, Any]:
    import torch

    from agentmem.llm.small_model import load_small_model

    kind = torch.bfloat16 if dtype == "auto" else getattr(torch, dtype) if isinstance(dtype, str) else dtype
    model, tokenizer = load_small_model(kind)
    if device is not None:
        _move(model, str(device))
    return model, tokenizer


def _accelerator() -> str:
    """Where models run best on this machine."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _move(model: Any, device: str) -> None:
    try:
        model.to(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch asserts that it was built for a device
        raise ModelError(
            f"The model cannot be brought to {device}: {error}",
            hint='device="cpu" works everywhere; dtype="bfloat16" needs half the room.',
        ) from error


def _check_dtype(dtype: object) -> None:
    named = dtype in _DTYPES if isinstance(dtype, str) else str(dtype).startswith("torch.")
    if dtype is not None and not named:
        raise InvalidArgument(f"Unknown dtype {dtype!r:.80}.", hint=f"one of {', '.join(_DTYPES)}, or a torch dtype.")


def _check_device(device: object) -> None:
    if device is None:
        return
    name, _, number = str(device).partition(":")
    if not name.isalpha() or not name.islower() or (number and not number.isdigit()):
        raise InvalidArgument(f"{device!r:.80} is no device.", hint='device="cpu", "cuda", "cuda:1" or "mps".')


def _check_map(device_map: object, device: object, name: str) -> None:
    """Refuse a device map that cannot be followed."""
    if device_map is None:
        return
    if not isinstance(device_map, str | dict):
        raise InvalidArgument(
            f"{device_map!r:.80} is no device map.", hint='device_map="auto", or {"model.layers.0": "cpu", …}.'
        )
    if device is not None:
        raise InvalidArgument("device and device_map contradict each other.", hint="give one of them.")
    if name in SHIPPED:
        raise InvalidArgument("The model that comes along fits anywhere.", hint='device="cuda", or leave it out.')
    if find_spec("accelerate") is None:
        raise MissingExtra(
            "A device map needs accelerate, which is not installed.",
            hint='pip install "agentmem-toolkit[models]", or device= for one device.',
        )


def _need_on_disk(name: str | Path) -> None:
    """Look for the files of a model, without reading any: a wrong name is said where it is given, not at the first use."""
    if str(name) in SHIPPED:
        return
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(
                f"There is no model in {path}: no config.json.",
                hint="the directory needs config.json, a tokenizer and safetensors weights of a causal language model.",
            )
        return
    if str(name).startswith(("http://", "https://")):
        raise ModelError(
            f"{name} is a server, not a model on disk.", hint='Memory(path, llm=OpenAIModel("http://…/v1", "name")).'
        )
    if not _cached(str(name)):
        raise ModelError(
            f"There is no model {str(name)!r} on disk: neither a directory nor in the Hugging Face cache.", hint=_FETCH
        )


def _cached(name: str) -> bool:
    """Whether the Hugging Face cache has a model of this name."""
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return True  # said when it is loaded
    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError:
        return False


def _not_loaded(source: str, on_disk: bool, allow_download: bool, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:300]
    if on_disk:
        hint = "the directory needs config.json, a tokenizer and safetensors weights of a causal language model."
    elif allow_download:
        hint = "check the name and the connection."
    else:
        hint = 'give a directory, or "small" for the model that comes along; to fetch a name: load_model(name, allow_download=True).'
    return ModelError(f"No causal language model could be loaded from {source!r}: {reason}", hint=hint)
