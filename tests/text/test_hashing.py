import re

from hypothesis import given
from hypothesis import strategies as st

from codex_jax.text import hashing
from codex_jax.text.hashing import ngram_hashes, word_hashes

BASE = 0x9E3779B97F4A7C15
TEXTS = st.text(alphabet=st.sampled_from("ab_1 \n\t.(=é𝄞\u2581"), max_size=80)


def split_words(text):
    data = text.encode()
    return re.findall(rb"[A-Za-z0-9_\x80-\xff]+|[^\s\x00-\x20\x7f]", data)


@given(TEXTS)
def test_hashes_are_equal_exactly_for_equal_words(text):
    spellings, hashes = split_words(text), word_hashes(text)
    assert len(spellings) == len(hashes)
    word_of_hash = {}
    for word, code in zip(spellings, hashes.tolist(), strict=True):
        assert word_of_hash.setdefault(code, word) == word
    assert len(word_of_hash) == len(set(spellings))


@given(TEXTS)
def test_whitespace_does_not_matter(text):
    spaced = re.sub(r"[ \n\t]+", " \n  ", text)
    assert word_hashes(text).tolist() == word_hashes(spaced).tolist() == word_hashes("  " + text + "\n").tolist()


def test_a_chunk_ends_between_words(monkeypatch):
    text = "alpha beta.gamma(delta, 12)\n" * 50
    whole = word_hashes(text)
    monkeypatch.setattr(hashing, "CHUNK", 37)
    assert word_hashes(text).tolist() == whole.tolist()


@given(TEXTS, st.integers(1, 6))
def test_ngram_hashes_depend_on_the_words_alone(text, n):
    hashes = word_hashes(text)
    grams = ngram_hashes(hashes, n).tolist()
    runs = [tuple(hashes[start : start + n].tolist()) for start in range(len(hashes) - n + 1)]
    assert len(grams) == len(runs)
    assert len(set(grams)) == len(set(runs))
    assert all((grams[0] == gram) == (runs[0] == run) for gram, run in zip(grams, runs, strict=True))


def splitmix(value):
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


@given(TEXTS)
def test_hashes_equal_the_documented_polynomial(text):
    expected = [
        splitmix(sum((byte + 1) * BASE**n for n, byte in enumerate(word)) % 2**64) for word in split_words(text)
    ]
    assert word_hashes(text).tolist() == expected
    runs = [expected[start : start + 3] for start in range(len(expected) - 2)]
    assert ngram_hashes(word_hashes(text), 3).tolist() == [
        splitmix((a * BASE**2 + b * BASE + c) % 2**64) for a, b, c in runs
    ]
