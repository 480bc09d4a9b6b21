"""What is advised, in the words of whoever is served here: errors and notes are written for tests in pytest."""

from __future__ import annotations

import re

_MARKED = re.compile(
    r'mark (?P<test>it|the test) (?:with )?@pytest\.mark\.seatrial\((?P<name>\w+)="(?P<isolation>\w+)"\)'
)
_RUN = re.compile(r"\s+pytest \S.* --seatrial-set (?P<name>\w+)\.isolation=(?P<isolation>\w+)$")
_FIXTURE = re.compile(r"^the fixture ")


def for_clients(text: str) -> str:
    """The same, with another isolation where pytest has a marker, or an option, for it, and layers for fixtures."""
    text = _FIXTURE.sub("the layer ", text)
    text = _MARKED.sub(lambda found: _asked(found["test"], found), text)
    return _RUN.sub(lambda found: f" {_asked('it', found)}", text)


def _asked(test: str, found: re.Match[str]) -> str:
    asked = f'{{"isolation": {{"{found["name"]}": "{found["isolation"]}"}}}}'
    return f'check {test} out with {asked} (in TypeScript: await seatrial.use("{found["isolation"]}"))'
