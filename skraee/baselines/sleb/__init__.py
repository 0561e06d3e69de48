"""SLEB: blocks are left out for all texts."""
