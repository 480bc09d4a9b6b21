"""A capability is told by a class's methods: who lacks one of them has none of it, and without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Protocol

from seatrial.resources import protocol
from seatrial.testing.sample import Sample, running

CAPABILITIES: Mapping[type, tuple[Any, ...]] = {
    protocol.Kind: (
        protocol.SupportsOptions,
        protocol.SupportsLimits,
        protocol.SupportsAudit,
        protocol.SupportsShell,
        protocol.SupportsAdopt,
    ),
    protocol.Store: (
        protocol.SupportsKeep,
        protocol.SupportsStay,
        protocol.SupportsForget,
        protocol.SupportsVacant,
    ),
    protocol.Copy: (
        protocol.SupportsUndoAtOnce,
        protocol.SupportsReset,
        protocol.SupportsFence,
        protocol.SupportsReady,
        protocol.SupportsClone,
        protocol.SupportsRollback,
        protocol.SupportsTidy,
        protocol.SupportsRecycle,
        protocol.SupportsLayers,
    ),
    protocol.Client: (protocol.SupportsReturning, protocol.SupportsJoining),
    protocol.Server: (protocol.SupportsEnd,),
}
"""What each may have besides what all of its sort have."""


def a_capability_is_there_whole_or_not_at_all(sample: Sample) -> None:
    """Of the kind, of its store, copies and clients; and each that the sample says to be there is."""
    with running(sample) as bench:
        key = f"{bench.name}_capabilities"
        bench.store.build(key, bench.copy_name, bench.sample.fill)
        with closing(bench.store.checkout(key, bench.copy_name)) as copy, closing(copy.client()) as client:
            parts = (sample.kind, bench.store, copy, client)
            found = [half for role, part in zip(CAPABILITIES, parts, strict=False) for half in halves(role, type(part))]
            assert not found, "; ".join(found)
            lacking = [one.__name__ for one in sample.capabilities if not any(isinstance(part, one) for part in parts)]
            assert not lacking, f"the sample says that it has {' and '.join(lacking)}; see which method is missing"


def halves(role: type, subject: type) -> Iterator[str]:
    """The capabilities of which a class has some methods and lacks others, each in words.

    Args:
        role: `Kind`, `Store`, `Copy`, `Client` or `Server`.
        subject: the class that plays it.
    """
    for capability in CAPABILITIES[role]:
        members = declared(capability, besides=role)
        has = {name for name in members if hasattr(subject, name)}
        if has and has != members:
            some, rest = " and ".join(sorted(has)), " and ".join(sorted(members - has))
            yield f"{subject.__qualname__} has {some} of {capability.__name__}, and lacks {rest}"


def declared(capability: type, *, besides: type | None = None) -> frozenset[str]:
    """The names of what a protocol asks for, without what `besides` does."""
    return frozenset(
        name
        for base in capability.__mro__
        if base not in (object, Protocol, besides)
        for name in (*vars(base), *vars(base).get("__annotations__", {}))
        if not name.startswith("_")
    )
