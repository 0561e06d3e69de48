"""How close skraee comes to the time that the layers themselves take.

    python -m benchmarks.speed                 every figure, on the CPU
    python -m benchmarks.speed --only engine single --dtype bfloat16
    python -m benchmarks.speed --device cuda --dtype bfloat16
                                               the paper's shapes and mean exits

Every ratio comes from one run: the two sides alternate, and the figure is the median
of the rounds' ratios. Weights of the shapes are random, since speed does not depend on
them. Gemma and the real texts need $SKRAEE_BACKBONES and $SKRAEE_DATA. Writes
results/speed.jsonl.
"""
