"""The routes: /v1/completions, whole or streamed, /v1/models and /health."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from codex_jax.sampling.engine import Engine
from codex_jax.serving.api_error import APIError
from codex_jax.serving.body import read_body
from codex_jax.serving.model_thread import Completion, End, Event, Job, QueueFullError, Worker
from codex_jax.serving.protocol import CompletionRequest, choice, choices, finish_reason, no_model, read_request, usage
from codex_jax.serving.request_limits import Limits
from codex_jax.storage.jsonl import Json

RETRY_SECONDS = 1  # after which a client that found the line full may come again


@dataclass(frozen=True)
class Service:
    """What is served. fingerprint: of the model's weights and dtypes."""

    name: str
    fingerprint: str
    engine: Engine
    worker: Worker
    limits: Limits
    began: int = field(default_factory=lambda: int(time.time()))

    async def completions(self, request: Request) -> Response:
        """POST /v1/completions."""
        body = await read_body(request, self.limits)
        asked = await run_in_threadpool(read_request, body, self.engine, self.name, self.limits)
        head: Json = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self.name,
            "system_fingerprint": self.fingerprint,
            "seed": asked.seed,
        }
        told = self._events(asked, request)
        first = await anext(told)  # before an answer begins: it may still be a refusal
        if asked.stream:
            return StreamingResponse(_stream(first, told, asked, head), media_type="text/event-stream")
        made = [first] if isinstance(first, Completion) else []
        made += [event async for event in told if isinstance(event, Completion)]
        return JSONResponse(
            {**head, "choices": choices(asked, made, self.engine.token_bytes), "usage": usage(asked, made)}
        )

    async def _events(self, asked: CompletionRequest, request: Request) -> AsyncIterator[Event]:
        # What the worker tells, until it is over; APIError where there is no room or it fails.
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event | None]()

        def tell(event: Event) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            events.put_nowait(None)

        job = Job(asked, tell)
        try:
            self.worker.submit(job)
        except QueueFullError:
            headers = {"Retry-After": str(RETRY_SECONDS)}
            raise APIError(429, "too many requests wait: try again", code="queue_full", headers=headers) from None
        watcher = asyncio.create_task(watch())
        try:
            while (event := await events.get()) != End():
                if event is None:
                    raise ClientDisconnect
                if isinstance(event, End):
                    raise APIError(503, "the request could not be drawn: the server's log says why")
                yield event
        finally:
            watcher.cancel()
            self.worker.drop(job)

    def models(self, request: Request) -> Response:
        """GET /v1/models and /v1/models/NAME."""
        model = {"id": self.name, "object": "model", "created": self.began, "owned_by": "codex_jax"}
        name = request.path_params.get("name")
        if name is None:
            return JSONResponse({"object": "list", "data": [model]})
        if name != self.name:
            raise no_model(name, self.name)
        return JSONResponse(model)

    def health(self, request: Request) -> Response:
        """GET /health."""
        alive = self.worker.alive
        state = {"status": "ok" if alive else "stopped", "waiting": self.worker.waiting}
        return JSONResponse(state, 200 if alive else 503)


async def _stream(first: Event, told: AsyncIterator[Event], asked: CompletionRequest, head: Json) -> AsyncIterator[str]:
    # One sample in pieces as it grows; of several, each whole when it finishes.
    made: list[Completion] = []

    def chunk(rows: Sequence[Json], usage: Json | None = None) -> str:
        counted = {"usage": usage} if asked.include_usage else {}
        return f"data: {json.dumps({**head, 'choices': rows, **counted})}\n\n"

    async def all_events() -> AsyncIterator[Event]:
        yield first
        async for event in told:
            yield event

    try:
        async for event in all_events():
            if isinstance(event, str):
                yield chunk([choice(0, event)])
            elif isinstance(event, Completion):
                made.append(event)
                start = asked.requests[event.request].numbers[0]
                index = event.request * asked.n + event.number - start
                text = "" if asked.single else event.sample.completion
                yield chunk([choice(index, text, finish_reason(event))])
    except APIError as refusal:
        yield f"data: {json.dumps(refusal.body)}\n\n"
        return
    if asked.include_usage:
        yield chunk([], usage(asked, made))
    yield "data: [DONE]\n\n"


def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):  # the routes' own: no such path, no such method
        error = APIError(error.status_code, error.detail, headers=error.headers)
    if not isinstance(error, APIError):
        error = APIError(500, "the server has failed: its log says why")
    return JSONResponse(error.body, error.status, headers=error.headers)


def _nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # the client has gone: none reads this


def make_app(service: Service, hosts: Sequence[str]) -> Starlette:
    """hosts: names by which clients may call; another, which a page had resolved to this machine, is refused."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.worker.start()
        try:
            yield
        finally:
            await run_in_threadpool(service.worker.stop)

    return Starlette(
        routes=[
            Route("/v1/completions", service.completions, methods=["POST"]),
            Route("/v1/models", service.models),
            Route("/v1/models/{name}", service.models),
            Route("/health", service.health),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        exception_handlers={APIError: _refuse, HTTPException: _refuse, ClientDisconnect: _nobody, Exception: _refuse},
        lifespan=lifespan,
    )
