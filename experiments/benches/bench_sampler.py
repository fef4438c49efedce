"""python experiments/benches/bench_sampler.py: sampling speed, compared with transformers and with a limit.

The model has random weights, and every sample has the same number of tokens. The time is that of the whole call, from
the prompt to the text. The limit is the time of the decoding steps' matrix products with the weights alone. Each
program runs in its own process, on the same cores or the same GPU (--device gpu). They are measured in turn.
transformers is included if it is installed, here or for the Python of --torch-python (pip install torch transformers).
"""

import dataclasses
import json
import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from processes import Device, Worker, device_text, has_modules, pin
from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.config import Dtype
from codex_jax.errors import InputError

TORCH = Path(__file__).with_name("torch_generate.py")
WORKER = "--worker"
CODEX_JAX, LIMIT, TRANSFORMERS = "codex_jax", "matrix products alone", "transformers generate"


@dataclass(frozen=True)
class Args:
    """Prints median speeds, then the speed of codex_jax by samples per prompt and by the prompt's length."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    context: int = 2048  # tokens
    vocab: int = 50_257
    prompt: int = 144  # tokens
    n: int = 100  # samples of the prompt
    new: int = 64  # tokens per sample
    temperature: float = 1.0
    top_p: float = 0.95
    rounds: int = 3  # measurements of each program
    device: Device = "cpu"
    dtype: Dtype = "float32"  # of weights, products, keys and values
    threads: int = 2  # cores of each program on a CPU
    ns: tuple[int, ...] = (1, 10, 100, 200)  # samples per prompt in the second table
    prompts: tuple[int, ...] = (144, 512, 1536)  # tokens per prompt in the second table
    torch_python: str = sys.executable  # the Python that has PyTorch and transformers


def work(settings: dict[str, Any]) -> None:
    """The process of codex_jax: prints a line of facts; then reads jobs and prints the seconds each takes."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    from codex_jax.config import ModelConfig
    from codex_jax.model.decode import unstack
    from codex_jax.model.gpt import GPT
    from codex_jax.model.product import precise
    from codex_jax.parallel.mesh import make_mesh
    from codex_jax.problems.problem import PAPER_STOPS
    from codex_jax.sampling.engine import Engine
    from codex_jax.sampling.generate import sample_all
    from codex_jax.sampling.params import SampleRequest, SamplingParams
    from codex_jax.sampling.programs import param_shapes
    from codex_jax.sampling.sampler import COPIES
    from codex_jax.text.tokenizers import P50k

    config = ModelConfig(
        layers=settings["layers"],
        width=settings["width"],
        heads=settings["heads"],
        context=settings["context"],
        vocab_size=-(-max(settings["vocab"], P50k.vocab_size) // 128) * 128,
        compute_dtype=settings["dtype"],
        gather_dtype=settings["dtype"],
    )
    one = jnp.zeros((1, 1), jnp.int32)
    params = nn.meta.unbox(jax.jit(GPT(config).init)(jax.random.key(0), one, one, one))["params"]
    dtypes = jax.tree.map(lambda shape: shape.dtype, param_shapes(config, make_mesh(COPIES)))
    params = jax.tree.map(lambda leaf, dtype: leaf.astype(dtype), params, dtypes)
    new = settings["new"]
    sampling = SamplingParams(settings["temperature"], settings["top_p"], new, PAPER_STOPS, min_new_tokens=new)
    engine = Engine(config, unstack(params), P50k(), make_mesh(COPIES))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    del params
    facts = {
        "parameters": parameters,
        "bytes_per_sample": engine.bytes_per_sample(sampling),
        "version": f"jax {jax.__version__}",
    }
    print(json.dumps(facts), flush=True)

    @jax.jit
    @partial(precise, config)
    def products(weights: Any, x: Any) -> Any:
        def body(_: Any, x: Any) -> Any:
            for layer in weights.layers:
                query, key, value = (x @ layer[name]["kernel"] for name in ("query", "key", "value"))
                x = jax.lax.optimization_barrier(query + key + value) @ layer["out"]["kernel"].T
                x = (x @ layer["up"]["kernel"]) @ layer["down"]["kernel"].T
            # Using the logits keeps XLA from removing their product, and the barrier keeps it whole.
            return x + jax.lax.optimization_barrier(x @ weights.outer["token_embedding"].T)[:, :1]

        return jax.lax.fori_loop(0, new, body, x)

    rng = np.random.default_rng(0)
    for line in sys.stdin:
        job = json.loads(line)
        tokens = [P50k.eot, *rng.integers(0, P50k.eot, job["prompt"] - 1).tolist()]
        start = time.perf_counter()
        if job["what"] == LIMIT:
            jax.block_until_ready(products(engine.weights, jnp.zeros((job["n"], config.width), config.compute_dtype)))
        else:
            request = SampleRequest(tokens, 0, range(job["n"]))
            seed = int(rng.integers(1 << 30))
            completions = list(sample_all(engine, [request], sampling, seed, job["n"]))
            assert [one.sample.tokens for one in completions] == [new] * job["n"]
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


def show_speeds(seconds: dict[str, list[float]], args: Args) -> None:
    """Prints tokens per second, and the median ratio of codex_jax to each program within a round."""
    model = f"{args.layers} layers of width {args.width} in {args.dtype}"
    shape = f"{model}, {device_text(args.device, args.threads)}, median of {args.rounds}"
    what = f"{args.n} samples of one prompt of {args.prompt} tokens, {args.new} new tokens each, top-p {args.top_p}"
    table = Table("", title=f"{what}: {shape}")
    for column in ("tokens/s", "fastest", "codex_jax to it"):
        table.add_column(column, justify="right")
    tokens = args.n * args.new
    for name, one in seconds.items():
        ratios = [other / own for own, other in zip(seconds[CODEX_JAX], one, strict=True)]
        ratio = "" if name == CODEX_JAX else f"{statistics.median(ratios):.2f}x"
        table.add_row(name, f"{tokens / statistics.median(one):,.0f}", f"{tokens / min(one):,.0f}", ratio)
    terminal.tables().print(table)


def show_growth(seconds: dict[tuple[int, int], float], worker: Worker, args: Args) -> None:
    """Prints tokens per second by samples per prompt and by the prompt's length, from the fastest measurement."""
    table = Table(
        "samples per prompt",
        title=f"codex_jax, tokens/s by the tokens of the prompt, {args.new} new tokens per sample",
        caption=f"keys and values: {worker.facts['bytes_per_sample'] / 2**20:.1f} MiB per sample",
    )
    for prompt in args.prompts:
        table.add_column(str(prompt), justify="right")
    for n in args.ns:
        table.add_row(str(n), *(f"{n * args.new / seconds[n, prompt]:,.0f}" for prompt in args.prompts))
    terminal.tables().print(table)


def main(args: Args) -> None:
    """The command."""
    for name, value in dataclasses.asdict(args).items():
        if any(isinstance(one, int) and one < 1 for one in (value if isinstance(value, tuple) else (value,))):
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
    if args.width % args.heads:
        raise InputError(f"--width {args.width} must be a multiple of --heads {args.heads}")
    if max(args.prompt, *args.prompts) + args.new > args.context:
        raise InputError(f"--context {args.context} is too short for the longest prompt and --new {args.new}")
    env = pin(args.device, args.threads)
    commands = {CODEX_JAX: [sys.executable, __file__, WORKER]}
    if has_modules(args.torch_python, "torch", "transformers"):
        commands[TRANSFORMERS] = [args.torch_python, str(TORCH)]
    else:
        note = "pip install torch transformers, here or for --torch-python"
        print(f"transformers is not installed and is not measured: {note}", file=sys.stderr)
    workers: dict[str, Worker] = {}
    try:
        names = [CODEX_JAX, LIMIT, *([TRANSFORMERS] if TRANSFORMERS in commands else [])]
        grid = [(n, prompt) for n in args.ns for prompt in args.prompts]
        with terminal.progress("measuring", len(names) * (1 + args.rounds) + len(grid)) as report:
            for name, command in commands.items():
                workers[name] = Worker(command, dataclasses.asdict(args), env)
            workers[LIMIT] = workers[CODEX_JAX]
            job = {"n": args.n, "prompt": args.prompt, "new": args.new}
            seconds: dict[str, list[float]] = {name: [] for name in names}
            for round_ in range(1 + args.rounds):
                for name in names:
                    # The first round compiles. transformers needs only a few tokens to warm up.
                    warm = {**job, "new": 2} if name == TRANSFORMERS and not round_ else job
                    took = workers[name].measure(what=name, **warm)["seconds"]
                    if round_:
                        seconds[name].append(took)
                    report(1, name)
            grown = {}
            for n, prompt in grid:
                one = {"n": n, "prompt": prompt, "new": args.new}
                answers = [workers[CODEX_JAX].measure(what=CODEX_JAX, **one) for _ in range(2)]
                grown[n, prompt] = min(answer["seconds"] for answer in answers)
                report(1, f"{n} samples of a prompt of {prompt} tokens")
        show_speeds(seconds, args)
        show_growth(grown, workers[CODEX_JAX], args)
    finally:
        for one_worker in workers.values():
            one_worker.close()


if __name__ == "__main__":
    if sys.argv[1:2] == [WORKER]:
        work(json.loads(sys.argv[2]))
    else:
        sys.exit(cli.run(main, Args))
