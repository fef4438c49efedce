"""An error response in the format of OpenAI's API."""

from collections.abc import Mapping

from codex_jax.storage.jsonl import Json


class APIError(Exception):
    """A request that gets an error response. status: HTTP's; param: the field that is wrong; code: for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.headers = status, message, param, code, headers

    @property
    def body(self) -> Json:
        """The response's JSON."""
        kind = {429: "rate_limit_error"}.get(
            self.status, "server_error" if self.status >= 500 else "invalid_request_error"
        )
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}
