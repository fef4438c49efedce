import bz2
import gzip
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile

import pytest
import zstandard

from codex_jax.errors import InputError
from codex_jax.sources import members
from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import MAX_BYTES

from .archive import special, tar_bytes, wheel, zip_bytes
from .reading import documents, read
from .test_folders import MIT

PACK = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": zstandard.ZstdCompressor().compress,
}
FILES = [
    ("./a/x.py", b"x = 1\n"),
    ("a/sub/latin.py", b"x = '\xe9'\n"),
    ("a/readme.md", b"no"),
    ("b/y.py", b"y = 2\n"),
    ("top.py", b"z = 3\n"),
    ("a/LICENSE", MIT.encode()),  # after the files it applies to
]
ITEMS = [
    Document("n.EXT/a/x.py", "a", "a/x.py", "x = 1\n", license="MIT"),
    Rejected("n.EXT/a/sub/latin.py", "not_decodable"),
    Document("n.EXT/b/y.py", "b", "b/y.py", "y = 2\n"),
    Document("n.EXT/top.py", "n", "top.py", "z = 3\n"),
]


def expected(suffix):
    return [type(item)(**{**vars(item), "id": item.id.replace(".EXT", suffix)}) for item in ITEMS]


@pytest.mark.parametrize("suffix", PACK)
def test_tar(tmp_path, suffix):
    (tmp_path / f"n{suffix}").write_bytes(PACK[suffix](tar_bytes(FILES)))
    assert read(f"tar:{tmp_path}/n{suffix}") == expected(suffix)
    assert os.listdir(tmp_path) == [f"n{suffix}"]


def test_zip(tmp_path):
    (tmp_path / "n.zip").write_bytes(zip_bytes(FILES))
    assert read(f"zip:{tmp_path}/n.zip") == expected(".zip")
    assert os.listdir(tmp_path) == ["n.zip"]


def test_each_archive_is_a_part(tmp_path):
    for name in ("a.tar", "b.tar.gz"):
        (tmp_path / name).write_bytes(PACK[name[1:]](tar_bytes(FILES)))
    by_id, _ = documents(f"tar:{tmp_path}")
    assert len(by_id) == 6
    assert documents(f"tar:{tmp_path}/*.tar*")[0] == by_id


def test_a_path_that_occurs_twice(tmp_path):
    twice = [("a/x.py", b"x = 1\n"), ("a/x.py", b"x = 2\n")]
    (tmp_path / "n.tar").write_bytes(tar_bytes(twice))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (tmp_path / "n.zip").write_bytes(zip_bytes(twice))
    for kind in ("tar", "zip"):
        by_id, _ = documents(f"{kind}:{tmp_path}/n.{kind}")
        assert {name: document.text for name, document in by_id.items()} == {
            f"n.{kind}/a/x.py": "x = 1\n",
            f"n.{kind}/a/x.py#2": "x = 2\n",
        }


UNSAFE = ["../up.py", "a/../../up.py", "/abs.py", "C:\\x.py", "..\\up.py", "\\abs.py"]


def test_unsafe_members_of_a_tar(tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text("secret = 1\n")
    kinds = {
        "sym.py": tarfile.SYMTYPE,
        "hard.py": tarfile.LNKTYPE,
        "char.py": tarfile.CHRTYPE,
        "block.py": tarfile.BLKTYPE,
        "pipe.py": tarfile.FIFOTYPE,
    }
    links = [special(name, kind, str(outside)) for name, kind in kinds.items()]
    folder = special("d.py", tarfile.DIRTYPE)
    (tmp_path / "n.tar").write_bytes(tar_bytes([*((n, b"x = 1\n") for n in UNSAFE), folder, *links, ("ok.py", b"")]))
    by_id, reasons = documents(f"tar:{tmp_path}/n.tar")
    assert list(by_id) == ["n.tar/ok.py"]
    assert reasons == {f"n.tar/{name}": "unsafe_member" for name in [*UNSAFE, *kinds]}
    assert sorted(os.listdir(tmp_path)) == ["n.tar", "outside.py"]


def test_unsafe_members_of_a_zip(tmp_path):
    link = zipfile.ZipInfo("link.py")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    entries = [*((name, b"x = 1\n") for name in UNSAFE), (link, b"/etc/passwd"), ("a/", b""), ("ok.py", b"")]
    (tmp_path / "n.zip").write_bytes(zip_bytes(entries))
    by_id, reasons = documents(f"zip:{tmp_path}/n.zip")
    assert list(by_id) == ["n.zip/ok.py"]
    assert reasons == {f"n.zip/{name}": "unsafe_member" for name in [*UNSAFE, "link.py"]}


def test_names_that_are_not_utf8(tmp_path):
    (tmp_path / "n.tar").write_bytes(tar_bytes([("a\udcff/x.py", b"")]))
    assert read(f"tar:{tmp_path}/n.tar") == [Document("n.tar/a\\udcff/x.py", "a\\udcff", "a\\udcff/x.py", "")]


def test_unreadable_members_of_a_zip(tmp_path):
    data = bytearray(zip_bytes([("secret.py", b"x = 1\n"), ("ok.py", b"")]))
    data[6] |= 1  # the flag for encryption, in the member's header and in the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "n.zip").write_bytes(data)
    data = bytearray(zip_bytes([("x.py", b"x = 1\n")]))
    data[8] = data[data.index(b"PK\1\2") + 10] = 9  # deflate64
    (tmp_path / "m.zip").write_bytes(data)
    by_id, reasons = documents(f"zip:{tmp_path}")
    assert list(by_id) == ["n.zip/ok.py"]
    assert reasons == {"n.zip/secret.py": "encrypted", "m.zip/x.py": "unknown_compression"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zips_of_every_method_of_python(tmp_path, method):
    text = "".join(f"x = {number**7}\n" for number in range(20_000))
    files = [("a/x.py", text.encode()), ("a/large.py", b"#" * (MAX_BYTES + 1)), ("a/empty.py", b"")]
    (tmp_path / "n.zip").write_bytes(zip_bytes(files, method))
    by_id, reasons = documents(f"zip:{tmp_path}/n.zip")
    assert by_id["n.zip/a/x.py"].text == text
    assert list(by_id) == ["n.zip/a/x.py", "n.zip/a/empty.py"]
    assert reasons == {"n.zip/a/large.py": "too_large"}


@pytest.mark.slow
@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_is_decompressed_in_pieces(tmp_path, method):
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, 400 << 20))\n"
        "from codex_jax.sources.source import parts\n"
        f"(part,) = parts('zip:{tmp_path}/n.zip')\n"
        "(item,) = part.documents()\n"
        "assert item.reason == 'too_large', item\n"
    )
    (tmp_path / "n.zip").write_bytes(zip_bytes([("x.py", bytes(600 << 20)), ("pad.bin", os.urandom(1 << 20))], method))
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})


def test_large_members_are_not_read_to_the_end(tmp_path, monkeypatch):
    large = ("large.py", b"#" * (MAX_BYTES + 10_000))
    (tmp_path / "n.zip").write_bytes(zip_bytes([large, ("x.py", b"")]))
    (tmp_path / "n.tar").write_bytes(tar_bytes([large, ("x.py", b"")]))
    read_sizes = []
    opened = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n: read_sizes.append(n) or opened(self, n))
    for kind in ("zip", "tar"):
        by_id, reasons = documents(f"{kind}:{tmp_path}/n.{kind}")
        assert (list(by_id), reasons) == ([f"n.{kind}/x.py"], {f"n.{kind}/large.py": "too_large"})
    assert set(read_sizes) == {MAX_BYTES + 1}


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"])
def test_a_tar_bomb(tmp_path, suffix):
    (tmp_path / f"n{suffix}").write_bytes(PACK[suffix](tar_bytes([("zeros.bin", bytes(20 << 20)), ("x.py", b"")])))
    with pytest.raises(InputError, match="looks like an archive bomb: it unpacks to over 200 times its size or 64 GiB"):
        read(f"tar:{tmp_path}/n{suffix}")


def test_a_zip_bomb(tmp_path):
    one = zip_bytes([("x.py", bytes(MAX_BYTES))])
    (tmp_path / "n.zip").write_bytes(one)
    assert len(read(f"zip:{tmp_path}/n.zip")) == 1
    (tmp_path / "n.zip").write_bytes(zip_bytes([(f"{number}.py", bytes(MAX_BYTES)) for number in range(20)]))
    with pytest.raises(InputError, match="archive bomb"):
        read(f"zip:{tmp_path}/n.zip")


def test_a_zip_bomb_whose_members_overlap(tmp_path):
    # A hundred directory entries refer to the data of one member.
    data = zip_bytes([("x.py", bytes(MAX_BYTES))])
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry, tail = data[start:end], bytearray(data[end:])
    tail[8:20] = struct.pack("<HHLL", 100, 100, 100 * len(entry), start)
    (tmp_path / "n.zip").write_bytes(data[:start] + entry * 100 + tail)
    with pytest.raises(InputError, match=r"archive bomb|cannot read"):
        read(f"zip:{tmp_path}/n.zip")


def test_the_unpacked_size_is_bounded_for_any_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MAX_UNPACKED", 5000)
    (tmp_path / "n.tar").write_bytes(tar_bytes(FILES))
    with pytest.raises(InputError, match="archive bomb"):
        read(f"tar:{tmp_path}/n.tar")


@pytest.mark.parametrize("suffix", PACK)
def test_a_truncated_tar_is_refused(tmp_path, suffix):
    whole = PACK[suffix](tar_bytes([("a/x.py", os.urandom(3000).hex().encode()), *FILES]))
    path = tmp_path / f"n{suffix}"
    # The zeros after an uncompressed tar's end mark are padding.
    end = 12 * 512 if suffix == ".tar" else len(whole) - 1
    for length in (1, 300, end // 2 // 512 * 512, end // 2, end - 700, end):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"n{suffix}.*: download it again"):
            read(f"tar:{path}")


def test_corrupt_tars(tmp_path):
    data = bytearray(tar_bytes([("a/x.py", b"x" * 512), ("a/y.py", b"y" * 512), ("a/z.py", b"")]))
    path = tmp_path / "n.tar"
    for start in (0, 1024, 2048):
        path.write_bytes(data[:start] + b"?" * 20 + data[start + 20 :])
        with pytest.raises(InputError, match="cannot read"):
            read(f"tar:{path}")
    long = special("x", tarfile.XHDTYPE)
    long.size = 1 << 40
    path.write_bytes(long.tobuf(tarfile.GNU_FORMAT) + data)
    with pytest.raises(InputError, match="a header of 1099511627776 bytes"):
        read(f"tar:{path}")
    path.write_bytes(b"")
    with pytest.raises(InputError, match="truncated or not an archive"):
        read(f"tar:{path}")


def test_corrupt_zips(tmp_path):
    data = bytearray(zip_bytes([("a/x.py", os.urandom(1000).hex().encode()), ("a/y.py", b"y = 2\n")]))
    path = tmp_path / "n.zip"
    directory = data.index(b"PK\1\2")
    for broken in (
        data[:-30],
        data[:500],
        data[:100] + b"????" + data[104:],  # the checksum no longer matches
        data[:directory] + b"????" + data[directory + 4 :],
        b"PK\3\4",
        b"not a zip",
        b"",
    ):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"cannot read .*n\.zip: .+: download it again") as caught:
            read(f"zip:{path}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["tar", "zip", "wheel", "sdist"])
def test_a_missing_file_is_refused(tmp_path, kind):
    with pytest.raises(InputError, match=f"no file .*: give {kind}:PATH"):
        read(f"{kind}:{tmp_path}/none")


@pytest.mark.parametrize(
    ("metadata", "license_"),
    [
        ("License-Expression: MIT OR\n  Apache-2.0\nLicense: GPL\n", "MIT OR Apache-2.0"),
        ("License: BSD\n", "BSD-3-Clause"),
        ("License: see below\nClassifier: License :: OSI Approved :: MIT License\n", "MIT"),
        ("License: UNKNOWN\n", ""),
        ("License: " + MIT.replace("\n", "\n        ") + "\n", "MIT"),
        (
            "Classifier: License :: OSI Approved :: MIT License\nClassifier: Topic :: X\n"
            "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)\n",
            "GPL-3.0 AND MIT",
        ),
        ("", ""),
    ],
)
def test_wheel(tmp_path, metadata, license_):
    path = wheel(tmp_path, files=[("some_pkg/x.py", b"x = 1\n"), ("other.py", b"y = 2\n")], metadata=metadata)
    assert read(f"wheel:{path}") == [
        Document(f"{path.name}/some_pkg/x.py", "some-pkg", "some_pkg/x.py", "x = 1\n", license=license_),
        Document(f"{path.name}/other.py", "some-pkg", "other.py", "y = 2\n", license=license_),
    ]


def test_wheel_with_only_a_licence_file(tmp_path):
    files = [("p/x.py", b""), ("Some_Pkg-1.2.dist-info/licenses/LICENSE.txt", MIT.encode())]
    (document,) = read(f"wheel:{wheel(tmp_path, files=files)}")
    assert document.license == "MIT"


def test_a_zip_without_metadata_is_not_a_wheel(tmp_path):
    (tmp_path / "n.whl").write_bytes(zip_bytes(FILES))
    with pytest.raises(InputError, match="is not a wheel: it has no METADATA"):
        read(f"wheel:{tmp_path}/n.whl")


SDIST = [("Some_Pkg-1.2/" + name, content) for name, content in [("src/p/x.py", b"x = 1\n"), ("setup.py", b"")]]


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_sdist(tmp_path, suffix):
    def pack(entries):
        return zip_bytes(entries) if suffix == ".zip" else gzip.compress(tar_bytes(entries))

    path = tmp_path / f"some_pkg-1.2{suffix}"
    path.write_bytes(pack([*SDIST, ("Some_Pkg-1.2/PKG-INFO", b"Name: Some.Pkg\nLicense: MIT\n\n")]))
    assert read(f"sdist:{path}") == [
        Document(f"{path.name}/src/p/x.py", "some-pkg", "src/p/x.py", "x = 1\n", license="MIT"),
        Document(f"{path.name}/setup.py", "some-pkg", "setup.py", "", license="MIT"),
    ]
    # Without metadata, the top folder gives the name, or the archive's name if there is no single top folder.
    path.write_bytes(pack([*SDIST, ("Some_Pkg-1.2/LICENSE", MIT.encode())]))
    assert {(item.repo, item.license) for item in read(f"sdist:{path}")} == {("some-pkg", "MIT")}
    path.write_bytes(pack([*SDIST, ("loose.py", b"")]))
    assert [item.path for item in read(f"sdist:{path}")] == [*(name for name, _ in SDIST), "loose.py"]
