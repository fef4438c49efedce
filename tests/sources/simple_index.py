"""A package index on this machine, from which pip downloads."""

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codex_jax.sources.archives import normalise_name


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def simple_index(folder: Path, archives: dict[str, bytes], monkeypatch) -> Iterator[None]:
    """Serves archives by their file names; pip uses this index alone."""
    for name, data in archives.items():
        place = (
            folder / "simple" / normalise_name(name.rpartition("-")[0] if name.endswith("z") else name.split("-")[0])
        )
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
        links = "".join(f'<a href="{one}">{one}</a>\n' for one in sorted(os.listdir(place)) if one != "index.html")
        (place / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield
        server.shutdown()
