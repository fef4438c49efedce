"""The line and its end, without a model: what is drawn is decided by the test."""

import http.client
import json
import queue
import socket
import threading
from types import SimpleNamespace

import pytest

from codex_jax.sampling.params import Sample
from codex_jax.sampling.scheduler import RawSample
from codex_jax.serving import model_thread
from codex_jax.serving.generate import CancelledError, Completion
from codex_jax.serving.model_thread import End, Job, QueueFullError, Worker
from codex_jax.serving.request_limits import Limits
from tests.sampling.letters import CONFIG, Letters
from tests.serving.endpoint import call, serving

ENGINE = SimpleNamespace(config=CONFIG, tokenizer=Letters(), token_bytes=[bytes([n]) for n in range(127)])
SAMPLE = Completion(0, 0, Sample("x", 1, -1.0, -1.0, -1.0, -1.0, "length"), RawSample(*[[120], [-1.0], [-1.0]]))


class Gate:
    """Stands in for draw: a request waits until it is let through or abandoned."""

    def __init__(self):
        self.begun, self.let = queue.Queue(), threading.Semaphore(0)
        self.ended = queue.Queue()  # how

    def __call__(self, engine, requests, how, seed, batch, wanted, grown):
        self.begun.put(seed)
        while not self.let.acquire(timeout=0.01):
            if not wanted():
                self.ended.put("abandoned")
                raise CancelledError
        if seed == 666:
            raise MemoryError("more than there is")
        self.ended.put("drawn")
        yield SAMPLE


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    monkeypatch.setattr(model_thread, "draw", gate)
    return gate


def job(seed, told):
    asked = SimpleNamespace(requests=(), how=None, seed=seed, stream=False, single=True)
    return Job(asked, lambda event: told.put((seed, event)))


def test_jobs_are_drawn_in_order_and_those_that_leave_are_not(gate):
    told, ours = queue.Queue(), Worker(None, 1, 3)
    ours.start()
    jobs = [job(seed, told) for seed in range(4)]
    ours.submit(jobs[0])
    assert gate.begun.get() == 0
    for one in jobs[1:]:
        ours.submit(one)
    with pytest.raises(QueueFullError):
        ours.submit(job(9, told))
    ours.drop(jobs[2])
    assert ours.waiting == 2
    gate.let.release()
    assert gate.begun.get() == 1
    ours.drop(jobs[1])  # while it is drawn
    assert gate.begun.get() == 3
    gate.let.release()
    events = [told.get() for _ in range(5)]
    assert events == [(0, SAMPLE), (0, End()), (1, End(failed=True)), (3, SAMPLE), (3, End())]
    ours.stop()
    assert not ours.alive


def test_stopping_ends_what_is_drawn(gate):
    told, ours = queue.Queue(), Worker(None, 1, 3)
    ours.start()
    ours.submit(job(0, told))
    gate.begun.get()
    ours.stop()  # hangs unless it does
    assert told.get() == (0, End(failed=True))


def ask(seed, **more):
    return {"prompt": "a", "seed": seed, **more}


def test_a_full_line_is_refused_until_there_is_room(gate):
    with serving(ENGINE, Limits(waiting=1)) as (port, ours):
        answers = queue.Queue()

        def ask_aside(seed):
            thread = threading.Thread(target=lambda: answers.put(call(port, "POST", "/v1/completions", ask(seed))[0]))
            thread.start()
            return thread

        threads = [ask_aside(1)]
        gate.begun.get()
        threads.append(ask_aside(2))
        while not ours.waiting:
            pass
        status, headers, body = call(port, "POST", "/v1/completions", ask(3))
        assert (status, headers["Retry-After"], body["error"]["code"]) == (429, "1", "queue_full")
        assert body["error"]["type"] == "rate_limit_error"
        gate.let.release(2)
        for thread in threads:
            thread.join()
        assert [answers.get() for _ in threads] == [200, 200]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_is_not_drawn_for(gate, stream):
    with serving(ENGINE) as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        body = json.dumps(ask(1, stream=stream))
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        assert gate.begun.get() == 1
        connection.close()
        assert gate.ended.get() == "abandoned"  # hangs unless it is
        gate.let.release()
        assert call(port, "POST", "/v1/completions", ask(2))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_fails_leaves_the_server_running(gate, stream):
    with serving(ENGINE) as (port, _):
        gate.let.release(2)
        status, _, body = call(port, "POST", "/v1/completions", ask(666, stream=stream))
        assert (status, body["error"]["type"]) == (503, "server_error")
        assert call(port, "POST", "/v1/completions", ask(1))[0] == 200


def test_bodies_too_large_or_too_slow():
    with serving(ENGINE, Limits(body_bytes=100, body_seconds=1)) as (port, _):
        status, _, body = call(port, "POST", "/v1/completions", ask(1, user="x" * 100))
        assert (status, body["error"]["code"]) == (413, "request_too_large")
        for sent, status in ((b"{", b"408"), (b"{" + b" " * 200, b"413")):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                head = b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                sock.sendall(head + b"Content-Length: 1000000\r\n\r\n" + sent)
                assert sock.makefile("rb").readline().split()[1] == status
