"""JetStream's streams as values: taken whole, compared by what JetStream tells of them, and put back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from seatrial.core import wait
from seatrial.resources.kinds.nats.wire import Failure, Message, Request, Wire, decoded, question

_CHUNK = 128 * 1024
_AT_ONCE = 32
"""Messages in one round trip: each may be a megabyte, and the server holds 64 of them for whoever does not read."""
_FILLED = 10.0
"""Seconds until a stream has what its sources have."""
_SILENT = ("no_ack", "sealed")
"""Settings by which a stream does not tell, or does not take, what is published to it."""
_SOURCED = b"\r\nnats-stream-source:"
"""The header of a message that came from another stream."""
_RUNS_OUT = b"\r\nnats-ttl:"
"""The header of a message that runs out by itself."""
_ORDERS = (b"nats-expected-", b"nats-batch-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One stream. JetStream's own archive of it holds messages, sequences and consumers; in base64."""

    config: Mapping[str, Any]
    state: Mapping[str, Any]
    chunks: tuple[str, ...] = ()
    """Empty for a stream that is taken message by message."""
    messages: tuple[Mapping[str, Any], ...] = ()
    """Its messages, as MSG.GET tells them."""
    consumers: tuple[Mapping[str, Any], ...] = ()
    """The settings of its consumers, which begin anew."""

    @property
    def origins(self) -> tuple[str, ...]:
        """The streams from which JetStream itself fills it."""
        return tuple(one["name"] for one in (self.config.get("mirror"), *(self.config.get("sources") or ())) if one)


def look(wire: Wire) -> dict[str, str]:
    """By name, all that JetStream tells of each stream and its consumers: equal texts, nothing happened."""
    streams = _all(wire, "STREAM.LIST", "streams")
    names = [stream["config"]["name"] for stream in streams]
    with_consumers = [name for name, one in zip(names, streams, strict=True) if one["state"].get("consumer_count")]
    pages = wire.api_all([(f"CONSUMER.LIST.{name}", {"offset": 0}) for name in with_consumers])
    consumers = {
        name: page["consumers"] if len(page["consumers"]) >= page["total"] else _consumers(wire, name)
        for name, page in zip(with_consumers, pages, strict=True)
    }
    return {
        name: json.dumps(
            [stream["config"], stream["created"], stream["state"], [_steady(one) for one in consumers.get(name, ())]],
            sort_keys=True,
        )
        for name, stream in zip(names, streams, strict=True)
    }


def catch_up(wire: Wire) -> None:
    """Wait until each stream that JetStream fills from others has what these have, as far as they are there."""

    def filled() -> bool:
        streams = _all(wire, "STREAM.LIST", "streams")
        origins = [one for each in streams for one in (each.get("mirror"), *(each.get("sources") or ())) if one]
        return all("error" in one or (one["active"] >= 0 and not one["lag"]) for one in origins)

    wait.until(filled, timeout=_FILLED)


def take(wire: Wire, name: str) -> Taken:
    """One stream, whole."""
    info = wire.api(f"STREAM.INFO.{name}")
    short_lived = _is_short_lived(info["config"])
    if short_lived or info["config"].get("allow_msg_ttl"):
        taken = _by_messages(wire, name, info)
        if short_lived or any(_RUNS_OUT in _headers(message).lower() for message in taken.messages):
            return taken
    chunks = []
    with wire.listening() as inbox:
        told = wire.api(f"STREAM.SNAPSHOT.{name}", deliver_subject=inbox, chunk_size=_CHUNK)
        while (message := wire.next()).subject != inbox or message.payload:
            if message.subject != inbox:
                continue
            chunks.append(base64.b64encode(message.payload).decode())
            if message.reply:
                wire.publish(message.reply)
    return Taken(config=told["config"], state=told["state"], chunks=tuple(chunks))


def put(wire: Wire, name: str, taken: Taken) -> None:
    """The stream as it was. None bears its name, or listens to its subjects, now. One with origins needs `rejoin`."""
    if not taken.chunks:
        _publish(wire, name, taken)
        return
    config = {key: value for key, value in taken.config.items() if key != "sources"}
    told = wire.api(f"STREAM.RESTORE.{name}", config=config, state=taken.state)
    for chunk in taken.chunks:
        wire.request_all([Request(subject=told["deliver_subject"], payload=base64.b64decode(chunk))])
    reply = wire.request_all([Request(subject=told["deliver_subject"])])[0]
    error = json.loads(reply.payload or b"{}").get("error")
    if error:
        raise Failure(error.get("description", "refused"))


def has_more(told: str, taken: Taken) -> bool:
    """Whether a stream, by what `look` tells of it, got messages since it was put back."""
    if taken.chunks:
        last = taken.state["last_seq"]
    elif taken.origins:
        return False  # JetStream may fill it in another order
    else:
        first = taken.state["first_seq"] if taken.messages else taken.config.get("first_seq") or 1
        last = first + len(taken.messages) - 1
    return bool(json.loads(told)[2]["last_seq"] > last)


def dump(streams: Mapping[str, Taken]) -> str:
    """The text of a file that `load` reads."""
    return json.dumps({name: asdict(taken) for name, taken in streams.items()})


def load(text: str) -> dict[str, Taken]:
    """The streams in a text that `dump` wrote."""
    told: dict[str, dict[str, Any]] = json.loads(text)
    return {
        name: Taken(
            config=one["config"],
            state=one["state"],
            chunks=tuple(one["chunks"]),
            messages=tuple(one["messages"]),
            consumers=tuple(one["consumers"]),
        )
        for name, one in told.items()
    }


def _all(wire: Wire, subject: str, what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = wire.api(subject, offset=len(found))
        found += page[what] or []
        if len(found) >= page["total"] or not page[what]:
            return found


def _steady(consumer: Mapping[str, Any]) -> list[Any]:
    """What tells a consumer's position; not who waits at it now."""
    keys = ("name", "created", "config", "delivered", "ack_floor", "num_ack_pending", "num_redelivered")
    return [consumer.get(key) for key in keys]


def _is_short_lived(config: Mapping[str, Any]) -> bool:
    """Whether an archive will not do: JetStream makes none of memory, and what runs out is old in one some day."""
    return config.get("storage") == "memory" or bool(config.get("max_age"))


def _consumers(wire: Wire, name: str) -> list[dict[str, Any]]:
    return _all(wire, f"CONSUMER.LIST.{name}", "consumers")


def _by_messages(wire: Wire, name: str, info: Mapping[str, Any]) -> Taken:
    state = info["state"]
    numbers = range(state["first_seq"], state["last_seq"] + 1) if state["messages"] else ()
    messages = []
    for reply in _asked(wire, [question(f"STREAM.MSG.GET.{name}", {"seq": number}) for number in numbers]):
        with suppress(Failure):  # it was deleted
            messages.append(decoded(reply)["message"])
    durable = [one["config"] for one in _consumers(wire, name) if one["config"].get("durable_name")]
    return Taken(config=info["config"], state=state, messages=tuple(messages), consumers=tuple(durable))


def _publish(wire: Wire, name: str, taken: Taken) -> None:
    first = {"first_seq": taken.state["first_seq"]} if taken.messages and not taken.origins else {}
    # It has to tell whether it took a message, and has to take it.
    wire.api(f"STREAM.CREATE.{name}", **{**taken.config, **first, **dict.fromkeys(_SILENT, False)})
    awaited = taken.config.get("retention") == "interest"  # what nobody waits for is not kept
    if awaited:
        _listen(wire, name, taken)
    for reply in _asked(wire, [] if taken.config.get("mirror") else _published(taken)):
        decoded(reply)
    if any(taken.config.get(name) for name in _SILENT):
        wire.api(f"STREAM.UPDATE.{name}", **taken.config)
    if not awaited:
        _listen(wire, name, taken)


def _published(taken: Taken) -> list[Request]:
    found = []
    for message in taken.messages:
        headers, payload = _headers(message), base64.b64decode(message.get("data") or "")
        if _SOURCED not in headers.lower():
            found.append(Request(subject=message["subject"], payload=payload, headers=_kept(headers)))
    return found


def _headers(message: Mapping[str, Any]) -> bytes:
    return base64.b64decode(message.get("hdrs") or "")


def _listen(wire: Wire, name: str, taken: Taken) -> None:
    for consumer in taken.consumers:
        wire.api(
            f"CONSUMER.CREATE.{name}.{consumer['durable_name']}", stream_name=name, config=consumer, action="create"
        )


def _asked(wire: Wire, requests: Sequence[Request]) -> Iterator[Message]:
    """The replies to any number of requests, in a round trip for some each: they may be large."""
    for first in range(0, len(requests), _AT_ONCE):
        yield from wire.request_all(requests[first : first + _AT_ONCE])


def _kept(headers: bytes) -> bytes:
    """Without those that asked the server for something when the message was published for the first time."""
    first, *lines = headers.split(b"\r\n")
    lines = [line for line in lines if not line.lower().startswith(_ORDERS)]
    return b"\r\n".join([first, *lines]) if any(lines) else b""


def rejoin(wire: Wire, streams: Mapping[str, Taken]) -> None:
    """Have streams that were put back go on with what their origins get: these are back, too.

    Raises `Failure` if they do not have any more what a stream had from them.
    """
    for name, taken in streams.items():
        if taken.origins and not taken.chunks:
            _await_messages(wire, name, taken.state["messages"])
    parted = {name: taken.config for name, taken in streams.items() if taken.chunks and taken.config.get("sources")}
    if parted:
        _go_on(wire, parted)


def _go_on(wire: Wire, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """A stream that was put back is a new one to JetStream, which would copy all of it once more.

    JetStream takes two seconds to ask an origin, for all of them at once.
    """
    ends = {one["config"]["name"]: one["state"]["last_seq"] for one in _all(wire, "STREAM.LIST", "streams")}
    for name, config in configs.items():
        sources = [_from(one, ends[one["name"]] + 1) if one["name"] in ends else one for one in config["sources"]]
        wire.api(f"STREAM.UPDATE.{name}", **{**config, "sources": sources})

    def waiting() -> list[str]:
        told = {one["config"]["name"]: one.get("sources") or () for one in _all(wire, "STREAM.LIST", "streams")}
        return [name for name in configs if any(one["active"] < 0 and one["name"] in ends for one in told[name])]

    if not wait.until(lambda: not waiting(), timeout=_FILLED):
        raise Failure(f"{', '.join(waiting())}: filled from other streams, which do not answer")
    for name, config in configs.items():
        wire.api(f"STREAM.UPDATE.{name}", **config)


def _from(source: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {**{key: value for key, value in source.items() if key != "opt_start_time"}, "opt_start_seq": number}


def _await_messages(wire: Wire, name: str, wanted: int) -> None:
    def filled() -> bool:
        return bool(wire.api(f"STREAM.INFO.{name}")["state"]["messages"] >= wanted)

    if not wait.until(filled, timeout=_FILLED):
        raise Failure(f"the stream {name} is filled from others, which do not have its {wanted} messages any more")
