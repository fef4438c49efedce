"""Numbers that the whole machine counts: no program may learn from one what an earlier program did."""

import random

import pytest

from codex_jax.errors import InputError
from codex_jax.sandbox.check import Check
from codex_jax.sandbox.layers import LAYERS
from codex_jax.sandbox.pool import SandboxWorker

ROUNDS = 30
RANGE = 256  # numbers that the sender tells from; by chance, one round in 256 is heard right
MOST = 3  # rounds heard right by chance: more of them once in 100,000 tests
TEST = "def check(candidate):\n    assert candidate({}) == {}\n"

# The sender moves a counter until it tells a number, and the receiver reads it. {0}: RANGE.
SEND_BY_THREADS = """
import _thread, threading
def f(number):
    lock = _thread.allocate_lock()
    told = []
    def thread():
        told.append(threading.get_native_id())
        lock.release()
    while not told or told[-1] % {0} != number:
        lock.acquire()
        _thread.start_new_thread(thread, ())
        lock.acquire()
        lock.release()
    return 0
"""
READ_OWN_ID = """
import os
def f(_):
    return (os.getpid() - 1) % {0}
"""
READ_A_THREADS_ID = """
import threading
def f(_):
    x = []
    t = threading.Thread(target=lambda: x.append(threading.get_native_id()))
    t.start()
    t.join()
    return (x[0] - 2) % {0}
"""
INODES = """
import os, socket
def inode():
    {1}
    number = os.fstat(a).st_ino
    os.close(a), os.close(b)
    return number
"""
SEND_BY_INODES = INODES + "def f(number):\n    while inode() % {0} != number:\n        pass\n    return 0\n"
READ_INODE = INODES + "def f(_):\n    return (inode() - 1 - ('socket' in {1!r})) % {0}\n"
PIPE, PAIR = "a, b = os.pipe()", "a, b = (s.detach() for s in socket.socketpair())"
CHANNELS = {
    "process ids": (SEND_BY_THREADS.format(RANGE), READ_OWN_ID.format(RANGE)),
    "thread ids": (SEND_BY_THREADS.format(RANGE), READ_A_THREADS_ID.format(RANGE)),
    "pipes": (SEND_BY_INODES.format(RANGE, PIPE), READ_INODE.format(RANGE, PIPE)),
    "socket pairs": (SEND_BY_INODES.format(RANGE, PAIR), READ_INODE.format(RANGE, PAIR)),
}


@pytest.fixture(scope="module", params=[layer.name for layer in LAYERS])
def worker(request):
    try:
        worker = SandboxWorker(request.param)
    except InputError as error:
        pytest.skip(str(error))
    yield worker
    worker.close()


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_next_program_hears_no_more_than_by_chance(worker, channel):
    send, read = CHANNELS[channel]
    heard = 0
    for number in random.Random(channel).sample(range(RANGE), ROUNDS):
        worker.run(Check(send, "f", TEST.format(number, 0)))
        heard += worker.run(Check(read, "f", TEST.format(0, number))).passed
    assert heard <= MOST


def test_process_ids_begin_anew_for_each_program():
    try:
        worker = SandboxWorker("namespaces")
    except InputError as error:
        pytest.skip(str(error))
    program = "import os, threading\ndef f():\n    return os.getpid(), threading.get_native_id(), os.getppid()\n"
    test = "def check(candidate):\n    assert candidate() == (1, 1, 0)\n"
    assert [worker.run(Check(program, "f", test)).status for _ in range(3)] == ["passed"] * 3
    worker.close()


@pytest.mark.parametrize("ends", ["os.pipe()", "map(socket.socket.detach, socket.socketpair())"])
def test_the_status_of_a_pipe_cannot_be_read_under_any_number(worker, ends):
    program = f"""
import fcntl, os, socket
def f():
    a, b = {ends}
    tries = {{
        "fstat": lambda: os.fstat(a),
        "stat": lambda: os.stat(a),
        "dup": lambda: os.dup(a),
        "dup2": lambda: os.dup2(a, 20),
        "fcntl": lambda: fcntl.fcntl(a, fcntl.F_DUPFD, 20),
        "open": lambda: os.stat(f"/dev/fd/{{a}}"),
        "proc": lambda: os.stat(f"/proc/self/fd/{{a}}"),
    }}
    worked = []
    for name, call in tries.items():
        try:
            call()
        except OSError:
            continue
        worked.append(name)
    os.write(b, b"x")
    fcntl.fcntl(a, fcntl.F_SETFL, os.O_NONBLOCK)
    return worked, os.read(a, 9)
"""
    test = "def check(candidate):\n    assert candidate() == ([], b'x')\n"
    assert worker.run(Check(program, "f", test)).status == "passed"
