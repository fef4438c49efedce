"""A trained run ready to use from Python: samples, streamed text, scores.

sampler = Sampler("runs/codex_12m")
for sample in sampler.sample(["def add(a, b):"], n=3)[0]:
    print(sample.completion, sample.mean_logp)
"""

import dataclasses
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from codex_jax.config import Dtype, MeshConfig, ModelConfig
from codex_jax.errors import InputError
from codex_jax.model.decode import unstack
from codex_jax.model.quantize import quantize
from codex_jax.parallel.mesh import make_mesh
from codex_jax.runs.checkpoints import restore_params
from codex_jax.runs.folder import newest_step, read_config, read_tokenizer
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.likelihood import Score
from codex_jax.sampling.params import Sample, SampleRequest, SamplingParams
from codex_jax.sampling.programs import check_mesh, param_shapes
from codex_jax.sampling.stops import PAPER_STOPS
from codex_jax.storage.jsonl import Json

COPIES = MeshConfig(data=-1, fsdp=1)  # a whole model on every device


def task_key(name: str) -> int:
    """A Request's task, by name: a problem's samples do not depend on the others in its file."""
    return zlib.crc32(name.encode())


def for_decoding(model: ModelConfig, dtype: Dtype | None = None) -> ModelConfig:
    """The model as it decodes: nothing is computed again, and weights are kept as they are multiplied."""
    dtype = dtype or model.compute_dtype
    return dataclasses.replace(model, remat="none", compute_dtype=dtype, gather_dtype=dtype)


def load_engine(
    run: Path, mesh: MeshConfig = COPIES, dtype: Dtype | None = None, int8: bool = False
) -> tuple[Engine, Json]:
    """(an Engine of the newest checkpoint of a run folder, what tells its samples from others').

    mesh: without a sequence axis; dtype: of products, weights and cache (default: the run's compute dtype); int8: the
    layers' weights. InputError where the folder is not a run, or the mesh does not fit it.
    """
    config = read_config(run)
    newest_step(run)  # the first thing to be missed
    decoding = for_decoding(config.model, dtype)
    tokenizer = read_tokenizer(run, config.model)
    placed = make_mesh(mesh)
    check_mesh(decoding, placed)
    shapes = param_shapes(decoding, placed)
    params, step = restore_params(run, shapes)
    weights = unstack(quantize(params, free=True) if int8 else params, free=True)
    origin = {
        "config": dataclasses.asdict(config),
        "step": step,
        "tokenizer": tokenizer.sha256,
        "dtype": decoding.compute_dtype,
        "int8": int8,
    }
    return Engine(decoding, weights, tokenizer, placed), origin


class Sampler:
    """A run's newest checkpoint, loaded once; the same call gives the same samples."""

    def __init__(self, run: str | Path, mesh: MeshConfig = COPIES, dtype: Dtype | None = None, int8: bool = False):
        """run: folder written by codex_jax.train; the rest as load_engine's."""
        self.engine, _ = load_engine(Path(run), mesh, dtype, int8)

    def sample(
        self,
        prompts: Sequence[str],
        n: int = 1,
        *,
        temperature: float = 0.8,
        top_p: float = 0.95,
        top_k: int = 0,
        max_new_tokens: int = 300,
        min_new_tokens: int = 0,
        stops: Sequence[str] = PAPER_STOPS,
        seed: int = 0,
        batch: int = 100,
        truncate_left: bool = False,
    ) -> list[list[Sample]]:
        """n samples of each prompt, in their order; InputError for settings that cannot be sampled with."""
        how = SamplingParams(temperature, top_p, max_new_tokens, tuple(stops), top_k, min_new_tokens)
        requests = self._requests(prompts, range(n), how, truncate_left)
        if n < 1 or batch < 1:
            raise InputError(f"n and batch must be at least 1, not {n} and {batch}")
        made: list[dict[int, Sample]] = [{} for _ in prompts]
        for request, number, sample in self.engine.sample(requests, how, seed, batch):
            made[request][number] = sample
        return [[one[number] for number in range(n)] for one in made]

    def stream(self, prompt: str, *, seed: int = 0, truncate_left: bool = False, **how: Any) -> Iterator[str | Sample]:
        """The text of one sample in pieces as it grows, then the Sample; how: fields of SamplingParams."""
        draw = SamplingParams(**{"stops": PAPER_STOPS, **how})
        (request,) = self._requests([prompt], [0], draw, truncate_left)
        return self.engine.stream(request, draw, seed)

    def score(self, pairs: Sequence[tuple[str, str]], batch: int = 8) -> list[Score]:
        """Log probabilities of each completion after its prompt, for ranking and back-translation."""
        encode, eot = self.engine.tokenizer.encode, self.engine.tokenizer.eot
        return list(self.engine.score([([eot, *encode(one)], encode(other)) for one, other in pairs], batch))

    def _requests(
        self, prompts: Sequence[str], numbers: Sequence[int], how: SamplingParams, truncate: bool
    ) -> list[SampleRequest]:
        how.check()
        if isinstance(prompts, str):
            raise InputError("prompts is one string: give a list")
        return [
            SampleRequest(self.engine.encode(prompt, how, truncate), task_key(prompt), numbers) for prompt in prompts
        ]
