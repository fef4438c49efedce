from hypothesis import given
from hypothesis import strategies as st

from codex_jax.records.example import encode, layout


def test_encoding_by_hand():
    # From the inside out: the value, its list, the feature, the entry with its name, the features.
    assert encode({"a": b"xy"}) == bytes.fromhex("0A0D 0A0B 0A0161 1206 0A04 0A02") + b"xy"
    # Sizes above 127 take two bytes: 300 is AC 02.
    assert encode({"a": bytes(300)}) == bytes.fromhex("0ABB02 0AB802 0A0161 12B202 0AAF02 0AAC02") + bytes(300)
    # Names are sorted. The two entries have 13 bytes each.
    a = bytes.fromhex("0A0B 0A0161 1206 0A04 0A02") + b"xy"
    b = bytes.fromhex("0A0B 0A0162 1206 0A04 0A02") + b"zw"
    assert encode({"b": b"zw", "a": b"xy"}) == bytes.fromhex("0A1A") + a + b


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.binary(max_size=300), min_size=1, max_size=3))
def test_layout_gives_the_position_of_each_value(features):
    blank, positions = layout({name: len(value) for name, value in features.items()})
    filled = bytearray(blank)
    for name, value in features.items():
        filled[positions[name]] = value
    assert bytes(filled) == encode(features)
