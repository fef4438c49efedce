"""The open Codex: code corpus, GPT, fine-tuning, sampling and scoring in JAX."""
