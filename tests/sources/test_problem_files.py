import gzip
import json

import pytest

from codex_jax.errors import InputError
from codex_jax.text.document import Document

from .reading import read

GOOD = json.dumps({"task_id": "t", "prompt": "def f():\n", "canonical_solution": "    return 1\n"})


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz"])
def test_problems(tmp_path, name):
    data = GOOD.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert read(f"problems:{tmp_path / name}") == [Document("t", "t", "t", "    return 1\n", "def f():\n")]


def test_bad_problems(tmp_path):
    (tmp_path / "bad.jsonl").write_text(GOOD + "\n" + GOOD.replace('"t"', "5") + "\n")
    (tmp_path / "surrogate.jsonl").write_text(GOOD.replace('"t"', '"\\ud800"'))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(GOOD.encode() * 100)[:-12])
    for name, message in (
        ("none", "no problems file"),
        ("bad.jsonl", "line 2"),
        ("surrogate.jsonl", "not UTF-8"),
        ("cut.jsonl.gz", "cannot read"),
    ):
        with pytest.raises(InputError, match=message):
            read(f"problems:{tmp_path / name}")
