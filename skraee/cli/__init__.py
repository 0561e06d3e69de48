"""The command ``skraee``."""
