"""What a project's sessions look like, as its own dependency makes them: a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How the app's dependency hands out sessions, found without opening a connection."""

    sqlalchemy: bool
    """Whether it yields a SQLAlchemy session at all (or SQLModel's, which is one)."""
    is_async: bool
    session_class: type | None = None
    """The session's own class; None where only the annotation, or nothing, told."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the class is to be called with: expire_on_commit, autoflush, autobegin, ..."""
    bind: Any = field(default=None, compare=False, repr=False)
    """The engine (the sync one) that the session uses; None where it could not be seen."""
    routed: bool = False
    """Whether the session picks among engines itself: `binds`, or a `get_bind` of its own."""
    how: str
    """How this was found out, for people."""
