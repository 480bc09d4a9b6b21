"""Whether the server in a folder of binaries is what a spec asks for."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from seatrial.errors import ProviderError
from seatrial.resources.protocol import Program, ServerSpec, Wheel


def executable(binaries: Path, program: Program) -> Path | None:
    """The server in this folder, or None."""
    places = (binaries / name for name in program.executables)
    return next((place for place in places if os.access(place, os.X_OK)), None)


def unfit(binaries: Path, spec: ServerSpec) -> str | None:
    """Why the server in this folder can't serve `spec`, or None if it can. Runs it, for its version only."""
    assert spec.program is not None, "a kind without a server needs no provider"
    if executable(binaries, spec.program) is None:
        return f"{binaries} has no {' or '.join(spec.program.executables)}"
    try:
        version = spec.program.version(binaries)
    except ProviderError as error:
        return f"{error.what}: {error.cause}" if error.cause else error.what
    if not satisfies(version, spec.version):
        return f"it is version {version}, and {spec.version} is wanted"
    return spec.program.lacks(binaries, spec)


def unbuilt(wheel: Wheel) -> str | None:
    """Why a wheel can't be installed here, or None where it has a build for this platform, or that is not known."""
    from packaging import tags

    if sys.version_info < wheel.python:
        return f"{wheel.distribution} needs Python {'.'.join(map(str, wheel.python))}; this is {sys.version.split()[0]}"
    here = list(tags.platform_tags())
    if not wheel.platforms or set(here).intersection(wheel.platforms):
        return None
    return f"{wheel.distribution} has no build for {here[0]}; there are builds for {', '.join(wheel.platforms)}"


def satisfies(version: str, requirement: str) -> bool:
    """Whether a version such as "18.6" satisfies a requirement such as ">=16" or "16" (any 16); empty takes any."""
    if not requirement:
        return True
    if requirement[0].isdigit():
        return version == requirement or version.startswith(f"{requirement}.")
    plain = re.fullmatch(r">=\s*([\d.]+)", requirement)
    if plain and re.fullmatch(r"[\d.]+", version):  # nearly always; the library takes 30 ms to import
        return _numbers(version) >= _numbers(plain[1])
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(requirement).contains(version, prereleases=True)


def _numbers(version: str) -> list[int]:
    """The parts of a version of digits; 18.0 is 18."""
    numbers = [int(part) for part in version.split(".") if part]
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
