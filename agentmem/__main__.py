"""``python -m agentmem`` is the command line."""

from __future__ import annotations

from agentmem.integrations.cli import main

if __name__ == "__main__":
    main()
