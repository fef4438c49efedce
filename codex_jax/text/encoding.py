"""Decodes source files and file names to text that can be encoded as UTF-8 again."""

import codecs
import io
import tokenize

from codex_jax.text.document import Document, Rejected

BOM = "\ufeff"  # a byte-order mark, which is no part of a text
MAX_BYTES = 1_000_000  # the paper's limit for a Python file; longer files are not read to their end

# The encodings that a source file may declare, by their names in codecs. All decode in linear time, which punycode does
# not, and read ASCII as it is, which a declaration needs. Left out are also escapes such as unicode_escape.
ENCODINGS = """
    ascii utf-8 utf-8-sig big5 big5hkscs cp1006 cp1125 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258
    cp437 cp720 cp737 cp775 cp850 cp852 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 cp865 cp866 cp869 cp874 cp932
    cp949 cp950 euc_jis_2004 euc_jisx0213 euc_jp euc_kr gb18030 gb2312 gbk hp-roman8 iso2022_jp iso2022_jp_1
    iso2022_jp_2 iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext iso2022_kr iso8859-1 iso8859-2 iso8859-3 iso8859-4
    iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 iso8859-11 iso8859-13 iso8859-14 iso8859-15 iso8859-16
    johab koi8-r koi8-t koi8-u kz1048 mac-arabic mac-croatian mac-cyrillic mac-farsi mac-greek mac-iceland mac-latin2
    mac-roman mac-romanian mac-turkish palmos ptcp154 shift_jis tis-620
"""


def decode_python(data: bytes) -> str | None:
    """Decodes Python source by its PEP 263 encoding declaration; None if that fails or is not one of ENCODINGS."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        if codecs.lookup(encoding).name not in ENCODINGS.split():
            return None
        text = data.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError):
        return None
    return text if is_utf8(text) else None


def is_utf8(text: str) -> bool:
    """Whether the text can be encoded as UTF-8. Lone surrogates, from JSON escapes or some codecs, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def escape_surrogates(name: str) -> str:
    """A name that can be encoded as UTF-8: lone surrogates (undecodable bytes) become backslash escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def python_item(id_: str, repo: str, path: str, data: bytes, license_: str = "") -> Document | Rejected:
    """The document of a Python file, or why it is rejected. data: the file's first MAX_BYTES + 1 bytes."""
    if len(data) > MAX_BYTES:
        return Rejected(id_, "too_large")
    text = decode_python(data)
    return Rejected(id_, "not_decodable") if text is None else Document(id_, repo, path, text, license=license_)
