"""The charger around its sessions: sockets, connections, failures; session machines are fakes here."""

import asyncio
import logging
import socket
import sys
from pathlib import Path

import pytest
from support import LAB, Fake, Recorder, closing_fake, connect, fake_charger, gone, until

from iso15118.config import SeccConfig
from iso15118.control.common import CpState
from iso15118.control.evse import CloseContactor, Deenergise, EvseState
from iso15118.errors import ConfigError, LinkError
from iso15118.events import EndReason, Fault, SessionEnded
from iso15118.machine import Bytes, Close, Do, Emit, LinkDown, LinkUp, PeerClosed, Send, Stop, Update
from iso15118.runtime.charger import Charger
from iso15118.runtime.events import (
    ChargerListening,
    ConnectionRefused,
    ControllerFault,
    Disconnected,
    InternalFault,
)
from iso15118.runtime.net import DYNAMIC_PORTS
from iso15118.runtime.several import ChargerStopped, run_all
from iso15118.runtime.sinks import Memory

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]

PROJECT = Path(__file__).resolve().parent.parent.parent


async def test_it_refuses_to_run_without_tls_unless_told_so():
    with pytest.raises(ConfigError, match="insecure_no_tls=True"):
        await Charger(SeccConfig(), Recorder(), "lo").start()


async def test_running_without_tls_is_logged_loudly_once(caplog):
    with caplog.at_level(logging.WARNING, logger="iso15118.runtime"):
        async with fake_charger([closing_fake()]) as charger:
            _, writer = await connect(charger)
            writer.close()
            await writer.wait_closed()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "WITHOUT TLS" in caplog.text


async def test_an_unknown_interface_is_named_with_those_there_are():
    charger = Charger(SeccConfig(**LAB), Recorder(), "nope0")
    with pytest.raises(ConfigError, match=r"nope0.*present: .*lo"):
        await charger.start()


async def test_a_taken_port_is_a_clear_error(nothing_left):
    async with fake_charger([]) as first:
        second = fake_charger([], port=first.address[1])
        with pytest.raises(LinkError, match="another charger"):
            await second.start()
    await nothing_left()


async def test_it_listens_on_its_interface_alone_and_on_a_dynamic_port():
    async with fake_charger([]) as charger:
        address, port = charger.address
        assert address == "::1"
        assert port in DYNAMIC_PORTS
        with socket.create_server(("::1", 0), family=socket.AF_INET6):  # other ports are not its business
            pass
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_levels_reach_the_machine_before_the_link_and_later_ones_follow():
    machine = closing_fake()
    async with fake_charger([machine], state=EvseState(cp=CpState.B)) as charger:
        _, writer = await connect(charger)
        await until(lambda: machine.got(LinkUp))
        assert isinstance(machine.inputs[0], Update)
        assert machine.inputs[0].state.cp is CpState.B
        charger.evse.update(voltage_v=12.5)
        assert machine.inputs[-1] == Update(EvseState(cp=CpState.B, voltage_v=12.5))
        writer.close()


async def test_the_next_session_starts_with_the_last_levels():
    first, second = closing_fake(), closing_fake()
    async with fake_charger([first, second]) as charger:
        _, writer = await connect(charger)
        await until(lambda: first.inputs)
        charger.evse.update(locked=True)
        writer.close()
        await until(lambda: not charger.in_session and first.got(PeerClosed))
        await asyncio.sleep(0.02)
        _, writer = await connect(charger)
        await until(lambda: second.inputs)
        assert second.inputs[0].state.locked
        writer.close()


async def test_an_unknown_level_is_an_error_for_the_caller():
    charger = fake_charger([])
    with pytest.raises(TypeError, match="volts"):
        charger.evse.update(volts=3)


async def test_a_second_connection_is_closed_at_once_and_the_first_lives():
    memory = Memory()
    machine = closing_fake()
    machine.on[Bytes] = lambda item: [Send(item.data)]
    async with fake_charger([machine], sinks=[memory]) as charger:
        reader, writer = await connect(charger)
        second_reader, second_writer = await connect(charger)
        await gone(second_reader)
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        assert len(memory.of(ConnectionRefused)) == 1
        second_writer.close()
        writer.close()


async def test_a_flood_of_connections_does_not_flood_the_log():
    memory = Memory()
    async with fake_charger([closing_fake()], sinks=[memory]) as charger:
        _, writer = await connect(charger)
        for _ in range(30):
            try:
                _, more = await connect(charger)
                more.close()
            except ConnectionError:
                pass
        await asyncio.sleep(0.05)
        assert 1 <= len(memory.of(ConnectionRefused)) <= 10
        writer.close()


@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
async def test_a_peer_that_goes_is_told_once_however_it_goes(how):
    memory = Memory()
    machine = closing_fake()
    async with fake_charger([machine], sinks=[memory]) as charger:
        _, writer = await connect(charger)
        await until(lambda: machine.got(LinkUp))
        if how == "close":
            writer.close()
        elif how == "half-close":
            writer.write_eof()
        else:
            writer.transport.abort()
        await until(lambda: memory.of(Disconnected))
        assert len(machine.got(PeerClosed)) == 1
        assert len(memory.of(SessionEnded)) == 1
        charger.evse.update()
        events = len(memory.events)
        await asyncio.sleep(0.1)
        assert len(memory.events) == events, "nothing may be told of a closed connection"
        writer.close()


async def test_a_command_that_raises_is_a_hardware_fault_for_this_session_only():
    memory = Memory()
    first = closing_fake()
    first.on[Bytes] = [Do(CloseContactor())]
    second = closing_fake()
    charger = fake_charger([first, second], Recorder(fail=[CloseContactor]), sinks=[memory])
    async with charger:
        _, writer = await connect(charger)
        await until(lambda: first.got(LinkUp))
        writer.write(b"x")
        await until(lambda: any(item.state.fault for item in first.got(Update)))
        charger.evse.update(voltage_v=1.0)
        assert "CloseContactor" in first.inputs[-1].state.fault
        assert len(memory.of(ControllerFault)) == 1
        writer.close()
        await until(lambda: not charger.in_session)
        await asyncio.sleep(0.02)
        _, writer = await connect(charger)
        await until(lambda: second.got(LinkUp))
        assert not second.inputs[0].state.fault
        writer.close()


def _explode(_):
    raise ZeroDivisionError("defect")


async def test_a_machine_that_raises_powers_off_and_the_charger_goes_on():
    memory, controller = Memory(), Recorder()
    second = closing_fake()
    async with fake_charger([Fake({Bytes: _explode}), second], controller, sinks=[memory]) as charger:
        reader, writer = await connect(charger)
        writer.write(b"x")
        await gone(reader)
        writer.close()
        assert isinstance(controller.commands[-1], Deenergise)
        assert "ZeroDivisionError" in memory.of(InternalFault)[0].error
        (ended,) = memory.of(SessionEnded)
        assert (ended.reason, ended.fault) == (EndReason.LOCAL, Fault.LOCAL)
        await asyncio.sleep(0.02)
        _, writer = await connect(charger)
        await until(lambda: second.got(LinkUp))
        writer.close()


async def test_a_machine_that_cannot_be_made_refuses_the_vehicle_only():
    memory = Memory()
    async with fake_charger([], sinks=[memory]) as charger:
        reader, writer = await connect(charger)
        await gone(reader)
        writer.close()
        assert "StopIteration" in memory.of(InternalFault)[0].error


async def test_a_session_that_has_ended_makes_room_although_the_vehicle_does_not_close():
    ended = closing_fake()
    ended_event = SessionEnded(
        t=0.0, role="SECC", reason=EndReason.REFUSED, fault=Fault.REMOTE, detail="", state=""
    )
    ended.on[Bytes] = [Emit(ended_event), Close(30.0)]
    second = closing_fake()
    async with fake_charger([ended, second]) as charger:
        _, writer = await connect(charger)
        writer.write(b"x")
        await until(lambda: not charger.in_session)
        _, again = await connect(charger)
        await until(lambda: second.got(LinkUp))
        again.close()
        writer.close()


async def test_a_peer_that_does_not_read_is_not_read_from():
    machine = closing_fake()
    machine.on[Bytes] = lambda item: [Send(bytes(65_536))]
    async with fake_charger([machine]) as charger:
        connection = socket.create_connection(charger.address)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        for _ in range(400):
            try:
                async with asyncio.timeout(0.02):
                    await loop.sock_sendall(connection, bytes(4096))
            except TimeoutError:
                break
        received = sum(len(item.data) for item in machine.got(Bytes))
        assert received < 400 * 4096
        connection.close()


async def test_stop_lets_the_session_end_and_then_closes(nothing_left):
    machine = closing_fake()
    machine.on[Stop] = [Send(b"bye"), Close(0.05)]
    charger = fake_charger([machine])
    await charger.start()
    reader, writer = await connect(charger)
    await until(lambda: machine.got(LinkUp))
    await charger.stop(grace_s=2.0)
    assert await reader.read() == b"bye"
    assert machine.got(Stop)
    assert not machine.got(LinkDown)
    writer.close()
    await nothing_left()


async def test_stop_cuts_a_session_that_does_not_end(nothing_left):
    machine, memory = closing_fake(), Memory()
    charger = fake_charger([machine], sinks=[memory])
    await charger.start()
    _, writer = await connect(charger)
    await until(lambda: machine.got(LinkUp))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await charger.stop(grace_s=0.1)
    assert loop.time() - begun < 1.0
    assert machine.got(LinkDown)
    assert len(memory.of(SessionEnded)) == 1
    writer.close()
    await nothing_left()


async def test_leaving_the_loop_of_events_stops_the_charger(nothing_left):
    charger = fake_charger([])
    async for event in charger.run():
        assert isinstance(event, ChargerListening)
        address = (event.address, event.port)
        break
    await until(lambda: not charger._servers)
    await asyncio.sleep(0.01)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
    await nothing_left()


async def test_run_ends_when_stopped_from_elsewhere_and_tells_all(nothing_left):
    machine = closing_fake()
    charger = fake_charger([machine])
    seen = []

    async def read():
        async for event in charger.run():
            seen.append(event)  # noqa: PERF401 - to be read meanwhile

    reading = asyncio.create_task(read())
    await until(lambda: charger.address)
    _, writer = await connect(charger)
    await until(lambda: machine.got(LinkUp))
    await charger.stop(grace_s=0.05)
    async with asyncio.timeout(1.0):
        await reading
    assert isinstance(seen[-1], Disconnected)
    writer.close()
    await nothing_left()


async def test_it_can_be_started_again():
    charger = fake_charger([closing_fake(), closing_fake()])
    for _ in range(2):
        async with charger:
            _, writer = await connect(charger)
            writer.close()
            await writer.wait_closed()


async def test_regression_20_one_evse_does_not_take_down_the_others(nothing_left):
    good = fake_charger([closing_fake(), closing_fake()])
    bad = Charger(SeccConfig(**LAB), Recorder(), "nope0")
    broken = fake_charger([Fake({LinkUp: _explode})])
    seen = []

    async def read():
        async for charger, event in run_all([good, bad, broken]):
            seen.append((charger, event))

    reading = asyncio.create_task(read())
    await until(lambda: good.address and broken.address)
    await until(lambda: any(isinstance(e, ChargerStopped) and c is bad for c, e in seen))
    reader, writer = await connect(broken)
    await gone(reader)
    writer.close()
    for _ in range(2):
        _, writer = await connect(good)
        writer.close()
        await until(lambda: not good.in_session)
        await asyncio.sleep(0.02)
    stopped = [event for charger, event in seen if isinstance(event, ChargerStopped)]
    assert [type(event.error) for event in stopped] == [ConfigError]
    await good.stop(grace_s=0)
    await broken.stop(grace_s=0)
    async with asyncio.timeout(1.0):
        await reading
    await nothing_left()


async def test_a_sink_that_raises_is_dropped_and_told():
    memory = Memory()

    def faulty(_):
        raise OSError("disk full")

    async with fake_charger([], sinks=[faulty, memory]):
        pass
    assert len(memory.of(InternalFault)) == 1
    assert memory.of(ChargerListening)


WARM = """
import asyncio, sys
from iso15118.config import SeccConfig
from iso15118.control.common import EnergyService
from iso15118.runtime.warm import warm_up
from iso15118.messages import namespaces
from iso15118.messages.registry import schema_set
asyncio.run(warm_up([EnergyService.DC], "iso15118.secc.machine"))
assert "iso15118.secc.machine" in sys.modules and "iso15118.messages.iso20.dc" in sys.modules
for name in (namespaces.COMMON_MESSAGES, namespaces.DC):
    cold = [c.__name__ for c in schema_set(name).classes if schema_set(name).kind(c).start is None]
    assert not cold, cold
"""


async def test_everything_is_compiled_before_the_first_vehicle_comes():
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WARM, cwd=PROJECT)
    assert await process.wait() == 0
