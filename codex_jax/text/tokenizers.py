"""Two lossless tokenizers: Codex's byte-level BPE (p50k) and a SentencePiece BPE trained on the corpus."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Protocol

import sentencepiece
import tiktoken

from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_atomic, write_text_atomic

P50K_SHA256 = "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"
# GPT-2's pattern: contractions, letters, digits, other characters, and runs of whitespace up to the last character.
P50K_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
P50K_EOT = 50256
SPACE_MARK = "\u2581"  # SentencePiece's symbol for a space; it treats a literal one as a space
MAX_SPACE_RUN = 24
ADVICE = (
    "use train:VOCAB, or train the model with normalization_rule_name=identity, add_dummy_prefix=false, "
    "remove_extra_whitespaces=false and byte_fallback=true"
)
SENTENCE_BYTES = 1 << 16
# Faults of a tokenizer -> texts that show them.
PROBES = {
    "it removes or changes white space (remove_extra_whitespaces)": ("  ", "\t", " \n  ", "\r\n", "\u3000\u00a0\u2009"),
    "it normalises characters (normalization_rule_name)": (
        "\ufb01\u00b2\u2460\uff21\u212b",
        "e\u0301\u1100\u1161",
        "\u0130\u00df",
    ),
    "it drops control characters": ("\x01\x08\x0c\x7f", "\u200b\u00ad\ufeff\u2028"),
    "it loses unknown characters (byte_fallback)": ("\u6c49\U0001f600", "\u0378\ue000\U0010ffff"),
    "it reads its own symbols in a text": ("<s></s><unk><0x41><|endoftext|>",),
}
# All characters up to U+3000, and the compatibility forms, which are those that normalisation changes.
WIDE_PROBE = "".join(map(chr, (*range(0x3000), *range(0xF900, 0x10000))))
TRAINING_BYTES = 8 << 20  # of text: enough for a vocabulary of a few thousand tokens, which trains within seconds


class Tokenizer(Protocol):
    """What the package requires of a tokenizer. Subclasses define encode and token_bytes."""

    kind: str
    eot: int  # id of end-of-text
    vocab_size: int
    sha256: str

    def encode(self, text: str) -> list[int]:
        """The token ids of a text. They never contain end-of-text, even if the text spells it."""

    def token_bytes(self, token: int) -> bytes:
        """The bytes of a token; empty for end-of-text. Joining the bytes of a text's tokens gives its UTF-8."""

    def decode(self, ids: list[int]) -> str:
        """The text of token ids; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def save(self, folder: Path) -> None:
        """Writes the files that load_tokenizer(folder) needs."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text_atomic(folder / "tokenizer.json", json.dumps({"kind": self.kind, "sha256": self.sha256}) + "\n")


class P50k(Tokenizer):
    """tiktoken's p50k_base with the same ids, built from the rank table in this package."""

    kind, eot, vocab_size, sha256 = "p50k", P50K_EOT, 50_281, P50K_SHA256

    def __init__(self, space_runs: bool = True) -> None:
        """space_runs: False gives GPT-3's vocabulary, without runs of spaces. InputError if the table is damaged."""
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

    def token_bytes(self, token: int) -> bytes:
        """See Tokenizer."""
        return b"" if token == P50K_EOT else self._encoding.decode_single_token_bytes(token)


class SentencePiece(Tokenizer):
    """A SentencePiece BPE model with byte fallback, such as train_sentencepiece returns."""

    kind = "sentencepiece"

    def __init__(self, model: bytes) -> None:
        """model: the serialized proto. InputError if it is invalid, lacks end-of-text, or does not give texts back."""
        try:
            if not model:
                raise RuntimeError("it is empty")
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
        faults = losses(self)
        if faults:
            raise InputError(
                f"the SentencePiece model does not give a text back as it was: {'; '.join(faults)}: {ADVICE}"
            )

    def encode(self, text: str) -> list[int]:
        """See Tokenizer."""
        # Encodes the mark and NUL as bytes: SentencePiece reads the mark as a space, and some builds end at NUL.
        first, *rest = re.split(f"([{SPACE_MARK}\0])", text)
        ids: list[int] = self._pieces.encode(first)
        for character, part in zip(rest[::2], rest[1::2], strict=True):
            ids += [self._byte_ids[byte] for byte in character.encode()]
            ids += self._pieces.encode(part)
        return ids

    def token_bytes(self, token: int) -> bytes:
        """See Tokenizer."""
        return self._bytes[token]

    def save(self, folder: Path) -> None:
        """See Tokenizer."""
        super().save(folder)
        with write_atomic(folder / "tokenizer.model") as file:
            file.write(self._model)


def losses(tokenizer: Tokenizer) -> list[str]:
    """Why the tokenizer does not give every text back as it was, as far as PROBES and WIDE_PROBE show."""

    def back(text: str) -> str:
        return tokenizer.decode(tokenizer.encode(text))

    before, _, after = back("x").partition("x")
    faults = [f"it adds {before + after!r} to a text (add_dummy_prefix)"] if before + after else []
    for fault, texts in PROBES.items():
        if any(back(f"x{text}x") != f"{before}x{text}x{after}" for text in texts):
            faults.append(fault)
    ends = " \n x \n "
    if not faults and back(ends) != ends:
        faults.append("it removes white space at the ends")
    shown = back(WIDE_PROBE)
    if not faults and shown != WIDE_PROBE:
        at = next((n for n, pair in enumerate(zip(shown, WIDE_PROBE, strict=False)) if pair[0] != pair[1]), len(shown))
        faults.append(f"it changes characters such as U+{ord(WIDE_PROBE[at]):04X}")
    return faults


def train_sentencepiece(
    texts: Iterable[str], vocab_size: int, training_bytes: int = TRAINING_BYTES, space_runs: bool = True
) -> SentencePiece:
    """Trains BPE on the first training_bytes of the texts. Newlines and runs of 2 to 24 spaces are tokens.

    space_runs: False leaves out the tokens for runs of spaces, for comparison.
    InputError if the vocabulary is too large for this text, or too small for the bytes and runs of spaces.
    """
    symbols = ["\n", *(SPACE_MARK * run for run in range(2, MAX_SPACE_RUN + 1) if space_runs)]
    min_vocab = 256 + len(symbols) + 2
    if vocab_size <= min_vocab:
        raise InputError(f"a vocabulary of {vocab_size} is too small: bytes and symbols alone take {min_vocab}")

    def sentences() -> Iterable[str]:
        remaining = training_bytes
        for text in texts:
            for line in text.replace(SPACE_MARK, " ").replace("\0", " ").splitlines():
                if remaining <= 0:
                    return
                if line:
                    yield line[:SENTENCE_BYTES]
                    remaining -= len(line)

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
    """Loads "p50k", PATH.model, or a folder written by save(). InputError if it is missing or damaged."""
    if spec == "p50k":
        return P50k()
    path = Path(spec)
    try:
        if path.suffix == ".model":
            return SentencePiece(path.read_bytes())
        info = json.loads((path / "tokenizer.json").read_text())
        tokenizer = P50k() if info["kind"] == "p50k" else SentencePiece((path / "tokenizer.model").read_bytes())
        if tokenizer.sha256 != info["sha256"]:
            raise InputError(f"{path} holds a tokenizer that does not match its tokenizer.json: copy the folder again")
        return tokenizer
    except OSError:
        raise InputError(f"no tokenizer at {spec}: give p50k, a PATH.model or a tokenizer folder") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}/tokenizer.json is broken: {error}") from None
