import json

import pytest

from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.manifest import digest, newest_version, read_manifest, write_manifest
from tests.records.build import build


def test_a_written_manifest_is_read_back(tmp_path):
    manifest = read_manifest(build(tmp_path / "d"))
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert (tmp_path / "manifest.json").read_text().startswith('{\n  "name": "d",\n')
    assert {path.name for path in tmp_path.iterdir()} == {"d", "manifest.json"}


def test_broken_manifests_are_refused(tmp_path):
    manifest = build(tmp_path / "d") / "manifest.json"
    whole = manifest.read_text()
    size = json.loads(whole)["record_bytes"]
    swaps = (("23", "24"), (f": {size}", f": {size + 1}"), ("<u2", "<u8"), ('"seq_len": 8', '"seq_len": 9'))
    for text in ("", "[]", "{}", *(whole.replace(*swap, 1) for swap in swaps)):
        manifest.write_text(text)
        with pytest.raises(InputError, match="broken"):
            open_dataset(tmp_path / "d")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["seq_len"], -1),
        (["seq_len"], 8.0),
        (["record_bytes"], True),
        (["tokenizer", "eot"], None),
        (["tokenizer", "vocab_size"], "500"),
        (["splits", "train", "shards"], [24, -1]),
        (["splits", "train", "bytes"], -1),
        (["name"], " "),
        (["dtype"], ""),
        (["tokenizer", "sha256"], ""),
        (["tokenizer", "sha256"], 5),
    ],
)
def test_invalid_values_are_refused(tmp_path, keys, value):
    path = build(tmp_path / "d") / "manifest.json"
    manifest = json.loads(path.read_text())
    entry = manifest
    for key in keys[:-1]:
        entry = entry[key]
    entry[keys[-1]] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"manifest\.json is broken .*: build the data set again"):
        read_manifest(tmp_path / "d")


def test_versions_are_compared_as_numbers(tmp_path):
    assert newest_version(tmp_path) is None
    for name in ("1.9.0", "1.10.0", "1.2.0", ".1.11.0.incomplete"):
        build(tmp_path / name)
    (tmp_path / "2.0.0").mkdir()  # without a manifest
    assert newest_version(tmp_path) == tmp_path / "1.10.0"


def test_the_digest_depends_on_tokenizer_length_and_shards():
    # printf '["t", 8, ["a", "b"]]' | sha256sum
    assert digest("t", 8, ["a", "b"]) == "aa571658ffa534ad10bce468f22fabff310e8944cc99f5c8103686a36c280352"
