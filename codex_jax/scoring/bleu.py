"""BLEU of a sample against the reference solution, which tells right from wrong samples badly (paper section 3.2)."""

from codex_jax.errors import InputError


def bleu(sample: str, reference: str) -> float:
    """sacrebleu's BLEU of one sentence, from 0 to 100. InputError if sacrebleu is not installed."""
    try:
        from sacrebleu import sentence_bleu
    except ImportError:
        raise InputError("--bleu needs an extra: pip install 'codex_jax[bleu]'") from None
    return float(sentence_bleu(sample, [reference]).score)
