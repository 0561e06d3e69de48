"""The headline: how accurate skraee is at which cost, beside the plain peers.

    python -m benchmarks.accuracy                      mpnet and Gemma 3 270M, ten tasks
    python -m benchmarks.accuracy --seeds 0 --tasks sst2 trec
    python -m benchmarks.accuracy --backbone mpnet-base
    python -m benchmarks.accuracy --times              milliseconds, a line a task
    python -m benchmarks.accuracy --setfit             SetFit (see setfit.py)
    python -m benchmarks.accuracy --table              tables and plot of what is there
    python -m benchmarks.accuracy --picture            README's picture of exits

Every method is fitted on 2,000 training texts drawn with a seed and judged on the whole
test file, of banking77 and clinc150 on 1,000 texts. Writes results/accuracy.jsonl line
by line, and beside it the answers to every test text; goes on where it stopped, with
what failed, too. To measure again, take the lines out. Sweeps are kept in --store.
Needs $SKRAEE_BACKBONES, with minilm-l6 and mpnet-base, and $SKRAEE_DATA; --table and
--picture need neither.
"""
