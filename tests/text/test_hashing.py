import re

from hypothesis import given
from hypothesis import strategies as st

from codex_jax.text import hashing as room
from codex_jax.text.hashing import BASE, ngrams, words

TEXTS = st.text(alphabet=st.sampled_from("ab_1 \n\t.(=é𝄞\u2581"), max_size=80)


def spelled(text):
    data = text.encode()
    return re.findall(rb"[A-Za-z0-9_\x80-\xff]+|[^\s\x00-\x20\x7f]", data)


@given(TEXTS)
def test_equal_words_alone_have_equal_hashes(text):
    plain, hashes = spelled(text), words(text)
    assert len(plain) == len(hashes)
    meaning = {}
    for word, code in zip(plain, hashes.tolist(), strict=True):
        assert meaning.setdefault(code, word) == word
    assert len(meaning) == len(set(plain))


@given(TEXTS)
def test_whitespace_has_no_part(text):
    spaced = re.sub(r"[ \n\t]+", " \n  ", text)
    assert words(text).tolist() == words(spaced).tolist() == words("  " + text + "\n").tolist()


def test_a_chunk_ends_between_words(monkeypatch):
    text = "alpha beta.gamma(delta, 12)\n" * 50
    whole = words(text)
    monkeypatch.setattr(room, "CHUNK", 37)
    assert words(text).tolist() == whole.tolist()


@given(TEXTS, st.integers(1, 6))
def test_ngrams_go_by_their_words(text, n):
    hashes = words(text)
    grams = ngrams(hashes, n).tolist()
    runs = [tuple(hashes[place : place + n].tolist()) for place in range(len(hashes) - n + 1)]
    assert len(grams) == len(runs)
    assert len(set(grams)) == len(set(runs))
    assert all((grams[0] == gram) == (runs[0] == run) for gram, run in zip(grams, runs, strict=True))


def mixed(value):
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


@given(TEXTS)
def test_hashes_are_the_polynomial_of_the_bytes(text):
    expected = [mixed(sum((byte + 1) * BASE**n for n, byte in enumerate(word)) % 2**64) for word in spelled(text)]
    assert words(text).tolist() == expected
    runs = [expected[place : place + 3] for place in range(len(expected) - 2)]
    assert ngrams(words(text), 3).tolist() == [mixed((a * BASE**2 + b * BASE + c) % 2**64) for a, b, c in runs]
