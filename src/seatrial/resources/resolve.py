"""Which provider serves a spec: the first that can, and why each other could not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from seatrial.errors import ProviderError
from seatrial.resources import registry
from seatrial.resources.protocol import Provider, ServerSpec

_URL = "url"
"""The provider that is never asked by itself."""
_WHEEL = "embedded"
"""The provider that says, as a reason, what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The provider that was taken, and in words for the user why."""

    provider: Provider
    reason: str
    others: Mapping[str, str] = field(default_factory=dict)
    """By name, why each provider that was asked before could not."""


def resolve(spec: ServerSpec, providers: Sequence[Provider] | None = None, *, name: str = "") -> Resolution:
    """Find who serves `spec`. Starts nothing.

    Args:
        spec: what is wanted; where it has a `url`, only the provider "url" is asked.
        providers: who is asked, in this order; None for all that are installed.
        name: ask only this one (the key `provider`).

    Raises:
        ConfigError: there is no provider of that name; with the nearest one.
        ProviderError: nobody can; with the reason of each.
    """
    if providers is None:
        asked, reason = _asked(spec, registry.providers(), name)
        chain = map(registry.provider, asked)
    else:
        asked, reason = _asked(spec, [one.name for one in providers], name)
        chain = map(partial(_named, providers), asked)
    reasons: dict[str, str] = {}
    for provider in chain:
        refusal = provider.probe(spec)
        if refusal is None:
            return Resolution(provider=provider, reason=reason, others=reasons)
        reasons[provider.name] = refusal
    raise ProviderError(
        f"no provider can serve {spec.kind}" + (f" {spec.version}" if spec.version else ""),
        cause="\n       ".join(f"{name}: {refusal}" for name, refusal in reasons.items()),
        fix=_fix(spec, name, reasons),
    )


def _fix(spec: ServerSpec, name: str, reasons: Mapping[str, str]) -> str:
    if name:
        return f'do what "{name}" says above, or remove `provider`: all others are asked then'
    fix = spec.remedy
    # Where the wheels' provider advises otherwise, what this installs is here and does not fit, or never can be.
    if spec.wheels and fix not in reasons.get(_WHEEL, fix):
        asked = " or fewer `extensions`" if spec.extensions else ""
        fix = f"do what one of them says above, or ask for another `version`{asked}"
    return f"{fix}, or set `url` to a server that runs" if spec.url_form else fix


def _asked(spec: ServerSpec, names: Sequence[str], name: str) -> tuple[Iterator[str], str]:
    """The names of those who are asked, one after the other: each is loaded when it is its turn."""
    if name:
        return iter([name]), "the configuration names it"
    if spec.url:
        return (known for known in names if known == _URL), "the configuration has a `url`"
    return (known for known in names if known != _URL), "the first that can"


def _named(providers: Sequence[Provider], name: str) -> Provider:
    found = next((provider for provider in providers if provider.name == name), None)
    if found is None:
        raise registry.nearest("provider", name, [provider.name for provider in providers])
    return found
