"""Actors of a real Ray cluster that die over what they are given."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from agentmem.errors import ConsolidationError
from agentmem.integrations.ray_crew import Crew

pytestmark = pytest.mark.integrations


class Dying:
    """A worker that dies over some pieces."""

    def double(self, number: int) -> int:
        if number < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return 2 * number


@pytest.fixture
def crew() -> Iterator[Crew]:
    pytest.importorskip("ray")
    made = Crew(Dying, (), ConsolidationError, workers=1)
    yield made
    made.close()


def gave_up() -> ConsolidationError:
    return ConsolidationError("given up", hint="less")


def test_a_piece_over_which_three_workers_died_is_given_up_and_others_go_on(crew: Crew) -> None:
    """Also for what comes next, and what every worker is asked."""
    with pytest.raises(ConsolidationError, match="given up"):
        crew.map("double", [(1,), (-1,)], gave_up)

    assert crew.map("double", [(n,) for n in range(5)], gave_up) == [0, 2, 4, 6, 8]
    with pytest.raises(ConsolidationError, match="given up"):
        crew.each("double", -1, gave_up=gave_up)
    assert crew.each("double", -1) == []
    assert crew.each("double", 4) == [8]
