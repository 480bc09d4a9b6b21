"""What keeps a resource from its start: whatever it is, each test that needs the resource must be told."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from seatrial.core import folders
from seatrial.core.redact import redact
from seatrial.errors import SeatrialError
from seatrial.harness.plan import Plan


def failure_of(step: Callable[[], None], plan: Plan) -> SeatrialError | None:
    """Take a step towards the resource; what it fails of, without the resource's passwords."""
    try:
        with folders.enough_room():
            step()
    except SeatrialError as error:
        error.what, error.cause, error.fix = (
            redact(part, *plan.secrets) for part in (error.what, error.cause, error.fix)
        )
        return error
    except Exception as error:  # noqa: BLE001 - of anybody's code
        return SeatrialError(
            f"{plan.name}: {type(error).__name__}: {redact(str(error), *plan.secrets).strip()}",
            cause="Seatrial did not expect this:\n" + redact("".join(traceback.format_exception(error)), *plan.secrets),
            fix="this is a bug of Seatrial's: please report it with the text above",
        )
    return None
