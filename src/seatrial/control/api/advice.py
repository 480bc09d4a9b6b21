"""What an error advises, in the words of whoever is served here: errors are written for tests in pytest."""

from __future__ import annotations

import re

_MARKED = re.compile(
    r'mark (?P<test>it|the test) (?:with )?@pytest\.mark\.seatrial\((?P<name>\w+)="(?P<isolation>\w+)"\)'
)


def for_clients(fix: str) -> str:
    """The same advice, with another isolation where pytest has a marker for it."""
    return _MARKED.sub(_asked, fix)


def _asked(found: re.Match[str]) -> str:
    asked = f'{{"isolation": {{"{found["name"]}": "{found["isolation"]}"}}}}'
    return f'check {found["test"]} out with {asked} (in TypeScript: await seatrial.use("{found["isolation"]}"))'
