"""Codex's own byte BPE (p50k) and SentencePiece trained on the corpus; both give any text back as it was."""

import base64
import hashlib
import io
import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Protocol

import sentencepiece
import tiktoken

from codex_jax.errors import InputError

P50K_SHA256 = "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"
# GPT-2's pattern: contractions, letters, digits, the rest, and spaces short of the last.
P50K_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
P50K_EOT = 50256
SPACE_MARK = "\u2581"  # SentencePiece writes a space so, and would read a literal one as a space
LONGEST_SPACE_RUN = 24
SENTENCE_BYTES = 1 << 16
TRAINING_BYTES = 8 << 20  # of text: enough for a vocabulary of some thousands, and seconds to train


class Tokenizer(Protocol):
    """What the rest of the house knows of a tokenizer."""

    kind: str
    eot: int
    vocab_size: int
    sha256: str

    def encode(self, text: str) -> list[int]:
        """The ids of a text; never the end-of-text, whatever the text says."""
        ...

    def decode(self, ids: list[int]) -> str:
        """The text; bytes that are not UTF-8 become U+FFFD."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """A token's bytes: those of a text's tokens, joined, are its UTF-8. Empty for end-of-text."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what load_tokenizer(folder) needs."""
        ...


class P50k:
    """tiktoken's p50k_base, from the rank table in this package; ids are the same."""

    kind, eot, vocab_size, sha256 = "p50k", P50K_EOT, 50_281, P50K_SHA256

    def __init__(self, space_runs: bool = True) -> None:
        """InputError where the packaged table is not the published one.

        space_runs: False leaves out the runs of spaces that Codex added, for comparison with GPT-3's tokens.
        """
        data = resources.files("codex_jax.text").joinpath("assets/p50k_base.tiktoken").read_bytes()
        if hashlib.sha256(data).hexdigest() != P50K_SHA256:
            raise InputError("the packaged p50k_base.tiktoken is damaged: install codex_jax again")
        pairs = (line.split() for line in data.splitlines())
        ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
        if not space_runs:
            ranks = {token: rank for token, rank in ranks.items() if rank < P50K_EOT}
        self._encoding = tiktoken.Encoding(
            "p50k_base",
            pat_str=P50K_PATTERN,
            mergeable_ranks=ranks,
            special_tokens={"<|endoftext|>": P50K_EOT},
            explicit_n_vocab=self.vocab_size if space_runs else None,
        )

    def encode(self, text: str) -> list[int]:
        """See Tokenizer."""
        return self._encoding.encode_ordinary(text)

    def decode(self, ids: list[int]) -> str:
        """See Tokenizer."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """See Tokenizer."""
        return b"" if token == P50K_EOT else self._encoding.decode_single_token_bytes(token)

    def save(self, folder: Path) -> None:
        """See Tokenizer."""
        _write_card(folder, self)


class SentencePiece:
    """A SentencePiece BPE model with byte fallback, made by train_sentencepiece."""

    kind = "sentencepiece"

    def __init__(self, model: bytes) -> None:
        """model: the serialized proto; InputError where it is none, or lacks byte fallback or end-of-text."""
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise InputError(f"not a SentencePiece model: {error}") from None
        self._model, self.sha256 = model, hashlib.sha256(model).hexdigest()
        self.vocab_size, self.eot = self._pieces.vocab_size(), self._pieces.eos_id()
        self._byte_ids = {}
        self._bytes = []
        for token in range(self.vocab_size):
            piece = self._pieces.id_to_piece(token)
            if self._pieces.is_byte(token):
                self._byte_ids[int(piece[3:5], 16)] = token
                self._bytes.append(bytes([int(piece[3:5], 16)]))
            elif self._pieces.is_control(token) or self._pieces.is_unknown(token):
                self._bytes.append(b"")
            else:
                self._bytes.append(piece.replace(SPACE_MARK, " ").encode())
        if len(self._byte_ids) != 256 or self.eot < 0:
            raise InputError("the SentencePiece model must have byte fallback and an end-of-text: use train:VOCAB")
        self._mark = [self._byte_ids[byte] for byte in SPACE_MARK.encode()]

    def encode(self, text: str) -> list[int]:
        """See Tokenizer."""
        first, *rest = text.split(SPACE_MARK)
        ids = self._encode(first)
        for part in rest:
            ids += self._mark + self._encode(part)
        return ids

    def _encode(self, text: str) -> list[int]:
        # SentencePiece ends a text at a NUL in some builds; a byte token is the same everywhere.
        first, *rest = text.split("\0")
        ids = self._pieces.encode(first)
        for part in rest:
            ids += [self._byte_ids[0], *self._pieces.encode(part)]
        return ids

    def decode(self, ids: list[int]) -> str:
        """See Tokenizer."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """See Tokenizer."""
        return self._bytes[token]

    def save(self, folder: Path) -> None:
        """See Tokenizer."""
        _write_card(folder, self)
        (folder / "tokenizer.model").write_bytes(self._model)


def train_sentencepiece(
    texts: Iterable[str], vocab_size: int, training_bytes: int = TRAINING_BYTES, space_runs: bool = True
) -> SentencePiece:
    """BPE on the first training_bytes of texts, with newline and runs of 2 to 24 spaces as symbols of their own.

    space_runs: False leaves the runs out, for comparison.
    InputError when the vocabulary is larger than the text supports, or too small for the bytes and symbols.
    """
    symbols = ["\n", *(SPACE_MARK * run for run in range(2, LONGEST_SPACE_RUN + 1) if space_runs)]
    least = 256 + len(symbols) + 2
    if vocab_size <= least:
        raise InputError(f"a vocabulary of {vocab_size} is too small: bytes and symbols alone take {least}")

    def sentences() -> Iterable[str]:
        left = training_bytes
        for text in texts:
            for line in text.replace(SPACE_MARK, " ").replace("\0", " ").splitlines():
                if left <= 0:
                    return
                if line:
                    yield line[:SENTENCE_BYTES]
                    left -= len(line)

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences()),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            byte_fallback=True,
            character_coverage=0.9995,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_digits=True,
            user_defined_symbols=symbols,
            unk_id=0,
            eos_id=1,
            eos_piece="<|endoftext|>",
            bos_id=-1,
            pad_id=-1,
            max_sentence_length=4 * SENTENCE_BYTES,
            num_threads=2,
            minloglevel=2,
        )
    except RuntimeError as error:
        message = str(error).split(") ")[-1]
        raise InputError(f"cannot train a vocabulary of {vocab_size} on this text: {message}") from None
    return SentencePiece(model.getvalue())


def load_tokenizer(spec: str) -> Tokenizer:
    """spec: "p50k", PATH.model, or a folder that save() wrote; InputError where it is damaged or not there."""
    if spec == "p50k":
        return P50k()
    path = Path(spec)
    try:
        if path.suffix == ".model":
            return SentencePiece(path.read_bytes())
        card = json.loads((path / "tokenizer.json").read_text())
        made: Tokenizer = P50k() if card["kind"] == "p50k" else SentencePiece((path / "tokenizer.model").read_bytes())
        if made.sha256 != card["sha256"]:
            raise InputError(f"{path} is not the tokenizer that its tokenizer.json names: copy the folder again")
        return made
    except OSError:
        raise InputError(f"no tokenizer at {spec}: give p50k, a PATH.model or a tokenizer folder") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}/tokenizer.json is broken: {error}") from None


def _write_card(folder: Path, tokenizer: Tokenizer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps({"kind": tokenizer.kind, "sha256": tokenizer.sha256}) + "\n")
