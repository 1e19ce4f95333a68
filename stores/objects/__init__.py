"""Bytes under names, in a folder or at any address that fsspec knows: where packs of weight edits are when a user says so."""
