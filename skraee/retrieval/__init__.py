"""Keys, neighbours and the exit rule (equations 4 to 6 of the RAEE paper)."""
