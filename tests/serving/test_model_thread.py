"""The queue and cancellation, without a model: the test decides when a request is done."""

import http.client
import json
import queue
import socket
import threading
from types import SimpleNamespace

import pytest

from codex_jax.sampling.generate import Completion
from codex_jax.sampling.params import Sample
from codex_jax.sampling.scheduler import GenerationCancelled
from codex_jax.sampling.session import RawSample
from codex_jax.serving import model_thread
from codex_jax.serving.model_thread import End, ModelThread, QueueFullError
from codex_jax.serving.request_limits import RequestLimits
from tests.sampling.letters import CONFIG, Letters
from tests.serving.endpoint import call, serving

ENGINE = SimpleNamespace(config=CONFIG, tokenizer=Letters(), token_bytes=[bytes([n]) for n in range(127)])
SAMPLE = Completion(0, 0, Sample("x", 1, -1.0, -1.0, -1.0, -1.0, "length"), RawSample(*[[120], [-1.0], [-1.0]]))


class Gate:
    """Replaces generate: a request runs until the test lets it finish or it is cancelled."""

    def __init__(self):
        self.begun, self.finish, self.outcomes = queue.Queue(), threading.Semaphore(0), queue.Queue()

    def __call__(self, engine, requests, params, seed, batch, stream, cancelled):
        self.begun.put(seed)
        while not self.finish.acquire(timeout=0.01):
            if cancelled():
                self.outcomes.put("cancelled")
                raise GenerationCancelled
        if seed == 666:
            raise MemoryError("not enough")
        self.outcomes.put("finished")
        yield SAMPLE


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    monkeypatch.setattr(model_thread, "generate", gate)
    return gate


def submit(thread, seed, events):
    request = SimpleNamespace(prompts=(), params=None, seed=seed, stream=False, single=True)
    return thread.submit(request, lambda event: events.put((seed, event)))


def test_requests_run_in_order_unless_they_are_cancelled(gate):
    events, thread = queue.Queue(), ModelThread(None, 1, 3)
    assert thread.alive
    cancels = [submit(thread, 0, events)]
    assert gate.begun.get() == 0
    cancels += [submit(thread, seed, events) for seed in (1, 2, 3)]
    with pytest.raises(QueueFullError):
        submit(thread, 9, events)
    cancels[2]()
    assert thread.waiting == 2
    gate.finish.release()
    assert gate.begun.get() == 1
    cancels[1]()  # while it runs
    assert gate.begun.get() == 3
    gate.finish.release()
    assert [events.get() for _ in range(5)] == [
        (0, SAMPLE),
        (0, End()),
        (1, End(failed=True)),
        (3, SAMPLE),
        (3, End()),
    ]
    thread.stop()
    assert not thread.alive


def test_stopping_cancels_all_requests(gate):
    events, thread = queue.Queue(), ModelThread(None, 1, 3)
    submit(thread, 0, events)
    gate.begun.get()
    submit(thread, 1, events)
    thread.stop()  # hangs unless the running request is cancelled
    assert events.get() == (0, End(failed=True))
    assert gate.begun.empty()


def body_of(seed, **more):
    return {"prompt": "a", "seed": seed, **more}


def test_a_full_queue_rejects_requests(gate):
    with serving(ENGINE, RequestLimits(waiting=1)) as (port, model_thread):
        statuses = queue.Queue()

        def call_aside(seed):
            target = lambda: statuses.put(call(port, "POST", "/v1/completions", body_of(seed))[0])  # noqa: E731
            thread = threading.Thread(target=target)
            thread.start()
            return thread

        threads = [call_aside(1)]
        gate.begun.get()
        threads.append(call_aside(2))
        while not model_thread.waiting:
            pass
        status, headers, body = call(port, "POST", "/v1/completions", body_of(3))
        assert (status, headers["Retry-After"], body["error"]["code"]) == (429, "1", "queue_full")
        assert body["error"]["type"] == "rate_limit_error"
        gate.finish.release(2)
        for thread in threads:
            thread.join()
        assert [statuses.get() for _ in threads] == [200, 200]


@pytest.mark.parametrize("stream", [False, True])
def test_disconnecting_cancels_generation(gate, stream):
    with serving(ENGINE) as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        body = json.dumps(body_of(1, stream=stream))
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        assert gate.begun.get() == 1
        connection.close()
        assert gate.outcomes.get() == "cancelled"  # hangs otherwise
        gate.finish.release()
        assert call(port, "POST", "/v1/completions", body_of(2))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_fails_leaves_the_server_running(gate, stream):
    with serving(ENGINE) as (port, _):
        gate.finish.release(2)
        status, _, body = call(port, "POST", "/v1/completions", body_of(666, stream=stream))
        assert (status, body["error"]["type"]) == (503, "server_error")
        assert call(port, "POST", "/v1/completions", body_of(1))[0] == 200


def test_bodies_too_large_or_too_slow():
    with serving(ENGINE, RequestLimits(body_bytes=100, body_seconds=1)) as (port, _):
        status, _, body = call(port, "POST", "/v1/completions", body_of(1, user="x" * 100))
        assert (status, body["error"]["code"]) == (413, "request_too_large")
        for sent, status in ((b"{", b"408"), (b"{" + b" " * 200, b"413")):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                head = b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                sock.sendall(head + b"Content-Length: 1000000\r\n\r\n" + sent)
                assert sock.makefile("rb").readline().split()[1] == status
