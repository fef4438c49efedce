"""The settings that determine the records of a data set, but not where and how it is built."""

import re
from dataclasses import dataclass, fields
from pathlib import Path

import tyro

from codex_jax.errors import InputError
from codex_jax.text.tokenizers import load_tokenizer


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Equal settings and sources give equal digests, on any executor and with any number of workers."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """stdlib, dir:PATH, git:PATH, jsonl:PATH?text=COLUMN&repo=COLUMN, parquet:PATH, tar:PATH, zip:PATH, wheel:PATH,
    sdist:PATH, pypi:NAME[==VERSION], pypi:@LIST, problems:FILE"""
    tokenizer: str  # p50k, PATH.model, a tokenizer folder, or train:VOCAB
    weights: tuple[float, ...] = ()  # one per source: how often its training documents are written; 0.5 takes half
    seq_len: int = 2048  # tokens that a record predicts
    version: str = "1.0.0"  # version of the data set
    seed: int = 0  # seed of the assignment of repositories to splits
    shards: int | None = None  # files per split; default: as many as --shard-bytes requires
    shard_bytes: int = 200_000_000  # approximate maximum of the bytes of tokens per shard
    test_tokens: int | None = None  # target of the test split; default: 5% of all tokens, at most 10 million
    validation_tokens: int | None = None  # target of the validation split; default: as for the test split
    near_dedupe: bool = True  # also drop near copies (MinHash, Jaccard 0.8 over 5-word shingles)
    protect: tuple[str, ...] = ("humaneval", "building_blocks")
    """Benchmarks whose prompts and solutions must not be in the corpus: humaneval, building_blocks, apps:DIR,
    mbpp:FILE, FILE.jsonl; "none" for none."""
    require_parse: bool = False  # drop files that the running Python cannot parse
    licenses: tuple[str, ...] = ()  # keep only these SPDX ids, or "permissive"; unknown licences are dropped too
    drop_secrets: bool = False  # drop files that contain a key or token of a known format (needs the extra: secrets)

    def check(self) -> None:
        """InputError for an invalid value."""
        if not self.sources:
            raise InputError("name a source, such as stdlib or dir:PATH")
        for name in ("seq_len", "shard_bytes", "shards"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        for name in ("test_tokens", "validation_tokens", "seed"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InputError(f"--{name.replace('_', '-')} must not be negative, but is {value}")
        if not re.fullmatch(r"\d+\.\d+\.\d+", self.version):
            raise InputError(f"--version {self.version}: give a version such as 1.0.0")
        if self.weights and (len(self.weights) != len(self.sources) or not all(0 < w <= 100 for w in self.weights)):
            raise InputError(f"--weights: give one for each of the {len(self.sources)} sources, above 0 and up to 100")
        kind, _, vocab_size = self.tokenizer.partition(":")
        if kind == "train" and not re.fullmatch(r"[0-9]{1,7}", vocab_size):
            raise InputError(f"--tokenizer {self.tokenizer}: give train:VOCAB, such as train:1024")
        if kind != "train":
            load_tokenizer(self.tokenizer)  # an error now is better than one after all documents have been read

    def weight(self, source: int) -> float:
        """The weight of sources[source]."""
        return self.weights[source] if self.weights else 1.0

    def settings(self) -> "Settings":
        """These settings without the fields that a subclass adds."""
        return Settings(**{field.name: getattr(self, field.name) for field in fields(Settings)})

    def for_reading(self) -> list[object]:
        """The settings that decide which documents pass the filters."""
        return [self.near_dedupe, self.protect, self.require_parse, self.licenses, self.drop_secrets]


def check_name(out: Path) -> None:
    """InputError unless the last part of DIR/NAME can name a data set and its files."""
    if not re.fullmatch(r"[A-Za-z]\w*", out.name, re.ASCII):
        raise InputError(f"--out {out}: the name of a data set is letters, digits and _, and starts with a letter")
