"""From "app.main:app" or "app.main:create_app" to the application object, and how it is called."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal

from seatrial.core.importing import import_object
from seatrial.errors import AppError

Interface = Literal["asgi", "wsgi"]

ASGI_ARGUMENTS = 3
"""scope, receive, send."""
WSGI_ARGUMENTS = 2
"""environ, start_response."""


def load_app(reference: str, root: Path) -> Any:
    """The application that `reference` names, or that the factory returns which it names, with or without "()".

    Raises:
        ConfigError: there is no such module or attribute; with the nearest name.
        AppError: the project's own code raised (its traceback is shown, shortened), or what was found is no
            application.
    """
    found = import_object(reference, root)
    if interface_of(found) is not None:
        return found
    if not reference.rstrip().endswith(")") and _is_factory(found):
        found = import_object(f"{reference.strip()}()", root)
        if interface_of(found) is not None:
            return found
    if inspect.iscoroutine(found):
        found.close()
        raise _async_factory(reference)
    raise _no_application(reference, found)


def interface_of(candidate: Any) -> Interface | None:
    """How `candidate` is called, told by the arguments that it takes; None if it is no application."""
    parameters = _parameters(candidate)
    if parameters is None:
        return None
    fixed = [each for each in parameters if each.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    needed = sum(each.default is Parameter.empty for each in fixed)
    if needed == ASGI_ARGUMENTS:
        return "asgi"
    if needed == WSGI_ARGUMENTS and not _is_async(candidate):
        return "wsgi"
    # A wrapper that hides its arguments, or gives them defaults, still tells by being a coroutine function.
    any_number = any(each.kind is Parameter.VAR_POSITIONAL for each in parameters)
    if _is_async(candidate) and needed < ASGI_ARGUMENTS and (any_number or len(fixed) >= ASGI_ARGUMENTS):
        return "asgi"
    return None


def _parameters(candidate: Any) -> Sequence[Parameter] | None:
    """What `candidate` takes; None if it can't be called by position, as applications are."""
    if not callable(candidate) or (inspect.isclass(candidate) and not _is_application_class(candidate)):
        return None
    try:
        parameters = tuple(inspect.signature(candidate).parameters.values())
    except (TypeError, ValueError):
        return None
    demands = any(each.kind is Parameter.KEYWORD_ONLY and each.default is Parameter.empty for each in parameters)
    return None if demands else parameters


def _is_async(candidate: Any) -> bool:
    call = getattr(type(candidate), "__call__", None)  # noqa: B004 - the function itself is looked at
    return inspect.iscoroutinefunction(candidate) or inspect.iscoroutinefunction(call)


def _is_application_class(candidate: type) -> bool:
    """Whether an instance is one answer: awaited (ASGI), or iterated over (the classes of PEP 3333)."""
    return hasattr(candidate, "__await__") or hasattr(candidate, "__iter__")


def _is_factory(found: Any) -> bool:
    """Whether `found` is a function that can be called without arguments."""
    if not inspect.isroutine(found):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return True


def _no_application(reference: str, found: Any) -> AppError:
    plain = reference.strip().removesuffix("()")
    module = sys.modules.get(plain.partition(":")[0])
    others = [name for name, value in vars(module).items() if _is_offered(name, value)] if module else []
    if inspect.isroutine(found):
        what = f'"{reference}" is the function {found.__name__}{_signature(found)}, not an application'
        fix = "name the application itself, or a factory that needs no arguments"
    else:
        what = f'"{reference}" gives a {type(found).__module__}.{type(found).__qualname__}, not an application'
        fix = "name an ASGI or WSGI application, or a factory of one"
    return AppError(
        what,
        cause="an ASGI application is called with (scope, receive, send), a WSGI one with (environ, start_response)",
        fix=f'write "{plain.partition(":")[0]}:{others[0]}"' if others else fix,
    )


def _is_offered(name: str, value: Any) -> bool:
    """Whether `value` is worth naming: an instance, since any function of two arguments looks like WSGI."""
    try:
        offered = not (name.startswith("_") or inspect.isroutine(value) or inspect.isclass(value))
        return offered and bool(interface_of(value))
    except Exception:  # noqa: BLE001 - Flask's `request` and the like raise whatever is asked of them
        return False


def _signature(function: Any) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(...)"


def _async_factory(reference: str) -> AppError:
    return AppError(
        f'"{reference}" is an async function',
        cause="an application is made before any event loop runs",
        fix="make the factory a plain function, and open what needs the loop in the app's lifespan",
    )
