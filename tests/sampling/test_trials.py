"""What is drawn and scored is tested with the command, in tests/test_train.py."""

import subprocess
import sys

import pytest

from codex_jax.config import ModelConfig, TrainConfig, TrialsConfig
from codex_jax.errors import InputError
from codex_jax.sampling import trials
from codex_jax.sampling.trials import Trials
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


def test_problems_and_sampling_parameters_are_checked():
    assert trials.load(TrialsConfig()) is None
    assert trials.load(TrialsConfig(problems="humaneval")).problems
    for bad in (TrialsConfig(problems="none.jsonl"), TrialsConfig(temperature=-1.0)):
        with pytest.raises(InputError):
            trials.load(bad)
