"""What every benchmark turns its problems into: a prompt, how a sample becomes a program, and what is checked."""

from dataclasses import dataclass

from codex_jax.storage.jsonl import Json

# Results, beside "failed: REASON"; a part after a gate that was not passed is not run.
PASSED, TIMED_OUT, NOT_RUN = "passed", "timed out", "not run"


@dataclass(frozen=True)
class Part:
    """Tests with a verdict of their own. Each case is Python that defines check(candidate) and raises where it fails.

    A case has a process and a time limit of its own: cases are run in order until one fails.
    """

    name: str
    cases: tuple[str, ...]
    counts: bool = True  # whether a sample must pass it to pass
    gate: bool = False  # whether the parts after it are left out where it fails
    scaled_timeout: bool = False  # whether the limit is longer where the reference solution needs long


@dataclass(frozen=True)
class Task:
    """One problem. Nothing of its checks ever enters the process that runs a sample."""

    task_id: str
    prompt: str  # what a model is given
    entry_point: str  # the function that is called in the program
    parts: tuple[Part, ...]
    reference: str = ""  # a whole program that passes; "" where the benchmark has none
    opening: str = ""  # the code that a completion goes on from, which may be less than the prompt
    helpers: str = ""  # code that the checker runs before a case
    host: str = ""  # runs the text SOURCE, the sample, and defines entry_point; "": the sample does so itself
    stops: tuple[str, ...] = ()  # strings that end a completion
    group: str = ""  # such as a difficulty, by which rates are also told
    blocks: int | None = None  # chained building blocks, where it is such a problem

    def checks(self) -> tuple[Part, ...]:
        """The parts, wherever they are kept."""
        return self.parts

    def program(self, sample: Json) -> str:
        """The program of a sample: its "solution", which is whole, or its "completion" after the opening."""
        source = sample["solution"] if "solution" in sample else self.opening + sample["completion"]
        return f"SOURCE = {source!r}\n{self.host}" if self.host else source
