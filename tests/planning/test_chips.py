import importlib.util

import jax
import pytest
from jax.sharding import SingleDeviceSharding

from codex_jax.errors import InputError
from codex_jax.planning.chips import CHIPS, SHAPES, parse_topology, slice_devices
from codex_jax.planning.hlo import read_costs


def test_every_known_topology_has_as_many_axes_as_its_torus():
    for kind, shapes in SHAPES.items():
        for shape in shapes:
            chip, sizes = parse_topology(f"{kind}:{shape}")
            assert chip is CHIPS[kind]
            assert len(sizes) == chip.torus


def test_chips_and_devices_are_counted():
    slices = [parse_topology(name) for name in ("v3:4x8", "v4:2x2x4", "v5e:1x1")]
    assert [(tpu.chips, tpu.devices) for tpu in slices] == [(32, 64), (16, 16), (1, 1)]


@pytest.mark.parametrize(("name", "matrix_units"), [("v3", 4), ("v4", 8), ("v5e", 4), ("v5p", 8)])
def test_the_peak_is_that_of_the_chips_matrix_units(name, matrix_units):
    # Google Cloud's pages: 2 matrix units of 128 x 128 in each core of a v3, 4 in each of the 2 cores of a v4 and v5p,
    # and 4 in the core of a v5e. Each does 2 x 128 x 128 FLOPs per cycle.
    chip = CHIPS[name]
    assert chip.peak_flops == pytest.approx(matrix_units * 2 * 128 * 128 * chip.clock, rel=0.01)


def test_a_copy_reads_and_writes_hbm():
    # 819 bytes read and written at 819 GB/s take 2 ns, which are 3 cycles at 1.5 GHz.
    assert CHIPS["v5e"].copy_cycles(819) == pytest.approx(3)
    # Each of a v3's cores has half of 900 GB/s: 900 bytes take 4 ns, 3.76 cycles at 0.94 GHz.
    assert CHIPS["v3"].copy_cycles(900) == pytest.approx(3.76)


@pytest.mark.parametrize(("name", "known"), [("v9:2x2", "v5e"), ("v5e:3x3", "16x16"), ("v5e", "16x16"), ("", "v4")])
def test_an_unknown_topology_is_refused_with_those_known(name, known):
    with pytest.raises(InputError, match=f"unknown topology.*{known}"):
        parse_topology(name)


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu (extra tpu)")
@pytest.mark.parametrize(
    ("name", "devices", "least"),
    [("v3:2x2", 8, 0.9), ("v4:2x2x1", 4, 0.9), ("v5e:2x2", 4, 0.85), ("v5p:2x2x1", 4, 0.85), ("v6e:2x2", 4, 0.65)],
)
def test_by_the_compilers_cycles_a_matrix_product_runs_near_the_published_peak(name, devices, least):
    chip, _ = parse_topology(name)
    found = slice_devices(name)
    assert len(found) == devices == parse_topology(name).devices
    size, products = 8192, 2
    matrix = jax.ShapeDtypeStruct((size, size), "bfloat16", sharding=SingleDeviceSharding(found[0]))
    compiled = jax.jit(lambda x, a, b: x @ a @ b).lower(matrix, matrix, matrix).compile()
    rate = products * 2 * size**3 / (read_costs(compiled.as_text()).cycles / chip.clock)
    assert least < rate / (chip.peak_flops / chip.cores) < 1


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("v5e:16x16", (True, True)),
        ("v5e:8x16", (False, True)),
        ("v5e:4x4", (False, False)),
        ("v6e:16x16", (True, True)),
        ("v4:4x4x4", (True, True, True)),
        ("v4:2x4x4", (False, False, False)),
        ("v5p:4x4x8", (True, True, True)),
        ("v3:16x32", (False, True)),
    ],
)
def test_axes_that_close_to_a_ring(name, closed):
    assert parse_topology(name).closed_axes == closed


@pytest.mark.parametrize(
    ("name", "spans", "axes"),
    [
        ("v5e:16x16", (16, 16), 2),
        ("v5e:16x16", (16, 1), 1),
        ("v5e:16x16", (8, 16), 1.5),  # a part of an axis is not a ring
        ("v5e:16x16", (1, 2), 0.5),
        ("v5e:4x4", (4, 4), 1),  # two axes, neither of them a ring
        ("v4:4x4x4", (4, 4, 4), 3),
        ("v3:4x4", (1, 1), 1),  # the two cores of a chip
    ],
)
def test_a_group_has_the_links_of_all_axes_it_spans(name, spans, axes):
    tpu = parse_topology(name)
    assert tpu.ring_bandwidth(spans) == axes * tpu.chip.ici_bandwidth
