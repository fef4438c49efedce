"""The paper's study of limits: docstrings that chain k of 13 one-line string operations (section 6, appendix C)."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codex_jax.benchmarks.problem import Problem

Chain = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """One operation: its bullet, its line of code on the variable s, and what it does."""

    description: str
    code: str
    apply: Callable[[str], str]


def _upper_every_other(s: str) -> str:
    return "".join(char.upper() if index % 2 == 0 else char for index, char in enumerate(s))


BLOCKS = (
    Block("remove all instances of the letter e", 's = s.replace("e", "")', lambda s: s.replace("e", "")),
    Block("replace all spaces with exclamation points", 's = s.replace(" ", "!")', lambda s: s.replace(" ", "!")),
    Block("convert the string to lowercase", "s = s.lower()", lambda s: s.lower()),
    Block("remove the first and last two characters", "s = s[2:-2]", lambda s: s[2:-2]),
    Block(
        "remove all vowels",
        's = "".join(char for char in s if char not in "aeiouAEIOU")',
        lambda s: "".join(char for char in s if char not in "aeiouAEIOU"),
    ),
    Block(
        "remove every third character",
        's = "".join(char for i, char in enumerate(s) if i % 3 != 0)',
        lambda s: "".join(char for i, char in enumerate(s) if i % 3 != 0),
    ),
    Block("drop the last half by characters", "s = s[: len(s) // 2]", lambda s: s[: len(s) // 2]),
    Block("replace spaces with triple spaces", 's = s.replace(" ", "   ")', lambda s: s.replace(" ", "   ")),
    Block("reverse the order of the words", 's = " ".join(s.split()[::-1])', lambda s: " ".join(s.split()[::-1])),
    Block(
        "drop the first half by number of words",
        's = " ".join(s.split()[len(s.split()) // 2 :])',
        lambda s: " ".join(s.split()[len(s.split()) // 2 :]),
    ),
    Block(
        "add the word apples after every word",
        's = " ".join(word + " apples" for word in s.split())',
        lambda s: " ".join(word + " apples" for word in s.split()),
    ),
    Block(
        "make every other character uppercase",
        's = "".join(char.upper() if i % 2 == 0 else char for i, char in enumerate(s))',
        _upper_every_other,
    ),
    Block(
        "delete all exclamation points, question marks and periods",
        's = "".join(char for char in s if char not in "!?.")',
        lambda s: "".join(char for char in s if char not in "!?."),
    ),
)

INTRODUCTION = "Takes a string and returns the result of these manipulations, in this order:"
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + "eaio" * 4 + " " * 20 + "!?.,"))
CHECKS = 6  # inputs a problem is tested on


def make_problem(chain: Chain, rng: np.random.Generator) -> Problem:
    """The problem of a chain, in HumanEval's form; the expected values are computed here, not by the solution."""
    blocks = [BLOCKS[n] for n in chain]
    bullets = "".join(f"    -{block.description}\n" for block in blocks)
    prompt = f'def string_manipulation(s: str):\n    """\n    {INTRODUCTION}\n{bullets}    """\n'
    solution = "".join(f"    {block.code}\n" for block in blocks) + "    return s\n"
    asserts = []
    for n in range(CHECKS):
        text = "" if n == 0 else "".join(rng.choice(LETTERS, int(rng.integers(8, 61))))
        result = text
        for block in blocks:
            result = block.apply(result)
        asserts.append(f"    assert candidate({text!r}) == {result!r}\n")
    name = "building_blocks/" + "-".join(str(n) for n in chain)
    return Problem(
        name, prompt, "string_manipulation", solution, "def check(candidate):\n" + "".join(asserts), len(chain)
    )


def split_chains(
    seed: int, train: int = 6000, validation: int = 100, heldout: tuple[int, ...] = (6, 8, 8, 8)
) -> tuple[list[Chain], list[Chain], list[Chain]]:
    """(train, validation, held-out) ordered chains of 1 to 4 different blocks, heldout[k - 1] of length k.

    No chain of the first two has the same blocks, in any order, as a held-out one, nor holds a held-out chain
    of two blocks or more as a run. Single held-out blocks do occur, inside longer chains.
    """
    rng = np.random.default_rng(seed)
    held: list[Chain] = []
    for length, count in enumerate(heldout, 1):
        sets = list(itertools.combinations(range(len(BLOCKS)), length))
        for n in rng.choice(len(sets), count, replace=False):
            held.append(tuple(int(block) for block in rng.permutation(sets[n])))
    held_sets = {frozenset(chain) for chain in held}
    runs = {chain for chain in held if len(chain) > 1}

    def allowed(chain: Chain) -> bool:
        inside = {chain[i:j] for i in range(len(chain)) for j in range(i + 2, len(chain) + 1)}
        return frozenset(chain) not in held_sets and not inside & runs

    by_length = [
        [chain for chain in itertools.permutations(range(len(BLOCKS)), length) if allowed(chain)]
        for length in range(1, len(heldout) + 1)
    ]
    short = [chain for chains in by_length[:2] for chain in chains]
    long = [chain for chains in by_length[2:] for chain in (chains[n] for n in rng.permutation(len(chains))[:train])]
    rng.shuffle(long)
    cut = max(0, train - len(short))  # all short chains are kept, even where fewer were asked for
    return short + long[:cut], long[cut:][:validation], held
