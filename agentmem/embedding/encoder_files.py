"""What a sentence-transformers directory says about its encoder, read without sentence-transformers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["EncoderShape", "Unsupported", "encoder_shape"]

_OFFSET_POSITIONS = frozenset({"camembert", "roberta", "xlm-roberta"})
_LEGACY_POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """A BERT-like encoder and its pooling (Devlin et al. 2019; Reimers & Gurevych 2019).

    Attributes:
        first_position: row of the position table that the first token gets: 0, or after the padding row in RoBERTa.
        max_tokens: tokens read of a text, the special ones included.
    """

    width: int
    layers: int
    heads: int
    epsilon: float
    first_position: int
    pooling: Literal["mean", "cls"]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Why a directory is left to sentence-transformers."""

    reason: str


def encoder_shape(path: Path) -> EncoderShape | Unsupported:
    """The encoder in ``path``; anything whose vectors could differ from sentence-transformers' is unsupported."""
    names = ("modules.json", "config.json", "tokenizer.json", "model.safetensors")
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        return Unsupported(f"it has no {missing[0]} in its main folder")
    if len(list(path.rglob("*.safetensors"))) > 1:
        return Unsupported("its weights lie in several files")
    if (reason := _unlike_bert(path / "model.safetensors")) is not None:
        return Unsupported(reason)
    modules = _read(path / "modules.json")
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]) or modules[0]["path"]:
        return Unsupported(f"its modules are {', '.join(kinds)}")
    if _read(path / "config_sentence_transformers.json").get("default_prompt_name"):
        return Unsupported("it puts a prompt before every text")
    pooling = _pooling(_read(path / modules[1]["path"] / "config.json"))
    if pooling is None:
        return Unsupported("it pools neither by the mean nor by the first token")
    return _shape(path, _read(path / "config.json"), pooling)


def _shape(path: Path, config: Any, pooling: Literal["mean", "cls"]) -> EncoderShape | Unsupported:
    kind = config.get("model_type")
    if kind != "bert" and kind not in _OFFSET_POSITIONS:
        return Unsupported(f"its model type is {kind}")
    if config.get("hidden_act") != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        return Unsupported("its activation is not GELU, or its positions are not absolute")
    wrapper = _read(path / "sentence_bert_config.json")
    if wrapper.get("do_lower_case"):
        return Unsupported("it lowers the case of texts outside of its tokenizer")
    first = int(config["pad_token_id"]) + 1 if kind in _OFFSET_POSITIONS else 0
    limits = (
        wrapper.get("max_seq_length"),
        _read(path / "tokenizer_config.json").get("model_max_length"),
        int(config["max_position_embeddings"]) - first,
    )
    # The wrapper's limit replaces the tokenizer's; the table of positions ends where it ends.
    told = limits[0] or limits[1] or limits[2]
    return EncoderShape(
        width=int(config["hidden_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        epsilon=float(config["layer_norm_eps"]),
        first_position=first,
        pooling=pooling,
        max_tokens=int(min(told, limits[2])),
    )


def _unlike_bert(weights: Path) -> str | None:
    """What keeps a safetensors file from being a float32 BertModel; its header is JSON behind eight bytes of length."""
    with weights.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > weights.stat().st_size:
            return "its weights file is damaged"
        header = json.loads(file.read(size))
    if "embeddings.word_embeddings.weight" not in header:
        return "its weights have other names than BertModel's"
    kinds = {str(entry["dtype"]) for name, entry in header.items() if name != "__metadata__"} - {"F32", "I64"}
    return f"its weights are {', '.join(sorted(kinds))}" if kinds else None


def _pooling(config: Any) -> Literal["mean", "cls"] | None:
    mode = config.get("pooling_mode")
    if mode is None:
        on = [name for name, wanted in config.items() if name.startswith("pooling_mode_") and wanted]
        mode = _LEGACY_POOLING.get(on[0]) if len(on) == 1 else None
    if mode == "mean":
        return "mean"
    return "cls" if mode == "cls" else None


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
