import numpy as np
import pytest

from codex_jax.problems.building_blocks import BLOCKS, make_problem, make_problems, split_chains


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_heldout_chains_never_occur_in_training(seed):
    train, heldout = split_chains(seed)
    assert [sum(len(chain) == k for chain in heldout) for k in (1, 2, 3, 4)] == [4, 12, 12, 12]
    heldout_sets = {frozenset(chain) for chain in heldout}
    for chain in train:
        assert frozenset(chain) not in heldout_sets
    assert {block for chain in train for block in chain} == set(range(len(BLOCKS)))
    assert len(train) == 12_000
    assert len({chain for chain in train if len(chain) == 4}) > 2900
    problems = list(make_problems(train, np.random.default_rng(seed)))
    assert len({problem.prompt for problem in problems}) == len(problems)
    assert not {p.task_id.split("/")[1] for p in problems} & {"-".join(map(str, chain)) for chain in heldout}


@pytest.mark.parametrize(
    ("block", "text", "result"),
    [
        (0, "eel Edge", "l Edg"),
        (1, "a b  c", "a!b!!c"),
        (2, "A Bc", "a bc"),
        (3, "abcdef", "cd"),
        (4, "A quiet SEA", " qt S"),
        (5, "abcdefg", "bcef"),
        (6, "abcde", "ab"),
        (7, "a b", "a   b"),
        (8, "one two  three", "three two one"),
        (9, "a b c d e", "c d e"),
        (10, "a b", "a apples b apples"),
        (11, "abcd", "AbCd"),
        (12, "a! b? c.,", "a b c,"),
    ],
)
def test_blocks_do_what_their_descriptions_say(block, text, result):
    assert BLOCKS[block].apply(text) == result
    problem = make_problem((block,), np.random.default_rng(0))
    scope: dict = {}
    exec(problem.reference, scope)
    assert scope[problem.entry_point](text) == result


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


def test_the_same_seed_gives_the_same_problem():
    twice = [make_problem((3, 1), np.random.default_rng(5)) for _ in range(2)]
    assert twice[0] == twice[1]
    assert twice[0].blocks == 2
