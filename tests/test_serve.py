"""The command, as a process on a free port."""

import os
import re
import signal
import subprocess
import sys
from contextlib import closing

import openai
import pytest

from codex_jax import cli, serve
from codex_jax.config import ModelConfig, TrainConfig
from codex_jax.parallel.mesh import make_mesh
from codex_jax.runs.checkpoints import Checkpoints
from codex_jax.runs.folder import write_config
from codex_jax.sampling.sampler import COPIES
from codex_jax.text.tokenizers import train_sentencepiece
from codex_jax.training.state import as_trees, init_state


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder of an untrained model."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    config = TrainConfig(model=ModelConfig(layers=1, width=32, heads=2, context=64, vocab_size=384), steps=1)
    train_sentencepiece([f"def function_{n}(x):\n    return x * {n}\n" for n in range(99)], 320).save(
        folder / "tokenizer"
    )
    write_config(folder, config)
    with closing(Checkpoints(folder)) as checkpoints:
        checkpoints.save(1, {}, **as_trees(init_state(config, make_mesh(COPIES))))
    return folder


def test_a_run_is_served_until_an_interrupt(run):
    command = [sys.executable, "-m", "codex_jax.serve", "--run", str(run), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        line = ""
        while "http://" not in line:
            line = process.stderr.readline()
            assert line, "the server has ended"
        url = re.search(r"http://127\.0\.0\.1:\d+/v1", line).group()
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60) as client:
            assert [model.id for model in client.models.list()] == ["tiny"]
            response = client.completions.create(model="tiny", prompt="def f(x):", seed=1)
            assert response.usage.completion_tokens in range(1, 17)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (out, process.returncode) == ("", 130)
        assert "Traceback" not in err
    finally:
        process.kill()
        process.wait()


def test_bad_input_is_one_line(run, capsys, monkeypatch):
    for flags, message in (
        (["--run", f"{run}/none"], "not a run folder"),
        (["--run", f"{run}", "--host", "no.such.host.invalid"], "cannot listen on --host no.such.host.invalid"),
        (["--run", f"{run}", "--port", "70000"], "cannot listen on"),
        (["--run", f"{run}", "--batch", "0"], "--batch must"),
        (["--run", f"{run}", "--limits.waiting", "0"], "--limits.waiting must"),
    ):
        port = [] if "--port" in flags else ["--port", "0"]
        assert cli.run(serve.main, serve.Args, [*flags, *port]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert message in line


def test_listening_to_other_machines_prints_a_warning(run, capsys):
    assert cli.run(serve.main, serve.Args, ["--run", f"{run}/none", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "there is no authentication" in capsys.readouterr().err
    assert serve.is_loopback("::1")
    assert not serve.is_loopback("fe80::1%eth0")


def test_without_the_extra_the_error_says_what_to_install():
    program = (
        "import sys; sys.modules.update(starlette=None, uvicorn=None)\n"
        "from codex_jax import cli, serve\n"
        "sys.exit(cli.run(serve.main, serve.Args, ['--run', 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "error: serving needs more packages: pip install 'codex_jax[serve]'\n"
