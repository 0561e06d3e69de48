"""What was tried against skraee: damage, races, odd input, and what came of it.

    python -m benchmarks.trust                     # every trial
    python -m benchmarks.trust crafted-files --tries 2000 --seed 1

Each trial tries one kind of harm as often as it says and counts what came of it. All
is drawn with a seed. A trial whose line is there is not run again; of the lines of a
trial the page shows the last. Writes the table of docs/trust.md.
"""
