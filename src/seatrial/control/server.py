"""The process of `seatrial serve`: its sockets, its one line on standard output, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seatrial import __version__
from seatrial.config.model import Config
from seatrial.control.service import Limits, Service
from seatrial.core import processes
from seatrial.errors import ProviderError

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    port: int = 0
    """0 takes a free one."""
    socket: Path | None = None
    integresql: int | None = None
    """The port for clients of IntegreSQL; None serves none."""
    until_stdin_closes: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    limits: Limits = field(default_factory=Limits)


def serve(
    config: Config,
    options: Options,
    ready: Callable[[dict[str, Any]], None],
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until somebody says that it is enough, or nobody has wanted anything for the idle time.

    Args:
        config: the project's.
        options: what the command line says.
        ready: told once where the server answers, and the token.
        say: told what people should read, and what concerns no test.
    """
    with asyncio.Runner(loop_factory=_loop()) as runner:
        runner.run(_serve(config, options, ready, say))


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's where it is installed: a request then costs a fifth less, and its answer is one packet, not two."""
    try:
        import uvloop
    except ImportError:  # it is not made for every platform
        return None
    return uvloop.new_event_loop


async def _serve(
    config: Config, options: Options, ready: Callable[[dict[str, Any]], None], say: Callable[[str], None]
) -> None:
    from seatrial.control.application import application
    from seatrial.control.doors import Doors
    from seatrial.control.handlers import Handlers
    from seatrial.control.integresql import IntegreSQL

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(_tcp(options.port))]
        url = _url(sockets[0])
        if options.socket is not None:
            sockets.append(stack.enter_context(_unix(options.socket)))
            stack.callback(options.socket.unlink, missing_ok=True)
        open_door = Doors(options.socket, options.token).open if options.socket else lambda _: None
        service = Service(config, options.limits, say, open_door)
        app = application(service, Handlers(service).table(), options.token)
        servers = [_uvicorn(app, sockets)]
        integresql = None
        if options.integresql is not None:
            mine = stack.enter_context(_tcp(options.integresql))
            integresql = _url(mine)
            servers.append(_uvicorn(IntegreSQL(service).application(), [mine]))
        _stop_on_signals(service)
        if options.until_stdin_closes:
            stack.enter_context(service.request())  # who holds it open may want something at any time
            _stop_with_stdin(service)
        running = [asyncio.ensure_future(server.serve(sockets=mine)) for server, mine in servers]
        sweeping = asyncio.ensure_future(service.run())
        ready(
            {
                "url": url,
                "socket": str(options.socket) if options.socket else None,
                "integresql": integresql,
                "token": options.token,
                "pid": os.getpid(),
                "version": __version__,
            }
        )
        try:
            await asyncio.wait([sweeping, *running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            service.stopping.set()
            for server, _ in servers:
                server.should_exit = True
            await asyncio.gather(*running, return_exceptions=True)
            try:
                await sweeping
            finally:
                await service.close()


def _uvicorn(app: Any, sockets: list[socket.socket]) -> tuple[Any, list[socket.socket]]:
    import uvicorn

    from seatrial.control.upgrades import WithoutUpgrades

    class Server(uvicorn.Server):
        """Leaves the signals to us."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    settings = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        http=WithoutUpgrades,
        ws="none",
        timeout_keep_alive=600,
        timeout_graceful_shutdown=5,
    )
    return Server(settings), sockets


def _tcp(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        made.bind((_HOST, port))
    except OSError as error:
        made.close()
        raise ProviderError(
            f"port {port} of {_HOST} can't be served", cause=str(error.strerror), fix="take another, or --port 0"
        ) from error
    made.listen(1024)
    return made


def _unix(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        processes.remove_deserted(str(path))
        made.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise ProviderError(
                f"the socket {path} is taken",
                cause="another server answers there, or it is no socket",
                fix="take another path, or end that server",
            ) from error
        raise ProviderError(
            f"the socket {path} can't be served",
            cause=str(error.strerror or error),
            fix="take a path under 100 bytes in a folder of yours",
        ) from error
    made.listen(1024)
    return made


def _url(made: socket.socket) -> str:
    return f"http://{_HOST}:{made.getsockname()[1]}"


def _stop_on_signals(service: Service) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(ValueError, RuntimeError):  # not the main thread: whoever runs us ends us
            loop.add_signal_handler(number, service.stopping.set)


def _stop_with_stdin(service: Service) -> None:
    loop = asyncio.get_running_loop()

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):  # not sys.stdin, whose lock would be held when the interpreter ends
                pass
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(service.stopping.set)

    threading.Thread(target=watch, name="seatrial stdin", daemon=True).start()
