import numpy as np
import pytest

from codex_jax.problems.building_blocks import BLOCKS, make_problem, make_problems, split_chains


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_heldout_chains_never_occur_in_training(seed):
    train, held = split_chains(seed)
    assert [sum(len(chain) == k for chain in held) for k in (1, 2, 3, 4)] == [4, 12, 12, 12]
    held_sets = {frozenset(chain) for chain in held}
    for chain in train:
        assert frozenset(chain) not in held_sets
    assert {block for chain in train for block in chain} == set(range(len(BLOCKS)))
    assert len(train) == 12_000
    assert len({chain for chain in train if len(chain) == 4}) > 2900
    problems = list(make_problems(train, np.random.default_rng(seed)))
    assert len({problem.prompt for problem in problems}) == len(problems)
    assert not {p.task_id.split("/")[1] for p in problems} & {"-".join(map(str, h)) for h in held}


def test_each_reference_solution_passes_its_own_check_and_no_other_block_does():
    rng = np.random.default_rng(0)
    singles = [make_problem((n,), rng) for n in range(len(BLOCKS))]
    chains = [make_problem(chain, rng) for chain in split_chains(0)[1]]
    for problem in singles + chains:
        scope: dict = {}
        exec(problem.reference + problem.suites[0].cases[0], scope)
        scope["check"](scope[problem.entry_point])
    for problem in singles:
        for other in singles:
            if other is not problem:
                scope = {}
                exec(other.reference + problem.suites[0].cases[0], scope)
                with pytest.raises(AssertionError):
                    scope["check"](scope[other.entry_point])


def test_same_seed_same_problem():
    ours = [make_problem((3, 1), np.random.default_rng(5)) for _ in range(2)]
    assert ours[0] == ours[1]
    assert ours[0].blocks == 2
