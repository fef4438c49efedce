"""BLEU is an extra."""

import importlib.util
import sys

import pytest

from codex_jax.errors import InputError
from codex_jax.scoring.bleu import bleu


def test_without_sacrebleu(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(InputError, match="codex_jax\\[bleu\\]"):
        bleu("a", "a")


@pytest.mark.skipif(importlib.util.find_spec("sacrebleu") is None, reason="needs the extra bleu")
def test_equal_and_different_texts():
    text = "    return [x for x in numbers if x > 0]\n"
    assert bleu(text, text) == pytest.approx(100)
    assert bleu(text, "    while True: pass\n") < 20
    assert bleu("", text) == 0
