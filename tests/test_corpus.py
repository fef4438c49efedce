import json

from codex_jax import cli, corpus
from codex_jax.records.dataset import open_dataset
from codex_jax.text.tokenizers import load_tokenizer


def write_files(folder, count=40):
    for n in range(count):
        path = folder / f"repo{n % 8}" / f"m{n}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def function_{n}(x):\n    return x + {n}\n\n\nclass C{n}:\n    value = {n * n}\n")
    (folder / "repo0" / "latin.py").write_bytes(b"# \xff\nx = 1\n")
    (folder / "repo0" / "copy.py").write_text((folder / "repo0" / "m0.py").read_text() + "\n\n")


def build(source, out, *flags):
    args = [f"dir:{source}", "--out", str(out), "--tokenizer", "p50k", "--seq-len", "64", *flags]
    return cli.run(corpus.main, corpus.Args, args)


def test_records_hold_the_documents_with_any_number_of_workers(tmp_path):
    write_files(tmp_path / "src")
    assert build(tmp_path / "src", tmp_path / "a", "--workers", "1") == 0
    assert build(tmp_path / "src", tmp_path / "b" / "a", "--workers", "3") == 0
    one, other = open_dataset(tmp_path / "a"), open_dataset(tmp_path / "b" / "a")
    assert one.manifest["digest"] == other.manifest["digest"]
    assert one.manifest["dropped"] == {"duplicate": 1, "not_decodable": 1}
    info = json.loads((one.folder / "dataset_info.json").read_text())
    assert {split["name"]: [int(n) for n in split["shardLengths"]] for split in info["splits"]} == {
        name: split["shards"] for name, split in one.manifest["splits"].items()
    }
    features = json.loads((one.folder / "features.json").read_text())["featuresDict"]["features"]
    assert list(features) == ["tokens"]
    tokenizer = load_tokenizer(str(one.tokenizer_dir))
    found = set()
    for split in one.manifest["splits"]:
        ids = [0]
        for batch in one.sequential(split, 4):
            for row in batch["tokens"]:
                ids += row[1:].tolist()
        text = "\0".join(tokenizer.decode(part) for part in _parts(ids[1:], tokenizer.eot))
        found |= {part for part in text.split("\0") if part}
    assert len(found) == 40
    assert all(part.startswith("def function_") for part in found)


def _parts(ids, eot):
    part = []
    for token in [*ids, eot]:
        if token == eot:
            yield part
            part = []
        else:
            part.append(token)


def test_problems_carry_a_loss_mask(tmp_path):
    lines = [
        {"task_id": f"t/{n}", "prompt": f"def f{n}():\n", "canonical_solution": f"    return {n}\n"} for n in range(9)
    ]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    args = [f"problems:{path}", "--out", str(tmp_path / "d"), "--tokenizer", "p50k", "--seq-len", "32"]
    assert cli.run(corpus.main, corpus.Args, args) == 0
    data = open_dataset(tmp_path / "d")
    (batch,) = data.sequential("train", 100)
    text = load_tokenizer("p50k").decode(batch["tokens"][batch["loss_mask"] == 1].tolist())
    assert text.count("return") == data.manifest["splits"]["train"]["documents"]
    assert "def" not in text


def test_bad_input_leaves_nothing(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert build(tmp_path / "empty", tmp_path / "out") == 2
    assert "no usable file" in capsys.readouterr().err
    write_files(tmp_path / "src")
    assert build(tmp_path / "src", tmp_path / "out", "--tokenizer", "train:60000") == 2
    assert "vocabulary" in capsys.readouterr().err
    assert build(tmp_path / "none", tmp_path / "out") == 2
    assert list((tmp_path / "out").glob("*")) == []
    assert build(tmp_path / "src", tmp_path / "out") == 0
    assert build(tmp_path / "src", tmp_path / "out") == 2
    assert "exists already" in capsys.readouterr().err
