"""Small data sets as the command builds them, for the code of other projects to read."""

import json
import os
import subprocess
import sys

import pytest

from codex_jax.records.dataset import open_dataset

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def _sources(folder):
    for n in range(60):
        path = folder / f"repo{n % 20}" / f"m{n}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"def function_{n}_{m}(x):\n    return x + {n * m}\n" for m in range(1 + n % 9)]
        path.write_text("\n\n".join(lines))
    return f"dir:{folder}"


def _problems(path):
    lines = [
        {"task_id": f"t/{n}", "prompt": f"def f{n}(x):\n", "canonical_solution": f"    return x + {n}\n"}
        for n in range(80)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"problems:{path}"


@pytest.fixture(scope="session", params=["plain", "masked"])
def built(request, tmp_path_factory):
    """The data set as codex_jax opens it: three shards a split, some of which may be empty."""
    folder = tmp_path_factory.mktemp(request.param)
    source = _sources(folder / "src") if request.param == "plain" else _problems(folder / "p.jsonl")
    # In a process of its own: TensorFlow's threads and a fork do not go together.
    command = [sys.executable, "-m", "codex_jax.corpus", source, "--out", str(folder / request.param)]
    subprocess.run([*command, "--tokenizer", "p50k", "--seq-len", "32", "--shards", "3"], check=True)
    data = open_dataset(folder / request.param)
    assert all(split["records"] and len(split["shards"]) == 3 for split in data.manifest["splits"].values())
    assert sum(len(split["shards"]) - split["shards"].count(0) for split in data.manifest["splits"].values()) > 3
    return data
