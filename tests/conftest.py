"""Settings that all tests share."""

from __future__ import annotations

import os

import torch

# Tests never ask a hub, whatever a test forgets to forbid.
os.environ["HF_HUB_OFFLINE"] = "1"

# Tiny models gain nothing by threads, and lose much where several tests run at once.
torch.set_num_threads(1)
