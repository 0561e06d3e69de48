"""Texts and prompts: what a user gives, and the token ids that a backbone reads."""
