"""The shipped model, where it is there, loaded once."""

from __future__ import annotations

from typing import Any

import pytest

from agentmem.llm.small_model import small_model_path


@pytest.fixture(scope="session")
def small_model() -> tuple[Any, Any]:
    if not list(small_model_path().glob("*.safetensors")):
        pytest.skip("the small model is not here")
    from agentmem.llm.clients import load_model

    return load_model("small")
