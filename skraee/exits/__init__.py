"""Where a text stops."""
