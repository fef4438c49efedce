import gzip
import pickle

import pyarrow
import pytest
import zstandard
from pyarrow import fs
from pyarrow.parquet import write_table

from codex_jax.errors import InputError
from codex_jax.sources import jsonlines, parquet
from codex_jax.sources.source import parts
from codex_jax.storage import paths
from tests.sources.archive import tar_bytes, wheel, zip_bytes
from tests.sources.reading import read
from tests.sources.store import served, use_store
from tests.sources.test_archives import FILES, PACK, SDIST
from tests.sources.test_jsonlines import PROBLEM, line

SCHEMES = ["file", "s3", "gs"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a file of every kind that sources read."""
    root = tmp_path_factory.mktemp("stores") / "bucket" / "data"
    (root / "sub" / "deep").mkdir(parents=True)
    lines = b"\n".join(line(f"x = {number}\n" * number) for number in range(30))
    (root / "a b.jsonl").write_bytes(lines)
    for name in ("sub/c%20.jsonl.gz", "sub/deep/d.json.gz"):
        (root / name).write_bytes(gzip.compress(lines))
    (root / "e.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(lines))
    for suffix, pack in PACK.items():
        (root / f"n{suffix}").write_bytes(pack(tar_bytes(FILES)))
    (root / "n.zip").write_bytes(zip_bytes(FILES))
    wheel(root / "sub", metadata="License: MIT\n")
    (root / "some_pkg-1.2.tar.gz").write_bytes(gzip.compress(tar_bytes(SDIST)))
    texts = [f"x = {number}\n" * 50 for number in range(1000)]
    write_table(pyarrow.table({"content": texts, "repo_name": texts}), root / "sub" / "t.parquet", row_group_size=100)
    (root / "p.jsonl").write_text(PROBLEM + "\n" + PROBLEM)
    (root / "p.jsonl.gz").write_bytes(gzip.compress(PROBLEM.encode()))
    (root / "list").write_text("a\nB==1.2\n")
    return root


@pytest.fixture(scope="module")
def address(data):
    with served(data.parent.parent) as server:
        yield server


@pytest.fixture
def uri(data, address, monkeypatch):
    """A function of a scheme: the URI of that folder."""
    use_store(monkeypatch, address)
    paths.connect.cache_clear()
    names = {"file": f"file://{data}", "s3": "s3://bucket/data", "gs": "gs://anonymous@bucket/data"}
    yield names.get
    paths.connect.cache_clear()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "spec",
    [
        "jsonl:@",
        "jsonl:@/",
        "jsonl:@/?.jsonl*",
        "jsonl:@//*.jsonl?text=content&repo=content",
        "jsonl:@/**/*.json*",
        "jsonl:@/*/[cd]*.gz",
        "jsonl:@/**/deep/*",
        "jsonl:@/a b.jsonl",
        "jsonl:@/sub/c%20.jsonl.gz",
        "jsonl:@/e.jsonl.zst",
        "parquet:@",
        "parquet:@/sub/t.parquet?repo=repo_name",
        "parquet:@/s*/t.parquet",
        *(f"tar:@/n{suffix}" for suffix in PACK),
        "zip:@/n.zip",
        "wheel:@",
        "wheel:@/sub/*.whl",
        "sdist:@/some_*.tar.gz",
        "problems:@/p.jsonl",
        "problems:@/p.jsonl.gz",
    ],
)
def test_remote_files_give_the_same_items_as_local_ones(data, uri, monkeypatch, spec, scheme):
    monkeypatch.setattr(jsonlines, "PART_BYTES", 1000)
    monkeypatch.setattr(parquet, "PART_BYTES", 10_000)
    local, remote = spec.replace("@", str(data)), spec.replace("@", uri(scheme))
    remote = remote.replace("%", "%25") if scheme == "file" else remote
    assert [(part.name, part.size) for part in parts(remote)] == [(part.name, part.size) for part in parts(local)]
    items = read(remote)
    assert items
    assert items == read(local)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_list_of_packages(data, uri, scheme):
    names = [part.name for part in parts(f"pypi:@{uri(scheme)}/list")]
    assert names == [part.name for part in parts(f"pypi:@{data}/list")] == ["pypi:a", "pypi:b==1.2"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_missing_files_are_refused(uri, scheme):
    for spec in ("jsonl:@/none", "jsonl:@/no*", "jsonl:@/none/**/*", "parquet:@/none.parquet", "tar:@/none/n.tar"):
        with pytest.raises(InputError, match=r"no file '.*none|no\*.*': give .*a folder or a glob"):
            parts(spec.replace("@", uri(scheme)))
    for spec in (f"problems:{uri(scheme)}/none", f"problems:{uri(scheme)}", f"pypi:@{uri(scheme)}/none"):
        with pytest.raises(InputError, match="no file "):
            parts(spec)


def test_whole_missing_and_denied_buckets(data, uri):
    for bucket in ("s3://bucket", "gs://anonymous@bucket/"):
        assert [item.id for item in read(f"jsonl:{bucket}/*/a*.jsonl")] == [
            item.id for item in read(f"jsonl:{data.parent}/*/a*.jsonl")
        ]
        assert read(f"zip:{bucket}") == read(f"zip:{data.parent}")
        with pytest.raises(InputError, match="no file"):
            parts(f"jsonl:{bucket.replace('bucket', 'gone')}")
        for name in ("", "/x.jsonl", "/x*"):
            with pytest.raises(InputError, match=r"cannot reach .*denied.*: check the name, the credentials") as caught:
                parts(f"jsonl:{bucket.rstrip('/').replace('bucket', 'denied')}{name}")
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_truncated_files_are_refused(data, uri, scheme):
    whole = gzip.compress(b"\n".join(line(f"x = {number**9}\n") for number in range(5000)))
    for name, content in (("cut.jsonl.gz", whole[:-12]), ("cut.tar.gz", whole[:100]), ("cut.zip", b"PK\3\4")):
        (data / name).write_bytes(content)
    (data / "cut.parquet").write_bytes((data / "sub" / "t.parquet").read_bytes()[:-20])
    try:
        for spec in ("jsonl:@/cut.jsonl.gz", "tar:@/cut.tar.gz", "zip:@/cut.zip", "parquet:@/cut.parquet"):
            with pytest.raises(InputError, match=r"cannot read .*/cut\..*: download it again"):
                read(spec.replace("@", uri(scheme)))
    finally:
        for path in data.glob("cut.*"):
            path.unlink()


@pytest.mark.parametrize("spec", ["jsonl:@/e*", "zip:@/n.zip", "parquet:@", "tar:@/n.tar", "problems:@/p.jsonl"])
def test_a_lost_connection_is_not_reported_as_a_corrupt_file(uri, monkeypatch, spec):
    (part, *_) = parts(spec.replace("@", uri("s3")))
    raw = paths._RemoteFile
    monkeypatch.setattr(paths, "_RemoteFile", lambda name, file, size: raw(name, LostConnection(), size))
    with pytest.raises(InputError, match=r"cannot reach s3://bucket/data/.*: the line is down: check the name"):
        list(part.documents())


class LostConnection:
    """A pyarrow file whose connection is lost."""

    def read_at(self, count, position):
        raise OSError("the line\nis down")

    def close(self):
        pass


def test_parts_can_be_pickled(uri):
    for prefix in ("jsonl", "parquet", "tar", "wheel"):
        for part in parts(f"{prefix}:{uri('s3')}"):
            assert len(pickle.dumps(part)) < 1000
            (path,) = [value for value in part.arguments if isinstance(value, paths.RemotePath)]
            assert all(isinstance(value, str | int) for value in vars(path).values())


def test_links_to_folders_are_not_followed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.jsonl").write_bytes(line("x"))
    for name in ("loop", "loop2"):
        (tmp_path / "a" / name).symlink_to(tmp_path)
    (tmp_path / "y.jsonl").symlink_to(tmp_path / "gone")
    assert [item.id for item in read(f"jsonl:file://{tmp_path}")] == ["a/x.jsonl:0"]
    assert [item.id for item in read(f"jsonl:file://{tmp_path}/**/*.jsonl")] == ["a/x.jsonl:0"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("foo://x/y", "only gs://, s3:// and file:// are supported"),
        ("https://x/y.jsonl", "only gs://, s3:// and file://"),
        ("gs://", "give gs://BUCKET/PATH"),
        ("s3:///x", "give gs://BUCKET/PATH"),
        ("file://host/x", "or file:///PATH"),
        ("s3://key:secret@bucket/x", r"s3://\.\.\.@bucket: remove the credentials"),
        ("file:///nul\0", "file:///nul"),
    ],
)
def test_invalid_uris_are_refused(argument, message):
    for prefix in ("jsonl:", "parquet:", "tar:", "zip:", "wheel:", "sdist:", "problems:", "pypi:@"):
        with pytest.raises(InputError, match=message) as caught:
            parts(prefix + argument)
        assert "key:secret" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["dir", "git"])
@pytest.mark.parametrize("argument", ["gs://b/x", "s3://b", "file:///x", "foo://x"])
def test_folders_of_small_files_must_be_local(prefix, argument):
    with pytest.raises(InputError, match=f"{prefix}: reads local folders only: pack {argument} into one file"):
        parts(f"{prefix}:{argument}")


def test_a_file_that_shrank_is_refused(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(line("x") + b"\n")
    (part,) = parts(f"jsonl:file://{tmp_path}/c.jsonl")
    (tmp_path / "c.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match="is shorter than when it was listed"):
        list(part.documents())


def test_seek_and_read(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    with paths.storage_path(f"file://{tmp_path}/x").open(buffering=0) as file:
        assert (file.seek(-3, 2), file.read(), file.read(), file.tell()) == (7, b"789", b"", 10)
        assert (file.seek(20), file.read(1), file.seek(2), file.seek(1, 1), file.read(2)) == (20, b"", 2, 3, b"34")
        with pytest.raises(OSError, match="before the start"):
            file.seek(-11, 2)


def test_without_a_network(monkeypatch):
    # Only S3: Google's client retries for RETRY_SECONDS, which is too long for a test.
    def unreachable(bucket):
        raise OSError("Could not resolve\nhostname")

    monkeypatch.setattr(fs, "resolve_s3_region", unreachable)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    paths.connect.cache_clear()
    with pytest.raises(InputError, match=r"cannot reach s3://b: Could not resolve hostname: check .* the network"):
        parts("jsonl:s3://b/x")
