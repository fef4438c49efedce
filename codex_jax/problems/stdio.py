"""Turns programs that read standard input and write standard output into functions from input text to output text."""

# Defines run(text), which runs the program as `python program.py < input > output` does. Descriptors 0 and 1 are real
# files, because programs may use them by number. They have no names, so that a program's own files cannot replace them.
HOST = """
def run(text):
    import atexit, contextlib, os, posix, sys

    def descriptors(path, data):
        write = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        read = os.open(path, os.O_RDONLY)
        with contextlib.suppress(OSError):  # some layers do not let a file be deleted
            os.unlink(path)
        with open(write, "wb", closefd=False) as file:
            file.write(data)
        return read, write

    def written():
        with open(output, "rb", closefd=False) as file:
            data = file.read()
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def leave(status):
        reply(written())
        exit_at_once(status)

    read, write = descriptors(".standard-input", text.encode("utf-8", "surrogatepass"))
    os.dup2(read, 0)
    os.close(read)
    os.close(write)
    output, write = descriptors(".standard-output", b"")
    os.dup2(write, 1)
    os.close(write)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogatepass", closefd=False)
    sys.stdout = sys.__stdout__ = stdout = open(1, "w", encoding="utf-8", errors="surrogatepass", closefd=False)
    exit_at_once = os._exit
    os._exit = posix._exit = leave
    with contextlib.suppress(SystemExit):  # with any status, as run_test of hendrycks/apps does
        load("__main__", {prelude!r})
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()  # waits for threads, as Python does
    atexit._run_exitfuncs()
    for finish in (
        lambda: sys.stdout.flush(),
        lambda: vars(sys.modules["__main__"]).clear(),  # closes files, which writes what they hold back
        lambda: stdout.flush(),
    ):
        with contextlib.suppress(Exception):  # the program has closed or replaced it
            finish()
    return written()
"""
CASE = """\
from codex_jax.problems.apps_answers import same_output


def check(candidate):
    assert same_output(candidate({test_input!r}), {expected!r}), "another output"
"""
