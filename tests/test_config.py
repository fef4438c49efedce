"""Settings: how they differ."""

from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig, differences

RUN = TrainConfig(mesh=MeshConfig(data=2), optimizer=OptimizerConfig(clip_norm=2.0))
CHANGED = TrainConfig(
    accumulation=4,
    mesh=MeshConfig(data=2, fsdp=8),
    optimizer=OptimizerConfig(offload=True, clip_norm=0.5),
    model=ModelConfig(remat="dots"),
)


def test_only_settings_that_differ_are_listed_under_their_paths():
    assert differences(RUN, RUN) == {}
    assert differences(RUN, CHANGED) == {
        "model.remat": "dots",
        "optimizer.offload": True,
        "optimizer.clip_norm": 0.5,
        "mesh.fsdp": 8,
        "accumulation": 4,
    }
