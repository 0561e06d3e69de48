"""Text from a model that ends at one depth: the tokens after a prompt."""
