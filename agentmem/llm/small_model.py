"""The small language model that ships with agentmem: 5.1 million parameters that know a generated world by heart.

It needs no network and no accelerator, so editing and promotion can be tried and tested anywhere. Its model card lies
beside the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentmem.errors import ModelError
from agentmem.runtime.quiet import quiet

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["load_small_model", "small_model_path"]


def small_model_path() -> Path:
    """Return the folder with the model's ordinary Hugging Face files."""
    return Path(__file__).parents[1] / "data" / "small_model"


def load_small_model(dtype: torch.dtype | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the model, ready for inference, and its tokenizer, without touching the network.

    Args:
        dtype: Type of the weights in memory; float32 when None. The file holds bfloat16.

    Returns:
        The model in evaluation mode and the tokenizer, which pads on the left and carries the chat template.

    Raises:
        ModelError: The files are missing or damaged.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = small_model_path()
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                path,
                dtype=torch.float32 if dtype is None else dtype,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
    except (OSError, ValueError) as error:
        message = f"The small model could not be loaded from {path}."
        raise ModelError(message, hint="reinstall agentmem-toolkit: the files belong to the package") from error
    return model.eval(), tokenizer
