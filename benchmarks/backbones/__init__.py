"""Which backbone: accuracy against milliseconds per text, measured in one run.

    python -m benchmarks.backbones                      every folder that is there
    python -m benchmarks.backbones --backbones mpnet-base --tasks sst2 trec
    python -m benchmarks.backbones --templates "{text} In a word:" --tasks sst2
    python -m benchmarks.backbones --table              tables and plot of what is there

`EarlyExitClassifier` on each backbone and template, at several budgets and at full
depth, beside embeddings + logistic regression of each sentence encoder in the same
dtype. All of a backbone and task take turns on the same blocks of test texts. Writes
results/backbones.jsonl and goes on where it stopped. Needs $SKRAEE_BACKBONES and
$SKRAEE_DATA; --table needs neither.
"""
