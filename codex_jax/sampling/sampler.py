"""A trained run, ready for use from Python: samples, streamed text, scores.

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
from codex_jax.parallel import numerics
from codex_jax.parallel.mesh import make_mesh
from codex_jax.problems.problem import PAPER_STOPS
from codex_jax.runs.folder import check_checkpoint, parse_run, read_config, read_tokenizer
from codex_jax.runs.loading import restore_params
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import sample_all, stream_samples
from codex_jax.sampling.likelihood import Score
from codex_jax.sampling.params import Sample, SampleRequest, SamplingParams
from codex_jax.sampling.programs import check_mesh, param_shapes
from codex_jax.storage.jsonl import Json

COPIES = MeshConfig(data=-1, fsdp=1)  # a whole model on every device


def task_key(name: str) -> int:
    """A SampleRequest's task, from its name only: samples do not depend on the other problems in a file."""
    return zlib.crc32(name.encode())


def for_decoding(model: ModelConfig, dtype: Dtype | None = None) -> ModelConfig:
    """The model's config for decoding: without rematerialization, and with weights in the dtype of the products."""
    dtype = dtype or model.compute_dtype
    return dataclasses.replace(model, remat="none", compute_dtype=dtype, gather_dtype=dtype)


def load_engine(
    run: Path, mesh: MeshConfig = COPIES, dtype: Dtype | None = None, int8: bool = False
) -> tuple[Engine, Json]:
    """Loads RUN or RUN@STEP; also returns what identifies the model in a sample's fingerprint.

    dtype: of products, weights and cache; default: the run's compute dtype. int8: whether the layers' weights are int8.
    InputError if the folder is not a run, or the mesh does not fit it.
    """
    numerics.check()
    folder, wanted = parse_run(run)
    config = read_config(folder)
    check_checkpoint(folder, wanted)  # reports a missing checkpoint before a missing tokenizer
    decoding = for_decoding(config.model, dtype)
    tokenizer = read_tokenizer(folder, config.model)
    devices = make_mesh(mesh)
    check_mesh(decoding, devices)
    shapes = param_shapes(decoding, devices)
    params, step = restore_params(run, shapes)
    weights = unstack(quantize(params, free=True) if int8 else params, free=True)
    origin = {
        "config": dataclasses.asdict(config),
        "step": step,
        "tokenizer": tokenizer.sha256,
        "dtype": decoding.compute_dtype,
        "int8": int8,
    }
    return Engine(decoding, weights, tokenizer, devices), origin


class Sampler:
    """A run's newest checkpoint, loaded once. The same call returns the same samples."""

    def __init__(self, run: str | Path, mesh: MeshConfig = COPIES, dtype: Dtype | None = None, int8: bool = False):
        """run: a folder written by codex_jax.train; the rest: see load_engine."""
        self.engine, _ = load_engine(Path(run), mesh, dtype, int8)

    def sample(
        self,
        prompts: Sequence[str],
        n: int = 1,
        *,
        seed: int = 0,
        batch: int = 100,
        truncate_left: bool = False,
        **params: Any,
    ) -> list[list[Sample]]:
        """Draws n samples for each prompt, in order. params: fields of SamplingParams; stops: the paper's by default.

        batch: samples drawn together by each copy of the model. InputError for a value out of range.
        """
        sampling, requests = self._prepare(prompts, range(n), params, truncate_left)
        if n < 1 or batch < 1:
            raise InputError(f"n and batch must be at least 1, not {n} and {batch}")
        samples: list[dict[int, Sample]] = [{} for _ in prompts]
        for completion in sample_all(self.engine, requests, sampling, seed, batch):
            samples[completion.request][completion.number] = completion.sample
        return [[by_number[number] for number in range(n)] for by_number in samples]

    def stream(
        self, prompt: str, *, seed: int = 0, truncate_left: bool = False, **params: Any
    ) -> Iterator[str | Sample]:
        """Yields the text of one sample in pieces as it grows, then the Sample. params: as for sample."""
        sampling, (request,) = self._prepare([prompt], [0], params, truncate_left)
        events = stream_samples(self.engine, request, sampling, seed)
        return (event if isinstance(event, str) else event.sample for event in events)

    def score(self, pairs: Sequence[tuple[str, str]], batch: int = 8) -> list[Score]:
        """The log probability of each completion after its prompt. pairs: (prompt, completion)."""
        encode, eot = self.engine.tokenizer.encode, self.engine.tokenizer.eot
        return list(self.engine.score([([eot, *encode(one)], encode(other)) for one, other in pairs], batch))

    def _prepare(
        self, prompts: Sequence[str], numbers: Sequence[int], params: dict[str, Any], truncate_left: bool
    ) -> tuple[SamplingParams, list[SampleRequest]]:
        sampling = SamplingParams(**{**params, "stops": tuple(params.get("stops", PAPER_STOPS))})
        sampling.check()
        if isinstance(prompts, str):
            raise InputError("prompts is one string: give a list")
        encode = self.engine.encode
        return sampling, [
            SampleRequest(encode(prompt, sampling, truncate_left), task_key(prompt), numbers) for prompt in prompts
        ]
