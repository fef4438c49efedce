from types import SimpleNamespace

import jax
import pytest

from codex_jax.planning.device_peak import peak_flops


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("TPU v4", 275e12),
        ("TPU v5 lite", 197e12),
        ("TPU v3", 61.5e12),  # a core
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
    ],
)
def test_known_devices_have_the_peak_of_their_data_sheet(kind, peak):
    assert peak_flops(SimpleNamespace(device_kind=kind)) == pytest.approx(peak)


def test_a_cpu_is_measured():
    assert 1e8 < peak_flops(jax.devices("cpu")[0]) < 1e14
