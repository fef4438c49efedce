"""Limits on requests, and reading a request's body within them."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass

from codex_jax.errors import InputError
from codex_jax.serving.api_error import APIError


@dataclass(frozen=True)
class RequestLimits:
    """A request beyond a limit gets an error response."""

    body_bytes: int = 2**20  # size of a request body
    body_seconds: int = 10  # time to receive a request
    samples: int = 128  # per request: prompts times best_of (or n)
    stops: int = 16  # stop strings per request
    stop_bytes: int = 128  # bytes of all stop strings: each needs a table row as wide as the vocabulary
    waiting: int = 32  # requests in the queue
    connections: int = 128  # open connections

    def check(self) -> None:
        """Raises InputError for a limit below 1."""
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise InputError(f"--limits.{name.replace('_', '-')} must be at least 1, not {value}")


async def read_body(pieces: AsyncIterator[bytes], content_type: str, limits: RequestLimits) -> bytes:
    """Reads a request's body; APIError if it is too large, too slow or not declared as JSON.

    Requiring JSON blocks web pages of other sites: without a preflight, browsers send only other content types.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise APIError(415, f"the Content-Type must be application/json, not {media_type or 'missing'!r}")
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in pieces:
                body += piece
                if len(body) > limits.body_bytes:
                    message = f"the request is larger than {limits.body_bytes} bytes"
                    raise APIError(413, message, code="request_too_large")
    except TimeoutError:
        raise APIError(408, f"the request did not arrive within {limits.body_seconds} s") from None
    return bytes(body)
