"""Files that are written as a whole, and archives that are read with suspicion."""
