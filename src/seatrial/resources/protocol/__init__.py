"""The protocols of resources: what a kind, a provider, a server, a store and a copy have to implement.

On the way from the configuration to a test, these calls are made:

    Kind.spec(requirements) -> ServerSpec     describes the server that is wanted
    Provider.reserve(spec) -> Server  chooses its address; nothing runs yet
    Server.start()                    starts the server, or uses one that already runs
    Kind.open(endpoint) -> Store      connects to it; the store has the templates and copies
    Store.build(key, name, fill)      makes a template, unless it exists
    Store.checkout(key, name) -> Copy makes a copy of the template for one worker

A kind does not know which provider serves it, and a provider does not know which kind it serves. Code on higher
floors does not ask which kind or provider it has, but what it can do: `isinstance(copy, SupportsReset)`.
"""

from __future__ import annotations

from seatrial.resources.protocol.audits import Auditor, Difference, Reading
from seatrial.resources.protocol.clients import (
    NOBODY,
    Client,
    Nobody,
    Returning,
    SupportsJoining,
    SupportsReturning,
)
from seatrial.resources.protocol.copies import (
    Copy,
    Ended,
    SupportsClone,
    SupportsFence,
    SupportsLayers,
    SupportsReady,
    SupportsRecycle,
    SupportsReset,
    SupportsRollback,
    SupportsTidy,
    SupportsUndoAtOnce,
    Undone,
)
from seatrial.resources.protocol.kinds import (
    Kind,
    Serverless,
    SupportsAdopt,
    SupportsAudit,
    SupportsLimits,
    SupportsOptions,
    SupportsShell,
)
from seatrial.resources.protocol.servers import (
    Address,
    AdoptionCandidate,
    Endpoint,
    Image,
    Launch,
    Program,
    Prompt,
    Provider,
    Requirements,
    Run,
    Server,
    ServerSpec,
    Shell,
    SupportsEnd,
    Wheel,
)
from seatrial.resources.protocol.stores import (
    Migrator,
    Store,
    SupportsForget,
    SupportsKeep,
    SupportsStay,
    SupportsVacant,
    Target,
)

__all__ = [
    "NOBODY",
    "Address",
    "AdoptionCandidate",
    "Auditor",
    "Client",
    "Copy",
    "Difference",
    "Ended",
    "Endpoint",
    "Image",
    "Kind",
    "Launch",
    "Migrator",
    "Nobody",
    "Program",
    "Prompt",
    "Provider",
    "Reading",
    "Requirements",
    "Returning",
    "Run",
    "Server",
    "ServerSpec",
    "Serverless",
    "Shell",
    "Store",
    "SupportsAdopt",
    "SupportsAudit",
    "SupportsClone",
    "SupportsEnd",
    "SupportsFence",
    "SupportsForget",
    "SupportsJoining",
    "SupportsKeep",
    "SupportsLayers",
    "SupportsLimits",
    "SupportsOptions",
    "SupportsReady",
    "SupportsRecycle",
    "SupportsReset",
    "SupportsReturning",
    "SupportsRollback",
    "SupportsShell",
    "SupportsStay",
    "SupportsTidy",
    "SupportsUndoAtOnce",
    "SupportsVacant",
    "Target",
    "Undone",
    "Wheel",
]
