"""Turns programs that read standard input and write standard output into functions from input text to output text."""

# Defines run(text) in the program. Descriptors 0 and 1 are real files, because programs may use them by number.
HOST = """
def run(text):
    import atexit, os, sys, threading
    with open("input", "w", encoding="utf-8", errors="replace", newline="") as file:
        file.write(text)
    os.dup2(os.open("input", os.O_RDONLY), 0)
    os.dup2(os.open("output", os.O_RDWR | os.O_CREAT | os.O_APPEND), 1)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = output = open(1, "w", encoding="utf-8", errors="replace", closefd=False)
    try:
        load("__main__")
    except SystemExit as stop:
        if stop.code not in (None, 0):
            raise
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, output):
        if not stream.closed:
            stream.flush()
    with open("output", encoding="utf-8", errors="replace", newline="") as file:
        return file.read()
"""
CASE = """\
from codex_jax.problems.apps_answers import same_output


def check(candidate):
    assert same_output(candidate({test_input!r}), {expected!r}), "another output"
"""
