"""python -m codex_jax.serve: a run behind OpenAI's completions API, for programs on this machine."""

import ipaddress
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import jax

from codex_jax import cli
from codex_jax.config import Dtype, MeshConfig
from codex_jax.errors import InputError
from codex_jax.sampling.sampler import COPIES, load_engine
from codex_jax.sampling.samples_file import fingerprint
from codex_jax.serving.generate import warm
from codex_jax.serving.model_thread import Worker
from codex_jax.serving.request_limits import Limits

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SHUTDOWN_SECONDS = 5  # for answers that are under way


@dataclass(frozen=True)
class Args:
    """Answers POST /v1/completions from a trained run. Without authentication: by default only this machine may ask.

    A program is compiled when a request of a new shape comes; JAX_COMPILATION_CACHE_DIR=DIR keeps it for the next
    start.
    """

    run: Path  # run folder written by codex_jax.train; its name is the model's
    host: str = "127.0.0.1"  # address to listen on
    port: int = 8000  # 0: a free one
    names: tuple[str, ...] = ()  # further names and addresses by which clients call this machine
    batch: int = 128  # samples drawn together by each copy of the model
    limits: Limits = field(default_factory=Limits)
    dtype: Dtype | None = None  # of products, weights and cache; default: the run's compute dtype
    int8: bool = False  # the layers' weights in int8, a scale for each output
    mesh: MeshConfig = COPIES  # copies of the model, and the devices that each is split over


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can reach; InputError where there can be none."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a port is from 0 to 65535"
        raise InputError(f"cannot listen on --host {host} --port {port}: {reason}") from None


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def main(args: Args) -> None:
    """The command."""
    try:
        import uvicorn

        from codex_jax.serving.app import Service, make_app
    except ModuleNotFoundError:
        raise InputError("serving needs more packages: pip install 'codex_jax[serve]'") from None

    if args.batch < 1:
        raise InputError(f"--batch must be at least 1, not {args.batch}")
    args.limits.check()
    if jax.process_count() > 1:
        raise InputError("one host serves: start it on a single one")
    with listen(args.host, args.port) as sock:
        address, port = sock.getsockname()[:2]
        if not is_loopback(address):
            print(f"warning: whoever reaches {address} may draw samples: there is no authentication", file=sys.stderr)
        engine, origin = load_engine(args.run, args.mesh, args.dtype, args.int8)
        began = time.monotonic()
        warm(engine, args.batch)
        name = args.run.resolve().name
        worker = Worker(engine, args.batch, args.limits.waiting)
        service = Service(name, fingerprint(origin, ""), engine, worker, args.limits)
        shown = f"[{address}]" if ":" in address else address
        app = make_app(service, (*LOOPBACK, args.host, shown, socket.gethostname(), *args.names))
        print(
            f"{name}: http://{shown}:{port}/v1, programs of the first shape in {time.monotonic() - began:.0f} s",
            file=sys.stderr,
        )
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=args.limits.connections,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run(main, Args))
