import json

import pytest

from codex_jax.corpus_build.filtering import Accepted, Dropped, filter_document, make_rules, protected_texts
from codex_jax.corpus_build.settings import Settings
from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import heldout_problems
from codex_jax.problems.humaneval import write_problems
from codex_jax.text.document import Document, Rejected

TEXT = "".join(f"def f{n}(x):\n    return x * {n} + other_{n}(x)\n\n\n" for n in range(9))


def rules(*protect, **settings):
    return make_rules(Settings(sources=("stdlib",), tokenizer="p50k", protect=protect or ("none",), **settings))


def document(text, id_="r/a.py", **fields):
    return Document(id_, "r", "a.py", text, **fields)


def test_a_key_depends_only_on_the_document():
    one, same = (filter_document(document(TEXT), source, rules()) for source in (0, 3))
    assert isinstance(one, Accepted)
    assert (one.key, one.content, one.repo) == (same.key, same.content, same.repo)
    assert one.bands.tolist() == same.bands.tolist()
    moved = filter_document(document(TEXT, "r/b.py"), 0, rules())
    assert moved.key != one.key
    assert (moved.content, moved.bands.tolist()) == (one.content, one.bands.tolist())


def test_a_dropped_document_has_a_reason_and_a_size():
    assert filter_document(Rejected("x", "malformed_line"), 0, rules()) == Dropped("x", "malformed_line")
    assert filter_document(document(" \n"), 0, rules()) == Dropped("r/a.py", "empty", 2)
    assert filter_document(document("def f(:\n"), 0, rules(require_parse=True)) == Dropped(
        "r/a.py", "does_not_parse", 8
    )
    mine = filter_document(document(TEXT, license="MIT"), 0, rules(licenses=("permissive",)))
    assert isinstance(mine, Accepted)
    assert filter_document(document(TEXT), 0, rules(licenses=("permissive",))).reason == "licence_not_allowed"


def test_every_benchmark_can_be_protected(tmp_path):
    folder = tmp_path / "apps" / "0007"
    folder.mkdir(parents=True)
    (folder / "question.txt").write_text("Given numbers, print how often " + " ".join(f"word{n}" for n in range(40)))
    (folder / "solutions.json").write_text(json.dumps([TEXT]))
    (folder / "metadata.json").write_text(json.dumps({"difficulty": "interview", "url": "u"}))
    found = filter_document(document("import os\n\n" + TEXT), 0, rules(f"apps:{tmp_path / 'apps'}"))
    assert found == Dropped("r/a.py", "contaminated", len(TEXT) + 11, "apps/0007")

    held = heldout_problems()[-1]
    text = "import os\n\n" + held.prompt + held.canonical_solution
    assert filter_document(document(text), 0, rules("building_blocks")).problem == held.task_id
    write_problems(tmp_path / "mine.jsonl", [held])
    assert filter_document(document(text), 0, rules(str(tmp_path / "mine.jsonl"))).problem == held.task_id
    # A document with a prompt, which is a problem for fine-tuning, is not decontaminated.
    assert isinstance(filter_document(document(text, prompt="def f():\n"), 0, rules("building_blocks")), Accepted)


def test_bad_benchmarks(tmp_path):
    for spec in ("nonsense", "apps:", f"apps:{tmp_path}", f"{tmp_path}/none.jsonl"):
        with pytest.raises(InputError):
            list(protected_texts((spec,)))
    assert list(protected_texts(("none",))) == []
