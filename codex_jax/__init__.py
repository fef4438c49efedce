"""The open Codex: code corpus, GPT, fine-tuning, sampling and scoring in JAX."""

import sys

if sys.argv[:1] == ["-m"]:  # `python -m codex_jax.COMMAND` is about to import the command
    from codex_jax import failure

    sys.excepthook = failure.hook
