"""Fitted estimators as files that hold no code."""
