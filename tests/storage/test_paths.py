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
from tests.sources.store import served
from tests.sources.test_archives import FILES, PACK, SDIST
from tests.sources.test_jsonlines import line
from tests.sources.test_problem_files import GOOD

SCHEMES = ["file", "s3", "gs"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of everything that a source reads."""
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
    (root / "p.jsonl").write_text(GOOD + "\n" + GOOD)
    (root / "p.jsonl.gz").write_bytes(gzip.compress(GOOD.encode()))
    (root / "list").write_text("a\nB==1.2\n")
    return root


@pytest.fixture(scope="module")
def address(data):
    with served(data.parent.parent) as found:
        yield found


@pytest.fixture
def uri(data, address, monkeypatch):
    """The same folder's name by a scheme."""
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CLOUD_STORAGE_EMULATOR_ENDPOINT": address,
    }.items():
        monkeypatch.setenv(name, value)
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
def test_the_same_as_from_local_files(data, uri, monkeypatch, spec, scheme):
    monkeypatch.setattr(jsonlines, "PART_BYTES", 1000)
    monkeypatch.setattr(parquet, "PART_BYTES", 10_000)
    local, there = spec.replace("@", str(data)), spec.replace("@", uri(scheme))
    there = there.replace("%", "%25") if scheme == "file" else there
    assert [(part.name, part.size) for part in parts(there)] == [(part.name, part.size) for part in parts(local)]
    items = read(there)
    assert items
    assert items == read(local)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_list_of_packages(data, uri, scheme):
    names = [part.name for part in parts(f"pypi:@{uri(scheme)}/list")]
    assert names == [part.name for part in parts(f"pypi:@{data}/list")] == ["pypi:a", "pypi:b==1.2"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_not_there(uri, scheme):
    for spec in ("jsonl:@/none", "jsonl:@/no*", "jsonl:@/none/**/*", "parquet:@/none.parquet", "tar:@/none/n.tar"):
        with pytest.raises(InputError, match=r"no file '.*none|no\*.*': give .*a folder or a glob"):
            parts(spec.replace("@", uri(scheme)))
    for spec in (f"problems:{uri(scheme)}/none", f"problems:{uri(scheme)}", f"pypi:@{uri(scheme)}/none"):
        with pytest.raises(InputError, match="no file "):
            parts(spec)


def test_a_bucket_itself_one_that_is_not_there_and_one_that_is_denied(data, uri):
    for bucket in ("s3://bucket", "gs://anonymous@bucket/"):
        assert [item.id for item in read(f"jsonl:{bucket}/*/a*.jsonl")] == [
            item.id for item in read(f"jsonl:{data.parent}/*/a*.jsonl")
        ]
        assert read(f"zip:{bucket}") == read(f"zip:{data.parent}")
        with pytest.raises(InputError, match="no file"):
            parts(f"jsonl:{bucket.replace('bucket', 'gone')}")
        for name in ("", "/x.jsonl", "/x*"):
            with pytest.raises(InputError, match=r"cannot reach .*denied.*: see the name, the credentials") as caught:
                parts(f"jsonl:{bucket.rstrip('/').replace('bucket', 'denied')}{name}")
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_broken_files(data, uri, scheme):
    whole = gzip.compress(b"\n".join(line(f"x = {number**9}\n") for number in range(5000)))
    for name, content in (("cut.jsonl.gz", whole[:-12]), ("cut.tar.gz", whole[:100]), ("cut.zip", b"PK\3\4")):
        (data / name).write_bytes(content)
    (data / "cut.parquet").write_bytes((data / "sub" / "t.parquet").read_bytes()[:-20])
    try:
        for spec in ("jsonl:@/cut.jsonl.gz", "tar:@/cut.tar.gz", "zip:@/cut.zip", "parquet:@/cut.parquet"):
            with pytest.raises(InputError, match=r"cannot read .*/cut\..*: fetch it again"):
                read(spec.replace("@", uri(scheme)))
    finally:
        for path in data.glob("cut.*"):
            path.unlink()


@pytest.mark.parametrize("spec", ["jsonl:@/e*", "zip:@/n.zip", "parquet:@", "tar:@/n.tar", "problems:@/p.jsonl"])
def test_a_connection_that_is_lost_is_no_corrupt_file(uri, monkeypatch, spec):
    (part, *_) = parts(spec.replace("@", uri("s3")))
    raw = paths._Raw
    monkeypatch.setattr(paths, "_Raw", lambda name, file, size: raw(name, Lost(), size))
    with pytest.raises(InputError, match=r"cannot reach s3://bucket/data/.*: the line is down: see the name"):
        list(part.documents())


class Lost:
    """pyarrow's file once the connection is gone."""

    def read_at(self, count, place):
        raise OSError("the line\nis down")

    def close(self):
        pass


def test_parts_hold_no_handle(uri):
    for prefix in ("jsonl", "parquet", "tar", "wheel"):
        for part in parts(f"{prefix}:{uri('s3')}"):
            assert len(pickle.dumps(part)) < 1000
            (place,) = [value for value in part.arguments if isinstance(value, paths.RemotePath)]
            assert all(isinstance(value, str | int) for value in vars(place).values())


def test_links_to_folders_are_not_followed_by_file_names_either(tmp_path):
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
        ("foo://x/y", "files are read from gs://, s3:// and file:// only"),
        ("https://x/y.jsonl", "files are read from"),
        ("gs://", "give gs://BUCKET/PATH"),
        ("s3:///x", "give gs://BUCKET/PATH"),
        ("file://host/x", "or file:///PATH"),
        ("s3://key:secret@bucket/x", r"s3://\.\.\.@bucket: give no credentials in a name"),
        ("file:///nul\0", "file:///nul"),
    ],
)
def test_names_that_are_refused(argument, message):
    for prefix in ("jsonl:", "parquet:", "tar:", "zip:", "wheel:", "sdist:", "problems:", "pypi:@"):
        with pytest.raises(InputError, match=message) as caught:
            parts(prefix + argument)
        assert "key:secret" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["dir", "git"])
@pytest.mark.parametrize("argument", ["gs://b/x", "s3://b", "file:///x", "foo://x"])
def test_folders_of_small_files_are_local(prefix, argument):
    with pytest.raises(InputError, match=f"{prefix}: reads local folders only: pack {argument} and give tar:"):
        parts(f"{prefix}:{argument}")


def test_a_file_that_shrinks(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(line("x") + b"\n")
    (part,) = parts(f"jsonl:file://{tmp_path}/c.jsonl")
    (tmp_path / "c.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match="has become shorter since it was listed"):
        list(part.documents())


def test_places_in_a_file(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    with paths.storage_path(f"file://{tmp_path}/x").open(buffering=0) as file:
        assert (file.seek(-3, 2), file.read(), file.read(), file.tell()) == (7, b"789", b"", 10)
        assert (file.seek(20), file.read(1), file.seek(2), file.seek(1, 1), file.read(2)) == (20, b"", 2, 3, b"34")
        with pytest.raises(OSError, match="before the start"):
            file.seek(-11, 2)


def test_without_a_network(monkeypatch):
    # Google's client tries again for as long as PATIENCE, which is too long for a test.
    def unreachable(bucket):
        raise OSError("Could not resolve\nhostname")

    monkeypatch.setattr(fs, "resolve_s3_region", unreachable)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    paths.connect.cache_clear()
    with pytest.raises(InputError, match=r"cannot reach s3://b: Could not resolve hostname: see .* the network"):
        parts("jsonl:s3://b/x")
