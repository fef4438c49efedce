"""The sandbox's input, a Check of one program, and its output, a Result."""

from dataclasses import dataclass

PASSED, TIMED_OUT = "passed", "timed out"
LIMIT = "failed: limit: "  # before the name of a limit that an answer exceeds
HARNESS = "failed: harness: "  # before what the sandbox cannot do, which is not the program's failure


@dataclass(frozen=True)
class Policy:
    """What a program may use. It can import the standard library, and packages. A worker has one fixed policy."""

    memory: int = 4 << 30  # bytes of address space
    file_size: int = 128 << 20  # bytes of one file
    scratch_size: int = 192 << 20  # bytes of all files in the scratch folder
    scratch_files: int = 2000
    processes: int = 256  # threads; programs cannot fork
    descriptors: int = 1024  # open files; 64 of them are for ends of pipes
    packages: tuple[str, ...] = ()  # installed packages that programs may import, by their names in import statements


STDLIB_ONLY = Policy()


@dataclass(frozen=True)
class Check:
    """A program and the test that it must pass. The test never enters the process that runs the program."""

    program: str  # source of a module that runs in the sandbox
    entry_point: str  # the function that the test calls, defined by the program, or by the host if there is one
    test: str  # source that defines check(candidate), which raises if the candidate is wrong; runs in the checker
    host: str = ""  # source that also runs in the sandbox, calls load() to run the program, and defines entry_point
    setup: str = ""  # source that runs in the checker before the test, such as helper functions
    cpu_seconds: float = 3.0  # limit on the program's CPU time
    policy: Policy = STDLIB_ONLY


@dataclass(frozen=True)
class Result:
    """The outcome of a check."""

    status: str  # "passed", "timed out" or "failed: REASON"
    cpu_seconds: float = 0.0  # CPU time that the program used

    @property
    def passed(self) -> bool:
        """Whether the test ran to its end without an error."""
        return self.status == PASSED
