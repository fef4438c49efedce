from codex_jax.cli import ExperimentArgs
from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig, differences
from codex_jax.planning.changes import experiment_lines, flags, plan_command, run_arguments

RUN = TrainConfig(mesh=MeshConfig(data=2), optimizer=OptimizerConfig(clip_norm=2.0))
CHANGED = TrainConfig(
    accumulation=4,
    mesh=MeshConfig(data=2, fsdp=8),
    optimizer=OptimizerConfig(offload=True, clip_norm=0.5),
    model=ModelConfig(remat="dots"),
)


def test_flags_are_those_of_the_commands():
    settings = {"mesh.fsdp": 8, "optimizer.clip_norm": 0.5, "optimizer.offload": True, "steps": 7}
    words = ["--mesh.fsdp", "8", "--optimizer.clip-norm", "0.5", "--optimizer.offload", "--steps", "7"]
    assert flags(settings) == words
    assert flags({"optimizer.offload": False}) == ["--optimizer.no-offload"]


def test_the_arguments_of_a_run_are_its_experiment_and_flags_without_the_slice():
    args = ExperimentArgs(experiment="my x.py", defaults=TrainConfig(), steps=7, topology="v5e:2x2")
    assert run_arguments(args) == "'my x.py' --steps 7"


def test_a_plan_command_adds_the_slice_and_the_changes():
    command = plan_command("x.py --steps 7", "v5e:2x2", {"mesh.data": 2})
    assert command == "python -m codex_jax.plan x.py --steps 7 --topology v5e:2x2 --mesh.data 2"


def test_lines_of_an_experiment_file_are_grouped_by_config():
    assert experiment_lines(differences(RUN, CHANGED)) == [
        "accumulation=4,",
        'model=ModelConfig(..., remat="dots"),',
        "optimizer=OptimizerConfig(..., offload=True, clip_norm=0.5),",
        "mesh=MeshConfig(..., fsdp=8),",
    ]
