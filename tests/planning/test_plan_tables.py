import dataclasses
from dataclasses import dataclass
from typing import Annotated

from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.planning.candidates import Candidate
from codex_jax.planning.compiling import Plan
from codex_jax.planning.memory import Memory
from codex_jax.planning.plan_tables import figures, show, show_search, show_suggestions, shown_mesh
from codex_jax.planning.search import Tried
from codex_jax.planning.training_plan import Job
from codex_jax.planning.units import COUNT, MIB, MILLISECONDS, SECONDS

RUN = TrainConfig(model=ModelConfig(remat="dots"), mesh=MeshConfig(data=2))
CANDIDATE = Candidate(
    Job(RUN, 2048),
    "v3:2x2",
    dataclasses.replace(
        RUN,
        mesh=MeshConfig(data=2, fsdp=4),
        accumulation=3,
        optimizer=OptimizerConfig(offload=True),
        model=ModelConfig(remat="full"),
    ),
    Memory(1024**3, 0, 0, 0, 0, 0),
    1.0,
)


@dataclass(frozen=True)
class Speed:
    sent: Annotated[dict[str, int], "sent by", MIB]
    step: Annotated[float, "step", MILLISECONDS]
    kernels: dict[str, int]


@dataclass(frozen=True)
class SomePlan(Plan):
    rows: Annotated[int, "rows", COUNT]
    host: Annotated[float, "host", SECONDS]

    null_keys = ()


def plan(fits=True, speed=None):
    return SomePlan(fits, "v5e:2x2", 4, {"data": 4}, 16 * 1024**3, 12 * 1024**3, 1024**3, 2.0, speed, 1500, 0.0)


def test_annotated_figures_are_rows_and_zeros_are_left_out():
    speed = Speed({"all-gather": 3 * 2**20, "all-reduce": 0}, 0.0025, {"fwd": 2})
    assert list(figures(plan(speed=speed))) == [
        ["HBM", "16.00 GiB"],
        ["peak", "12.00 GiB"],
        ["activations and other temporary arrays", "1.00 GiB"],
        ["compiled in", "2.000 s"],
        ["sent by all-gather", "3.0 MiB"],
        ["step", "2.50 ms"],
        ["rows", "1,500"],
    ]


def test_the_title_says_whether_it_fits(capsys):
    show(plan(), "remat dots")
    assert "v5e:2x2: 4 chips, mesh data 4, remat dots: fits, with 25% of HBM free\n" in capsys.readouterr().out
    show(plan(fits=False), "remat dots")
    printed = capsys.readouterr().out
    assert "remat dots: does not fit\n" in printed
    assert "projected" not in printed


def test_axes_that_split_nothing_are_left_out():
    assert shown_mesh({"data": 2, "fsdp": 1, "model": 4}) == "data 2 x model 4"
    assert shown_mesh({"data": 1}) == "1 device"


def test_suggestions_count_all_cores_of_a_chip(capsys):
    show_suggestions([CANDIDATE], "x.py")
    printed = capsys.readouterr().out
    for cell in ("v3:2x2", "data 2 x fsdp 4", "full", "2.00 GiB", "32.00 GiB"):
        assert f" {cell} " in printed
    flags = "--model.remat full --optimizer.offload --mesh.fsdp 4 --accumulation 3"
    assert printed.endswith(f"python -m codex_jax.plan x.py --topology v3:2x2 {flags}\n")


def test_a_search_shows_settings_and_failures(capsys):
    show_search([Tried(CANDIDATE, None, "refused"), Tried(CANDIDATE, plan(fits=False))])
    printed = capsys.readouterr().out
    for cell in ("data 2 x fsdp 4", "offload True, accumulation 3", "refused", "12.00 GiB", "does not fit"):
        assert f" {cell} " in printed
