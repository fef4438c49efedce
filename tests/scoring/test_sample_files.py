import json

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.humaneval import humaneval_problem
from codex_jax.problems.load import Benchmark
from codex_jax.scoring.sample_files import SampleFile, SampleSet, check_ks, read_sample_files

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
    assert read(path) == [SampleSet("s.jsonl", [SampleFile(path, samples, tmp_path / "s.jsonl_results.jsonl")])]
    ((file,),) = (each.files for each in read(path, out=tmp_path / "o.jsonl"))
    assert file.out == tmp_path / "o.jsonl"


def test_files_of_one_temperature_are_one_set(tmp_path):
    (tmp_path / "more").mkdir()
    cold, _ = write(tmp_path / "cold.jsonl", "t/0", "t/1", temperature=1)
    hot, first = write(tmp_path / "hot.jsonl", "t/0", "t/1", temperature=0.8)
    seed, second = write(tmp_path / "more" / "hot.jsonl", "t/1", "t/0", temperature=0.8)
    also, _ = write(tmp_path / "also.jsonl", "t/0", "t/1", temperature=1.0)
    sets = read(cold, hot, seed, also)
    assert [(one.label, [file.path for file in one.files]) for one in sets] == [
        ("T 1.0", [cold, also]),
        ("T 0.8", [hot, seed]),
    ]
    assert sets[1].samples == first + second
    (one,) = read(hot, seed)
    assert one.label == "hot.jsonl and 1 more"


def test_files_without_a_temperature_are_one_set_and_do_not_mix_with_others(tmp_path):
    one, _ = write(tmp_path / "one.jsonl", "t/0")
    two, _ = write(tmp_path / "two.jsonl", "t/1")  # a file may hold some of the problems only
    (together,) = read(one, two)
    assert [sample["task_id"] for sample in together.samples] == ["t/0", "t/1"]
    hot, _ = write(tmp_path / "hot.jsonl", "t/0", "t/1", temperature=0.8)
    with pytest.raises(InputError, match=r"one\.jsonl has no 'temperature', and other files have one"):
        read(hot, one)


def test_seeds_are_told_apart_and_a_sample_counts_once(tmp_path):
    one, _ = write(tmp_path / "one.jsonl", "t/0", "t/1", sample=0, temperature=0.8, fingerprint="aa")
    two, _ = write(tmp_path / "two.jsonl", "t/0", "t/1", sample=0, temperature=0.8, fingerprint="bb")
    (both,) = read(one, two)
    assert len(both.samples) == 4
    copy, _ = write(tmp_path / "copy.jsonl", "t/0", "t/1", sample=0, temperature=0.8, fingerprint="aa")
    with pytest.raises(InputError, match=r"copy\.jsonl line 1: sample 0 of 't/0' occurs twice, first at .*one\.jsonl"):
        read(one, two, copy)


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
    assert read(one)[0].files[0].out == tmp_path / "one.jsonl_results.jsonl"


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
    assert capsys.readouterr().err == f"s.jsonl: pass@2 is skipped: {reason}\n"
    with pytest.raises(InputError, match=f"no k of 2,3 can be scored: {reason}"):
        check_ks([2, 3], file)
