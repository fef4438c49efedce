"""The HTTP routes: /v1/completions, whole or streamed, /v1/models and /health."""

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
from codex_jax.sampling.generate import Completion
from codex_jax.serving.api_error import APIError
from codex_jax.serving.model_thread import End, Event, ModelThread, QueueFullError
from codex_jax.serving.protocol import (
    CompletionRequest,
    choice,
    choices,
    finish_reason,
    model_not_found,
    read_request,
    usage,
)
from codex_jax.serving.request_limits import RequestLimits, read_body
from codex_jax.storage.jsonl import Json

RETRY_SECONDS = 1  # how long a client should wait if the queue is full


@dataclass(frozen=True)
class Service:
    """The model that is served. fingerprint: identifies its weights and dtypes."""

    name: str
    fingerprint: str
    engine: Engine
    model_thread: ModelThread
    limits: RequestLimits
    started: int = field(default_factory=lambda: int(time.time()))

    async def completions(self, request: Request) -> Response:
        """POST /v1/completions."""
        body = await read_body(request.stream(), request.headers.get("content-type", ""), self.limits)
        parsed = await run_in_threadpool(read_request, body, self.engine, self.name, self.limits)
        head: Json = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self.name,
            "system_fingerprint": self.fingerprint,
            "seed": parsed.seed,
        }
        events = self._events(parsed, request)
        first = await anext(events)  # before the response begins, so that an error can set its status

        async def all_events() -> AsyncIterator[Event]:
            yield first
            async for event in events:
                yield event

        if parsed.stream:
            return StreamingResponse(_stream(all_events(), parsed, head), media_type="text/event-stream")
        completions = [event async for event in all_events() if isinstance(event, Completion)]
        rows = choices(parsed, completions, self.engine.token_bytes)
        return JSONResponse({**head, "choices": rows, "usage": usage(parsed, completions)})

    async def _events(self, parsed: CompletionRequest, request: Request) -> AsyncIterator[Event]:
        # Yields the model thread's events except End; APIError if the queue is full or generation fails.
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event | None]()

        def report(event: Event) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            events.put_nowait(None)

        try:
            cancel = self.model_thread.submit(parsed, report)
        except QueueFullError:
            headers = {"Retry-After": str(RETRY_SECONDS)}
            message = "the queue is full: try again later"
            raise APIError(429, message, code="queue_full", headers=headers) from None
        watcher = asyncio.create_task(watch())
        try:
            while (event := await events.get()) != End():
                if event is None:
                    raise ClientDisconnect
                if isinstance(event, End):
                    raise APIError(503, "generation failed: see the server's log")
                yield event
        finally:
            watcher.cancel()
            cancel()

    def models(self, request: Request) -> Response:
        """GET /v1/models and /v1/models/NAME."""
        model = {"id": self.name, "object": "model", "created": self.started, "owned_by": "codex_jax"}
        name = request.path_params.get("name")
        if name is None:
            return JSONResponse({"object": "list", "data": [model]})
        if name != self.name:
            raise model_not_found(name, self.name)
        return JSONResponse(model)

    def health(self, request: Request) -> Response:
        """GET /health."""
        alive = self.model_thread.alive
        state = {"status": "ok" if alive else "stopped", "waiting": self.model_thread.waiting}
        return JSONResponse(state, 200 if alive else 503)


async def _stream(events: AsyncIterator[Event], request: CompletionRequest, head: Json) -> AsyncIterator[str]:
    # A single sample is sent in pieces as it grows; of several samples, each is sent whole when it is done.
    completions: list[Completion] = []

    def chunk(rows: Sequence[Json], usage: Json | None = None) -> str:
        extra = {"usage": usage} if request.include_usage else {}
        return f"data: {json.dumps({**head, 'choices': rows, **extra})}\n\n"

    try:
        async for event in events:
            if isinstance(event, str):
                yield chunk([choice(0, event)])
            elif isinstance(event, Completion):
                completions.append(event)
                start = request.prompts[event.request].numbers[0]
                index = event.request * request.n + event.number - start
                text = "" if request.single else event.sample.completion
                yield chunk([choice(index, text, finish_reason(event))])
    except APIError as error:
        yield f"data: {json.dumps(error.body)}\n\n"
        return
    if request.include_usage:
        yield chunk([], usage(request, completions))
    yield "data: [DONE]\n\n"


def _error_response(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):  # no such path or method
        error = APIError(error.status_code, error.detail, headers=error.headers)
    if not isinstance(error, APIError):
        error = APIError(500, "the server failed: see its log")
    return JSONResponse(error.body, error.status, headers=error.headers)


def _disconnected(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # Starlette requires a response, which nobody receives


def make_app(service: Service, hosts: Sequence[str]) -> Starlette:
    """hosts: allowed Host headers. They block web pages whose domain resolves to this machine (DNS rebinding)."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await run_in_threadpool(service.model_thread.stop)

    return Starlette(
        routes=[
            Route("/v1/completions", service.completions, methods=["POST"]),
            Route("/v1/models", service.models),
            Route("/v1/models/{name}", service.models),
            Route("/health", service.health),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        exception_handlers={
            **dict.fromkeys((APIError, HTTPException, Exception), _error_response),
            ClientDisconnect: _disconnected,
        },
        lifespan=lifespan,
    )
