"""Options of the WISE editor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from agentmem.editors.core.config import Layer, checked, resolved_layer
from agentmem.editors.gate.config import GateConfig
from agentmem.errors import InvalidArgument

__all__ = ["WiseConfig"]

_NO_RECIPE = frozenset({"layer", "layers", "chat"})  # resolved elsewhere, or part of the fingerprint
_LATER = ("activation_ratio", "largest_change")  # options that packs written before did not know


class WiseConfig(GateConfig):
    """Where the side memory sits, how it is trained, and who decides that it answers.

    The defaults differ from the paper (:meth:`paper`) where free generation needs it: the late key of the whole
    request decides, not an activation norm; the decision is made once per request and row and kept; the memory
    governs the last prompt token and the answer, so that a request which it does not answer stays bit-identical;
    a shard is trained on all its records together.

    Attributes:
        layer: whose feed-forward output projection has the side memory: an index (negative: from the end), or a
            fraction of the depth.
        gate: ``keys``: GRACE's keys and radii decide; ``activation``: the norm of what the memory would add does
            (the paper's Eq. 3); ``both``: they have to agree.
        span: the memory governs the last prompt token and the answer (``answer``), or every token (``all``).
        mask: the memory may change random ``columns`` of the projection (some of its inputs), or random
            ``elements``.
        ratio: the share of columns or elements (the paper's rho).
        seed: of the masks.
        shard_size: records per shard at most.
        shards: shards per side memory. Up to ``shard_size`` records share the first; beyond, they are dealt to all, which
            are merged by TIES.
        ties_density: the share of each shard's largest changes that takes part in the merge.
        training: a shard learns its records ``together``, or one after the other (``sequence``).
        optimiser, lr: ``adam`` with steps in units that move the projection by ``lr`` times the residual
            stream's root mean square, or plain ``sgd``.
        batch: contexts that are replayed together.
        steps: optimiser steps at most: per shard, or per record in ``sequence``.
        margin: training is over when every target token leads by so many nats in every context.
        prefixes, prefix_tokens: further contexts of each record: its prompt behind so many tokens of background.
        alpha, beta, gamma: the activation margins of the paper's L_a: unrelated prompts below ``alpha``, edits
            above ``beta``, ``gamma`` apart.
        margin_unit: the margins count in units of the projection's ``output`` norm on background prompts, or are
            ``absolute``.
        margin_weight: of L_a in the loss; 0 for none.
        threshold: an activation answers above the ``midpoint`` between background and edits (95 % and 5 %
            quantiles), or above the smallest of any edit (``minimum``), times ``activation_ratio``.
        activation_ratio: which share of the smallest activation is enough (``act_ratio`` in the authors' code, .88 for most
            models).
        largest_change: no entry of the projection moves further (``norm_constraint`` in the authors' code); ``None``: as far
            as it likes.
        verify: leave out, with a failed receipt, what a shard cannot say after training.
    """

    layer: Layer = -1
    gate: Literal["keys", "activation", "both"] = "keys"
    span: Literal["answer", "all"] = "answer"
    mask: Literal["columns", "elements"] = "columns"
    ratio: float = Field(0.2, gt=0, le=1)
    seed: int = Field(0, ge=0)
    shard_size: int = Field(64, ge=1)
    shards: int = Field(1, ge=1, le=16)
    ties_density: float = Field(0.53, gt=0, le=1)
    training: Literal["together", "sequence"] = "together"
    optimiser: Literal["adam", "sgd"] = "adam"
    lr: float = Field(0.4, gt=0)
    batch: int = Field(64, ge=1)
    steps: int = Field(100, ge=1)
    margin: float = Field(3.0, ge=0)
    prefixes: int = Field(0, ge=0)
    prefix_tokens: int = Field(10, ge=1)
    alpha: float = Field(0.1, ge=0)
    beta: float = Field(0.5, ge=0)
    gamma: float = Field(0.4, ge=0)
    margin_unit: Literal["output", "absolute"] = "output"
    margin_weight: float = Field(0.0, ge=0)
    threshold: Literal["midpoint", "minimum"] = "midpoint"
    activation_ratio: float = Field(1.0, gt=0, le=1)
    largest_change: float | None = Field(None, gt=0)
    verify: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> WiseConfig:
        if self.shards > 1 and self.mask == "columns" and self.ratio * self.shards > 1:
            raise ValueError("shards of one memory would overlap: shards * ratio must not exceed 1")
        return self

    @classmethod
    def paper(cls, **changes: object) -> WiseConfig:
        """WISE as published (Wang et al. 2024, NeurIPS), in the hyper-parameters of its authors' code.

        One side memory takes 500 edits, a second one is added and merged beyond, up to 1,000 edits (``save_freq`` and
        ``merge_freq`` there).

        Still ours: routing is per row and once per request, the stop token is trained, masked entries never move,
        and deleting retrains; an edit is learnt when every target token leads by ``margin``, not at a loss of .02. Prefixes
        come from the background prompts instead of the model's own samples.
        """
        published: dict[str, object] = {
            "layer": 0.85, "gate": "activation", "span": "all", "mask": "elements", "ratio": 0.2,
            "shard_size": 500, "shards": 2, "training": "sequence", "optimiser": "sgd", "lr": 1.0, "steps": 70,
            "prefixes": 10, "prefix_tokens": 10, "alpha": 5.0, "beta": 20.0, "gamma": 10.0,
            "margin_unit": "absolute", "margin_weight": 1.0, "threshold": "minimum",
            "activation_ratio": 0.88, "largest_change": 1.0, "verify": False,
        }  # fmt: skip
        return checked(cls, "wise", published | changes)

    def layer_of(self, depth: int) -> int:
        """The layer as an index in ``[1, depth)``.

        Raises:
            InvalidArgument: there is no such layer, or none below it.
        """
        layer = resolved_layer(self.layer, depth)
        if not 1 <= layer < depth:
            raise InvalidArgument(
                f"layer={self.layer} cannot hold a side memory: the model has {depth} layers.",
                hint=f"choose 1 … {depth - 1}, or -1 for the last.",
            )
        return layer

    @property
    def hears(self) -> bool:
        """Whether activations take part in what decides, as published."""
        return self.gate != "keys" or self.margin_weight > 0

    def recipe(self) -> dict[str, object]:
        """Everything that decides what a set of records becomes."""
        plain = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(exclude=set(_NO_RECIPE | plain))
