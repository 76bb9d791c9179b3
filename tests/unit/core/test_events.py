"""Events as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from iso15118 import events
from iso15118.control.common import Contactor, EnergyService, Wish
from iso15118.control.evse import SetDcTarget
from iso15118.events import EndReason, Fault, as_record
from iso15118.messages.iso20.common import SessionSetupReq
from iso15118.messages.iso20.types import MessageHeader

BASE = {"t": 1.25, "role": "SECC"}


def test_a_message_as_plain_data() -> None:
    message = SessionSetupReq(header=MessageHeader(session_id=bytes(8), time_stamp=7), evcc_id="EV")
    record = as_record(events.MessageReceived(**BASE, message=message, exi=b"\x80\x8c", payload_type=0x8002))
    assert record == {
        "event": "MessageReceived",
        "t": 1.25,
        "role": "SECC",
        "message": {
            "SessionSetupReq": {
                "header": {
                    "MessageHeader": {"session_id": "0000000000000000", "time_stamp": 7, "signature": None}
                },
                "evcc_id": "EV",
            }
        },
        "exi": "808c",
        "payload_type": 0x8002,
    }
    json.dumps(record)


def test_values_of_every_kind() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Everything(events.Event):
        value: object

    def plain(value: object) -> object:
        return as_record(Everything(**BASE, value=value))["value"]

    assert plain(Contactor.CLOSED) == "closed"
    assert plain(EnergyService.DC_BPT) == "DC_BPT"
    assert plain(SetDcTarget(400.0, 1 / 3)) == {
        "SetDcTarget": {"voltage_v": 400.0, "current_a": 0.333333, "min_voltage_v": 0.0}
    }
    assert plain((1, b"\x01", [Wish.PAUSE])) == [1, "01", ["pause"]]
    assert plain({1: None}) == {"1": None}
    assert plain(True) is True
    assert plain(RuntimeError("down")) == "down"


def test_how_a_session_ended() -> None:
    def ended(reason: EndReason) -> events.SessionEnded:
        return events.SessionEnded(**BASE, reason=reason, fault=Fault.NONE, detail="", state="SESSION_STOP")

    intended = {r for r in EndReason if ended(r).as_intended}
    assert intended == {EndReason.COMPLETED, EndReason.PAUSED}
    assert as_record(ended(EndReason.TIMEOUT))["reason"] == "timeout"


def test_events_do_not_change_after_the_fact() -> None:
    event = events.Decision(**BASE, what="x", why="y")
    with pytest.raises(AttributeError):
        event.why = "z"  # type: ignore[misc]
