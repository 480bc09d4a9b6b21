"""Made-up services in the frameworks that teams use, each tested by a real pytest in one run."""

from __future__ import annotations

import pytest


@pytest.fixture
def passes(project):
    """Runs pytest in the project with these options; the text that it printed, if all tests passed."""

    def run(*arguments: str, passed: int, **environ: str) -> str:
        outcome = project.pytest(*arguments, **environ)
        assert outcome.status == 0, outcome.text
        assert outcome.counts() == {"passed": passed}, outcome.text
        return outcome.text

    return run
