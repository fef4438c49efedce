"""Every setting of a training run, as frozen dataclasses; an experiment file defines `config = TrainConfig(...)`."""

import dataclasses
import json
import math
import operator
import runpy
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from codex_jax.errors import InputError

# What the forward pass saves for the backward pass, from least memory to most; the rest is recomputed. "dots" are the
# outputs of matrix products with weights; "full" recomputes whole layers, "none" recomputes nothing.
RematPolicy = Literal["full", "attention", "qkv", "dots", "dots_attention", "none"]
Dtype = Literal["float32", "bfloat16"]
Attention = Literal["auto", "xla", "splash", "cudnn"]


@dataclass(frozen=True)
class ModelConfig:
    """GPT-3's architecture (paper section 3.2)."""

    layers: int = 4
    width: int = 192
    heads: int = 6
    context: int = 2048  # tokens: the longest sequence, and the number of learned positions
    vocab_size: int = 0  # 0: the size of the data's tokenizer, rounded up to a multiple of 128
    compute_dtype: Dtype = "float32"  # of activations and matrix products; parameters, softmax and loss are float32
    gather_dtype: Dtype = "float32"  # of weights and their gradients while they are sent between devices
    remat: RematPolicy = "none"  # what the backward pass recomputes, from full (whole layers) to none (nothing)
    unroll: int = 1  # layers unrolled per scan iteration: on a CPU, unrolling all is faster but slower to compile
    attention: Attention = "auto"  # auto: splash on TPU, cuDNN on NVIDIA GPUs, XLA elsewhere
    window: int = 0  # last tokens that every second layer attends to, the current one included; 0: all tokens


# Settings that change the speed of a model, and its results only by rounding.
SPEED = ("compute_dtype", "gather_dtype", "remat", "unroll", "attention")


def with_speed_of(shape: ModelConfig, speed: ModelConfig) -> ModelConfig:
    """The model `shape` with the SPEED settings of `speed`."""
    return dataclasses.replace(shape, **{name: getattr(speed, name) for name in SPEED})


@dataclass(frozen=True)
class DataConfig:
    """The data set to train on."""

    # DIR/NAME or DIR/NAME/VERSION, as written by codex_jax.corpus. A weighted mixture such as PATH@2,OTHER@1 takes
    # two thirds of every 65,536 sequences from PATH, and validates on PATH.
    path: str = ""

    train_split: str = "train"
    validation_split: str = "validation"  # none: no validation


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up and cosine decay (paper section 3.2)."""

    peak_learning_rate: float = 6e-4
    final_fraction: float = 0.1  # learning rate at the last step, as a fraction of the peak
    warmup_steps: int = 175
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1  # of matrices and embeddings; biases and norms are not decayed
    first_moment_dtype: Dtype = "float32"
    offload: bool = False  # keep the moments in host memory between updates (TPU and GPU only)
    clip_norm: float = 1.0  # largest global norm of the gradients
    init_fraction: float = 0.0  # with init_from: the peak rate as a fraction of that run's; 0: peak_learning_rate


@dataclass(frozen=True)
class MeshConfig:
    """Number of devices along each mesh axis; -1, for one axis only, means all devices that remain."""

    data: int = 1  # data parallelism: copies of the parameters
    fsdp: int = -1  # fully sharded data parallelism: splits the batch, and all parameters
    sequence: int = 1  # splits each sequence, for more devices than sequences, and all parameters
    model: int = 1  # tensor parallelism: splits heads, MLP and vocabulary


@dataclass(frozen=True)
class HostsConfig:
    """The processes of one run, one process per host. On Cloud TPU they are detected automatically."""

    coordinator: str = ""  # HOST[:PORT] of process 0; default port 8476, which must be open between the hosts
    count: int = 0  # number of processes
    index: int = -1  # index of this process, from 0
    wait: int = 45  # seconds to wait for the other processes


@dataclass(frozen=True)
class GuardsConfig:
    """What happens when training goes wrong."""

    # Updates that may be skipped in a row, because a loss, gradient or update is not finite, before training stops.
    skipped_updates: int = 5
    # A loss this many standard deviations above the mean of the steps before is reported as a spike; 0: never.
    spike_deviations: float = 8.0
    # After a spike, return to the newest checkpoint before it, and skip the batches up to the spike.
    roll_back: bool = False


@dataclass(frozen=True)
class TrialsConfig:
    """What a run samples after each evaluation. The samples go to trials/STEP.jsonl in the run folder."""

    prompt: str = ""  # a prompt to complete; the completion is also printed
    # humaneval or a FILE, as for codex_jax.sample: its problems are sampled, and another process scores the samples
    problems: str = ""
    n: int = 1  # samples per problem
    temperature: float = 0.2
    max_new_tokens: int = 300  # tokens per sample


@dataclass(frozen=True)
class TrainConfig:
    """One run: pretraining, or fine-tuning if init_from names another run."""

    name: str = "run"
    run_dir: str = ""  # default: runs/NAME
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    hosts: HostsConfig = field(default_factory=HostsConfig)
    guards: GuardsConfig = field(default_factory=GuardsConfig)
    trials: TrialsConfig = field(default_factory=TrialsConfig)
    steps: int = 1000
    batch_size: int = 32  # sequences per step, over all devices
    accumulation: int = 1  # microbatches per step
    loss_chunks: int = 1  # parts of each sequence whose logits are computed in turn, to save memory
    seed: int = 0
    init_from: str = ""  # RUN or RUN@STEP: a run whose checkpoint gives the parameters to start from
    keep_moments: bool = False  # with init_from: also start from that run's optimizer moments
    log_every: int = 10  # steps between logged metrics
    eval_every: int = 0  # steps between evaluations; 0: only before the first step and after the last
    eval_batches: int = 0  # 0: the whole validation split
    patience: int = 0  # evaluations without a lower validation loss before the run ends; 0: it never ends early
    checkpoint_every: int = 500  # steps between checkpoints
    keep_checkpoints: int = 3  # the newest checkpoints to keep
    keep_every: int = 0  # also keep the checkpoints of every so many steps; 0: none
    wandb: str = ""  # project in Weights & Biases that gets the metrics; WANDB_MODE=offline keeps them in wandb/
    topology: str = ""  # CHIP:SHAPE, such as v5e:16x16: the TPU slice that codex_jax.plan compiles for

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.run_dir or f"runs/{self.name}")


def load_experiment(spec: str | Path) -> TrainConfig:
    """The `config` of FILE.py, or one of its `configs` for FILE.py:NAME; InputError if it is missing."""
    if not spec:
        raise InputError("name an experiment file first, such as experiments/tiny.py")
    path, colon, name = str(spec).rpartition(":") if not str(spec).endswith(".py") else (str(spec), "", "")
    if not Path(path).is_file():
        raise InputError(f"no experiment file {path or spec}: name one such as experiments/tiny.py")
    try:
        defined = runpy.run_path(path)
    except (Exception, SystemExit) as error:  # the file is the user's code
        raise InputError(f"cannot run {path}: {type(error).__name__}: {error}") from error
    configs = defined.get("configs", {})
    if not isinstance(configs, dict):
        raise InputError(f"`configs` of {path} is not a dict of name and TrainConfig(...)")
    config = configs.get(name) if colon else defined.get("config")
    if isinstance(config, TrainConfig):
        return config
    if configs:
        names = ", ".join(map(str, configs))
        raise InputError(f"name one of the experiments of {path} as {path}:NAME; it has {names}")
    raise InputError(f"{path} defines no `config = TrainConfig(...)`")


def differences(before: Any, after: Any, prefix: str = "") -> dict[str, Any]:
    """The settings of `after` that differ from `before`, such as {"mesh.fsdp": 128}."""
    changed: dict[str, Any] = {}
    for item in dataclasses.fields(before):
        old, new = getattr(before, item.name), getattr(after, item.name)
        if dataclasses.is_dataclass(new):
            changed |= differences(old, new, f"{prefix}{item.name}.")
        elif old != new:
            changed[prefix + item.name] = new
    return changed


def to_json(config: Any) -> str:
    """A config as indented JSON."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_dict(cls: type, values: dict[str, Any]) -> Any:
    """The config that to_json wrote, from its parsed JSON; InputError for unknown settings and wrong types."""
    hints = typing.get_type_hints(cls)
    unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
    if unknown:
        raise InputError(f"unknown setting {sorted(unknown)[0]!r} for {cls.__name__}")
    fields = {}
    for key, value in values.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise InputError(f"setting {key!r} must be an object, not {value!r}")
            value = from_dict(typing.cast(type, hint), value)
        elif typing.get_origin(hint) is Literal:
            if value not in typing.get_args(hint):
                raise InputError(f"setting {key!r} must be one of {', '.join(typing.get_args(hint))}, not {value!r}")
        elif type(value) is not hint and not (hint is float and type(value) is int):
            raise InputError(f"setting {key!r} must be {hint.__name__}, not {value!r}")
        fields[key] = value
    return cls(**fields)


COUNTS = "steps", "batch_size", "accumulation", "loss_chunks", "log_every", "checkpoint_every", "keep_checkpoints"
# (in words, least, most, settings) of the numbers that are not part of the model; nan is in no range.
RANGES = (
    ("at least 1", 1, math.inf, (*COUNTS, "guards.skipped_updates", "trials.n", "trials.max_new_tokens")),
    ("at least 0", 0, math.inf, ("eval_every", "eval_batches", "keep_every", "patience", "optimizer.warmup_steps")),
    ("from 0 to 2^32 - 1", 0, 2**32 - 1, ("seed",)),
    ("from 0 to 1", 0, 1, ("optimizer.final_fraction", "optimizer.init_fraction")),
    ("at least 0 and below 1", 0, 1 - 1e-7, ("optimizer.beta1", "optimizer.beta2")),
    ("at least 0 and finite", 0, 1e30, ("optimizer.weight_decay", "guards.spike_deviations", "trials.temperature")),
    (
        "above 0 and finite",
        1e-30,
        1e30,
        ("optimizer.peak_learning_rate", "optimizer.epsilon", "optimizer.clip_norm"),
    ),
)


def validate(config: TrainConfig) -> None:
    """Raises InputError, which names the flag, for a setting that cannot be trained with."""
    model = config.model
    for name in ("layers", "width", "heads", "context", "unroll"):
        if getattr(model, name) < 1:
            raise InputError(f"--model.{name} must be at least 1, not {getattr(model, name)}")
    if model.width % model.heads:
        raise InputError(f"--model.width {model.width} must be a multiple of --model.heads {model.heads}")
    if model.gather_dtype == "bfloat16" and model.compute_dtype != "bfloat16":
        raise InputError("--model.gather-dtype bfloat16 needs --model.compute-dtype bfloat16")
    if model.attention not in typing.get_args(Attention):
        choices = ", ".join(typing.get_args(Attention))
        raise InputError(f"--model.attention must be one of {choices}, not {model.attention!r}")
    if model.attention == "cudnn" and (model.compute_dtype != "bfloat16" or model.width // model.heads % 8):
        raise InputError("--model.attention cudnn needs --model.compute-dtype bfloat16 and heads of a multiple of 8")
    if not 0 <= model.window <= model.context:
        raise InputError(f"--model.window must be from 0 to --model.context {model.context}, not {model.window}")
    for range_in_words, least, most, settings in RANGES:
        for setting in settings:
            value = operator.attrgetter(setting)(config)
            if not least <= value <= most:
                raise InputError(f"--{setting.replace('_', '-')} must be {range_in_words}, not {value}")
    if config.batch_size % config.accumulation:
        raise InputError(f"--batch-size {config.batch_size} must be a multiple of --accumulation {config.accumulation}")
    if config.keep_moments and not config.init_from:
        raise InputError("--keep-moments needs --init-from RUN, whose moments it takes")
    if config.optimizer.init_fraction and not config.init_from:
        raise InputError("this experiment fine-tunes: give --init-from RUN, of whose learning rate it takes a fraction")
    if config.patience and (not config.eval_every or config.data.validation_split == "none"):
        raise InputError("--patience needs --eval-every and a validation split")
    if not config.data.path:
        raise InputError("no data: give --data.path DIR/NAME as written by python -m codex_jax.corpus")
