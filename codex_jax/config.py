"""Every setting as frozen dataclasses; an experiment file is one `config = TrainConfig(...)`."""

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from codex_jax.errors import InputError

# What the backward pass finds saved, from least memory to most; it computes the rest again. dots: weight products.
RematPolicy = Literal["full", "attention", "qkv", "dots", "dots_attention", "none"]
Dtype = Literal["float32", "bfloat16"]
Attention = Literal["auto", "xla", "splash", "cudnn"]


@dataclass(frozen=True)
class ModelConfig:
    """GPT-3's architecture (paper section 3.2: the GPT model family)."""

    layers: int = 4
    width: int = 192
    heads: int = 6
    context: int = 2048  # tokens: the longest sequence, and the number of learned positions
    vocab_size: int = 0  # 0: taken from the data's tokenizer, rounded up to a multiple of 128
    compute_dtype: Dtype = "float32"  # of products, in full on every platform; parameters, softmax, loss: float32
    gather_dtype: Dtype = "float32"  # in which weights are gathered and their gradients scattered over the mesh
    remat: RematPolicy = "none"  # what is saved for the backward pass: none computes nothing again, full a whole layer
    unroll: int = 1  # layers a turn of the scan over them: on a CPU all of a small model is faster, slower to compile
    attention: Attention = "auto"  # splash on TPU, cuDNN on NVIDIA, XLA elsewhere
    window: int = 0  # tokens, itself included, that every second layer sees, as GPT-3's banded ones; 0: all see all


SPEED = ("compute_dtype", "gather_dtype", "remat", "unroll", "attention")  # what a run may change on the way


def with_speed_of(shape: ModelConfig, speed: ModelConfig) -> ModelConfig:
    """The model of `shape`, computed as `speed` says."""
    return dataclasses.replace(shape, **{name: getattr(speed, name) for name in SPEED})


@dataclass(frozen=True)
class DataConfig:
    """Where the training records lie."""

    # DIR/NAME or DIR/NAME/VERSION, as written by codex_jax.corpus, or a mixture by weight: PATH@2,OTHER@1 takes two
    # thirds of the sequences from PATH, exactly so in every 65,536, and its validation is PATH's.
    path: str = ""

    train_split: str = "train"
    validation_split: str = "validation"


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up and cosine decay (paper section 3.2)."""

    peak_learning_rate: float = 6e-4
    final_fraction: float = 0.1  # of the peak, at the last step
    warmup_steps: int = 175
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1  # on matrices only
    first_moment_dtype: Dtype = "float32"
    offload: bool = False  # moments lie in the host's memory between updates: for TPU and GPU
    clip_norm: float = 1.0  # global norm of the gradients


@dataclass(frozen=True)
class MeshConfig:
    """Devices along each mesh axis; -1 (one axis at most) takes what is left."""

    data: int = 1  # copies of the parameters
    fsdp: int = -1  # parts of the batch and of every parameter: sharded data parallelism
    sequence: int = 1  # parts of every sequence, and of the parameters as fsdp: for more devices than sequences
    model: int = 1  # parts of heads, MLP and vocabulary: tensor parallelism


@dataclass(frozen=True)
class HostsConfig:
    """The processes of one run, a process a host; on Cloud TPU they find each other and nothing is to be given."""

    coordinator: str = ""  # HOST[:PORT] of process 0, port 8476 unless given: it must be open between the hosts
    count: int = 0  # processes in all
    index: int = -1  # this one, from 0
    wait: int = 45  # seconds for the others to come


@dataclass(frozen=True)
class TrainConfig:
    """One run: pretraining, or fine-tuning where init_from names another run."""

    name: str = "run"
    run_dir: str = ""  # default: runs/NAME
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    hosts: HostsConfig = field(default_factory=HostsConfig)
    steps: int = 1000
    batch_size: int = 32  # sequences a step, over all devices
    accumulation: int = 1  # microbatches a step
    loss_chunks: int = 1  # parts of the sequence whose logits are made one after the other, and again backward
    seed: int = 0
    init_from: str = ""  # a run folder whose newest parameters start this one
    log_every: int = 10  # steps
    eval_every: int = 0  # steps; 0: before the first and after the last step only
    eval_batches: int = 0  # 0: the whole validation split
    checkpoint_every: int = 500  # steps
    keep_checkpoints: int = 3

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.run_dir or f"runs/{self.name}")


def to_json(config: Any) -> str:
    """A config as indented JSON."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_dict(cls: type, values: dict[str, Any]) -> Any:
    """A config dataclass from what to_json wrote; InputError on unknown keys or wrong types."""
    hints = typing.get_type_hints(cls)
    unknown = set(values) - {f.name for f in dataclasses.fields(cls)}
    if unknown:
        raise InputError(f"unknown setting {sorted(unknown)[0]!r} for {cls.__name__}")
    made = {}
    for key, value in values.items():
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise InputError(f"setting {key!r} must be an object, not {value!r}")
            value = from_dict(typing.cast(type, hint), value)
        elif hint in (int, float, str) and (not isinstance(value, (int, float) if hint is float else hint)):
            raise InputError(f"setting {key!r} must be {hint.__name__}, not {value!r}")
        made[key] = value
    return cls(**made)


def validate(config: TrainConfig) -> None:
    """InputError for settings that cannot train, naming the flag."""
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
    counts = "steps", "batch_size", "accumulation", "loss_chunks", "log_every", "checkpoint_every", "keep_checkpoints"
    for name in counts:
        if getattr(config, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(config, name)}")
    if config.batch_size % config.accumulation:
        raise InputError(f"--batch-size {config.batch_size} must be a multiple of --accumulation {config.accumulation}")
    if config.optimizer.peak_learning_rate <= 0:
        raise InputError("--optimizer.peak-learning-rate must be above 0")
    if not config.data.path:
        raise InputError("no data: give --data.path DIR/NAME as written by python -m codex_jax.corpus")
