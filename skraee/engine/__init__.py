"""Rows run to depths."""
