"""The joints between a harness and the system under test: in this process, or behind a socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class App(Protocol):
    """An application that was imported once, and serves every test of this worker."""

    target: Any
    """The application object itself."""

    def begin(self) -> None:
        """A test begins: overrides that are there already, besides ours, belong to the project or to wider fixtures.

        To be called after fixtures of wider scope and before the test's own; it may come after `override`. Where
        nobody calls it, the first of `client`, `async_client` and `override` does.
        """
        ...

    def client(self) -> Any:
        """The test's own HTTP client: no cookies or headers of an earlier test.

        The lifespan is run before the first, once. An exception of the app is raised where the request was made.
        """
        ...

    def async_client(self) -> Any:
        """The same for a test on an event loop of its own; the app stays on one loop from first test to last."""
        ...

    def live(self) -> Any:
        """The same app on a real socket, until the test ends: its `base_url`, and clients of it."""
        ...

    def override(self, replacements: Mapping[Callable[..., Any], Callable[..., Any]]) -> None:
        """Replace dependencies for this test, on top of the project's own overrides."""
        ...

    def restore(self) -> None:
        """The test is over: its client is closed, the overrides are as they were before the test.

        Raises `AppError` naming the requests that still ran, when all of that is done; they were cancelled.
        """
        ...

    def close(self) -> None:
        """Run the end of the lifespan."""
        ...


class Served(Protocol):
    """An application behind a socket: in a thread of ours, or as a process in any language."""

    base_url: str
    """Where it answers; fixed before it runs, so that others can be told."""

    def serve(self) -> str:
        """Have it run; returns `base_url` when it is ready. Where it runs already, nothing is done.

        Raises `AppError` where it does not start or does not get ready; nothing of it runs then.
        """
        ...

    def check(self) -> None:
        """Raise `AppError` if it has ended by itself since `serve`."""
        ...

    def log_size(self) -> int:
        """The size of its log in bytes: remember it at a test's start."""
        ...

    def log_tail(self, since: int = 0) -> str:
        """What it has logged from byte `since` on."""
        ...

    def close(self) -> None:
        """End it, and all that it has started. Calling it again does nothing."""
        ...
