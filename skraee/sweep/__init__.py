"""Layer sweeps and keys, each text once."""
