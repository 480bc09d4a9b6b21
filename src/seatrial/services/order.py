"""Who must run before whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence


def needed(wanted: Iterable[str], needs: Mapping[str, Sequence[str]]) -> set[str]:
    """The services of `wanted`, those that they need, those that these need, and so on."""
    found: set[str] = set()
    ahead = list(wanted)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(needs[name])
    return found


def rounds(names: Iterable[str], needs: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """`names` in rounds: those of one round can start side by side, once those of the round before are ready."""
    from graphlib import TopologicalSorter

    chosen = set(names)
    sorter = TopologicalSorter({name: [other for other in needs[name] if other in chosen] for name in chosen})
    sorter.prepare()
    while sorter.is_active():
        ready = tuple(sorted(sorter.get_ready()))
        yield ready
        sorter.done(*ready)
