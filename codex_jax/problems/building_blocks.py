"""The paper's study of limitations: docstrings that chain up to k of 13 string operations (section 6, appendix C)."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from codex_jax.problems.humaneval import humaneval_problem
from codex_jax.problems.problem import Problem

Chain = tuple[int, ...]  # indices into BLOCKS


@dataclass(frozen=True)
class BuildingBlock:
    """A string operation: its description in the docstring, and a Python expression that applies it to s."""

    description: str
    expression: str

    @cached_property
    def apply(self) -> Callable[[str], str]:
        """The operation as a function."""
        return eval(f"lambda s: {self.expression}")


BLOCKS = (
    BuildingBlock("remove all instances of the letter e", 's.replace("e", "")'),
    BuildingBlock("replace all spaces with exclamation points", 's.replace(" ", "!")'),
    BuildingBlock("convert the string to lowercase", "s.lower()"),
    BuildingBlock("remove the first and last two characters", "s[2:-2]"),
    BuildingBlock("remove all vowels", '"".join(char for char in s if char not in "aeiouAEIOU")'),
    BuildingBlock("remove every third character", '"".join(char for i, char in enumerate(s) if i % 3 != 0)'),
    BuildingBlock("drop the last half by characters", "s[: len(s) // 2]"),
    BuildingBlock("replace spaces with triple spaces", 's.replace(" ", "   ")'),
    BuildingBlock("reverse the order of the words", '" ".join(s.split()[::-1])'),
    BuildingBlock("drop the first half by number of words", '" ".join(s.split()[len(s.split()) // 2 :])'),
    BuildingBlock("add the word apples after every word", '" ".join(word + " apples" for word in s.split())'),
    BuildingBlock(
        "make every other character uppercase",
        '"".join(char.upper() if i % 2 == 0 else char for i, char in enumerate(s))',
    ),
    BuildingBlock(
        "delete all exclamation points, question marks and periods",
        '"".join(char for char in s if char not in "!?.")',
    ),
)

INTRODUCTION = "Takes a string and returns the result of these manipulations, in this order:"
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + "eaio" * 4 + " " * 20 + "!?.,"))
CHECKS = 6  # test inputs per problem
# Function names. They make repeated training chains distinct documents.
NAMES = tuple(
    f"{verb}_{noun}"
    for verb in ("transform", "process", "convert", "modify", "rewrite", "edit", "change", "update", "prepare", "fix")
    for noun in ("string", "text", "sentence", "line", "words", "message", "title", "paragraph", "note", "phrase")
)
# As in HumanEval, imports may precede the function. They vary its position, so that a model does not rely on it.
MODULES = ("collections", "functools", "itertools", "math", "random", "re", "string", "typing")
MAX_IMPORTS = 4
# Shares of training problems by chain length. A model would memorize the 13 chains of length 1 with a larger share.
LENGTH_SHARES = (0.05, 0.35, 0.35, 0.25)


def make_problem(chain: Chain, rng: np.random.Generator, name: str = "string_manipulation") -> Problem:
    """The problem of a chain of blocks, with random imports and test inputs."""
    blocks = [BLOCKS[n] for n in chain]
    bullets = "".join(f"    -{block.description}\n" for block in blocks)
    modules = sorted(rng.choice(MODULES, int(rng.integers(MAX_IMPORTS + 1)), replace=False))
    imports = "".join(f"import {module}\n" for module in modules) + "\n\n" * bool(modules)
    prompt = f'{imports}def {name}(s: str):\n    """\n    {INTRODUCTION}\n{bullets}    """\n'
    solution = "".join(f"    s = {block.expression}\n" for block in blocks) + "    return s\n"
    asserts = []
    for n in range(CHECKS):
        text = "" if n == 0 else "".join(rng.choice(LETTERS, int(rng.integers(8, 61))))
        result = text
        for block in blocks:
            result = block.apply(result)
        asserts.append(f"    assert candidate({text!r}) == {result!r}\n")
    task_id = f"building_blocks/{'-'.join(map(str, chain))}/{name}"
    test = "def check(candidate):\n" + "".join(asserts)
    return humaneval_problem(task_id, prompt, name, solution, test, len(chain))


def make_problems(chains: Iterable[Chain], rng: np.random.Generator) -> Iterator[Problem]:
    """One problem per chain. A chain's first function name is random; its repetitions get the next names."""
    latest: dict[Chain, int] = {}
    for chain in chains:
        latest[chain] = latest.get(chain, int(rng.integers(len(NAMES)))) + 1
        yield make_problem(chain, rng, NAMES[latest[chain] % len(NAMES)])


def split_chains(
    seed: int, train: int = 12_000, heldout: tuple[int, ...] = (4, 12, 12, 12)
) -> tuple[list[Chain], list[Chain]]:
    """(training chains, held-out chains), each of 1 to 4 blocks; heldout[k - 1] held-out chains have length k.

    The blocks of a held-out chain are distinct, and no training chain has the same set of blocks. A longer training
    chain may contain it; otherwise single blocks could not be held out. The lengths of training chains follow
    LENGTH_SHARES. A chain occurs up to len(NAMES) times, so there may be fewer than `train`.
    """
    rng = np.random.default_rng(seed)
    heldout_chains: list[Chain] = []
    for length, count in enumerate(heldout, 1):
        sets = list(itertools.combinations(range(len(BLOCKS)), length))
        for n in rng.choice(len(sets), count, replace=False):
            heldout_chains.append(tuple(int(block) for block in rng.permutation(sets[n])))
    heldout_sets = {frozenset(chain) for chain in heldout_chains}
    training: list[Chain] = []
    for length, share in enumerate(LENGTH_SHARES, 1):
        every = itertools.product(range(len(BLOCKS)), repeat=length)
        chains = [chain for chain in every if frozenset(chain) not in heldout_sets]
        order = rng.permutation(len(chains))
        count = min(round(share * train), len(NAMES) * len(chains))
        training += [chains[order[n % len(chains)]] for n in range(count)]
    return [training[n] for n in rng.permutation(len(training))], heldout_chains


def heldout_problems(seed: int = 0) -> list[Problem]:
    """The problems of the held-out chains; generate.py writes the same chains with other function names and tests."""
    return list(make_problems(split_chains(seed)[1], np.random.default_rng(seed)))
