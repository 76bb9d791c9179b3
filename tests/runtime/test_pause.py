"""A session that was paused goes on, on loopback over TLS: the same process, a new one, another vehicle."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import logging

import pytest
from support import PATIENT_CAR, PATIENT_EVSE, benches, drive, living, until

from certs.pki import TestPki
from iso15118.config import EvccConfig, SeccConfig
from iso15118.control.common import CpState, Wish
from iso15118.events import EndReason, MessageSent, PauseEnded
from iso15118.runtime.charger import Charger
from iso15118.runtime.kept import KeptSession
from iso15118.runtime.sinks import Memory
from iso15118.runtime.vehicle import Vehicle

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]

EVSE = {**PATIENT_EVSE, "insecure_no_tls": False}
CAR = {**PATIENT_CAR, "insecure_no_tls": False, "loop_interval_s": 0.02, "poll_interval_s": 0.02}


@functools.cache
def tree():
    return TestPki(datetime.datetime.now(datetime.UTC))


@functools.cache
def identities():
    """The same ones in every test, as on the disk of a device."""
    return tree().secc(), tree().vehicle()


@contextlib.asynccontextmanager
async def station(**config):
    seen = Memory()
    bench, _ = benches()
    settings = SeccConfig(**{**EVSE, **config})
    charger = Charger(
        settings, bench, "lo", identity=identities()[0], state=bench.state, discovery=False, sinks=[seen]
    )
    async with charger, living(bench, charger.evse.write):
        yield charger, bench, seen


def car(charger, identity=None, **config):
    _, bench = benches()
    vehicle = Vehicle(
        EvccConfig(**{**CAR, **config}),
        bench,
        "lo",
        identity=identity or identities()[1],
        state=bench.state,
        charger=charger.address,
    )
    return vehicle, bench


async def paused_by(charger, bench, vehicle, its_bench):
    """Charge until the station asks for a pause."""
    bench._set(wish=Wish.PAUSE)
    result = await drive(vehicle, its_bench)
    assert result.reason is EndReason.PAUSED, result
    await until(lambda: not charger.in_session)
    bench._set(wish=None)


def codes(seen):
    sent = [e.message for e in seen.of(MessageSent)]
    return [m.response_code.value for m in sent if type(m).__name__ == "SessionSetupRes"]


NEW, JOINED = "OK_NewSessionEstablished", "OK_OldSessionJoined"


async def test_the_same_vehicle_goes_on(nothing_left):
    async with station() as (charger, bench, seen):
        vehicle, its_bench = car(charger)
        await paused_by(charger, bench, vehicle, its_bench)
        assert charger.paused is not None
        assert vehicle.paused.session_id == charger.paused.session_id
        vehicle.config = dataclasses.replace(vehicle.config, max_loops=3)
        result = await drive(vehicle, its_bench)
        assert result.reason is EndReason.COMPLETED, result
        await until(lambda: not charger.in_session)
        assert codes(seen) == [NEW, JOINED]
        assert (charger.paused, vehicle.paused) == (None, None)


async def test_another_vehicle_does_not_though_it_knows_all_that_is_kept(nothing_left):
    async with station() as (charger, bench, seen):
        vehicle, its_bench = car(charger)
        await paused_by(charger, bench, vehicle, its_bench)
        thief, its_bench = car(charger, tree().vehicle(), max_loops=2)
        thief.paused = vehicle.paused
        result = await drive(thief, its_bench)
        assert result.reason is EndReason.COMPLETED, result
        await until(lambda: not charger.in_session)
        assert codes(seen) == [NEW, NEW]
        assert not seen.of(PauseEnded)
        assert charger.paused is not None, "the one it belongs to may still come back"


async def test_both_sides_go_on_after_a_restart(tmp_path, nothing_left):
    files = {name: str(tmp_path / f"{name}.json") for name in ("secc", "evcc")}
    async with station(paused_file=files["secc"]) as (charger, bench, _):
        vehicle, its_bench = car(charger, paused_file=files["evcc"])
        await paused_by(charger, bench, vehicle, its_bench)
    assert all((tmp_path / f"{name}.json").exists() for name in files)
    async with station(paused_file=files["secc"]) as (charger, _, seen):
        vehicle, its_bench = car(charger, paused_file=files["evcc"], max_loops=2)
        result = await drive(vehicle, its_bench)
        assert result.reason is EndReason.COMPLETED, result
        await until(lambda: not charger.in_session)
        assert codes(seen) == [JOINED]
    assert list(tmp_path.iterdir()) == []


async def test_what_the_operator_ends_does_not_come_back_with_a_restart(tmp_path, nothing_left):
    file = tmp_path / "paused.json"
    async with station(paused_file=str(file)) as (charger, bench, _):
        await paused_by(charger, bench, *car(charger))
        assert file.stat().st_mode & 0o777 == 0o600
        charger.paused = None
    async with station(paused_file=str(file)) as (charger, _, _):
        assert charger.paused is None


async def test_unplugged_is_over(nothing_left):
    async with station() as (charger, bench, _):
        vehicle, its_bench = car(charger)
        await paused_by(charger, bench, vehicle, its_bench)
        charger.evse.write(dataclasses.replace(charger.evse.state, cp=CpState.A))
        assert charger.paused is None


async def test_the_operator_may_end_a_pause(nothing_left):
    async with station() as (charger, bench, seen):
        vehicle, its_bench = car(charger)
        await paused_by(charger, bench, vehicle, its_bench)
        charger.paused = None
        vehicle.config = dataclasses.replace(vehicle.config, max_loops=2)
        result = await drive(vehicle, its_bench)
        assert result.reason is EndReason.COMPLETED, result
        await until(lambda: not charger.in_session)
        assert codes(seen) == [NEW, NEW]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]" * 100_000])
async def test_a_file_that_is_none_is_told_and_left(tmp_path, caplog, content):
    file = tmp_path / "paused.json"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        kept = KeptSession(str(file))
    assert kept.session is None
    assert "is lost" in caplog.text


async def test_a_folder_that_is_not_there_costs_the_resume_alone(tmp_path, caplog, nothing_left):
    async with station(paused_file=str(tmp_path / "nowhere" / "paused.json")) as (charger, bench, _):
        vehicle, its_bench = car(charger)
        with caplog.at_level(logging.WARNING):
            await paused_by(charger, bench, vehicle, its_bench)
        assert "cannot be kept" in caplog.text
        assert charger.paused is not None
