import bz2
import gzip
import lzma

import pytest
import zstandard

from codex_jax.errors import InputError
from codex_jax.storage.compressed import LFS_POINTER, compression, open_stream

TEXT = b"x = 1\n" * 1000
LONG = zstandard.ZstdCompressionParameters.from_level(1, window_log=31, enable_ldm=True)
PACKED = {
    "": TEXT,
    "gzip": gzip.compress(TEXT[:600]) + gzip.compress(TEXT[600:]),
    "bzip2": bz2.compress(TEXT[:600]) + bz2.compress(TEXT[600:]),
    "xz": lzma.compress(TEXT[:600]) + lzma.compress(TEXT[600:]),
    "zstd": zstandard.compress(TEXT[:600]) + zstandard.compress(TEXT[600:]),
}


@pytest.mark.parametrize(("kind", "data"), PACKED.items(), ids=[*PACKED])
def test_the_first_bytes_tell_the_compression(tmp_path, kind, data):
    (tmp_path / "f").write_bytes(data)
    assert compression(tmp_path / "f") == kind
    with open_stream(tmp_path / "f") as file:
        assert file.read() == TEXT


def test_a_zstd_frame_may_have_the_longest_window(tmp_path):
    pack = zstandard.ZstdCompressor(compression_params=LONG).compressobj()  # a stream, whose size the frame lacks
    (tmp_path / "f.zst").write_bytes(pack.compress(TEXT) + pack.flush())
    with open_stream(tmp_path / "f.zst") as file:
        assert file.read() == TEXT


def test_other_formats_and_pointers_are_named(tmp_path):
    for data, message in (
        (
            LFS_POINTER + b"v1\noid sha256:00\nsize 1\n",
            "is a Git LFS pointer and not the file itself: run git lfs pull",
        ),
        (b"PK\3\4" + bytes(30), "is a zip file"),
        (b"PAR1\x15\4", "is a parquet file"),
        (b"\x04\x22\x4d\x18" + bytes(9), "is a lz4 file"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z file"),
    ):
        (tmp_path / "f").write_bytes(data)
        with pytest.raises(InputError, match=message):
            compression(tmp_path / "f")
    (tmp_path / "f.gz").write_bytes(b"x = 1\n")
    with pytest.raises(InputError, match=r"f\.gz is not a gzip file"):
        compression(tmp_path / "f.gz")
