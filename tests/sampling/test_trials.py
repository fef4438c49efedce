"""What is drawn and scored is tested with the command, in tests/test_train.py."""

import signal
import subprocess
import sys

import pytest

from codex_jax.config import ModelConfig, TrainConfig, TrialsConfig
from codex_jax.errors import InputError
from codex_jax.sampling import trials
from codex_jax.sampling.trials import Trials
from codex_jax.storage.jsonl import write_objects
from codex_jax.training.loop import Step


def scorer(code):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_scores_are_logged_at_the_step_of_their_samples_and_a_failed_scorer_is_one_line(capsys):
    lines = []
    action = Trials(
        TrainConfig(model=ModelConfig(vocab_size=128)), None, None, lambda step, **values: lines.append((step, values))
    )
    action._scored = [
        (10, scorer("""print('{"samples": 4, "pass@1": 0.25, "pass@10": 1.0}')""")),
        (20, scorer("import sys; print('error: no sandbox', file=sys.stderr); sys.exit(2)")),
        (30, scorer("""import sys; print('{"pass@1": 0.0}'); sys.exit(1)""")),
    ]
    action(Step(40, True, None, {}))
    assert lines == [(10, {"pass@1": 0.25, "pass@10": 1.0}), (30, {"pass@1": 0.0})]
    assert capsys.readouterr().err == (
        "warning: the samples of step 20 are not scored: error: no sandbox; training goes on\n"
    )
    assert action._scored == []


def test_training_does_not_wait_for_a_scorer():
    action = Trials(TrainConfig(model=ModelConfig(vocab_size=128)), None, None, lambda step, **values: None)
    waiting = scorer("input()")
    action._scored = [(10, waiting)]
    action(Step(20, False, None, {}))
    assert action._scored == [(10, waiting)]
    waiting.kill()
    waiting.communicate()


def test_samples_whose_scorer_was_stopped_are_scored_when_the_run_resumes(tmp_path, capsys):
    config = TrainConfig(
        model=ModelConfig(vocab_size=128),
        run_dir=str(tmp_path),
        trials=TrialsConfig(problems="humaneval", n=1),
    )
    benchmark = trials.load(config.trials)
    action = Trials(config, None, benchmark, lambda step, **values: None)
    process = scorer("input()")
    action._scored = [(20, process)]
    action(Step(20, False, None, {}, "SIGTERM"))
    assert process.wait(60) == -signal.SIGTERM

    (tmp_path / "trials").mkdir()
    rows = [{"task_id": name, "completion": problem.reference} for name, problem in benchmark.problems.items()]
    rows[0]["completion"] = "pass"
    for step in (10, 20, 30):
        write_objects(tmp_path / "trials" / f"{step}.jsonl", rows)
    lines = []
    resumed = Trials(config, None, None, lambda step, **values: lines.append((step, values)))
    resumed.resume(20, [{"step": 10, "pass@1": 0.0}, {"step": 20, "loss": 1.0}])
    resumed(Step(40, True, None, {}))
    assert capsys.readouterr().err == ""
    assert lines == [(20, {"pass@1": pytest.approx(163 / 164)})]


def test_problems_and_sampling_parameters_are_checked():
    assert trials.load(TrialsConfig()) is None
    assert trials.load(TrialsConfig(problems="humaneval")).problems
    for bad in (TrialsConfig(problems="none.jsonl"), TrialsConfig(temperature=-1.0)):
        with pytest.raises(InputError):
            trials.load(bad)
