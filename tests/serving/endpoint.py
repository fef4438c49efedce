"""A server on a free loopback port, in a thread of this process, and what talks to it."""

import contextlib
import http.client
import json
import socket
import threading

import uvicorn

from codex_jax.serving.app import Service, make_app
from codex_jax.serving.model_thread import Worker
from codex_jax.serving.request_limits import Limits

NAME = "letters"


@contextlib.contextmanager
def serving(engine, limits=Limits(), batch=8):  # noqa: B008
    """Yields (port, worker)."""
    worker = Worker(engine, batch, limits.waiting)
    app = make_app(Service(NAME, "fp", engine, worker, limits), ["127.0.0.1"])
    config = uvicorn.Config(app, log_level="warning", http="h11", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            yield sock.getsockname()[1], worker
        finally:
            server.should_exit = True
            thread.join()


def call(port, method, path, body=None, headers=None):
    """(status, headers, JSON or text)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, json.loads(text) if text.startswith("{") else text
