"""Settings that all tests share."""

from __future__ import annotations

import os

# Tests never ask a hub, whatever a test forgets to forbid.
os.environ["HF_HUB_OFFLINE"] = "1"
