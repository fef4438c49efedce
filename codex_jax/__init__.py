"""The open Codex: code corpus, GPT, fine-tuning, sampling and scoring in JAX."""

import sys
import threading


def _is_command() -> bool:
    """Whether this is `python -m codex_jax.COMMAND`, which is about to import the command."""
    words = sys.orig_argv
    return sys.argv[:1] == ["-m"] and "-m" in words and words[words.index("-m") + 1].startswith("codex_jax.")


if _is_command():
    from codex_jax import failure

    sys.excepthook, sys.unraisablehook, threading.excepthook = failure.hook, failure.ignore, failure.ignore
