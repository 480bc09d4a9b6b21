"""From an error to the status of a response."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from seatrial import errors

STATUSES: Mapping[type[errors.SeatrialError], int] = MappingProxyType(
    {
        errors.ConfigError: 422,
        errors.TemplateError: 422,
        errors.Refused: 409,
        errors.IsolationError: 409,
        errors.ProviderError: 503,
    }
)


class RequestError(errors.SeatrialError):
    """The request can't be carried out as it was made.

    Args:
        status: of the response.
        what: what is wrong with it.
        cause: why.
        fix: what to send instead.
    """

    def __init__(self, status: int, what: str, *, cause: str = "", fix: str = "") -> None:
        super().__init__(what, cause=cause, fix=fix)
        self.status = status


class NoneFree(RequestError):
    """Every copy is out, and none came back in time."""


def status_of(error: errors.SeatrialError) -> int:
    """The status that says what sort of error it is: whose fault, and whether it helps to ask again."""
    if isinstance(error, RequestError):
        return error.status
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
