"""Consolidation: ``policy`` decides (pure), ``job`` acts (propose, write in shadow, verify, commit or roll back)."""

from __future__ import annotations

from agentmem.consolidation.policy import Decision, DefaultPolicy, Policy, Signals

__all__ = ["Decision", "DefaultPolicy", "Policy", "Signals"]
