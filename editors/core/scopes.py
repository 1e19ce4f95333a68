"""Who may see which edit, and which edits one request may see together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agentmem.errors import InvalidArgument
from agentmem.notes.note import Scope

__all__ = ["admits", "coded", "covisible", "per_row", "together"]

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


def admits(scope: Scope | None, owner: Scope | None) -> bool:
    """Whether a request in ``scope`` may see what belongs to ``owner``; ``None`` is a request without a scope."""
    return not owner or (scope is not None and scope.admits(owner))


def per_row(scopes: Sequence[Scope | None], rows: int) -> list[Scope | None]:
    """One scope per row; beams and samples of one request, and tokens that were flattened, share its scope.

    Raises:
        InvalidArgument: the number of scopes does not fit the batch.
    """
    if not scopes or rows % len(scopes):
        raise InvalidArgument(
            f"{len(scopes)} scopes were given for a batch of {rows} rows.", hint="give one scope per row."
        )
    return [scope for scope in scopes for _ in range(rows // len(scopes))]


def covisible(scopes: Sequence[Scope | None]) -> Bools:
    """[E, E] True where some request may see both edits: users never meet, nor do agents without a user."""
    users, agents = coded(scopes)
    return together(users, agents, users, agents)


def coded(scopes: Sequence[Scope | None]) -> tuple[Integers, Integers]:
    """[E] the users and the agents as numbers, -1 for none."""
    return _codes([s.user if s else None for s in scopes]), _codes([s.agent if s else None for s in scopes])


def together(users: Integers, agents: Integers, other_users: Integers, other_agents: Integers) -> Bools:
    """[n, m] True where some request may see both."""
    same_user, same_agent = users[:, None] == other_users[None, :], agents[:, None] == other_agents[None, :]
    both_users = (users >= 0)[:, None] & (other_users >= 0)[None, :]
    agents_agree = same_agent | (agents < 0)[:, None] | (other_agents < 0)[None, :]
    together: Bools = np.where(both_users, same_user, agents_agree)
    return together


def _codes(names: Sequence[str | None]) -> Integers:
    codes: dict[str, int] = {}
    return np.array([-1 if n is None else codes.setdefault(n, len(codes)) for n in names], dtype=np.int64)
