"""Language models by name: found, loaded, and held to what they were."""
