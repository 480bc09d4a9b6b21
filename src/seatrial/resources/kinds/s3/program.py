"""How SeaweedFS runs as a local process: one program with many ports, all of them on the loopback interface."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from seatrial.core import ports
from seatrial.core.folders import digest
from seatrial.resources.kinds.s3.connection import resource, session
from seatrial.resources.kinds.s3.notes import OURS
from seatrial.resources.protocol import Address, Endpoint, Launch, Run, ServerSpec
from seatrial.resources.versions import Versions, not_accepted

KEY = "seatrial"
"""The access key that we and the app share, unless `at` names another: rights are no matter of a bucket's content."""
_KEYS = "keys.json"
_SERVICES = ("master", "filer", "volume", "s3", "admin")
"""Each has a second port, for gRPC; that of S3 itself is the server's."""
_OFF = ("master.telemetry", "admin.ui", "webdav", "s3.iam")
_OLDEST = (4, 0)


class WeedProgram:
    """`protocol.Program` of SeaweedFS 4, which has `weed mini`."""

    executables: ClassVar[tuple[str, ...]] = ("weed",)
    refuses_root: ClassVar[bool] = False

    def __init__(self) -> None:
        self._versions = Versions(r"\b(\d+\.\d+)\b", "version")
        self._probes: dict[Address, Any] = {}

    def version(self, binaries: Path) -> str:
        """The version of the server in this folder. Raises `ProviderError` if it can't be run."""
        return self._versions.of(binaries / self.executables[0])

    def lacks(self, binaries: Path, spec: ServerSpec) -> str | None:
        """What this server, or this Python, does not have; or None."""
        del spec
        if importlib.util.find_spec("boto3") is None:
            return "boto3 is not installed: pip install 'seatrial[s3]'"
        major, minor = map(int, self.version(binaries).split("."))
        return None if (major, minor) >= _OLDEST else "SeaweedFS before 4.0 is not supported"

    def fingerprint(self, binaries: Path, spec: ServerSpec) -> str:
        """A key of everything that shapes a fresh data folder: the keys."""
        return digest(
            f"{self.version(binaries)} {KEY} {spec.at.user if spec.at else ''} {spec.at and spec.at.password}", 16
        )

    def initialise(self, binaries: Path, data: Path, spec: ServerSpec, password: str, run: Run) -> None:  # noqa: ARG002 - nothing has to be run
        """Write down the keys: on a command line everybody could read them."""
        data.mkdir(mode=0o700)
        keys = {KEY: password}
        if spec.at is not None and spec.at.user:
            keys[spec.at.user] = spec.at.password
        identities = [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": ["Admin"]}
            for key, secret in keys.items()
        ]
        file = data / _KEYS
        file.touch(mode=0o600)
        file.write_text(json.dumps({"identities": identities}), encoding="utf-8")

    def launch(self, binaries: Path, data: Path, folder: Path, spec: ServerSpec, port: int, durable: bool) -> Launch:  # noqa: ARG002 - the kind refuses it
        """The process to run. It is ended by SIGKILL: it writes as it goes, and takes a second for its farewells."""
        # Without -logtostderr it keeps files of its log beside the sockets, in the folder for temporary files.
        argv = [str(binaries / self.executables[0]), "-logtostderr", "mini"]
        argv += [f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        argv += [f"-s3.port={port}", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={data / _KEYS}"]
        argv += [f"-{name}=false" for name in _OFF]
        # Each bucket takes volumes of its own, which are files that grow as they are written to.
        argv += ["-volume.max=10000", "-master.volumeSizeLimitMB=64"]
        argv += [f"-{name}.localSocket={folder / name}.sock" for name in ("s3", "filer")]
        held, outside = [], []
        for service in _SERVICES:
            for name in (f"{service}.port", f"{service}.port.grpc"):
                if name != "s3.port":
                    chosen = ports.choose(f"{folder} {name}", {port})
                    held.append(chosen)
                    argv.append(f"-{name}={chosen.port}")
                    if name.endswith("grpc"):
                        outside.append(Path(f"/tmp/seaweedfs-{service}-grpc-{chosen.port}.sock"))  # noqa: S108 - no option names another folder
        return Launch(
            argv=tuple(argv),
            cwd=folder,
            log=folder / "log",
            stop_signal=signal.SIGKILL,
            die_signal=signal.SIGKILL,
            outside=tuple(outside),
            ports=tuple(held),
        )

    def admin(self, port: int, password: str) -> Address:
        """The server, with the key that we and the app share."""
        return Address(scheme="http", host="127.0.0.1", port=port, user=KEY, password=password)

    def answers(self, endpoint: Endpoint) -> bool:
        """It lists its buckets. False while it is still starting, or refuses us.

        Where the address names a bucket: whether that is one of ours which is complete, and stays.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if endpoint.owned:
                socket.create_connection((endpoint.admin.host, endpoint.admin.port), 1).close()
            probe = self._probe(endpoint.admin).meta.client
            there = {one["Name"] for one in probe.list_buckets()["Buckets"]}
            wanted = endpoint.admin.database
            if wanted:
                noted = probe.list_objects_v2(Bucket=OURS, Prefix=f"lasting/{wanted}/") if OURS in there else {}
                return wanted in there and bool(noted.get("KeyCount"))
        except (OSError, BotoCoreError, ClientError):
            return False
        return True

    def asked_version(self, endpoint: Endpoint) -> str:
        """Empty: S3 has no versions to tell. Raises `ProviderError` if it can't be reached, or refuses us."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._probe(endpoint.admin).meta.client.list_buckets()
        except (BotoCoreError, ClientError) as error:
            raise not_accepted(endpoint, error, "key and secret") from None
        return ""

    def _probe(self, address: Address) -> Any:
        server = replace(address, database="")
        if server not in self._probes:
            self._probes[server] = resource(server, session(), patience=5)
        return self._probes[server]
