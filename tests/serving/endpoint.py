"""A server on a free loopback port, in a thread of this process, and a client."""

import contextlib
import http.client
import json
import socket
import threading

import uvicorn

from codex_jax.serving.app import Service, make_app
from codex_jax.serving.model_thread import ModelThread
from codex_jax.serving.request_limits import RequestLimits

NAME = "letters"


@contextlib.contextmanager
def serving(engine, limits=RequestLimits(), batch=8):  # noqa: B008
    """Yields (port, model thread)."""
    model_thread = ModelThread(engine, batch, limits.waiting)
    app = make_app(Service(NAME, "fp", engine, model_thread, limits), ["127.0.0.1"])
    config = uvicorn.Config(app, log_level="warning", http="h11", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            yield sock.getsockname()[1], model_thread
        finally:
            server.should_exit = True
            thread.join()


def call(port, method, path, body=None, headers=None):
    """(status, headers, JSON or text)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, response.headers, json.loads(text) if text.startswith("{") else text
