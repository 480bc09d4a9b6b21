"""Of several apps, the one that a dependency belongs to: only its owner can have it replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seatrial.apps.dependencies.providers import Replacements
from seatrial.apps.protocol import App
from seatrial.errors import AppError


class Owners:
    """Replaces in each app what it can have replaced.

    An app that can't is left as it is, as long as another may be the owner: one that can, or that was not asked yet.

    Args:
        candidates: by resource, the names of the apps that its dependency may belong to.
    """

    def __init__(self, candidates: Mapping[str, Iterable[str]]) -> None:
        self._left = {resource: set(names) for resource, names in candidates.items()}

    def override(self, name: str, app: App, replacements: Mapping[str, Replacements]) -> None:
        """Replace dependencies in one of the apps, for this test.

        Args:
            name: what the app is called.
            app: it has begun.
            replacements: by resource.

        Raises:
            AppError: it is the last of the candidates, and none of them can have it.
        """
        for resource, replacement in replacements.items():
            try:
                app.override(replacement)
            except AppError:
                self._left[resource].discard(name)
                if not self._left[resource]:
                    raise
