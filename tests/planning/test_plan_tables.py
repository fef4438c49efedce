from codex_jax.planning.plan_tables import config_lines, run_flags, shown_mesh


def test_the_flags_of_a_run_are_kept():
    args = ["x.py", "--topology", "v5e:2x2", "--hlo=a", "--steps", "3", "--json", "--search", "--compile", "2"]
    assert run_flags(args) == ["x.py", "--steps", "3"]


def test_flags_become_lines_of_an_experiment_file():
    flags = ["--model.remat", "dots", "--mesh.data", "2", "--mesh.fsdp", "4", "--optimizer.offload"]
    flags += ["--loss-chunks", "4"]
    assert config_lines(flags) == [
        "loss_chunks=4,",
        'model=ModelConfig(..., remat="dots"),',
        "mesh=MeshConfig(data=2, fsdp=4),",
        "optimizer=OptimizerConfig(..., offload=True),",
    ]


def test_axes_that_split_nothing_are_left_out():
    assert shown_mesh({"data": 2, "fsdp": 1, "model": 4}) == "data 2 x model 4"
    assert shown_mesh({"data": 1}) == "1 device"
