"""Problems from contests: the statement as docstring, and tests on which several solutions agree."""

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_jax.curation.agreement import MAX_CHARACTERS, MAX_SOLUTIONS, Agreed, agreeing, record_values
from codex_jax.curation.contest_programs import (
    TEXT_NAME,
    TEXT_NOTE,
    TEXT_SIGNATURE,
    Signature,
    agreed_signature,
    call_body,
    docstring,
    text_body,
    with_prelude,
)
from codex_jax.curation.made_problem import MadeProblem, NotMade, Outcome
from codex_jax.curation.needed_code import BUILTINS
from codex_jax.curation.source_module import bound_names, global_names
from codex_jax.errors import InputError
from codex_jax.problems.apps import AppsRecord, read_apps
from codex_jax.problems.apps_answers import restore_arguments, restore_value, same_return
from codex_jax.problems.compare import long_integers
from codex_jax.problems.examples import public_examples
from codex_jax.sandbox.pool import CheckJob, Run
from codex_jax.storage.jsonl import Json, read_objects

MIN_TESTS = 2
LONGER = 5.0  # the time for all inputs of a problem, as a multiple of the time for one run
CALL_TEST = "    assert candidate({arguments}) == {value}\n"
TEXT_TEST = "    assert words(candidate({text!r})) == {value}\n"
WORDS = """\
    def words(text):
        return [line.split() for line in text.splitlines() if line.strip()]

"""


@dataclass(frozen=True)
class Contest:
    """A problem of a contest, with its solutions."""

    record: AppsRecord  # an output may be None: it is not known
    name: str  # unique
    licence: str
    provenance: str


def read_contests(spec: str, licence: str) -> Iterator[Contest]:
    """The problems of apps:DIR, or of a file of JSON lines with the same fields. InputError if one is broken."""
    if spec.startswith("apps:"):
        for record in read_apps(Path(spec.removeprefix("apps:"))):
            yield Contest(record, f"apps/{record.problem_id}", licence, record.url or f"apps/{record.problem_id}")
        return
    path = Path(spec)
    if not path.is_file():
        raise InputError(f"no contests {spec!r}: give apps:DIR, or a FILE.jsonl of problems with their solutions")
    for number, row in enumerate(read_objects(path, ("question",)), 1):
        try:
            record = record_of(row, number)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path} problem {number}: {error}: see docs/problems.md for the fields") from None
        name = f"{path.stem}/{record.problem_id}"
        yield Contest(record, name, str(row.get("licence") or licence), record.url or name)


def record_of(row: Json, number: int) -> AppsRecord:
    """The problem of a row. ValueError or TypeError if a field is wrong.

    solutions, inputs, outputs and fn_name may be fields, or text in JSON, as in published copies of APPS.
    """
    tests = {**_value(row.get("input_output") or {}, "input_output", dict)}
    tests |= {name: row[name] for name in ("inputs", "outputs", "fn_name") if name in row}
    inputs = list(_value(tests.get("inputs") or [], "inputs", list))
    outputs = list(_value(tests.get("outputs") or [], "outputs", list))
    if len(outputs) > len(inputs):
        raise ValueError(f"there are {len(inputs)} inputs and {len(outputs)} outputs")
    outputs += [None] * (len(inputs) - len(outputs))
    name = str(tests.get("fn_name") or "")
    solutions = _value(row.get("solutions") or [], "solutions", list)
    if not all(isinstance(one, str) for one in solutions):
        raise ValueError("a solution is not text")
    if name and not all(isinstance(one, list) for one in inputs):
        raise ValueError("an input is not a list of arguments")
    if not name:
        inputs, outputs = [_joined(one) for one in inputs], [None if one is None else _joined(one) for one in outputs]
    return AppsRecord(
        problem_id=str(row.get("problem_id", row.get("task_id", number))),
        question=row["question"],
        starter_code=str(row.get("starter_code") or ""),
        solutions=tuple(solutions),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        fn_name=name,
        difficulty=str(row.get("difficulty") or ""),
        url=str(row.get("url") or ""),
    )


def _value(value: Any, name: str, kind: type) -> Any:
    with long_integers():
        value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, kind):
        raise ValueError(f"{name!r} is not a {'list' if kind is list else 'JSON object'}")
    return value


def _joined(value: Any) -> str:
    lines = value if isinstance(value, list) else [value]
    if not all(isinstance(line, str) for line in lines):
        raise ValueError("an input or output is not text, and there is no fn_name")
    return "\n".join(lines)


def contest_job(contest: Contest, timeout: float) -> CheckJob[Json]:
    """The job that makes the problem in the sandbox; its answer is for outcome_of. timeout: CPU seconds of a run."""

    def job(run: Run) -> Json:
        made = make(contest, timeout, run)
        return {"reason": made} if isinstance(made, str) else {"made": asdict(made)}

    return job


def outcome_of(contest: Contest, answer: Json) -> Outcome:
    """The problem, or why there is none."""
    return MadeProblem(**answer["made"]) if "made" in answer else NotMade(contest.name, answer["reason"])


def make(contest: Contest, timeout: float, run: Run) -> MadeProblem | str:
    """The problem, or the reason why there is none."""
    record = contest.record
    if not record.solutions:
        return "no_solution"
    signature: Signature | None = Signature(TEXT_NAME, ("text",), TEXT_SIGNATURE)
    if record.fn_name:
        signature = agreed_signature(record.starter_code, record.solutions, record.fn_name)
    if signature is None:
        return "no_agreed_signature"
    statement = record.question if record.fn_name else f"{record.question.strip()}\n\n{TEXT_NOTE}"
    prompt = f"{signature.imports}{signature.line}\n{docstring(statement)}"
    bodies = _bodies(record, signature, prompt)
    if not bodies:
        return "solutions_do_not_parse"
    numbers = [n for n, one in enumerate(record.inputs) if len(repr(one)) <= MAX_CHARACTERS]
    if not numbers:
        return "no_tests"
    inputs = [_arguments(record, record.inputs[n]) for n in numbers]
    given = [record.outputs[n] for n in numbers]
    values = [_normal(record, record_values(prompt + body, signature.name, inputs, LONGER * timeout, run))
              for body in bodies]  # fmt: skip
    right = [n for n, row in enumerate(values) if not any(map(_contradicts, row, given, [record] * len(given)))]
    stated = [n for n, one in enumerate(given) if one is not None]
    shown = public_examples(
        record.question, tuple(record.inputs[numbers[n]] for n in stated), tuple(given[n] for n in stated),
        bool(record.fn_name),
    )  # fmt: skip
    tests = agreeing([values[n] for n in right], [one is not None for one in given], [stated[n] for n in shown])
    if len(tests) < MIN_TESTS:
        return "solutions_do_not_agree"
    passing = (n for n in right if all(values[n][test.number] == test.value for test in tests))
    best = next(passing, None)
    if best is None:
        return "no_solution_for_all_tests"
    return MadeProblem(
        task_id=f"contests/{contest.name}",
        prompt=prompt,
        entry_point=signature.name,
        canonical_solution=bodies[best],
        test=_test(record, inputs, tests),
        source="contests",
        licence=contest.licence,
        provenance=contest.provenance,
        repo=contest.name,
    )


def _bodies(record: AppsRecord, signature: Signature, prompt: str) -> list[str]:
    """The bodies of the first solutions as functions of this signature, in the order of their lengths."""
    found = []
    defined = {name for node in ast.parse(signature.imports).body for name in bound_names(node)}
    for source in record.solutions[:MAX_SOLUTIONS]:
        body = call_body(source, signature) if record.fn_name else text_body(source)
        if body is None:
            continue
        try:
            undefined = global_names(prompt + body) - BUILTINS - {signature.name}
        except (SyntaxError, ValueError, RecursionError):
            continue  # such as an import of * inside of a function
        found.append(with_prelude(body) if undefined - defined else body)
    return sorted(dict.fromkeys(found), key=len)


def _arguments(record: AppsRecord, given: Any) -> tuple:
    return tuple(restore_arguments(given)) if record.fn_name else (given,)


def words(text: str) -> list[list[str]]:
    """The words of each line that is not blank."""
    return [line.split() for line in text.splitlines() if line.strip()]


def _normal(record: AppsRecord, values: Sequence[str | None]) -> list[str | None]:
    """Values as tests compare them: of an output, only the words on its lines count."""
    if record.fn_name:
        return [*values]
    return [None if value is None else repr(words(ast.literal_eval(value))) for value in values]


def _contradicts(value: str | None, given: Any, record: AppsRecord) -> bool:
    """Whether a value is not the stated one."""
    if value is None or given is None:
        return False
    found = ast.literal_eval(value)
    return not same_return(found, restore_value(given)) if record.fn_name else found != words(given)


def _test(record: AppsRecord, inputs: Sequence[tuple], tests: Sequence[Agreed]) -> str:
    if record.fn_name:
        lines = [CALL_TEST.format(arguments=", ".join(map(repr, inputs[one.number])), value=one.value) for one in tests]
        return "def check(candidate):\n" + "".join(lines)
    lines = [TEXT_TEST.format(text=inputs[one.number][0], value=one.value) for one in tests]
    return "def check(candidate):\n" + WORDS + "".join(lines)
