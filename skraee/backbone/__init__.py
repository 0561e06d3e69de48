"""Language models: loading, running them to a depth, reading an answer."""
