import json

import pytest

from codex_jax.errors import InputError
from codex_jax.sampling.params import Sample
from codex_jax.sampling.samples_file import open_samples_file, sample_fingerprint, to_row

SETTINGS = {"seed": 1}
PROMPTS = {"t/b": "def b", "t/a": "def a"}


def row(task_id, number, text="x", settings=SETTINGS):
    sample = Sample(text, 1, -1.0, -1.0, -2.0, -2.0, "stop")
    return to_row(task_id, number, sample, 0.5, sample_fingerprint(settings, PROMPTS[task_id]))


def write(path, rows, publish=True, resume=False, settings=SETTINGS):
    with open_samples_file(path, settings, PROMPTS, resume) as file:
        for one in rows:
            file.append(one)
        if publish:
            file.publish(PROMPTS)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_samples_are_sorted_by_task_and_number(tmp_path):
    path = tmp_path / "folder" / "s.jsonl"
    rows = [row("t/a", 1), row("t/b", 10), row("t/a", 0), row("t/b", 9)]
    write(path, rows)
    assert read(path) == [rows[3], rows[1], rows[2], rows[0]]
    assert list(path.parent.iterdir()) == [path]


def test_a_row_has_the_fields_of_a_sample():
    assert row("t/a", 3) == {
        "task_id": "t/a",
        "sample": 3,
        "completion": "x",
        "tokens": 1,
        "mean_logp": -1.0,
        "sum_logp": -1.0,
        "sampling_mean_logp": -2.0,
        "sampling_sum_logp": -2.0,
        "finish": "stop",
        "temperature": 0.5,
        "fingerprint": sample_fingerprint(SETTINGS, "def a"),
    }


def test_fingerprints_tell_settings_and_prompts_apart():
    prints = [sample_fingerprint(*key) for key in ((1, "a"), (1, "b"), (2, "a"), ({"x": 1, "y": 2}, ""))]
    assert len(set(prints)) == 4
    assert {len(one) for one in prints} == {16}
    assert sample_fingerprint({"y": 2, "x": 1}, "") == prints[3]


def test_an_interrupted_run_is_resumed(tmp_path):
    path, partial = tmp_path / "s.jsonl", tmp_path / "s.jsonl.partial"
    write(path, [row("t/a", 1), row("t/b", 0)], publish=False)
    assert not path.exists()
    with partial.open("a") as file:
        file.write(json.dumps(row("t/a", 0))[:30])
    with pytest.raises(InputError, match="add --resume"):
        write(path, [])
    with open_samples_file(path, SETTINGS, PROMPTS, resume=True) as file:
        assert file.rows.keys() == {("t/b", 0), ("t/a", 1)}
        file.append(row("t/a", 0))
        file.publish(PROMPTS)
    assert read(path) == [row("t/b", 0), row("t/a", 0), row("t/a", 1)]
    assert not partial.exists()


def test_a_finished_file_is_extended_only_with_resume(tmp_path):
    path = tmp_path / "s.jsonl"
    write(path, [row("t/a", 0)])
    write(path, [row("t/a", 1)], publish=False, resume=True)  # interrupted: samples are in both files
    write(path, [row("t/a", 2)], resume=True)
    assert [one["sample"] for one in read(path)] == [0, 1, 2]
    with pytest.raises(InputError, match="holds samples already: add --resume"):
        write(path, [row("t/a", 5)])
    assert [one["sample"] for one in read(path)] == [0, 1, 2]
    path.write_text("")
    write(path, [row("t/a", 5)])
    assert [one["sample"] for one in read(path)] == [5]


@pytest.mark.parametrize(
    "bad",
    [
        row("t/a", 0, settings={"seed": 2}),
        {**row("t/a", 0), "task_id": "t/c"},
        {**row("t/a", 0), "sample": None},
        {**row("t/a", 0), "sample": "0"},
    ],
)
def test_samples_of_another_run_are_kept(tmp_path, bad):
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps(bad) + "\n")
    with pytest.raises(InputError, match="holds samples of another run"):
        write(path, [], resume=True)
    assert read(path) == [bad]
    assert list(tmp_path.iterdir()) == [path]


def test_a_journal_of_another_run_is_kept(tmp_path):
    path = tmp_path / "s.jsonl"
    write(path, [row("t/a", 0, settings={"seed": 2})], publish=False, settings={"seed": 2})
    before = (tmp_path / "s.jsonl.partial").read_text()
    with pytest.raises(InputError, match="belongs to a run with other settings"):
        write(path, [], resume=True)
    assert (tmp_path / "s.jsonl.partial").read_text() == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write(tmp_path / "file" / "s.jsonl", [])
