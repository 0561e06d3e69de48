"""A page about a classifier that can be sent to others."""
