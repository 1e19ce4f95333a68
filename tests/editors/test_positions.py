"""How models know where tokens stand, found by what their first layer reads."""

from __future__ import annotations

import pytest
import tiny

from agentmem.editors.port import ModelPort
from agentmem.editors.positions import Positions

ROTARY = ("llama", "qwen3", "gpt_neox", "gptj", "phi", "gemma2")


@pytest.mark.parametrize("family", ROTARY)
def test_where_attention_turns_by_position_only_distances_count(family, tok):
    assert ModelPort(tiny.untrained(family, len(tok)), tok).positions == Positions(True)


@pytest.mark.parametrize(("family", "by_mask"), [("gpt2", False), ("opt", True)])
def test_learnt_positions_are_absolute_and_counted_in_columns_or_in_what_the_mask_shows(family, by_mask, tok):
    assert ModelPort(tiny.untrained(family, len(tok)), tok).positions == Positions(True, True, by_mask)


def test_a_state_knows_no_positions(tok):
    assert ModelPort(tiny.untrained("mamba", len(tok)), tok).positions == Positions(False)
