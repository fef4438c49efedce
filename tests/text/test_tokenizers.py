import hashlib
import io
import json
import random
import re
from pathlib import Path

import pytest
import sentencepiece
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tiktoken.load import load_tiktoken_bpe as load_bpe
from tiktoken_ext import openai_public

from codex_jax.errors import InputError
from codex_jax.text import tokenizers
from codex_jax.text.tokenizers import P50k, SentencePiece, load_tokenizer, losses, train_sentencepiece

TEXTS = [path.read_text() for path in sorted(Path(__file__).parents[2].glob("codex_jax/**/*.py"))]
HARD = ["", " ", "\t\r\n\f\v", "a\u2581b \u2581\u2581", "\0", "a\0\0b", "\U0001f600é"]
HARD += ["<|endoftext|>", " " * 30, "\n" * 5]
TOKENIZERS = {"p50k": P50k(), "sentencepiece": train_sentencepiece(TEXTS, 600)}


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


def check(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.eot not in ids
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("text", HARD + TEXTS[:5])
def test_lossless(tokenizer, text):
    check(tokenizer, text)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=1000, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.text(" \t\n\r\f\0\u2581ab_()"))
def test_lossless_on_any_text(name, text):
    check(TOKENIZERS[name], text)


SCRIPTS = [*map(ord, " \t\r\n\f\v\0\u2581\u2028\ufeff\u200d'\"()")], (32, 127), (0, 0xD800), (0xE000, 0x110000)


def random_text(rng):
    """Runs of a few kinds of characters, without lone surrogates."""
    parts = []
    for _ in range(rng.randint(1, 6)):
        kind = rng.choice(SCRIPTS)
        kind = rng.choice(kind) if isinstance(kind, list) else kind
        run = rng.randint(1, 12)
        parts += [chr(kind) if isinstance(kind, int) else chr(rng.randrange(*kind)) for _ in range(run)]
    return "".join(parts)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=1000, deadline=None)
@given(seed=st.integers(0, 2**63))
def test_lossless_on_a_hundred_thousand_texts(name, seed):
    rng = random.Random(seed)
    for _ in range(100):
        check(TOKENIZERS[name], random_text(rng))


def test_p50k_equals_tiktokens_p50k_base(monkeypatch):
    # tiktoken's own p50k_base, given the packaged ranks instead of a download. It also checks their hash.
    assets = str(Path(tokenizers.__file__).parent / "assets/p50k_base.tiktoken")
    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda _, expected_hash: load_bpe(assets, expected_hash))
    reference = tiktoken.Encoding(**openai_public.p50k_base())
    p50k = P50k()
    assert (reference.n_vocab, reference.eot_token) == (p50k.vocab_size, p50k.eot)
    rng = random.Random(0)
    for text in [*HARD, *TEXTS, *(random_text(rng) for _ in range(2000))]:
        assert p50k.encode(text) == reference.encode_ordinary(text)


def test_tokens_for_runs_of_spaces_save_tokens():
    text = "def f():\n        return 1\n" * 9
    for plain, full in (
        (P50k(space_runs=False), TOKENIZERS["p50k"]),
        (train_sentencepiece(TEXTS, 600, space_runs=False), TOKENIZERS["sentencepiece"]),
    ):
        check(plain, text)
        assert len(plain.encode(text)) > 1.2 * len(full.encode(text))
    assert max(P50k(space_runs=False).encode(" " * 30)) < 50_256


def test_a_saved_tokenizer_loads_unchanged(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(str(tmp_path))
    assert (loaded.kind, loaded.sha256, loaded.vocab_size) == (tokenizer.kind, tokenizer.sha256, tokenizer.vocab_size)
    assert loaded.encode(TEXTS[1]) == tokenizer.encode(TEXTS[1])


def test_space_runs_are_one_token(tokenizer):
    for run in range(2, 25):
        assert len(tokenizer.encode("a" + " " * run + "\n")) <= 4
    assert tokenizer.vocab_size in (600, 50_281)


def test_p50k_ids():
    # Ids from OpenAI's table: the run of 2 spaces is 50257, of 4 50259, "def" is 4299.
    assert P50k().encode("def f():\n     return") == [4299, 277, 33529, 198, 50259, 1441]


def test_training_is_deterministic():
    assert train_sentencepiece(TEXTS, 600).sha256 == TOKENIZERS["sentencepiece"].sha256


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="vocabulary of 50000"):
        train_sentencepiece(["a b c\n"], 50_000)
    with pytest.raises(InputError, match="too small"):
        train_sentencepiece(TEXTS, 200)
    with pytest.raises(InputError, match="no tokenizer"):
        load_tokenizer(str(tmp_path / "none"))
    (tmp_path / "x.model").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="SentencePiece"):
        load_tokenizer(str(tmp_path / "x.model"))
    TOKENIZERS["sentencepiece"].save(tmp_path / "t")
    (tmp_path / "t" / "tokenizer.model").write_bytes(train_sentencepiece(TEXTS, 500)._model)
    with pytest.raises(InputError, match=r"does not match its tokenizer\.json"):
        load_tokenizer(str(tmp_path / "t"))
    assert isinstance(TOKENIZERS["sentencepiece"], SentencePiece)


LOSSLESS = {
    "normalization_rule_name": "identity",
    "add_dummy_prefix": False,
    "remove_extra_whitespaces": False,
    "byte_fallback": True,
}


def model(**options):
    """A SentencePiece model of 500 tokens, trained with these options."""
    words = ["alpha", "beta", "gamma", "delta", "item", "value", "total", "count", "index", "name", "path", "line"]
    lines = [f"    {words[n % 7]}_{words[n % 11]} = {words[n % 5]}({words[n % 3]}, {n})" for n in range(2000)]
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=written,
        vocab_size=500,
        model_type="bpe",
        hard_vocab_limit=False,
        minloglevel=2,
        **{**LOSSLESS, **options},
    )
    return written.getvalue()


def test_a_model_that_gives_texts_back_is_taken(tmp_path):
    (tmp_path / "m.model").write_bytes(model())
    tokenizer = load_tokenizer(f"{tmp_path}/m.model")
    assert losses(tokenizer) == []
    assert losses(TOKENIZERS["p50k"]) == []
    text = "  x\t= 'ﬁ²①'\r\n\u200b\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        ({"add_dummy_prefix": True}, ["it adds ' ' to a text .add_dummy_prefix.: use train:"]),
        (
            {"add_dummy_prefix": True, "treat_whitespace_as_suffix": True},
            ["it adds ' ' to a text .add_dummy_prefix.: use train:"],
        ),
        ({"remove_extra_whitespaces": True}, ["it removes or changes white space"]),
        ({"normalization_rule_name": "nfkc"}, ["it normalises characters"]),
        ({"normalization_rule_name": "nmt_nfkc_cf"}, ["it removes or changes white space", "it drops control"]),
        ({"user_defined_symbols": ["<s2>"], "byte_fallback": False}, ["must have byte fallback"]),
    ],
)
def test_a_model_that_does_not_give_texts_back_is_refused(tmp_path, options, faults):
    data = model(**options)
    (tmp_path / "m.model").write_bytes(data)
    (tmp_path / "tokenizer.model").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / "tokenizer.json").write_text(json.dumps({"kind": "sentencepiece", "sha256": digest}))
    for place in (f"{tmp_path}/m.model", str(tmp_path)):
        with pytest.raises(InputError) as caught:
            load_tokenizer(place)
        for fault in faults:
            assert re.search(fault, str(caught.value))
        assert "\n" not in str(caught.value)


def test_a_model_that_changes_one_character_is_refused(tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("2192\t2D\n")  # an arrow becomes a hyphen
    with pytest.raises(InputError, match=r"it changes characters such as U\+2192"):
        SentencePiece(model(normalization_rule_tsv=str(rules)))


def test_an_empty_model_is_refused():
    with pytest.raises(InputError, match="not a SentencePiece model: it is empty"):
        SentencePiece(b"")
