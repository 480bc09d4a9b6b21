"""What a worker's own socket answers: the three requests that enclose tests, without a way through the event loop."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from seatrial.control.api import answers, messages
from seatrial.control.api.decode import Decoder, encode
from seatrial.control.api.problems import RequestError
from seatrial.control.leases.door import Asked, Door
from seatrial.control.leases.worker import Worker
from seatrial.core import processes

STEPS: Mapping[str, type] = {
    "checkout": messages.CheckoutRequest,
    "checkin": messages.CheckinRequest,
    "next": messages.NextRequest,
}
"""The last part of each path that is answered, and the message that it takes."""


class Doors:
    """Opens a socket for each worker, beside the server's own.

    Args:
        beside: the server's unix socket.
        token: what a request must bear.
    """

    def __init__(self, beside: Path, token: str) -> None:
        self._beside = beside
        self._token = token.encode()
        self._numbers = itertools.count(1)
        self._decoders = {step: Decoder(message) for step, message in STEPS.items()}

    def open(self, worker: Worker) -> Door | None:
        """The worker's, if there can be one: all is served by the server's own sockets as well."""
        path = self._beside.with_name(f"{self._beside.name}.{next(self._numbers)}")
        processes.remove_deserted(str(path))  # of a server that was killed
        try:
            return Door(path, lambda asked: self._answer(worker, asked))
        except OSError:  # the path is too long by now
            return None

    def _answer(self, worker: Worker, asked: Asked) -> tuple[int, bytes]:
        try:
            answers.authorize(asked.authorization, self._token)
            step = _step(worker, asked)
            answers.limit(len(asked.body))
            return 200, encode(worker.answer(step, answers.read(self._decoders[step], asked.kind, asked.body)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must be told in three parts
            return answers.failed(error)


def _step(worker: Worker, asked: Asked) -> str:
    ours, _, step = asked.path.rpartition("/")
    if asked.method == "POST" and ours == f"/v1/workers/{worker.name}" and step in STEPS:
        return step
    raise RequestError(
        404,
        f"{asked.method} {asked.path[:200]}: not here",
        cause=f"this is the socket of worker {worker.name}: it answers {', '.join(STEPS)} of that worker",
        fix="send it to the server's own socket, or to its port",
    )
