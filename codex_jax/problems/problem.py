"""The common form of a problem, to which every benchmark is converted."""

from dataclasses import dataclass

from codex_jax.storage.jsonl import Json

# Results of a test suite; the other results are "failed: REASON".
PASSED, TIMED_OUT, NOT_RUN = "passed", "timed out", "not run"
PAPER_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # paper section 3.2


@dataclass(frozen=True)
class TestSuite:
    """Tests that share one result.

    A case is Python source that defines check(candidate), which raises an exception if the candidate is wrong. Each
    case runs in its own process with its own time limit. The cases run in order until one fails.
    """

    __test__ = False  # tells pytest that this is not a class of tests

    name: str
    cases: tuple[str, ...]
    required: bool = True  # a sample passes only if it passes this suite
    gate: bool = False  # if a sample fails this suite, the suites after it are not run
    scaled_timeout: bool = False  # a slow reference solution raises the time limit


@dataclass(frozen=True)
class Problem:
    """A prompt, how a sample becomes a program, and tests, which never enter the process that runs a sample."""

    task_id: str
    prompt: str  # what the model completes
    entry_point: str  # the function of the program that the tests call
    suites: tuple[TestSuite, ...]
    reference: str = ""  # a whole program that passes; "" if the benchmark has none
    opening: str = ""  # the code that a completion continues: the prompt, a part of it, or ""
    setup: str = ""  # source that the checker runs before a test, such as helper functions
    host: str = ""  # source that calls load() to run the sample as a module, and defines entry_point; see Check
    stops: tuple[str, ...] = PAPER_STOPS  # strings that end a completion
    group: str = ""  # such as the difficulty: pass rates are also reported by group
    prelude: str = ""  # for APPS: which names every program finds defined, "official" or "none"
    blocks: int | None = None  # number of chained building blocks, for a problem of that benchmark

    @property
    def canonical_solution(self) -> str:
        """The reference solution without the prompt."""
        return self.reference.removeprefix(self.prompt)

    def test_suites(self) -> tuple[TestSuite, ...]:
        """The test suites, which a subclass may read from disk."""
        return self.suites

    def program(self, sample: Json) -> str:
        """The program of a sample: its "solution", a whole program, or the opening with its "completion"."""
        return sample["solution"] if "solution" in sample else self.opening + sample["completion"]
