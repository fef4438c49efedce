"""The paper's study of limits: docstrings that chain k of 13 one-line string operations (section 6, appendix C)."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from codex_jax.problems import humaneval
from codex_jax.problems.problem import Problem
from codex_jax.problems.task import Task

Chain = tuple[int, ...]
NAME = "building blocks"


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
# So that a chain can be trained on more than once without a repeated document.
NAMES = tuple(
    f"{verb}_{noun}"
    for verb in ("transform", "process", "convert", "modify", "rewrite", "edit", "change", "update", "prepare", "fix")
    for noun in ("string", "text", "sentence", "line", "words", "message", "title", "paragraph", "note", "phrase")
)
# As in HumanEval, a function may stand below imports. So a solution may start at many places of a context, and a model
# does not tie a block to some of them.
MODULES = ("collections", "functools", "itertools", "math", "random", "re", "string", "typing")
MOST_IMPORTS = 4
# Of the training problems. There are but 13 single blocks, and a larger share of them would be learnt by heart.
LENGTH_SHARES = (0.05, 0.35, 0.35, 0.25)


def make_problem(chain: Chain, rng: np.random.Generator, name: str = "string_manipulation") -> Problem:
    """The problem of a chain, in HumanEval's form; the expected values are computed here, not by the solution."""
    blocks = [BLOCKS[n] for n in chain]
    bullets = "".join(f"    -{block.description}\n" for block in blocks)
    modules = sorted(rng.choice(MODULES, int(rng.integers(MOST_IMPORTS + 1)), replace=False))
    imports = "".join(f"import {module}\n" for module in modules) + "\n\n" * bool(modules)
    prompt = f'{imports}def {name}(s: str):\n    """\n    {INTRODUCTION}\n{bullets}    """\n'
    solution = "".join(f"    {block.code}\n" for block in blocks) + "    return s\n"
    asserts = []
    for n in range(CHECKS):
        text = "" if n == 0 else "".join(rng.choice(LETTERS, int(rng.integers(8, 61))))
        result = text
        for block in blocks:
            result = block.apply(result)
        asserts.append(f"    assert candidate({text!r}) == {result!r}\n")
    task_id = f"building_blocks/{'-'.join(map(str, chain))}/{name}"
    return Problem(task_id, prompt, name, solution, "def check(candidate):\n" + "".join(asserts), len(chain))


def make_problems(chains: Iterable[Chain], rng: np.random.Generator) -> Iterator[Problem]:
    """A problem a chain; one that comes again has another function name, from a random first one on."""
    first: dict[Chain, int] = {}
    for chain in chains:
        first[chain] = first.get(chain, int(rng.integers(len(NAMES)))) + 1
        yield make_problem(chain, rng, NAMES[first[chain] % len(NAMES)])


def split_chains(
    seed: int, train: int = 12_000, heldout: tuple[int, ...] = (4, 12, 12, 12)
) -> tuple[list[Chain], list[Chain]]:
    """(training, held-out) ordered chains of 1 to 4 blocks, heldout[k - 1] of length k and of different blocks.

    No training chain is made of the same blocks, in any order, as a held-out one; parts of longer chains are free, or
    single blocks could not be held out. A training chain may hold a block twice, by which a block is met in every
    place. Training chains are drawn by LENGTH_SHARES and come again where there are too few, but no more often than
    there are NAMES: there may then be fewer than `train`.
    """
    rng = np.random.default_rng(seed)
    held: list[Chain] = []
    for length, count in enumerate(heldout, 1):
        sets = list(itertools.combinations(range(len(BLOCKS)), length))
        for n in rng.choice(len(sets), count, replace=False):
            held.append(tuple(int(block) for block in rng.permutation(sets[n])))
    held_sets = {frozenset(chain) for chain in held}
    chosen: list[Chain] = []
    for length, share in enumerate(LENGTH_SHARES, 1):
        every = itertools.product(range(len(BLOCKS)), repeat=length)
        chains = [chain for chain in every if frozenset(chain) not in held_sets]
        order = rng.permutation(len(chains))
        count = min(round(share * train), len(NAMES) * len(chains))
        chosen += [chains[order[n % len(chains)]] for n in range(count)]
    return [chosen[n] for n in rng.permutation(len(chosen))], held


def heldout_problems(seed: int = 0) -> list[Problem]:
    """The problems of split_chains' held-out chains; names and checks may differ from those of another run."""
    return list(make_problems(split_chains(seed)[1], np.random.default_rng(seed)))


def load() -> list[Task]:
    """The held-out problems of seed 0 as tasks."""
    return [humaneval.task_of(asdict(problem)) for problem in heldout_problems()]
