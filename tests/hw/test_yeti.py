"""Boards of the Yeti family: packets, devices on good and bad lines, and what is their own."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hal.drivers.protobuf import Field, Kind, Message, encode, flat
from hal.drivers.yeti import BoardDialog
from hal.drivers.yeti_frames import FROM_EV, FROM_EVSE, TO_EV, TO_EVSE, X1, Decoder, packet, say
from hal.errors import HalError
from hal.errors import Kind as ErrorKind
from hal.meter import EnergyMeter
from hal.pilot import EvPilot, EvsePilot, Proximity
from hal.registry import make_board
from hal.safety import ConnectorLock, Contactor, SafetyChain
from hal.testing import Behaviour, behaviours
from hal.testing.emulators import yeti as emulator
from hal.testing.emulators.serve import serve_pty
from hal.testing.emulators.yeti import YetiBoard, YetiEvBoard
from hal.testing.noise import Noise
from hal.testing.wire import Wire, WiredRig
from hal.types import ContactorState, CpState
from tests.hw.board_rigs import NOISES, yeti_ev_rig, yeti_rig
from tests.unit.hal.drivers.support import run, until

EVSE = {
    "pilot": behaviours(EvsePilot, without={"voltage"}),
    "contactor": behaviours(Contactor),
    "lock": behaviours(ConnectorLock),
    "safety": behaviours(SafetyChain, without={"emergency_stop", "arm", "over_voltage"}),
    "meter": behaviours(EnergyMeter, without={"export"}),
    "proximity": behaviours(Proximity),
}
EV = {"pilot": behaviours(EvPilot), "contactor": behaviours(Contactor)}


def cases(suites: dict[str, list[Behaviour]]) -> list[object]:
    return [
        pytest.param(role, behaviour, id=f"{role}-{behaviour}")
        for role, suite in suites.items()
        for behaviour in suite
    ]


@pytest.mark.parametrize("line", NOISES)
@pytest.mark.parametrize(("role", "behaviour"), cases(EVSE))
def test_device_of_the_station(role: str, behaviour: Behaviour, line: str) -> None:
    behaviour(yeti_rig(role, line, hang_up=line == "single"))


@pytest.mark.parametrize("line", NOISES)
@pytest.mark.parametrize(("role", "behaviour"), cases(EV))
def test_device_of_the_car(role: str, behaviour: Behaviour, line: str) -> None:
    behaviour(yeti_ev_rig(role, line, hang_up=line == "single"))


# --- packets ------------------------------------------------------------------------------------

TO_BOARD = [
    ("pwm", 500, "09 B8 06 F4 03 27 4F 29 EB 00"),
    ("pwm", 2667, "09 B8 06 EB 14 7E C4 A0 A5 00"),
    ("pwm", X1, "09 B8 06 91 4E E8 ED CE FB 00"),
    ("pwm", 0, "03 B8 06 05 C3 2E A9 9D 00"),
    ("power", True, "08 C0 06 01 BD 27 4C B0 00"),
    ("power", False, "03 C0 06 05 2B 17 4B C7 00"),
    ("lock", True, "08 B0 06 01 ED 4F BD E4 00"),
    ("reset", True, "08 C8 06 01 05 76 5F BE 00"),
    ("keep_alive", {"time": 1, "sw": "1.0"}, "0F A2 06 07 08 01 32 03 31 2E 30 1B 52 97 F1 00"),
]
FROM_BOARD = [
    ({"cp_state": 0}, "03 B0 06 05 7B 7F BA 93 00"),
    ({"cp_state": 1}, "08 B0 06 01 ED 4F BD E4 00"),
    ({"cp_state": 2}, "08 B0 06 02 57 1E B4 7D 00"),
    ({"relay": True}, "08 B8 06 01 55 1E AE EA 00"),
    ({"errors": {"diode_fault": True}}, "0A C2 06 02 08 01 75 82 39 33 00"),
    ({"errors": {}}, "03 C2 06 05 45 C3 CF C4 00"),
    (
        {"meter": {"time": 7, "v1": 230.0, "a1": 16.0, "wh": 1234.5, "w1": 3680.0}},
        "07 E2 06 17 08 07 15 01 04 66 43 2D 01 04 80 41 65 06 50 9A 44 8D 01 01 07 66 45 AA A1 A4 DF 00",
    ),
    (
        {
            "keep_alive": {
                "time": 5,
                "max_a": 32.0,
                "min_a": 6.0,
                "max_phases": 3,
                "min_phases": 1,
                "may_change_phases": True,
            }
        },
        "06 1A 12 08 05 3D 01 01 03 42 45 01 0D C0 40 48 03 50 01 58 01 AA C9 49 15 00",
    ),
]


@pytest.mark.parametrize(("name", "value", "octets"), TO_BOARD)
def test_worked_packets_to_the_board(name: str, value: object, octets: str) -> None:
    assert say(TO_EVSE, name, value) == bytes.fromhex(octets)
    assert emulator.unstuffed(bytes.fromhex(octets)[:-1]) == encode(TO_EVSE, {name: value})


@pytest.mark.parametrize(("told", "octets"), FROM_BOARD)
def test_worked_packets_from_the_board(told: dict[str, Any], octets: str) -> None:
    assert Decoder(FROM_EVSE).feed(bytes.fromhex(octets)) == [told]
    assert packet(encode(FROM_EVSE, told)) == bytes.fromhex(octets)


def test_worked_packets_of_relatives() -> None:
    assert say(TO_EV, "signal", {"state": 2}) == bytes.fromhex("0A CA 01 02 08 02 B7 A0 97 07 00")
    micro_megawatt = Message({"output": Field(50, Kind.MESSAGE, Message(flat(Kind.FLOAT, volts=1, amps=2)))})
    assert say(micro_megawatt, "output", {"volts": 400.0, "amps": 20.0}) == bytes.fromhex(
        "05 92 03 0A 0D 01 04 C8 43 15 01 07 A0 41 0C F2 97 95 00"
    )
    phyverso = Message(flat(Kind.UINT, pwm=4, connector=7))
    assert packet(encode(phyverso, {"pwm": 500, "connector": 1})) == bytes.fromhex(
        "0A 20 F4 03 38 01 22 94 C6 93 00"
    )


def test_the_emulator_encodes_alike() -> None:
    assert emulator.stuffed(emulator.number(102, 1)) == bytes.fromhex(FROM_BOARD[1][1])
    assert emulator.stuffed(emulator.nested(104)) == bytes.fromhex(FROM_BOARD[5][1])
    meter = emulator.nested(
        108,
        emulator.number(1, 7),
        emulator.real(2, 230.0),
        emulator.real(5, 16.0),
        emulator.real(12, 1234.5),
        emulator.real(17, 3680.0),
    )
    assert emulator.stuffed(meter) == bytes.fromhex(FROM_BOARD[6][1])


def test_the_decoder_finds_its_way_back() -> None:
    rng = random.Random(1)
    decoder = Decoder(FROM_EVSE)
    got, good = [], 0
    for number in range(400):
        octets = say(FROM_EVSE, "cp_state", number % 6)
        if rng.random() < 0.3:
            at = rng.randrange(len(octets) - 1)
            octets = octets[:at] + bytes([octets[at] ^ rng.randint(1, 255)]) + octets[at + 1 :]
            got += decoder.feed(octets)
            got += decoder.feed(b"\0")
        else:
            good += 1
            for octet in octets:
                got += decoder.feed(bytes([octet]))
    assert len(got) == good
    assert decoder.feed(rng.randbytes(100_000).replace(b"\0", b"\1")) == []
    assert len(decoder._buffer) <= 2048
    decoder.feed(b"\0")
    assert decoder.feed(say(FROM_EVSE, "cp_state", 0)) == [{"cp_state": 0}]


# --- the station's board ------------------------------------------------------------------------


def energised(line: str = "clean") -> WiredRig:
    """The contactor, closed, with 5 % on the pilot."""
    rig = yeti_rig("contactor", line)
    rig.run(3.0)
    rig.wire.dialog.pilot.set_duty(5.0)
    rig.device.close_contacts(lease_s=600.0)
    rig.run(1.5)
    assert rig.truth.closed
    return rig


def codes(rig: WiredRig) -> set[str]:
    return {fault.code for fault in rig.device.faults}


def test_the_board_is_restarted_then_told_its_safe_state() -> None:
    rig = yeti_rig("pilot")
    rig.close()
    heard = rig.wire.emulator.heard
    heard.clear()
    rig.open()
    rig.run(1.0)
    assert heard[0] == {105: 1}
    assert [list(told) for told in heard[1:4]] == [[100]] * 3
    assert {103: X1} in heard
    assert {104: 0} in heard
    assert {104: 1} not in heard


def test_the_board_hears_of_the_host_once_a_second() -> None:
    rig = energised()
    rig.wire.emulator.heard.clear()
    rig.run(10.0)
    assert 9 <= sum(100 in told for told in rig.wire.emulator.heard) <= 11


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_a_board_that_restarts_is_never_energised_by_what_was_wanted_before(told: bool) -> None:
    for phase in range(20):
        rig = energised()
        rig.run(phase * 0.053)
        rig.reboot()
        if not told:  # only its time gives it away
            rig.wire.emulator._boot_s, rig.wire.emulator._alive_s = 1e9, 1e9
            rig.run(0.1)
            rig.wire.emulator._boot_s, rig.wire.emulator._alive_s = float("inf"), 0.5
            rig.wire.emulator._host_s = 5.0
        rig.run(0.1)
        for _ in range(300):
            rig.run(0.02)
            assert not rig.truth.closed
            assert rig.truth.outlet.line.duty in (0.0, 100.0)
        assert not codes(rig)


def test_a_line_that_echoes_is_refused() -> None:
    dialog = BoardDialog("board")

    class Echo(YetiBoard):
        def received(self, data: bytes, now: float) -> None:
            self.tick(now)
            self._send(data)

    with pytest.raises(HalError, match="its own words") as caught:
        WiredRig(Wire(dialog, Echo()), dialog.pilot, None)
    assert caught.value.kind is ErrorKind.PROTOCOL
    assert dialog.pilot.state is None, "what looks like a state is none"


def test_an_echo_that_begins_later_de_energises() -> None:
    rig = energised()
    rig.wire.dialog.received(say(TO_EVSE, "keep_alive", {"time": 9}), rig.now)
    assert codes(rig) == {"communication"}
    assert not rig.device.wanted


@pytest.mark.parametrize(
    ("flag", "code"),
    [(2, "residual_current_self_test"), (3, "residual_current"), (4, "ventilation"), (7, "over_current")],
)
def test_what_trips_opens_the_contactor_and_is_told_until_it_is_over(flag: int, code: str) -> None:
    rig = energised()
    safety = rig.wire.dialog.safety
    rig.wire.emulator.trip(flag)
    rig.run(0.5)
    assert not rig.truth.closed
    assert safety.tripped == {code}
    assert {fault.code for fault in safety.faults} == {code}
    safety.reset()
    rig.run(3.0)
    assert safety.tripped == {code}
    rig.wire.emulator.trip()
    safety.reset()
    rig.run(3.0)
    assert not safety.faults
    assert not rig.truth.closed, "a reset energises nothing"


def test_a_missing_diode_is_told() -> None:
    rig = yeti_rig("pilot")
    rig.truth.vehicle(CpState.B)
    rig.truth.outlet.line.diode_ok = False
    rig.device.set_duty(5.0)
    rig.run(1.5)
    assert codes(rig) == {"diode_fault"}
    assert rig.device.state.value == "E"
    rig.truth.outlet.line.diode_ok = True
    rig.run(1.5)
    rig.device.reset()
    assert not codes(rig)
    assert rig.device.state.value == "B"


def test_a_pilot_state_that_does_not_exist_is_unknown() -> None:
    rig = yeti_rig("pilot")
    rig.run(1.0)
    rig.wire.dialog.received(say(FROM_EVSE, "cp_state", 17), rig.now)
    assert rig.device.state is None


def test_the_meter_tells_power_and_tells_of_news_only() -> None:
    rig = yeti_rig("meter")
    rig.run(2.0)
    told: list[float] = []
    rig.device.on_change(lambda: told.append(rig.now))
    rig.run(5.0)
    assert not told
    rig.wire.emulator.watts = 3680.0
    rig.run(1.5)
    assert len(told) == 1
    assert rig.device.reading.power_w == 3680.0


def test_endless_garbage_does_no_harm() -> None:
    rig = energised()
    rng = random.Random(3)
    for _ in range(300):
        rig.wire.dialog.received(rng.randbytes(50), rig.now)
        rig.run(0.01)
    rig.device.open_contacts()
    rig.run(0.3)
    assert not rig.truth.closed


# --- the car's board ----------------------------------------------------------------------------


def test_a_relay_error_opens_and_is_told() -> None:
    rig = yeti_ev_rig("contactor")
    rig.device.close_contacts(lease_s=60.0)
    rig.run(0.5)
    rig.wire.dialog.received(say(FROM_EV, "event", {"what": 9}), rig.now)
    rig.run(0.5)
    assert codes(rig) == {"relay_error"}
    assert not rig.truth.closed


# --- in real time -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "board"), [("yeti", YetiBoard), ("yeti-ev", YetiEvBoard)], ids=["station", "car"]
)
def test_over_a_pty(name: str, board: type[YetiBoard | YetiEvBoard]) -> None:
    pytest.importorskip("serial", reason="needs the extra `serial`")

    async def test() -> None:
        device = board()
        device.outlet.line.plugged, device.outlet.line.state = True, CpState.C
        async with serve_pty(device, noise=Noise(octet_s=87e-6)) as server:
            devices = make_board(name, url=server.url)
            contactor = devices["contactor"]
            await contactor.open()
            contactor.close_contacts(lease_s=60.0)
            await until(lambda: contactor.state is ContactorState.CLOSED)
            assert device.outlet.relay.closed
            await server.unplug()
            await until(lambda: contactor.faults)
            await server.plug()
            await until(lambda: not contactor.faults)
            await until(lambda: contactor.state is ContactorState.OPEN)
            device.outlet.line.state = CpState.C
            contactor.close_contacts(lease_s=60.0)
            await until(lambda: contactor.state is ContactorState.CLOSED)
            await contactor.close()
            assert not device.outlet.relay.closed

    run(test)
