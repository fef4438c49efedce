"""The body of a request, read within the limits."""

import asyncio

from starlette.requests import Request

from codex_jax.serving.api_error import APIError
from codex_jax.serving.request_limits import Limits


async def read_body(request: Request, limits: Limits) -> bytes:
    """All of it; APIError where it is too large, too slow or not said to be JSON.

    A page of another site can have a browser send text here unasked, but not JSON.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise APIError(415, f"the Content-Type must be application/json, not {kind or 'missing'!r}")
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in request.stream():
                body += piece
                if len(body) > limits.body_bytes:
                    raise APIError(413, f"a request may have {limits.body_bytes} bytes", code="request_too_large")
    except TimeoutError:
        raise APIError(408, f"the request has not come within {limits.body_seconds} s") from None
    return bytes(body)
