from hypothesis import given
from hypothesis import strategies as st

from codex_jax.records.example import decode, encode, layout


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.binary(max_size=300), min_size=1, max_size=3))
def test_decode_inverts_encode(features):
    assert decode(encode(features)) == features


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.binary(max_size=300), min_size=1, max_size=3))
def test_layout_gives_the_position_of_each_value(features):
    blank, positions = layout({name: len(value) for name, value in features.items()})
    filled = bytearray(blank)
    for name, value in features.items():
        filled[positions[name]] = value
    assert bytes(filled) == encode(features)
