"""CALM: a confidence stops a text."""
