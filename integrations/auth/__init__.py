"""Who may reach a memory over a network, and what they may do: one file of tokens opens every server alike.

tokens = Tokens("tokens.json")
token, issued = tokens.add(Access("ana", user="ana"))
"""

from __future__ import annotations

from agentmem.integrations.auth.access import Access, Right
from agentmem.integrations.auth.tokens import IssuedToken, Tokens

__all__ = ["Access", "IssuedToken", "Right", "Tokens"]
