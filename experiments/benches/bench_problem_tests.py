"""Do the tests of made problems notice errors? Each reference is changed in one operator or constant, and judged.

    python experiments/benches/bench_problem_tests.py problems.jsonl [--mutants 4] [--workers 2]
    python experiments/benches/bench_problem_tests.py problems.jsonl --layers namespaces landlock chroot

Prints the share of changed references (mutants) that fail the problem's tests, by package and by kind of change, with a
95% interval over problems. At most --mutants sites are drawn per reference, with a fixed seed, from those of the
function's body. The changes are those of common mutation testers: + and -, * and //, and and or, == and !=, < and <=,
a number n and n + 1, a text t and XXtXX, True and False, with and without a not or a minus.

Not changed are docstrings, annotations, and what a raise statement or a warning says, which no test is to compare. A
mutant is left out if it compiles to the reference's bytecode: it is the same program.

With --layers, each reference runs three times in each of these layers of the sandbox instead, and failures are printed.
"""

import argparse
import ast
import copy
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from codex_jax.curation.made_problem import MadeProblem
from codex_jax.curation.sampled import problem_of_row
from codex_jax.sandbox.check import PASSED, Check
from codex_jax.sandbox.pool import Run, run_jobs
from codex_jax.storage.jsonl import read_objects

SECONDS = 3.0
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.And: ast.Or, ast.Or: ast.And, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def sites(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, str, int]]:
    """(node, kind of change, number of the operator in a comparison) of each possible change in the body."""
    for statement in function.body[1:]:  # the first is the docstring
        todo: list[ast.AST] = [statement]
        while todo:
            node = todo.pop()
            if isinstance(node, ast.Raise) or _warns(node):
                continue
            if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)) and type(node.op) in OPERATORS:
                yield node, type(node.op).__name__, 0
            elif isinstance(node, ast.Compare):
                yield from ((node, type(one).__name__, n) for n, one in enumerate(node.ops))
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
                yield node, type(node.op).__name__, 0
            elif isinstance(node, ast.Constant) and type(node.value) in (int, float, str, bool):
                yield node, type(node.value).__name__, 0
            todo += [child for field, child in _children(node) if field not in ("annotation", "returns")]


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for field, value in ast.iter_fields(node):
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, ast.AST):
                yield field, one


def _warns(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "warn"


def change(node: ast.AST, number: int) -> ast.AST:
    """The node that takes this one's place."""
    if isinstance(node, ast.UnaryOp):
        return node.operand
    if isinstance(node, ast.Constant):
        value = node.value
        if type(value) is str:
            return ast.Constant(f"XX{value}XX")
        return ast.Constant(not value if type(value) is bool else value + 1)  # type: ignore[operator]
    if isinstance(node, ast.Compare):
        node.ops[number] = OPERATORS[type(node.ops[number])]()
    else:
        node.op = OPERATORS[type(node.op)]()  # type: ignore[attr-defined]
    return node


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, made: ast.AST) -> None:
        self.target, self.made = target, made

    def visit(self, node: ast.AST) -> ast.AST:
        return self.made if node is self.target else self.generic_visit(node)


def mutants(problem: MadeProblem) -> Iterator[tuple[str, str]]:
    """(kind of change, the changed program) for each site of a problem's reference."""
    tree = ast.parse(problem.text)
    (place,) = (n for n, node in enumerate(tree.body) if getattr(node, "name", "") == problem.entry_point)
    whole = compile(ast.unparse(tree), "mutant.py", "exec")
    for number, (_, kind, _) in enumerate(sites(tree.body[place])):  # type: ignore[arg-type]
        changed = copy.deepcopy(tree)
        node, _, operator = [*sites(changed.body[place])][number]  # type: ignore[arg-type]
        changed = _Replace(node, ast.fix_missing_locations(change(node, operator))).visit(changed)
        program = ast.unparse(ast.fix_missing_locations(changed))
        if compile(program, "mutant.py", "exec") != whole:
            yield kind, program


def references(problems: list[MadeProblem], layers: list[str], workers: int) -> None:
    """Runs the references in each layer."""

    def status(run: Run, problem: MadeProblem) -> str:
        return run(Check(problem.text, problem.entry_point, problem.test, cpu_seconds=SECONDS)).status

    for layer in layers:
        for number in range(1, 4):
            found = dict(run_jobs([partial(status, problem=one) for one in problems], workers, layer))
            failed = {problems[n].task_id: result for n, result in found.items() if result != PASSED}
            print(f"{layer} {number}: {len(problems) - len(failed)} of {len(problems)} passed {failed or ''}")


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", type=Path, nargs="+")
    parser.add_argument("--mutants", type=int, default=4, help="per reference")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--layers", nargs="+")
    parser.add_argument("--survivors", type=Path, help="a JSON lines file of the mutants that pass")
    args = parser.parse_args()
    problems = [problem_of_row(row) for path in args.problems for row in read_objects(path)]
    if args.layers:
        references(problems, args.layers, args.workers)
        return
    drawn: list[tuple[MadeProblem, str, str]] = []
    without = 0
    for problem in problems:
        found = [*mutants(problem)]
        without += not found
        for kind, program in random.Random(problem.task_id).sample(found, min(args.mutants, len(found))):
            drawn.append((problem, kind, program))

    def killed(run: Run, problem: MadeProblem, program: str) -> bool:
        return not run(Check(program, problem.entry_point, problem.test, cpu_seconds=SECONDS)).passed

    jobs = [partial(killed, problem=problem, program=program) for problem, _, program in drawn]
    verdicts = dict(run_jobs(jobs, args.workers))
    by_package: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    by_kind: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    by_problem: defaultdict[str, list[bool]] = defaultdict(list)
    for number, (problem, kind, _) in enumerate(drawn):
        by_package[problem.repo][verdicts[number]] += 1
        by_kind[kind][verdicts[number]] += 1
        by_problem[problem.task_id].append(verdicts[number])
    if args.survivors:
        rows = [
            json.dumps({"task_id": problem.task_id, "kind": kind, "program": program})
            for number, (problem, kind, program) in enumerate(drawn)
            if not verdicts[number]
        ]
        args.survivors.write_text("".join(f"{row}\n" for row in rows))
    for title, counts in (("package", by_package), ("change", by_kind)):
        print(f"\n{title:24} mutants  killed")
        for name, count in sorted(counts.items(), key=lambda pair: -pair[1].total()):
            print(f"{name:24} {count.total():7} {count[True] / count.total():7.1%}")
    groups = [*by_problem.values()]
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(1000):
        some = [groups[n] for n in rng.integers(len(groups), size=len(groups))]
        rates.append(sum(map(sum, some)) / sum(map(len, some)))
    rate = sum(verdicts.values()) / len(verdicts)
    low, high = np.quantile(rates, [0.025, 0.975])
    first = sum(group[0] for group in groups) / len(groups)
    print(f"\n{len(problems)} problems ({without} without a site), {len(drawn)} mutants: {rate:.1%} killed")
    print(f"95% interval over problems {low:.1%} to {high:.1%}; of one mutant per reference {first:.1%}")


if __name__ == "__main__":
    main()
