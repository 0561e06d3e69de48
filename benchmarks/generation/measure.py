"""A row measured: ROUGE-L, tokens a second, depth."""

from __future__ import annotations

from hashlib import sha256

from benchmarks.generation.methods import Case, Method
from benchmarks.lines import Line
from skraee.generation.references import check_references
from skraee.generation.rouge import rouge_l

NAMING = ("backbone", "method", "seed", "n_fit", "n_test")


def measured(case: Case, write: Method) -> Line:
    """Let a method write all test texts, and judge what it wrote."""
    written = write(case)
    references = check_references(case.test[1], len(case.test[0]))
    found: Line = {
        "rouge_l": round(100 * float(rouge_l(written.texts, references).mean()), 2),
        # The data sets' own words stay out of the lines.
        "texts_hash": sha256("\n".join(written.texts).encode()).hexdigest()[:16],
        **written.facts,
    }
    if written.n_tokens:
        seconds, worked = written.seconds
        found |= {
            "n_layers": case.writer.n_layers,
            "computed_in": str(case.writer.sweeper.backbone.dtype).split(".")[-1],
            "seconds": round(seconds, 2),
            "tokens_per_second": round(written.n_tokens / seconds, 1),
            "processor_seconds": round(worked, 2),
            "tokens_per_processor_second": round(written.n_tokens / worked, 1),
            "mean_tokens": round(written.n_tokens / len(written.texts), 1),
        }
    return found
