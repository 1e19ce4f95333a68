"""Test modules here may import the browser that lies beside them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # at the end: other folders have a conftest of their own
