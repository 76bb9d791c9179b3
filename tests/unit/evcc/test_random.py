"""Random stations: whatever they send, nothing raises, everything ends, the power path is opened."""

from __future__ import annotations

import random
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from iso15118.control.common import Contactor, Wish
from iso15118.control.ev import Deenergise
from iso15118.exi.schema import Binary, Boolean, Enumeration, Field, Integer, Text, fields_of
from iso15118.machine import Answer, Bytes, LinkUp, PeerClosed, Stop
from iso15118.messages import namespaces
from iso15118.messages.iso20.types import MessageHeader, RationalNumber
from iso15118.messages.registry import schema_set
from iso15118.wire.v2gtp import encode_frame
from tests.unit.evcc.harness import CLOSE, COMBINATIONS, Bench, config, framed

SETS = (namespaces.COMMON_MESSAGES, namespaces.AC, namespaces.DC, namespaces.SAP)
LIMIT_S = 1000.0


def message_classes() -> list[type[Any]]:
    """Every message of the sets a session may use, requests too."""
    found = []
    for namespace in SETS:
        for element in schema_set(namespace).elements:
            name = element.qname.name
            if name.endswith(("Req", "Res")):
                found.append(schema_set(namespace).class_named(name, namespace))
    return [x for x in found if x is not None]


def arbitrary(cls: type[Any], rng: random.Random, station: Any, root: Any = None, depth: int = 0) -> Any:
    """A random valid instance; the header mostly right, numbers mostly sensible."""
    if cls is MessageHeader:
        right = rng.random() < 0.95
        session_id = station.session_id if right else rng.randbytes(8)
        return MessageHeader(session_id=session_id, time_stamp=rng.choice((0, station.stamp(), 2**64 - 1)))
    if cls is RationalNumber:
        exponent = rng.choice((0, 0, 0, -1, 1, 3, -128, 127))
        return RationalNumber(exponent=exponent, value=rng.choice((0, 350, -350, rng.randint(-32768, 32767))))
    root, values = root or cls, {}
    for field in fields_of(cls):
        if field.is_list:
            most = field.maximum or 3
            count = rng.randint(field.minimum, min(most, field.minimum + 2))
            values[field.attr] = tuple(_value(field, rng, station, root, depth) for _ in range(count))
        elif field.minimum or (depth < 6 and rng.random() < 0.3 and field.attr != "signature"):
            values[field.attr] = _value(field, rng, station, root, depth)
    return cls(**values)


def _value(field: Field, rng: random.Random, station: Any, root: Any, depth: int) -> Any:
    match field.scalar:
        case None:
            kind = rng.choice(_standing_in(rng.choice(field.classes), root))
            return arbitrary(kind, rng, station, root, depth + 1)
        case Boolean():
            return rng.random() < 0.5
        case Integer(minimum=low, maximum=high):
            low, high = low or 0, high if high is not None else 2**31
            return rng.choice((low, high, rng.randint(low, high), min(high, max(low, 2))))
        case Text(max_length=length):
            return "x" * rng.randint(0, min(length or 8, 8))
        case Binary(min_length=low, max_length=high):
            return rng.randbytes(low or min(high or 4, 4))
        case Enumeration(members=members):
            good = [x for x in members if not str(x).upper().startswith("FAILED")]
            return rng.choice(good if rng.random() < 0.95 else list(members))


def _standing_in(cls: type[Any], root: type[Any]) -> list[type[Any]]:
    """The classes that may stand for `cls` in a message: of the head of a group its members."""
    module = sys.modules[root.__module__]
    found = [x for x in vars(module).values() if isinstance(x, type) and issubclass(x, cls)]
    return [x for x in found if x.__module__ == module.__name__] or [cls]


def safely_over(bench: Bench) -> None:
    """The session is over, its contactor commanded open, its pilot in state B."""
    assert bench.machine.ended
    assert bench.left_safely
    assert bench.seen_events[-1] is bench.ended or bench.ended in bench.seen_events
    assert bench.now < 100.0 + LIMIT_S
    if bench.ended.reason.value not in ("completed", "paused"):
        assert any(isinstance(c, Deenergise) for c in bench.orders)
    failed = "the procedure failed" in bench.ended.detail or "cannot be encoded" in bench.ended.detail
    assert not failed, bench.ended.detail


@given(seed=st.integers(0, 2**32), combination=st.sampled_from(COMBINATIONS), calm=st.integers(0, 25))
def test_station_of_random_messages(seed, combination, calm):
    """Calm for some answers, then any valid message of any type, or its own answer changed at random."""
    rng = random.Random(seed)
    bench = Bench(
        *combination, config=config(combination[0], max_loops=rng.randint(1, 8), poll_interval_s=1.0)
    )
    classes = message_classes()
    answered = []

    def answer(req, res, n):
        answered.append(req)
        if len(answered) <= calm or res is None:
            return res
        kind = type(res) if rng.random() < 0.85 else rng.choice(classes)
        return arbitrary(kind, rng, bench.station)

    bench.station.on("*", answer)
    safely_over(bench.run())


@given(seed=st.integers(0, 2**32), combination=st.sampled_from(COMBINATIONS), calm=st.integers(0, 25))
def test_station_of_random_octets(seed, combination, calm):
    """Flipped, cut, swollen and invented octets, in random chunks."""
    rng = random.Random(seed)
    bench = Bench(*combination, config=config(combination[0], max_loops=3))
    answered = []

    def answer(req, res, n):
        answered.append(req)
        good = framed(res) if res is not None else b""
        return good if len(answered) <= calm else spoiled(good, rng)

    bench.station.on("*", answer)
    safely_over(bench.run())


def spoiled(octets: bytes, rng: random.Random) -> bytes:
    """Octets after an accident."""
    kind = rng.randrange(6)
    if kind == 0:
        at = rng.randrange(len(octets) or 1)
        return (
            octets[:at] + bytes([octets[at] ^ 1 << rng.randrange(8)]) + octets[at + 1 :]
            if octets
            else b"\x00"
        )
    if kind == 1:
        return octets[: rng.randrange(len(octets) or 1)]
    if kind == 2:
        return octets * rng.randint(2, 4)
    if kind == 3:
        return encode_frame(
            rng.choice((0x8001, 0x8002, 0x8003, 0x8004, 0x8101)), rng.randbytes(rng.randint(1, 60))
        )
    if kind == 4:
        return encode_frame(rng.choice((0x8002, 0x8003, 0x8004)), b"\x80" + rng.randbytes(rng.randint(1, 60)))
    return rng.randbytes(rng.randint(1, 40)) + octets


@given(
    seed=st.integers(0, 2**32),
    combination=st.sampled_from(COMBINATIONS),
    blows=st.lists(st.tuples(st.floats(0.0, 1.2), st.integers(0, 9)), min_size=1, max_size=4),
)
def test_blows_from_all_sides_at_any_time(seed, combination, blows):
    """Levels, wishes, stops, closed connections, stray answers and octets, while a session runs."""
    rng = random.Random(seed)
    bench = Bench(*combination, config=config(combination[0], max_loops=rng.randint(1, 5)))
    acts = [
        lambda: bench.update(emergency_stop=True),
        lambda: bench.update(fault="battery"),
        lambda: bench.update(contactor=rng.choice(list(Contactor))),
        lambda: bench.update(wish=rng.choice([None, *Wish])),
        lambda: bench.update(complete=True),
        lambda: bench.machine.receive(Stop(""), bench.now),
        lambda: bench.machine.receive(PeerClosed(), bench.now),
        lambda: bench.machine.receive(Answer(object(), ValueError()), bench.now),
        lambda: bench.machine.receive(Bytes(rng.randbytes(3)), bench.now),
        lambda: setattr(bench, "stuck_contactor", not bench.stuck_contactor),
    ]
    for when, which in blows:
        bench.at(when, acts[which])
    bench.at(3.0, lambda: bench.update(wish=None))
    bench.at(20.0, lambda: bench.send(CLOSE))
    bench.run()
    assert bench.left_safely


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_machine_alone_under_random_octets(chunks):
    bench = Bench()
    for item in (LinkUp(), *map(Bytes, chunks)):
        bench.machine.receive(item, bench.now)
    bench.machine.tick(bench.now + 2.0)
    bench.machine.tick(bench.now + 40.0)
    bench._drain()
    assert bench.machine.ended
    assert bench.left_safely


def test_random_messages_are_of_every_kind():
    names = {c.__name__ for c in message_classes()}
    assert {"DC_ChargeLoopRes", "AC_ChargeLoopRes", "SessionSetupRes", "SupportedAppProtocolRes"} <= names
    assert len(names) > 30
