"""Bytes and names from outside to text that can be written again."""

import io
import tokenize

from codex_jax.text.document import Document, Rejected

MAX_BYTES = 1_000_000  # of a Python file, the paper's limit: nothing longer is read to its end


def decode_python(data: bytes) -> str | None:
    """Source text by its PEP 263 declaration, or None."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError):
        return None
    return text if is_utf8(text) else None


def is_utf8(text: str) -> bool:
    """Whether it can be written: some encodings, and JSON's escapes, let lone surrogates through."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean(name: str) -> str:
    """A name that can be written; bytes that are no text become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def python_item(id_: str, repo: str, path: str, data: bytes, license_: str = "") -> Document | Rejected:
    """The document of a Python file's first MAX_BYTES + 1 bytes, or why there is none."""
    if len(data) > MAX_BYTES:
        return Rejected(id_, "too_large")
    text = decode_python(data)
    return Rejected(id_, "not_decodable") if text is None else Document(id_, repo, path, text, license=license_)
