import pytest

from codex_jax.errors import InputError
from codex_jax.parallel.topology import CHIPS, SHAPES, parse_topology


def test_every_known_topology_is_read_with_as_many_axes_as_its_torus():
    for kind, shapes in SHAPES.items():
        for shape in shapes:
            chip, sizes = parse_topology(f"{kind}:{shape}")
            assert chip is CHIPS[kind]
            assert len(sizes) == chip.torus


@pytest.mark.parametrize(("name", "known"), [("v9:2x2", "v5e"), ("v5e:3x3", "16x16"), ("v5e", "16x16"), ("", "v4")])
def test_an_unknown_one_lists_those_known(name, known):
    with pytest.raises(InputError, match=f"unknown topology.*{known}"):
        parse_topology(name)
