import pytest

from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import MAX_BYTES, decode_python, escape_surrogates, is_utf8, python_item


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"# coding: latin-1\nx = '\xe9'\n", "# coding: latin-1\nx = 'é'\n"),
        ("x = 'é'\n".encode(), "x = 'é'\n"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1\n"),
        (b"", ""),
        (b"x = '\xe9'\n", None),
        (b"# coding: nonsense\n", None),
        (b"# coding: hex\n00\n", None),
        (b"# coding: idna\n\xff\n", None),
        (b"\xef\xbb\xbf# coding: latin-1\n", None),
        (b"# coding: utf-7\n+2AA-\n", None),  # a lone surrogate
    ],
)
def test_encoding_declarations_are_followed(data, text):
    assert decode_python(data) == text


def test_lone_surrogates_are_escaped():
    assert escape_surrogates("a/é.py") == "a/é.py"
    assert escape_surrogates("a\udcff.py") == "a\\udcff.py"
    assert is_utf8("é")
    assert not is_utf8("\ud800")


def test_python_item_decodes_or_rejects():
    assert python_item("i", "r", "p", b"x = 1\n", "MIT") == Document("i", "r", "p", "x = 1\n", license="MIT")
    assert python_item("i", "r", "p", b"\xff") == Rejected("i", "not_decodable")
    assert isinstance(python_item("i", "r", "p", b"#" * MAX_BYTES), Document)
    assert python_item("i", "r", "p", b"#" * (MAX_BYTES + 1)) == Rejected("i", "too_large")
