"""The unbiased estimator of pass@k (paper section 2.1)."""

from collections.abc import Mapping, Sequence

import numpy as np

KS = (1, 10, 100)  # the paper's values of k


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Returns 1 - C(n - c, k) / C(n, k) for n samples of which c are correct, without computing large binomials.

    ValueError unless 0 <= correct <= samples and 1 <= k <= samples.
    """
    if not (0 <= correct <= samples and 1 <= k <= samples):
        raise ValueError(f"pass@{k} of {correct} correct in {samples} samples is not defined")
    if samples - correct < k:
        return 1.0
    return 1.0 - float(np.prod(1.0 - k / np.arange(samples - correct + 1, samples + 1)))


def supported_ks(samples: Mapping[str, int], ks: Sequence[int]) -> tuple[list[int], dict[str, str]]:
    """(ks for which all problems have enough samples, {"pass@k": reason} for others). samples: counts by task."""
    fewest, task_id = min((count, task_id) for task_id, count in samples.items())
    omitted = {}
    for k in ks:
        short = sum(count < k for count in samples.values())
        if short:
            omitted[f"pass@{k}"] = f"{short} of {len(samples)} problems have fewer samples; {task_id} has {fewest}"
    return [k for k in ks if k <= fewest], omitted
