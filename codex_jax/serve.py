"""python -m codex_jax.serve: serves a run with OpenAI's completions API, to programs on this machine."""

import ipaddress
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import jax

from codex_jax import cli, terminal
from codex_jax.config import Dtype, MeshConfig
from codex_jax.errors import InputError
from codex_jax.parallel import numerics
from codex_jax.sampling.sampler import COPIES, load_engine
from codex_jax.sampling.samples_file import sample_fingerprint
from codex_jax.serving.model_thread import ModelThread
from codex_jax.serving.request_limits import RequestLimits
from codex_jax.serving.shapes import warm_up

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SHUTDOWN_SECONDS = 5  # to finish responses that have begun


@dataclass(frozen=True)
class Args:
    """Serves POST /v1/completions from a trained run. There is no authentication: it listens on this machine only.

    A request with a new shape compiles a program first. JAX_COMPILATION_CACHE_DIR=DIR keeps it for the next start.
    """

    run: Path  # run folder written by codex_jax.train; its name is the model's name
    host: str = "127.0.0.1"  # address to listen on
    port: int = 8000  # 0: any free port
    names: tuple[str, ...] = ()  # more names and addresses that clients may use in the Host header
    batch: int = 128  # samples drawn together by each copy of the model
    limits: RequestLimits = field(default_factory=RequestLimits)
    dtype: Dtype | None = None  # dtype of products, weights and cache; default: the run's compute dtype
    int8: bool = False  # keep the layers' weights in int8, with a scale per output
    mesh: MeshConfig = COPIES  # copies of the model, and the devices that each is split over


def listen(host: str, port: int) -> socket.socket:
    """Opens a listening socket; InputError if it cannot be opened."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a port must be from 0 to 65535"
        raise InputError(f"cannot listen on --host {host} --port {port}: {reason}") from None


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
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
    numerics.fix()
    numerics.check_platform()
    if jax.process_count() > 1:
        raise InputError("serving works on one host only")
    with listen(args.host, args.port) as sock:
        address, port = sock.getsockname()[:2]
        if not is_loopback(address):
            warning = f"anyone who can reach {address} can draw samples: there is no authentication"
            terminal.note(f"warning: {warning}")
        engine, origin = load_engine(args.run, args.mesh, args.dtype, args.int8)
        start = time.monotonic()
        warm_up(engine, args.batch)
        seconds = time.monotonic() - start
        name = Path(os.path.realpath(args.run)).name
        model_thread = ModelThread(engine, args.batch, args.limits.waiting)
        service = Service(name, sample_fingerprint(origin, ""), engine, model_thread, args.limits)
        shown = f"[{address}]" if ":" in address else address
        app = make_app(service, (*LOOPBACK, args.host, shown, socket.gethostname(), *args.names))
        terminal.note(f"{name}: http://{shown}:{port}/v1, first programs compiled in {seconds:.0f} s")
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
