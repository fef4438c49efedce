"""log P(docstring | sample)."""

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.problems.docstrings import docstring_completion, docstring_prompt
from codex_jax.problems.humaneval import humaneval_problem
from codex_jax.problems.load import Benchmark
from codex_jax.sampling.back_translation import back_translate, sampled_code, translations
from tests.sampling.letters import teacher_forced

PROMPT = 'import re\n\n\ndef f(x):\n    """Adds one.\n    """\n'


def problem(task_id="t/0", prompt=PROMPT):
    return humaneval_problem(task_id, prompt, "f", "    return x + 1\n", "def check(candidate): pass")


def benchmark(*problems):
    return Benchmark("test", {one.task_id: one for one in problems}, "digest")


def test_the_code_of_a_sample_has_no_docstring():
    (one,) = benchmark(problem()).problems.values()
    (found,) = translations([{"task_id": "t/0", "completion": "    return x"}], benchmark(one), Fake())
    assert bytes(found.code[1:]).decode() == docstring_prompt("import re\n\n\ndef f(x):\n    return x\n")
    assert bytes(found.docstring).decode() == docstring_completion("Adds one.")
    whole = 'def f(x):\n    """Other."""\n    return 2\n'
    assert bytes(
        translations([{"task_id": "t/0", "solution": whole}], benchmark(one), Fake())[0].code[1:]
    ).decode() == (docstring_prompt("def f(x):\n    return 2\n"))
    assert sampled_code(one, None, {"solution": "def f(:"}) == "def f(:"


class Fake:
    """An engine that only encodes."""

    class tokenizer:
        eot = 0
        encode = staticmethod(lambda text: list(text.encode()))

    class config:
        context = 192


def test_the_sum_is_that_of_the_model_whatever_the_batch(engine, params):
    bodies = ["    return x", "    return x + 1\n", "    return 0", "    pass" + " " * 30 + "#"]
    samples = [{"task_id": "t/0", "completion": body} for body in bodies]
    pairs = translations(samples, benchmark(problem()), engine)
    by_batch = [dict(back_translate(engine, pairs, batch)) for batch in (1, 3, 8)]
    for index, pair in enumerate(pairs):
        ids = [*pair.code, *pair.docstring]
        logits = teacher_forced(params, ids)
        logps = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        expected = sum(logps[at - 1, ids[at]] for at in range(len(pair.code), len(ids)))
        for found in by_batch:
            assert found[index] == pytest.approx(expected, rel=1e-4)


def test_a_sample_that_the_model_cannot_see_is_refused():
    with pytest.raises(InputError, match="tokens with its docstring, and the model sees 192"):
        translations([{"task_id": "t/0", "sample": 3, "completion": "x" * 190}], benchmark(problem()), Fake())
    with pytest.raises(InputError, match="sample of t/0 is not UTF-8"):
        translations([{"task_id": "t/0", "completion": "\ud800"}], benchmark(problem()), Fake())
    with pytest.raises(InputError, match="t/0 has no docstring"):
        translations([{"task_id": "t/0", "completion": ""}], benchmark(problem(prompt="def f(x):\n")), Fake())
