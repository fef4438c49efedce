"""Exact duplicates, whatever their whitespace."""

import hashlib

from codex_jax.text.document import Document


def content_hash(document: Document) -> bytes:
    """16 bytes: documents that differ in whitespace alone share it."""
    words = [*document.prompt.split(), "\0", *document.text.split()]
    return hashlib.blake2b(" ".join(words).encode("utf-8", "surrogatepass"), digest_size=16).digest()
