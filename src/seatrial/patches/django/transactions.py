"""A TransactionTestCase leaves its database to us, where Django would flush it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from seatrial.patches.django.ours import Ours
from seatrial.patches.protocol import Patch
from seatrial.patches.replacing import Changes, Replacing


def flush(ours: Ours) -> Patch:
    """Databases of resources are not flushed after a test, and their sequences not restarted before one.

    The lease does both: what a test wrote is undone, ids included, and what the baseline holds stays. Django's
    flush would empty every table, and restarted sequences would collide with seed data.
    """

    def change(module: ModuleType, changes: Changes) -> None:
        kind = module.TransactionTestCase
        connections: Any = module.connections
        teardown, restart = kind._fixture_teardown, kind._reset_sequences  # noqa: SLF001 - Django has no other joint

        def is_ours(alias: str) -> bool:
            return bool(ours.resource(connections[alias].settings_dict))

        def _fixture_teardown(case: Any) -> None:
            others = [alias for alias in case._databases_names(include_mirrors=False) if not is_ours(alias)]  # noqa: SLF001 - as above
            case._databases_names = lambda **_: others  # noqa: SLF001 - as above
            try:
                teardown(case)
            finally:
                del case._databases_names  # noqa: SLF001 - as above

        def _reset_sequences(alias: str) -> None:
            if not is_ours(alias):
                restart(alias)

        changes.replace(kind, "_fixture_teardown", _fixture_teardown)
        changes.replace(kind, "_reset_sequences", staticmethod(_reset_sequences))

    return Replacing(
        "Django TransactionTestCase: reset by Seatrial in the place of flush", "django.test.testcases", change
    )
