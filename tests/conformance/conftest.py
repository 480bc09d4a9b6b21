"""The kinds of ours, on servers that outlast a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import end_servers

from seatrial.resources import registry
from seatrial.resources.protocol import Requirements
from seatrial.resources.providers.binary import Binary
from seatrial.testing import Sample

from .samples import FROM_THE_MACHINE, SAMPLES


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEATRIAL_CACHE", str(path))
        patch.setenv("SEATRIAL_IDLE", "20")
        yield path
    end_servers(path)


@pytest.fixture(scope="module")
def sample(cache: Path) -> Callable[[str], Sample]:
    """The kind by this name, as it is tried; skips where the machine has no server of it."""

    def get(name: str) -> Sample:
        kind = registry.kind(name)
        if name in FROM_THE_MACHINE and (lacking := Binary().probe(kind.spec(Requirements.of(project=cache)))):
            pytest.skip(lacking)
        return Sample(kind=kind, project=cache, **SAMPLES[name])

    return get
