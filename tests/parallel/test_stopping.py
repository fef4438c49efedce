import http.server
import os
import signal
import threading
import time

import pytest

from codex_jax.config import MeshConfig
from codex_jax.parallel.mesh import make_mesh
from codex_jax.parallel.stopping import Stop

MESH = make_mesh(MeshConfig())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_a_second_one_ends_the_process_as_before(number, capfd):
    received = []
    before = signal.signal(number, lambda *_: received.append(number))
    try:
        with Stop(MESH) as stop:
            vote = stop()
            assert stop()() == ""
            os.kill(os.getpid(), number)
            assert vote() == stop()() == number.name
            assert not received
            os.kill(os.getpid(), number)
            assert received == [number]
        os.kill(os.getpid(), number)
        assert received == [number] * 2
    finally:
        signal.signal(number, before)
    assert f"{number.name}: saving after this step" in capfd.readouterr().err


def test_without_a_signal_the_handlers_are_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with Stop(MESH):
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_outside_the_main_thread_no_handler_is_set():
    reasons = []

    def run():
        with Stop(MESH) as stop:
            reasons.append(stop()())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert reasons == [""]


def test_the_metadata_servers_notice_asks_to_stop():
    asked, answers = [], [b"FALSE", b"TRUE"]

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Metadata-Flavor"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[min(len(asked), 2) - 1])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Stop(MESH, f"localhost:{server.server_port}") as stop:
            while not (reason := stop()()):
                time.sleep(0.01)
        server.shutdown()
    assert reason == "preemption notice"
    assert asked == [("/computeMetadata/v1/instance/preempted?wait_for_change=true", "Google")] * 2
