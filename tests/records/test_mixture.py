import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.mixture import BLOCK, Mixture, quotas, split_spec
from codex_jax.records.shards import RecordDataset
from tests.records.build import build

QUOTAS = [43691, 14563, 7282]  # 65536 * (3, 1, 0.5) / 4.5 = 43690.67, 14563.56, 7281.78


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("mixture")
    return [
        build(root / name, (3000, 0, 2000), first=first) for name, first in (("a", 0), ("b", 10_000), ("c", 20_000))
    ]


@pytest.fixture(scope="module")
def mixture(folders):
    a, b, c = folders
    return open_dataset(f"{a}@3,{b},{c}@0.5")


def test_every_block_has_the_exact_shares(mixture):
    for block in (0, 1, 7):
        numbers, positions = mixture.locate(9, np.arange(BLOCK) + block * BLOCK)
        assert np.bincount(numbers).tolist() == QUOTAS
        for number, rows in enumerate(QUOTAS):
            # Each data set's own stream continues where the previous block ended, without gaps.
            assert sorted(positions[numbers == number]) == list(range(block * rows, (block + 1) * rows))
        # The data sets are interleaved.
        assert abs((numbers[: BLOCK // 8] == 0).mean() - QUOTAS[0] / BLOCK) < 0.03


def test_each_data_set_has_its_own_epochs(mixture):
    tokens = np.concatenate([mixture.batch("train", 3, step, 8192)["tokens"][:, 0] for step in range(BLOCK // 8192)])
    for first, rows in zip((0, 10_000, 20_000), QUOTAS, strict=True):
        counts = np.bincount(tokens[(tokens >= first) & (tokens < first + 10_000)] - first)
        assert len(counts) == 5000
        assert set(counts) <= {rows // 5000, rows // 5000 + 1}


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 10**7), st.integers(1, 5))
def test_global_batches_are_the_same_on_any_number_of_hosts(mixture, seed, step, eighths):
    whole = mixture.batch("train", seed, step, 8 * eighths)
    for hosts in (2, 4, 8):
        parts = [mixture.batch("train", seed, step, 8 * eighths, host, hosts) for host in range(hosts)]
        for name in whole:
            assert np.array_equal(np.concatenate([part[name] for part in parts]), whole[name])


@settings(deadline=None)
@given(st.integers(BLOCK // 16 - 30, BLOCK // 16 + 30))
def test_the_stream_does_not_depend_on_the_batch_size(mixture, step):
    rows = [mixture.batch("train", 7, row, 1)["tokens"] for row in range(step * 16, (step + 1) * 16)]
    assert np.array_equal(mixture.batch("train", 7, step, 16)["tokens"], np.concatenate(rows))


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8))
def test_quotas_are_the_nearest_whole_shares(weights):
    rows = quotas(weights)
    assert sum(rows) == BLOCK
    assert all(abs(n - w / sum(weights) * BLOCK) < 1 + 1e-6 for n, w in zip(rows, weights, strict=True))


def test_manifest_tokenizer_and_validation_are_the_first_data_sets(folders, tmp_path):
    first = RecordDataset(folders[0])
    mixture = open_dataset(f"{folders[0]},{build(tmp_path / 'other', (7,))}")
    assert mixture.manifest == first.manifest
    assert mixture.tokenizer_dir == first.tokenizer_dir
    batches = zip(mixture.sequential("train", 10), first.sequential("train", 10), strict=True)
    assert all(np.array_equal(a["tokens"], b["tokens"]) for a, b in batches)


def test_split_spec():
    assert split_spec("a@2,b@0.5,c") == [("a", 2.0), ("b", 0.5), ("c", 1.0)]
    assert split_spec("home@host/a") == [("home@host/a", 1.0)]


def test_one_path_is_not_a_mixture(folders):
    assert isinstance(open_dataset(f"{folders[0]}@2"), RecordDataset)
    odd = build(folders[0].parent / "x,y@2")
    assert open_dataset(odd).folder == odd


def test_data_sets_that_do_not_match_are_refused(folders, tmp_path):
    a, b, _ = folders
    for name, message, settings_ in (
        ("t", "tokenizer x and y", {"sha256": "y"}),
        ("s", "seq_len 8 and 9", {"seq_len": 9}),
        ("m", "loss_mask present and absent", {"masked": False}),
    ):
        other = build(tmp_path / name, **settings_)
        for spec in (f"{a}@1,{other}@1", f"{a}@1,{b}@1,{other}@1"):
            with pytest.raises(InputError, match=f"cannot mix {a} and {other}: {message}"):
                open_dataset(spec)
    for spec, message in (
        (f"{a}@0,{b}@1", "above 0"),
        (f"{a}@nan,{b}@1", "above 0"),
        (f"{a}@inf,{b}@1", "above 0"),
        (f"{a}@1,{b}@1e9", "below 1/65,536"),
        (f"{a}@1,,{b}@1", "empty path"),
        (f"{a}@1,{tmp_path}/none@1", "no data set"),
    ):
        with pytest.raises(InputError, match=message):
            open_dataset(spec)
    empty = build(tmp_path / "e", counts=(0,))
    with pytest.raises(InputError, match=f"{empty} has no records"):
        Mixture([(RecordDataset(a), 1), (RecordDataset(empty), 1)]).check("train")
