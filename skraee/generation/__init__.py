"""Parts of the estimator that generates: references, targets, answers, their score."""
