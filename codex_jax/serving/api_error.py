"""An error response in the format of OpenAI's API."""

from collections.abc import Mapping
from dataclasses import dataclass

from codex_jax.storage.jsonl import Json


@dataclass(eq=False)
class APIError(Exception):
    """An error response. status: the HTTP status; param: the invalid field; code: a machine-readable reason."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] | None = None

    @property
    def body(self) -> Json:
        """The response's JSON."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
