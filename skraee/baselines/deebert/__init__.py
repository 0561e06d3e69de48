"""DeeBERT: trained off-ramps."""
