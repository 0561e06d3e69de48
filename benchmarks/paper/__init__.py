"""The tables and figures of the RAEE paper, on any backbone.

    python -m benchmarks.paper table1 --backbone gemma3-270m --store FOLDER
    python -m benchmarks.paper latency --backbone gemma3-270m --store FOLDER
    python -m benchmarks.paper all --backbone FacebookAI/roberta-large --store FOLDER
    python -m benchmarks.paper write

A backbone is a folder under $SKRAEE_BACKBONES, a path, or a hub name. Results are lines
of results/paper.jsonl; what has its line is not run again, so that a run that was ended
goes on, and several with other tasks or methods may run side by side. `write` makes
docs/paper.md of them. benchmarks/README.md has the commands for the paper's backbones.
"""
