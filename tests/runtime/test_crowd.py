"""Many at one charger: 200 TLS handshakes at the same time, and a session that takes no notice of 200 strangers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import time

import pytest
from support import drive, until
from test_tls import car, station, tree

from certs.pki import TestPki
from iso15118.control.common import Wish
from iso15118.events import CommandIssued, SessionEnded, StateEntered
from iso15118.machine import NEVER, Bytes, Emit, LinkUp, PeerClosed, Send
from iso15118.runtime.events import Disconnected
from iso15118.runtime.security import Security, tls_machine
from iso15118.tls.events import TlsEstablished, TlsFailed

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]

CROWD = 200


def roomy():
    """Who the station is, with room for all of them. Three seconds do on an idle machine; a busy one must not decide."""
    return Security(tree().secc(), half_open=CROWD, handshake_s=30.0)


class Silent:
    """A session that says nothing: whoever shakes hands and then waits."""

    deadline = NEVER

    def receive(self, item, now):
        """Take an input."""

    def tick(self, now):
        """Let time pass."""

    def outputs(self):
        return iter(())


async def shake(address, security):
    """One vehicle's handshake on a connection of its own, until the charger closes it: what the vehicle was told."""
    machine = tls_machine("EVCC", security, lambda _: Silent(), time.time)
    told = []
    reader, writer = await asyncio.open_connection(*address)
    machine.receive(LinkUp(), 0.0)
    with contextlib.suppress(OSError):
        while not isinstance(told[-1] if told else None, TlsFailed):
            for output in machine.outputs():
                if isinstance(output, Send):
                    writer.write(output.data)
                elif isinstance(output, Emit) and isinstance(output.event, TlsEstablished | TlsFailed):
                    told.append(output.event)
            data = await reader.read(65_536)
            machine.receive(Bytes(data) if data else PeerClosed(), 0.0)
            if not data:
                break
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return [*told, *(o.event for o in machine.outputs() if isinstance(o, Emit))]


async def crowd(charger, identity):
    """What each of 200 vehicles that come at the same time was told."""
    security = Security(identity)
    return await asyncio.gather(*(shake(charger.address, security) for _ in range(CROWD)))


async def test_each_of_200_handshakes_at_the_same_time_comes_to_its_end(nothing_left):
    """Strangers, so that none of them becomes the session: every one is judged and told, none outlives its timer."""
    # They believe the station, which does not believe them.
    made = TestPki(datetime.datetime.now(datetime.UTC)).vehicle()
    strangers = dataclasses.replace(made, roots=tree().vehicle().roots)
    async with station(roomy()) as (charger, _, seen):
        told = await crowd(charger, strangers)
        reasons = [[e.reason for e in each if isinstance(e, TlsFailed)] for each in told]
        assert len(reasons) == CROWD
        assert all("unknown ca" in " ".join(each) for each in reasons)
        assert not any("took longer" in e.reason for e in seen.of(TlsFailed))
        assert not seen.of(CommandIssued)
        vehicle, its_bench, _ = car(charger)
        assert (await drive(vehicle, its_bench)).as_intended
    await nothing_left()


async def test_of_200_good_vehicles_one_gets_the_session(nothing_left):
    async with station(roomy()) as (charger, _, seen):
        waiting = asyncio.create_task(crowd(charger, tree().vehicle()))
        await until(lambda: charger.in_session)
        assert len(seen.of(TlsEstablished)) == 1
        await asyncio.sleep(0.2)
        assert len(seen.of(TlsEstablished)) == 1  # the others are sent away, whatever they had reached
        await charger.stop(grace_s=0)
        told = await waiting
        assert len(told) == CROWD
        assert not any("took longer" in e.reason for e in seen.of(TlsFailed))
    await nothing_left()


async def test_a_session_takes_no_notice_of_200_strangers(nothing_left):
    async with station() as (charger, _, seen):
        vehicle, its_bench, _ = car(charger, max_loops=None)  # however long the strangers take
        session = asyncio.create_task(drive(vehicle, its_bench))
        await until(lambda: any(e.state == "CHARGE_LOOP" for e in seen.of(StateEntered)))
        told = await crowd(charger, tree().vehicle())
        assert not any(isinstance(e, TlsEstablished) for each in told for e in each)
        its_bench._set(wish=Wish.TERMINATE)
        result = await session
        assert result.as_intended, result
        await until(lambda: seen.of(Disconnected))
        assert [end.as_intended for end in seen.of(SessionEnded)] == [True]
    await nothing_left()
