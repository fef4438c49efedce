"""Decodes source files and file names to text that can be encoded as UTF-8 again."""

import io
import tokenize

from codex_jax.text.document import Document, Rejected

MAX_BYTES = 1_000_000  # the paper's limit for a Python file; longer files are not read to their end


def decode_python(data: bytes) -> str | None:
    """Decodes Python source by its PEP 263 encoding declaration; None if that fails."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
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
