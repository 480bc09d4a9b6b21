"""The endpoints of the HTTP API as data: what each takes, gives and refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from seatrial.control.api import messages

NO_TOKEN, UNKNOWN, TAKEN, GONE, UNFIT, FULL = 401, 404, 409, 410, 422, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One request that can be made."""

    name: str
    """The operation's id, and the method of the service that carries it out."""
    method: str
    path: str
    summary: str
    takes: type | None = None
    gives: type | None = None
    status: int = HTTPStatus.OK
    query: Mapping[str, str] = field(default_factory=dict)
    """Numbers that may follow the path, each with what it means."""
    refuses: tuple[int, ...] = ()
    """Statuses besides those that every request of this form can get."""
    public: bool = False
    """Whether it takes no token."""
    streams: bool = False

    def statuses(self) -> tuple[int, ...]:
        """Every status from 400 on that it can give."""
        always = () if self.public else (NO_TOKEN,)
        malformed = (400, 413, 415, UNFIT) if self.takes else (UNFIT,) if "{" in self.path or self.query else ()
        return tuple(sorted({*always, *malformed, *self.refuses}))


ENDPOINTS = (
    Endpoint(
        name="health",
        method="GET",
        path="/v1/health",
        summary="The server answers.",
        gives=messages.Health,
        public=True,
    ),
    Endpoint(name="description", method="GET", path="/v1/openapi.json", summary="This description.", public=True),
    Endpoint(
        name="resources",
        method="GET",
        path="/v1/resources",
        summary="The configured resources, their isolation and their variables. Starts nothing.",
        gives=messages.Resources,
    ),
    Endpoint(
        name="log",
        method="GET",
        path="/v1/resources/{resource}/log",
        summary="What the server of a resource has logged since a place in its log.",
        gives=messages.Log,
        query={"since": "the place in bytes, as an earlier answer told it in `size`"},
        refuses=(UNKNOWN,),
    ),
    Endpoint(
        name="open_worker",
        method="POST",
        path="/v1/workers",
        summary="Bring every resource up and reserve one copy of each for a worker. Asked again, it answers the same.",
        takes=messages.WorkerRequest,
        gives=messages.Worker,
        refuses=(TAKEN, FULL),
    ),
    Endpoint(
        name="close_worker",
        method="DELETE",
        path="/v1/workers/{worker}",
        summary="The worker is done: its copies are dropped.",
        status=HTTPStatus.NO_CONTENT,
        refuses=(UNKNOWN,),
    ),
    Endpoint(
        name="hold",
        method="GET",
        path="/v1/workers/{worker}/hold",
        summary="Hold the worker's copies for as long as this response is read; they are dropped soon after its end.",
        refuses=(UNKNOWN,),
        streams=True,
    ),
    Endpoint(
        name="checkout",
        method="POST",
        path="/v1/workers/{worker}/checkout",
        summary="A test begins: it gets the worker's copies at their baseline.",
        takes=messages.CheckoutRequest,
        gives=messages.Checkout,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="checkin",
        method="POST",
        path="/v1/workers/{worker}/checkin",
        summary="The test is over: what it wrote is undone.",
        takes=messages.CheckinRequest,
        gives=messages.Checkin,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="next",
        method="POST",
        path="/v1/workers/{worker}/next",
        summary="One test is over and the next begins, in one round trip. Where none had the copies, it only begins.",
        takes=messages.NextRequest,
        gives=messages.Next,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="open_layer",
        method="POST",
        path="/v1/workers/{worker}/layers",
        summary="Rows for several tests are going to be written: what came late of the last test is undone first.",
        takes=messages.LayerRequest,
        gives=messages.Layer,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="lay",
        method="POST",
        path="/v1/workers/{worker}/layers/{id}/lay",
        summary="They are written: they belong to the baseline of the worker's tests from now on.",
        gives=messages.Layer,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="lift",
        method="DELETE",
        path="/v1/workers/{worker}/layers/{id}",
        summary="Those tests are over, and one that runs ends: the layer is gone, as is each that was begun after it.",
        gives=messages.Layer,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="open_clone",
        method="POST",
        path="/v1/clones",
        summary="A copy of the configured template for one of several tests that run at once.",
        takes=messages.CloneRequest,
        gives=messages.Clone,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="close_clone",
        method="DELETE",
        path="/v1/clones/{id}",
        summary="Give it back.",
        status=HTTPStatus.NO_CONTENT,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="open_template",
        method="POST",
        path="/v1/templates",
        summary="Find the template of this hash, or begin one: then `url` is an empty database for the caller to fill.",
        takes=messages.TemplateRequest,
        gives=messages.Template,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="finalize",
        method="POST",
        path="/v1/templates/{hash}/finalize",
        summary="The template is filled: copies can be had from now on. Those who wait for it get theirs.",
        gives=messages.Template,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="discard",
        method="DELETE",
        path="/v1/templates/{hash}",
        summary="Give up a template that is being filled. One that is finished is forgotten, and its copies go.",
        status=HTTPStatus.NO_CONTENT,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="open_copy",
        method="POST",
        path="/v1/templates/{hash}/copies",
        summary="Check a copy out. Waits until the template is finalized.",
        takes=messages.CopyRequest,
        gives=messages.Copy,
        refuses=(UNKNOWN, TAKEN, GONE, FULL),
    ),
    Endpoint(
        name="reset",
        method="POST",
        path="/v1/copies/{id}/reset",
        summary="Undo what was written to the copy; it stays with its holder.",
        gives=messages.Undone,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="keep",
        method="POST",
        path="/v1/copies/{id}/keep",
        summary="Set the copy aside as it is, for a look at it; its holder has it no more.",
        gives=messages.Kept,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="close_copy",
        method="DELETE",
        path="/v1/copies/{id}",
        summary="Check the copy in.",
        status=HTTPStatus.NO_CONTENT,
        refuses=(UNKNOWN, TAKEN, FULL),
    ),
    Endpoint(
        name="shutdown",
        method="POST",
        path="/v1/shutdown",
        summary="Drop every copy and end.",
        gives=messages.Stopping,
        status=HTTPStatus.ACCEPTED,
    ),
)

PATTERNS: Mapping[str, str] = {
    "worker": messages.WORKER,
    "hash": messages.HASH,
    "id": messages.NUMBER,
    "resource": "^[A-Za-z][A-Za-z0-9_]{0,39}$",
}
"""What each part of a path looks like."""
