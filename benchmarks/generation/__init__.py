"""One-sentence summaries by a model that stops early, beside its peers.

SciTLDR: the abstract of a paper becomes a sentence. The texts are read from
$SKRAEE_DATA/generation/scitldr, the models from $SKRAEE_BACKBONES. ROUGE-L is that of
the package rouge-score (pip install 'skraee[rouge]'), against the nearest reference.
Rows are measured once each; start the same command anew after an end.
"""
