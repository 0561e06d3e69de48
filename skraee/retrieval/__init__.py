"""Keys of texts, and the stored texts that are nearest to them."""
