import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.records.order import _window, host_positions, permute, record_indices


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000, 4097])
def test_each_seed_and_epoch_has_its_own_permutation(size):
    orders = [permute(np.arange(size), size, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    for order in orders:
        assert sorted(order) == list(range(size))
    if size >= 1000:
        assert all((a != b).mean() > 0.9 for a, b in ((orders[0], orders[1]), (orders[0], orders[2])))
        # The mean displacement of a random permutation is size / 3.
        assert abs(np.abs(orders[0] - np.arange(size)).mean() / size - 1 / 3) < 0.03


def test_any_part_of_the_stream_is_computed_alike():
    whole = record_indices(np.arange(50), 7, 3)
    pieces = np.split(np.arange(50), [9, 39])
    assert np.array_equal(np.concatenate([record_indices(piece, 7, 3) for piece in pieces]), whole)
    shuffled = np.random.default_rng(0).permutation(50)
    assert np.array_equal(record_indices(shuffled, 7, 3), whole[shuffled])
    assert sorted(whole[7:14]) == list(range(7))


def test_an_epoch_of_several_windows_is_one_permutation(monkeypatch):
    whole = permute(np.arange(1000), 1000, 3, 2)
    monkeypatch.setattr("codex_jax.records.order.WINDOW", 64)
    _window.cache_clear()
    assert np.array_equal(record_indices(np.arange(2000, 3000), 1000, 3), whole)
    _window.cache_clear()


def test_the_order_never_changes():
    # Interrupted runs continue with the batches of the order they began with.
    assert permute(np.arange(10), 10, 0, 0).tolist() == [4, 2, 8, 0, 6, 7, 5, 3, 9, 1]
    assert permute(np.arange(10), 10, 7, 3).tolist() == [8, 3, 4, 7, 9, 2, 6, 1, 0, 5]
    # 16 is a power of four, so the network has exactly its size; 17 needs the next one.
    assert permute(np.arange(16), 16, 0, 0).tolist() == [12, 9, 4, 7, 8, 13, 6, 3, 2, 1, 10, 11, 0, 5, 14, 15]
    assert permute(np.arange(17), 17, 0, 0).tolist() == [11, 13, 7, 6, 4, 1, 12, 14, 15, 9, 3, 16, 0, 8, 2, 5, 10]
    assert permute(np.array([0, 123_456, 999_999]), 10**6, 1, 2).tolist() == [613451, 704464, 169460]
    positions = np.array([0, 19_999, 20_000, 123_456_789])
    assert record_indices(positions, 20_000, 5).tolist() == [11557, 19767, 18203, 18831]


@pytest.mark.parametrize("index", [-1, 10])
def test_an_index_outside_the_range_is_refused(index):
    with pytest.raises(ValueError, match=r"not in range\(10\)"):
        permute(np.array([3, index]), 10, 0, 0)


def test_the_hosts_positions_are_consecutive_parts_of_the_global_batch():
    # Step 2 of batches of 6: positions 12 to 17.
    assert [host_positions(2, 6, host, 3).tolist() for host in range(3)] == [[12, 13], [14, 15], [16, 17]]
    assert host_positions(0, 1, 0, 1).tolist() == [0]
    for batch_size, hosts in ((0, 1), (4, 3)):
        with pytest.raises(InputError, match=f"a batch of {batch_size} does not divide over {hosts} hosts"):
            host_positions(0, batch_size, 0, hosts)
