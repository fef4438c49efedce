import codecs
import subprocess
import sys

import pytest

from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import ENCODINGS, MAX_BYTES, decode_python, escape_surrogates, is_utf8, python_item


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
        (b"# coding: utf-7\nx = 1\n", None),
        (b"# coding: utf-16\nx = 1\n", None),
        (b"# coding: cp037\nx = 1\n", None),
        (b"# coding: unicode_escape\nx = '\\x41'\n", None),
        (b"# coding: raw_unicode_escape\nx = '\\u0041'\n", None),
        (b"# coding: rot13\nk = 1\n", None),
        (b"# coding: base64\neCA9IDE=\n", None),
        (b"# coding: punycode\nx = 1\n", None),
        ("# coding: koi8-r\nx = 'д'\n".encode("koi8-r"), "# coding: koi8-r\nx = 'д'\n"),
        ("# coding: sjis\nx = '日本'\n".encode("sjis"), "# coding: sjis\nx = '日本'\n"),
        ("# coding: gb18030\nx = '汉'\n".encode("gb18030"), "# coding: gb18030\nx = '汉'\n"),
    ],
)
def test_encoding_declarations_are_followed(data, text):
    assert decode_python(data) == text


def test_every_encoding_reads_ascii_as_it_is():
    text = "".join(map(chr, (9, 10, 12, 13, *range(32, 127))))
    for name in ENCODINGS.split():
        assert codecs.lookup(name).name == name
        assert text.encode().decode(name) == text


def test_a_large_file_is_decoded_in_a_moment_whatever_it_declares():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (20, 20))\n"
        "from codex_jax.text.encoding import decode_python\n"
        "body = 'é汉'.encode('punycode') * 100_000\n"
        "for name in ('punycode', 'idna', 'utf-7', 'unicode_escape', 'iso2022_jp', 'gb18030', 'big5hkscs'):\n"
        "    decode_python(f'# coding: {name}\\n'.encode() + body)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
