import json

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.humaneval import humaneval_problem
from codex_jax.problems.load import Benchmark
from codex_jax.scoring.sample_files import SampleFile, check_ks, read_sample_files

BENCHMARK = Benchmark("b", {name: humaneval_problem(name, "", "f", "", "") for name in ("t/0", "t/1")}, "digest")


def write(path, *task_ids, **fields):
    """A file of one sample for each of these."""
    samples = [{"task_id": task_id, "completion": "x", **fields} for task_id in task_ids]
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return path, samples


def read(*paths, out=None, inputs=(), skip_bad=False, skip_missing=False):
    return read_sample_files(paths, out, inputs, BENCHMARK, skip_bad, skip_missing)


def test_one_file_is_labelled_by_its_name(tmp_path):
    path, samples = write(tmp_path / "s.jsonl", "t/0", "t/1", temperature=0.8)
    assert read(path) == [SampleFile(path, samples, tmp_path / "s.jsonl_results.jsonl", "s.jsonl")]
    (file,) = read(path, out=tmp_path / "o.jsonl")
    assert file.out == tmp_path / "o.jsonl"


def test_several_files_are_labelled_by_temperature_where_it_differs(tmp_path):
    (tmp_path / "more").mkdir()
    one, _ = write(tmp_path / "one.jsonl", "t/0", "t/1", temperature=0.2)
    two, _ = write(tmp_path / "two.jsonl", "t/0", "t/1", temperature=0.8)
    plain, _ = write(tmp_path / "plain.jsonl", "t/0", "t/1")
    same, _ = write(tmp_path / "more" / "two.jsonl", "t/0", "t/1", temperature=0.8)
    assert [file.label for file in read(one, two, plain)] == ["T 0.2", "T 0.8", "plain.jsonl"]
    assert [file.label for file in read(one, two, same)] == ["T 0.2", str(two), str(same)]


def test_flags_that_do_not_fit_together(tmp_path):
    one, _ = write(tmp_path / "one.jsonl", "t/0", "t/1")
    two, _ = write(tmp_path / "two.jsonl", "t/0", "t/1")
    with pytest.raises(InputError, match="--out takes the results of one file"):
        read(one, two, out=tmp_path / "o.jsonl")
    with pytest.raises(InputError, match=r"one\.jsonl is given twice"):
        read(one, two, tmp_path / "." / "one.jsonl")
    with pytest.raises(InputError, match=r"would replace .*one\.jsonl"):
        read(one, out=one)
    with pytest.raises(InputError, match=r"would replace .*two\.jsonl"):
        read(one, out=two, inputs=[two])
    with pytest.raises(InputError, match="does not hold results of these samples"):
        read(one, out=write(tmp_path / "other.jsonl", "t/0")[0])
    (tmp_path / "one.jsonl_results.jsonl").write_text("earlier results")  # the default name may be written again
    assert read(one)[0].out == tmp_path / "one.jsonl_results.jsonl"


def test_problems_without_samples(tmp_path, capsys):
    path, samples = write(tmp_path / "s.jsonl", "t/1", "t/1")
    with pytest.raises(InputError, match=r"1 of 2 problems have no sample, such as t/0 \(--skip-missing"):
        read(path)
    assert read(path, skip_missing=True)[0].samples == samples
    assert "such as t/0; they are left out" in capsys.readouterr().err


def test_bad_samples_are_refused_or_skipped(tmp_path):
    path, samples = write(tmp_path / "s.jsonl", "t/0", "t/1", "t/2")
    with pytest.raises(InputError, match="line 3: unknown task_id"):
        read(path)
    assert read(path, skip_bad=True)[0].samples == samples[:2]


def test_ks_without_enough_samples_are_reported(tmp_path, capsys):
    path, _ = write(tmp_path / "s.jsonl", "t/0", "t/0", "t/1")
    (file,) = read(path)
    check_ks([1], file)
    assert capsys.readouterr().err == ""
    check_ks([1, 2], file)
    reason = "1 of 2 problems have fewer samples; t/1 has 1"
    assert capsys.readouterr().err == f"{path}: pass@2 is skipped: {reason}\n"
    with pytest.raises(InputError, match=f"no k of 2,3 can be scored: {reason}"):
        check_ks([2, 3], file)
