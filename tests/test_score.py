import errno
import gzip
import json
import subprocess
import sys
import time

import numpy as np
import pytest

from codex_jax import cli, score
from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import make_problem
from codex_jax.problems.humaneval import write_problems
from codex_jax.problems.load import load_problems
from tests.problems.judging import write_evalplus
from tests.problems.test_apps import SUM_QUESTION, SUMS, write


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    problems = [make_problem(chain, rng) for chain in ((1,), (2,), (1, 2))]
    write_problems(tmp_path / "p.jsonl", problems)
    rows = []
    for n, problem in enumerate(problems):
        for sample in range(4):
            right = sample < n + 1
            rows.append(
                {
                    "task_id": problem.task_id,
                    "completion": problem.canonical_solution if right else "    return 0\n",
                    "mean_logp": -0.1 if right and n else -2.0 + sample,
                    "sum_logp": -5.0 if right else -1.0,
                }
            )
    return tmp_path, rows


def run(folder, rows, *flags, name="s.jsonl"):
    path = folder / name
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return cli.run(score.main, score.Args, [str(path), "--problems", str(folder / "p.jsonl"), *flags])


def test_values_computed_by_hand(files, capsys):
    folder, rows = files
    assert run(folder, rows, "--json", "--k", "1,2,100") == 0
    out, err = capsys.readouterr()
    values = json.loads(out)
    assert (values["problems"], values["samples"], values["passed"]) == (3, 12, 6)
    assert values["pass@1"] == pytest.approx((1 + 2 + 3) / 12)
    assert values["pass@2"] == pytest.approx(((1 - 3 / 6) + (1 - 1 / 6) + 1) / 3)
    assert "pass@100" not in values
    assert "pass@100 is skipped" in err
    assert values["oracle"] == 1
    assert values["sum_logp"] == 0
    assert values["by_blocks"] == pytest.approx({"1": 3 / 8, "2": 3 / 4})
    written = [json.loads(line) for line in (folder / "s.jsonl_results.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in written] == [row["completion"] for row in rows]
    assert [row["passed"] for row in written] == [row["completion"] != "    return 0\n" for row in rows]
    assert {"task_id", "completion", "result", "passed"} <= written[0].keys()


def test_humaneval_by_its_name(tmp_path, capsys):
    path = tmp_path / "s.jsonl.gz"
    problems = load_problems("humaneval").problems.values()
    rows = [{"task_id": problem.task_id, "completion": problem.canonical_solution} for problem in problems]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    args = [str(path), "--problems", "humaneval", "--json", "--timeout", "20"]
    assert cli.run(score.main, score.Args, args) == 0
    assert json.loads(capsys.readouterr().out)["pass@1"] == 1


def errors(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]


def test_bad_input(files, capsys):
    folder, rows = files
    for bad, flags, message in (
        ([*rows, "{\n"], (), "line 13: not JSON"),
        ([*rows, {"task_id": "x", "completion": ""}], (), "line 13: unknown task_id 'x'"),
        ([{"task_id": rows[0]["task_id"]}], (), "'completion' is missing"),
        ([], (), "no samples"),
        ([{**rows[0], "sample": 3}] * 2 + rows, (), "line 2: sample 3 of"),
        (rows[:8], (), "1 of 3 problems have no sample, such as building_blocks/1-2/string_manipulation"),
        (rows, ("--k", "5"), "no k of 5"),
        (rows, ("--k", "a"), "--k a"),
        (rows, ("--timeout", "0"), "--timeout"),
        (rows, ("--timeout", "nan"), "--timeout"),
        (rows, ("--timeout", "inf"), "--timeout"),
        (rows, ("--problems", ""), "give samples.jsonl and --problems"),
        (rows, ("--problems", str(folder / "s.jsonl")), "line 1: not a problem, as 'prompt' is missing"),
        (rows, ("--problems", "humaneval"), "is it from another benchmark? The first of this one is 'HumanEval/0'"),
        (rows, ("--out", str(folder / "s.jsonl")), "would replace"),
        (rows, ("--out", str(folder / "p.jsonl")), "would replace"),
        (rows, ("--out", str(folder / "notes")), "does not hold results of these samples"),
    ):
        (folder / "notes").write_text("notes")
        problems = (folder / "p.jsonl").read_bytes()
        assert run(folder, bad, *flags) == 2
        (error,) = errors(capsys)
        assert message in error
        assert sorted(path.name for path in folder.iterdir()) == ["notes", "p.jsonl", "s.jsonl"]
        assert (folder / "p.jsonl").read_bytes() == problems
        assert (folder / "notes").read_text() == "notes"
    assert run(folder, [*rows, "{\n"], "--skip-bad") == 0
    err = capsys.readouterr().err
    assert "line 13 skipped" in err
    assert run(folder, rows[:8], "--skip-missing", "--json") == 0
    assert json.loads(capsys.readouterr().out)["problems"] == 2


def test_a_truncated_file_is_refused(files, capsys):
    folder, rows = files
    path = folder / "s.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())[:-12])
    for flags in ((), ("--skip-bad",)):
        assert cli.run(score.main, score.Args, [str(path), "--problems", str(folder / "p.jsonl"), *flags]) == 2
        (error,) = errors(capsys)
        assert f"cannot read {path}" in error


@pytest.mark.slow
def test_a_killed_run_resumes_and_ends_the_same(files, capsys):
    folder, rows = files
    slow = "    import time\n    end = time.process_time() + 0.15\n    while time.process_time() < end:\n        pass\n"
    rows = [{**row, "completion": slow + row["completion"]} for row in rows] * 2
    assert run(folder, rows, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    whole = (folder / "s.jsonl_results.jsonl").read_bytes()
    (folder / "s.jsonl_results.jsonl").unlink()

    partial = folder / "s.jsonl_results.jsonl.partial"
    command = [sys.executable, "-m", "codex_jax.score", str(folder / "s.jsonl"), "--problems", str(folder / "p.jsonl")]
    process = subprocess.Popen([*command, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not partial.exists() or partial.read_bytes().count(b"\n") < 6:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (folder / "s.jsonl_results.jsonl").exists()
    done = partial.read_bytes().count(b"\n") - 1
    assert 5 <= done < len(rows)

    assert run(folder, rows, "--timeout", "4") == 2
    assert "belongs to a run with other timeout" in errors(capsys)[0]
    assert run(folder, rows[:-1]) == 2
    assert "belongs to a run with other samples" in errors(capsys)[0]
    problems = (folder / "p.jsonl").read_text()
    (folder / "p.jsonl").write_text(problems.replace("assert candidate('')", "assert candidate('x')"))
    assert run(folder, rows) == 2
    assert "belongs to a run with other problems" in errors(capsys)[0]
    (folder / "p.jsonl").write_text(problems)
    assert partial.read_bytes().count(b"\n") == done + 1

    assert run(folder, rows, "--json") == 0
    out, err = capsys.readouterr()
    assert f"{done} of {len(rows)} samples are scored already" in err
    assert json.loads(out) == values
    assert (folder / "s.jsonl_results.jsonl").read_bytes() == whole
    assert not partial.exists()


def test_several_temperatures(files, capsys):
    folder, rows = files
    wrong = "    return 0\n"
    cold = [{**row, "temperature": 0.2} for row in rows]
    hot = [{**row, "temperature": 0.8} for row in rows]
    for row in hot[4:8]:
        row["completion"] = wrong
    for row in hot[8:]:
        row["completion"] = rows[8]["completion"]
    for name, samples in (("cold.jsonl", cold), ("hot.jsonl", hot)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in samples))
    args = [str(folder / "cold.jsonl"), str(folder / "hot.jsonl"), "--problems", str(folder / "p.jsonl")]
    assert cli.run(score.main, score.Args, [*args, "--k", "1,4,9", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["problems"], values["samples"]) == (3, 24)
    assert values["files"]["T 0.2"]["pass@1"] == pytest.approx((1 + 2 + 3) / 12)
    assert values["files"]["T 0.8"]["pass@1"] == pytest.approx((1 + 0 + 4) / 12)
    assert values["pass@1"] == pytest.approx(6 / 12)
    assert {key: best["from"] for key, best in values["best"].items()} == {"pass@1": "T 0.2", "pass@4": "T 0.2"}
    assert values["pass@4"] == 1
    assert cli.run(score.main, score.Args, [*args, "--k", "1"]) == 0
    out = capsys.readouterr().out
    assert "Best of the files" in out
    assert "T 0.2" in out
    assert cli.run(score.main, score.Args, [*args, "--out", str(folder / "o.jsonl")]) == 2
    assert "--out takes the results of one file" in errors(capsys)[0]
    assert cli.run(score.main, score.Args, [args[0], *args]) == 2
    assert "cold.jsonl is given twice" in errors(capsys)[0]
    (folder / "hot.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*hot, *cold]))
    assert cli.run(score.main, score.Args, args) == 2
    assert "temperatures 0.2, 0.8: give a file for each" in errors(capsys)[0]


def test_two_seeds_are_counted_together(files, capsys):
    folder, rows = files
    seeds = [
        [{**row, "sample": n % 4, "temperature": 0.8, "fingerprint": mark} for n, row in enumerate(rows)]
        for mark in "ab"
    ]
    for row in seeds[1]:
        row["completion"] = "    return 0\n"
    assert run(folder, [*seeds[0], *seeds[1]], "--json", "--k", "1,8", name="one.jsonl") == 0
    one = json.loads(capsys.readouterr().out)
    assert (one["samples"], one["passed"], one["pass@8"]) == (24, 6, 1)
    assert one["pass@1"] == pytest.approx((1 + 2 + 3) / 24)
    names = ["first.jsonl", "second.jsonl"]
    for name, samples in zip(names, seeds, strict=True):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in samples))
    args = [*(str(folder / name) for name in names), "--problems", str(folder / "p.jsonl"), "--json", "--k", "1,8"]
    assert cli.run(score.main, score.Args, args) == 0
    assert json.loads(capsys.readouterr().out) == one
    for name in names:
        assert len((folder / f"{name}_results.jsonl").read_text().splitlines()) == 12


def test_several_files_resume_in_any_of_them(files, capsys, monkeypatch):
    folder, rows = files
    for name in ("a.jsonl", "b.jsonl"):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    args = [
        str(folder / "a.jsonl"),
        str(folder / "b.jsonl"),
        "--problems",
        str(folder / "p.jsonl"),
        "--k",
        "1",
        "--json",
    ]

    def interrupted(file, *rest):
        if file.path.name == "b.jsonl":
            raise KeyboardInterrupt
        return original(file, *rest)

    original = score.score
    with monkeypatch.context() as patch:
        patch.setattr("codex_jax.score.score", interrupted)
        assert cli.run(score.main, score.Args, args) == 130
    capsys.readouterr()
    assert cli.run(score.main, score.Args, args) == 0
    out, err = capsys.readouterr()
    assert "a.jsonl_results.jsonl.partial: 12 of 12 samples are scored already" in err
    assert json.loads(out)["samples"] == 24
    assert not list(folder.glob("*.partial"))


def test_tables(files, capsys):
    folder, rows = files
    assert run(folder, rows, "--k", "1,100", "--per-problem") == 0
    out, err = capsys.readouterr()
    assert "pass@100 is skipped" in err
    assert "pass@100 omitted: 3 of 3 problems have fewer samples" in out
    for text in (
        "pass@1",
        "mean log p",
        "oracle",
        "By problem",
        "building_blocks/1-2/string_manipulation",
        "resamples",
    ):
        assert text in out
    assert run(folder, rows, "--json", "--per-problem", "--k", "1") == 0
    counts = json.loads(capsys.readouterr().out)["per_problem"]
    assert [list(each.values()) for each in counts.values()] == [[4, n, 0] for n in (1, 2, 3)]


def test_evalplus_s_problems_and_samples(tmp_path, capsys):
    rows = write_evalplus(tmp_path / "plus.jsonl", 3)
    for row in rows:
        folder = tmp_path / "samples" / row["task_id"].replace("/", "_")
        folder.mkdir(parents=True)
        (folder / "0.py").write_text(row["prompt"] + row["canonical_solution"])
        (folder / "1.py").write_text(row["prompt"] + "    return None\n")
    args = [str(tmp_path / "samples"), "--problems", str(tmp_path / "plus.jsonl"), "--k", "1,2", "--json"]
    assert cli.run(score.main, score.Args, args) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["pass@1"], values["base_pass@1"], values["pass@2"]) == (0.5, 0.5, 1)
    (first, *_) = (tmp_path / "samples_results.jsonl").read_text().splitlines()
    row = json.loads(first)
    assert row["completion"] == rows[0]["canonical_solution"]
    assert row["parts"] == {"base": "passed", "plus": "passed"}


def test_apps(tmp_path, capsys):
    write(tmp_path / "apps" / "0000", "interview", input_output=SUMS)
    (tmp_path / "apps" / "0000" / "question.txt").write_text(SUM_QUESTION)
    read = "a, b = map(int, input().split())\n"
    texts = (f"{read}print(a + b)\n", f"{read}print(a + b if a < 10 else 0)\n", "print(1)\n", "while True:\n    pass\n")
    rows = [{"task_id": "apps/0000", "completion": text} for text in texts]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    args = [str(path), "--problems", f"apps:{tmp_path / 'apps'}", "--k", "1", "--timeout", "0.5"]
    assert cli.run(score.main, score.Args, [*args, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["pass@1"], values["pass@1_timeouts"]) == (0.25, 0.5)
    assert (values["filtered_pass@1"], values["filtered_pass@1_timeouts"]) == (0.5, 0.5)
    assert values["by_group"]["interview"]["pass@1"] == 0.25
    assert values["prelude"] == "official"
    assert json.loads((tmp_path / "s.jsonl_results.jsonl").read_text().splitlines()[0])["prelude"] == "official"
    assert cli.run(score.main, score.Args, args) == 0
    out = capsys.readouterr().out
    assert "25.0% (50.0%)" in out
    assert "1 passed; prelude official" in out


def test_apps_without_the_names_of_the_official_grader(tmp_path, capsys):
    write(tmp_path / "apps" / "0000", input_output=SUMS)
    row = {"task_id": "apps/0000", "completion": "print(sum(map(int, stdin.readline().split())))\n"}
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + "\n")
    args = [str(tmp_path / "s.jsonl"), "--problems", f"apps:{tmp_path / 'apps'}", "--k", "1", "--json"]
    for flags, prelude, passed in (((), "official", 1), (("--prelude", "none"), "none", 0)):
        assert cli.run(score.main, score.Args, [*args, *flags]) == 0
        values = json.loads(capsys.readouterr().out)
        assert (values["prelude"], values["passed"]) == (prelude, passed)


def test_programs_may_import_named_packages(tmp_path, capsys):
    write(tmp_path / "apps" / "0000", input_output=SUMS)
    row = {"task_id": "apps/0000", "completion": "print(np.array([*map(int, input().split())]).sum())\n"}
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps(row) + "\n")
    args = [str(path), "--problems", f"apps:{tmp_path / 'apps'}", "--k", "1"]
    assert cli.run(score.main, score.Args, [*args, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert ("packages" in values, values["passed"]) == (False, 0)
    assert cli.run(score.main, score.Args, [*args, "--json", "--packages", "numpy"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["packages"], values["passed"]) == (["numpy"], 1)
    assert json.loads((tmp_path / "s.jsonl_results.jsonl").read_text())["packages"] == ["numpy"]
    assert cli.run(score.main, score.Args, [*args, "--packages", "numpy"]) == 0
    assert "1 passed; prelude official; packages numpy" in capsys.readouterr().out


def test_results_with_other_packages_are_not_resumed(files, capsys, monkeypatch):
    folder, rows = files

    def write_objects(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("codex_jax.scoring.score_file.write_objects", write_objects)
    for flags, others in ((["--packages", "numpy"], []), ([], ["--packages", "numpy"])):
        assert run(folder, rows, *flags) == 2
        assert "No space left" in errors(capsys)[0]
        assert run(folder, rows, *others) == 2
        assert "belongs to a run with other packages" in errors(capsys)[0]
        (folder / "s.jsonl_results.jsonl.partial").unlink()


@pytest.mark.parametrize("name", ["not_installed_here", "numpy.linalg", "../numpy", "json", ""])
def test_names_that_are_no_installed_packages(files, capsys, name):
    assert run(*files, "--packages", "numpy", name) == 2
    assert errors(capsys)[0].startswith("error: --packages: ")


def test_check_prints_the_layer_and_each_attempt(capsys):
    assert cli.run(score.main, score.Args, ["--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("layer: ")
    assert "a socket: ok" in lines


def test_without_a_sandbox_it_refuses_unless_unsafe_is_given(files, capsys, monkeypatch):
    folder, rows = files
    monkeypatch.setattr("codex_jax.score.SandboxWorker", refuse)
    assert run(folder, rows) == 2
    assert "no sandbox works here (landlock: EPERM)" in capsys.readouterr().err
    assert not (folder / "s.jsonl_results.jsonl").exists()
    assert run(folder, rows, "--unsafe", "--k", "1") == 0
    assert "warning: no sandbox works here" in capsys.readouterr().err


def refuse(*_, **__):
    raise InputError("no sandbox works here (landlock: EPERM)")


def test_score_does_not_import_jax():
    code = "import sys, codex_jax.score; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
