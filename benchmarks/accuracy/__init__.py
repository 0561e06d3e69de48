"""How accurate skraee is at which cost, beside the plain peers, on eight tasks.

    python -m benchmarks.accuracy                      Gemma 3 270M, eight tasks
    python -m benchmarks.accuracy --seeds 0 --tasks sst2 trec
    python -m benchmarks.accuracy --backbone qwen2.5-0.5b --tasks sst2 trec subj cola
    python -m benchmarks.accuracy --times              milliseconds, one line a task
    python -m benchmarks.accuracy --setfit --seeds 0   SetFit (see setfit.py)
    python -m benchmarks.accuracy --table              tables and plot of what is there
    python -m benchmarks.accuracy --picture            README's picture of exits

Every method is fitted on 2,000 training texts drawn with a seed and judged on the whole
test file. Writes results/accuracy.jsonl line by line and goes on where it stopped;
sweeps are kept in --store. Needs $SKRAEE_BACKBONES and $SKRAEE_DATA; --table and
--picture need neither.
"""
