import jax
import pytest

from codex_jax.errors import InputError
from codex_jax.parallel import numerics

OTHER = {
    "jax_default_matmul_precision": "bfloat16",
    "jax_default_prng_impl": "rbg",
    "jax_disable_jit": True,
    "jax_enable_x64": True,
    "jax_numpy_dtype_promotion": "strict",
    "jax_numpy_rank_promotion": "raise",
    "jax_random_seed_offset": 7,
    "jax_threefry_partitionable": False,
}


@pytest.fixture(params=OTHER.items(), ids=lambda item: item[0])
def setting(request):
    name, value = request.param
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    yield name
    jax.config.update(name, before)


def test_the_usual_settings_are_the_fixed_ones(capsys):
    assert OTHER.keys() == numerics.FIXED.keys()
    assert numerics.changed() == []
    numerics.check()
    numerics.fix()
    assert capsys.readouterr().err == ""


def test_a_command_fixes_a_setting_and_says_so(setting, capsys):
    assert numerics.changed() == [setting]
    numerics.fix()
    assert numerics.changed() == []
    assert f"{setting.upper()}= is ignored" in capsys.readouterr().err


def test_a_program_with_another_setting_is_refused(setting):
    with pytest.raises(InputError, match=f"{setting} would change the samples: set it to"):
        numerics.check()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("Unable to initialize backend 'x': no\nmore"), "Unable to initialize backend 'x': no: unset"),
        (AssertionError(), "its plugin for JAX is not installed: unset JAX_PLATFORMS=x"),
    ],
)
def test_a_platform_that_is_not_there(monkeypatch, error, reason):
    def devices():
        raise error

    numerics.check_platform()
    monkeypatch.setattr(jax, "devices", devices)
    monkeypatch.setenv("JAX_PLATFORMS", "x")
    monkeypatch.delenv("JAX_PLATFORM_NAME", raising=False)
    with pytest.raises(InputError, match=f"JAX cannot start: {reason}"):
        numerics.check_platform()
