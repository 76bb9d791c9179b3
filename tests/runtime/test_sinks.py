"""Where events go: JSON lines, logging, memory, the bounded stream."""

import io
import json
import logging

import pytest

from iso15118.events import EndReason, Fault, MessageSent, PowerFlow, SessionEnded, StateEntered, TimerExpired
from iso15118.messages.sap import SupportedAppProtocolRes
from iso15118.runtime.events import ControllerFault, EventsDropped
from iso15118.runtime.sinks import JsonLines, Log, Memory, described
from iso15118.runtime.stream import EventStream


def entered(number=0):
    return StateEntered(t=float(number), role="SECC", state="A", previous="B")


def sent():
    message = SupportedAppProtocolRes(response_code="OK_SuccessfulNegotiation", schema_id=1)
    return MessageSent(t=1.0, role="SECC", message=message, exi=b"\x80\x40", payload_type=0x8001)


def ended(reason):
    return SessionEnded(t=1.0, role="SECC", reason=reason, fault=Fault.NONE, detail="d", state="S")


def test_json_lines_are_one_object_a_line():
    out = io.StringIO()
    sink = JsonLines(out)
    sink(entered())
    sink(ended(EndReason.COMPLETED))
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first == {"event": "StateEntered", "t": 0.0, "role": "SECC", "state": "A", "previous": "B"}
    assert second["reason"] == "completed"


def test_json_lines_can_leave_the_octets_out():
    out = io.StringIO()
    JsonLines(out, exi=False)(sent())
    assert "exi" not in json.loads(out.getvalue())


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (entered(), logging.INFO),
        (sent(), logging.DEBUG),
        (PowerFlow(t=0.0, role="SECC", voltage_v=1.0, current_a=1.0, power_w=1.0), logging.DEBUG),
        (ended(EndReason.COMPLETED), logging.INFO),
        (ended(EndReason.TIMEOUT), logging.WARNING),
        (TimerExpired(t=0.0, role="SECC", timer="x"), logging.WARNING),
        (ControllerFault(t=0.0, role="SECC", what="x", error="y"), logging.ERROR),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else logging.getLevelName(value),
)
def test_the_log_weighs_events(event, level, caplog):
    with caplog.at_level(logging.DEBUG, logger="iso15118"):
        Log()(event)
    (record,) = caplog.records
    assert record.levelno == level
    assert type(event).__name__ in record.getMessage()


def test_a_message_is_described_by_its_name():
    assert described(sent()) == "MessageSent message=SupportedAppProtocolRes"


def test_memory_can_be_bounded():
    memory = Memory(limit=2)
    for number in range(5):
        memory(entered(number))
    assert [event.t for event in memory.of(StateEntered)] == [3.0, 4.0]


@pytest.mark.asyncio
async def test_a_stream_nobody_reads_drops_the_oldest_and_says_how_many():
    stream = EventStream("SECC", limit=3)
    for number in range(5):
        stream.emit(entered(number))
    dropped, *kept = await stream.take()
    assert dropped == EventsDropped(t=2.0, role="SECC", count=2)
    assert [event.t for event in kept] == [2.0, 3.0, 4.0]
