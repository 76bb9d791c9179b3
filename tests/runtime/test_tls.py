"""Sessions over TLS on loopback: who is let in, who is not and is told why, and nobody blocks anybody."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import functools
import logging
import sys

import pytest
from support import PATIENT_CAR, PATIENT_EVSE, Recorder, benches, drive, living, until

from certs.chain import LAB as LAB_POLICY
from certs.chain import Evidence
from certs.keys import HardwareKey
from certs.pki import TestPki
from iso15118.config import EvccConfig, SeccConfig
from iso15118.control.common import Contactor
from iso15118.control.evse import EvseState
from iso15118.errors import ConfigError, DiscoveryError
from iso15118.events import CommandIssued, EndReason, MessageReceived, SessionEnded
from iso15118.runtime.charger import Charger
from iso15118.runtime.events import ChargerListening, Connected, ConnectionRefused, Disconnected
from iso15118.runtime.security import Security
from iso15118.runtime.sinks import Memory
from iso15118.runtime.vehicle import Vehicle
from iso15118.tls.errors import TlsError
from iso15118.tls.events import TlsEstablished, TlsFailed, TlsTruncated

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]

EVSE = {**PATIENT_EVSE, "insecure_no_tls": False}
CAR = {**PATIENT_CAR, "insecure_no_tls": False}


@functools.cache
def tree(curve=""):
    return TestPki(datetime.datetime.now(datetime.UTC), curve=curve)


@contextlib.asynccontextmanager
async def station(identity=None, **config):
    """A charger with TLS on loopback, its bench and what it tells."""
    seen = Memory()
    bench, _ = benches()
    charger = Charger(
        SeccConfig(**{**EVSE, **config}),
        bench,
        "lo",
        identity=identity or tree().secc(),
        state=bench.state,
        discovery=False,
        sinks=[seen],
    )
    async with charger, living(bench, charger.evse.write):
        yield charger, bench, seen


def car(charger, identity=None, where=None, **config):
    """A vehicle with TLS that goes straight to `charger`."""
    _, bench = benches()
    seen = Memory()
    settings = EvccConfig(
        **{"loop_interval_s": 0.02, "poll_interval_s": 0.02, "max_loops": 3, **CAR, **config}
    )
    vehicle = Vehicle(
        settings,
        bench,
        "lo",
        identity=identity or tree().vehicle(),
        state=bench.state,
        charger=where or charger.address,
        sinks=[seen],
    )
    return vehicle, bench, seen


async def refused(charger, seen, vehicle, bench):
    """Drive a session that does not come about: how the car ended, what the charger told; nothing was energised."""
    result = await drive(vehicle, bench)
    await until(lambda: seen.of(Disconnected))
    assert not charger.in_session
    assert not seen.of(CommandIssued, MessageReceived)
    assert result.reason is EndReason.SECURITY, result
    return result, seen.of(TlsFailed)[0]


# --- sessions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", ["secp521r1", "ed448", "secp256r1"])
async def test_a_session_over_tls(curve, nothing_left):
    secc, ev = tree(curve).secc(), tree(curve).vehicle()
    async with station(secc) as (charger, bench, seen):
        (listening,) = seen.of(ChargerListening)
        assert listening.tls
        vehicle, its_bench, seen_ev = car(charger, ev)
        result = await drive(vehicle, its_bench)
        await until(lambda: seen.of(Disconnected))
        assert result.reason is EndReason.COMPLETED, result
        assert [e.reason for e in seen.of(SessionEnded)] == [EndReason.COMPLETED]
        assert bench.state.contactor is Contactor.OPEN
        for told in (seen, seen_ev):
            (established,) = told.of(TlsEstablished)
            assert (established.version, established.group) == ("TLS13", "secp521r1")
            assert established.suite == "TLS_AES_256_GCM_SHA384"
            kinds = [type(e) for e in told.of(Connected, TlsEstablished, Disconnected, TlsTruncated)]
            assert kinds == [Connected, TlsEstablished, Disconnected]
    await nothing_left()


async def test_session_after_session_and_a_new_identity_between():
    async with station() as (charger, bench, seen):
        for number in range(1, 3):
            vehicle, its_bench, _ = car(charger)
            assert (await drive(vehicle, its_bench)).as_intended
            await until(lambda: len(seen.of(Disconnected)) == number)  # noqa: B023
            bench.plug_in()
            charger.security = tree().secc()
        first, second = seen.of(TlsEstablished)
        assert first.peer != second.peer


@pytest.mark.req("V2G20-2433")
async def test_what_is_known_of_revoked_vehicles_counts():
    good, revoked = tree().vehicle(), tree().vehicle(defect="revoked")
    known = Security(tree().secc(), evidence=lambda: Evidence(ocsp=(good.status, revoked.status)))
    async with station(known) as (charger, _, seen):
        vehicle, its_bench, _ = car(charger, revoked)
        result, failed = await refused(charger, seen, vehicle, its_bench)
        assert "is revoked" in failed.reason
        assert "revoked" in result.detail
        vehicle, its_bench, _ = car(charger, good)
        assert (await drive(vehicle, its_bench)).as_intended


async def test_the_newest_response_is_stapled_where_one_is_fetched():
    secc = tree().secc()
    stale = tree().secc(defect="stale-status")
    status = [stale.status]
    bare = dataclasses.replace(stale, status=b"")
    async with station(Security(bare, staple=lambda: status[0])) as (charger, _, seen):
        vehicle, bench, _ = car(charger)
        result, _ = await refused(charger, seen, vehicle, bench)
        assert "proves nothing" in result.detail
        status[0] = tree().status(stale, datetime.datetime.now(datetime.UTC))
        vehicle, bench, _ = car(charger)
        assert (await drive(vehicle, bench)).as_intended
    assert secc.status != status[0]


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defect", "reason", "alert"),
    [
        ("expired", "expired", "certificate expired"),
        ("wrong-role", "another role", "certificate unknown"),
        ("unknown-root", "root", "unknown ca"),
        ("forged", "root", "unknown ca"),
        ("missing-sub-ca", "root", "unknown ca"),
        ("no-organisation", "there is no O", "bad certificate"),
    ],
)
async def test_regression_04_a_car_with_a_bad_certificate_is_refused_and_told(
    defect, reason, alert, nothing_left
):
    async with station() as (charger, bench, seen):
        vehicle, its_bench, seen_ev = car(charger, tree().vehicle(defect=defect))
        result, failed = await refused(charger, seen, vehicle, its_bench)
        assert reason in failed.reason
        assert alert in result.detail, "the alert that the car got"
        assert bench.state.contactor is Contactor.OPEN
        assert not seen_ev.of(MessageReceived)
    await nothing_left()


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        ("expired", "expired"),
        ("revoked", "revoked"),
        ("unknown-root", "root"),
        ("wrong-extended-key-usage", "not meant for this use"),
        ("stale-status", "proves nothing"),
    ],
)
async def test_regression_03_a_station_with_a_bad_certificate_is_left(defect, reason):
    async with station(tree().secc(defect=defect)) as (charger, _, seen):
        vehicle, bench, seen_ev = car(charger)
        result, failed = await refused(charger, seen, vehicle, bench)
        assert reason in result.detail
        assert "the peer refused the connection" in failed.reason
        assert failed.remote
        assert not seen_ev.of(TlsEstablished, MessageReceived)


async def test_a_laboratory_tolerates_broken_profiles_by_name():
    bad = tree().secc(defect="no-organisation")
    async with station(bad) as (charger, _, _):
        vehicle, bench, _ = car(charger, Security(tree().vehicle(), policy=LAB_POLICY))
        assert (await drive(vehicle, bench)).as_intended


async def test_v2gtp_in_the_clear_is_no_session():
    async with station() as (charger, _, seen):
        reader, writer = await asyncio.open_connection(*charger.address)
        writer.write(bytes.fromhex("01fe800100000002809802"))
        assert await asyncio.wait_for(reader.read(), 2.0) == b""
        await until(lambda: seen.of(Disconnected))
        assert "V2GTP in the clear" in seen.of(TlsFailed)[0].reason
        writer.close()


async def test_a_car_with_tls_never_falls_back():
    """Neither when TLS fails nor when a charger answers in the clear."""
    async with station(None, insecure_no_tls=True) as (charger, _, seen):
        assert charger.plain_address != charger.address
        vehicle, bench, seen_ev = car(charger, where=charger.plain_address)
        result = await drive(vehicle, bench)
        assert not result.as_intended
        assert not seen.of(MessageReceived), "a ClientHello is no message"
        assert not seen_ev.of(MessageReceived)
        assert len(seen_ev.of(Connected)) == 1


async def test_a_car_falls_back_where_its_configuration_says_so():
    from iso15118.discovery.events import SeccFound

    async with station(None, insecure_no_tls=True) as (charger, _, seen):
        vehicle, bench, seen_ev = car(charger, insecure_no_tls=True)
        address, port = charger.plain_address

        async def answer(_):
            return SeccFound(t=0.0, role="EVCC", address=address, port=port, tls=False, downgraded=True)

        vehicle._approach._charger, vehicle._approach._discover = None, answer
        assert (await drive(vehicle, bench)).as_intended
        assert not seen_ev.of(TlsEstablished)
        assert not seen.of(TlsEstablished)


async def test_both_ports_serve_where_the_configuration_allows_plain():
    async with station(None, insecure_no_tls=True) as (charger, bench, seen):
        assert [e.tls for e in seen.of(ChargerListening)] == [True, False]
        told = charger._discovery_machine()._endpoints
        assert (told.tls_port, told.plain_port) == (charger.address[1], charger.plain_address[1])
        _, plain_car = benches()
        plain = Vehicle(
            EvccConfig(**PATIENT_CAR, max_loops=2),
            plain_car,
            "lo",
            state=plain_car.state,
            charger=charger.plain_address,
        )
        assert (await drive(plain, plain_car)).as_intended
        await until(lambda: seen.of(Disconnected))
        bench.plug_in()
        vehicle, its_bench, _ = car(charger)
        assert (await drive(vehicle, its_bench)).as_intended


# --- strangers --------------------------------------------------------------------------------


async def test_a_stalled_handshake_ends_and_is_told():
    async with station(Security(tree().secc(), handshake_s=0.2)) as (charger, _, seen):
        reader, writer = await asyncio.open_connection(*charger.address)
        writer.write(b"\x16\x03\x01")
        assert await asyncio.wait_for(reader.read(), 2.0) == b""
        await until(lambda: seen.of(Disconnected))
        assert "longer than 0.2 s" in seen.of(TlsFailed)[0].reason
        kinds = [type(e) for e in seen.of(Connected, TlsFailed, SessionEnded, Disconnected)]
        assert kinds == [Connected, TlsFailed, SessionEnded, Disconnected]
        writer.close()


async def test_fifty_half_open_connections_do_not_keep_a_car_out(nothing_left):
    async with station() as (charger, bench, seen):
        strangers = [await asyncio.open_connection(*charger.address) for _ in range(50)]
        for _, writer in strangers[::2]:
            with contextlib.suppress(ConnectionError):
                writer.write(b"\x16\x03\x01")
        await until(lambda: seen.of(ConnectionRefused))
        assert len(charger._reception._half_open) == charger.security.half_open
        assert not charger.in_session
        vehicle, its_bench, _ = car(charger)
        assert (await drive(vehicle, its_bench)).as_intended
        assert bench.state.contactor is Contactor.OPEN
        assert not charger._reception._half_open, "one session, and the others were sent away"
        await until(lambda: seen.of(Disconnected))
        assert len(seen.of(Connected)) == 1, "the log is not flooded"
        assert len(seen.of(ConnectionRefused)) <= 15
        for _, writer in strangers:
            writer.close()
    await nothing_left()


async def test_while_a_session_runs_nobody_else_shakes_hands():
    async with station() as (charger, _, seen):
        vehicle, bench, _ = car(charger, max_loops=None)
        driving = asyncio.create_task(drive(vehicle, bench))
        await until(lambda: charger.in_session)
        reader, writer = await asyncio.open_connection(*charger.address)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 2.0) == b""
        assert seen.of(ConnectionRefused)[-1].reason == "a session is going on"
        await vehicle.stop("enough", grace_s=8.0)
        assert (await driving).as_intended
        writer.close()


async def test_stopping_the_charger_sends_half_open_connections_away(nothing_left):
    async with station() as (charger, _, seen):
        reader, writer = await asyncio.open_connection(*charger.address)
        await until(lambda: charger._reception._half_open)
        await charger.stop()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 2.0) == b""
        assert seen.of(ConnectionRefused)[-1].reason == "the charger stops"
        writer.close()
    await nothing_left()


async def test_a_plug_that_is_pulled_sends_half_open_connections_away_and_starts_no_session():
    from test_plug import QUICK_OUTLET, PilotStation

    from iso15118.control.common import CpState
    from iso15118.plug.words import PlugState
    from iso15118.runtime.plug import Plug

    seen = Memory()
    bench = PilotStation(benches()[0].state.limits, cable_check_s=0.1)
    config = SeccConfig(plug=QUICK_OUTLET, **EVSE)
    charger = Charger(
        config,
        bench,
        "lo",
        identity=tree().secc(),
        state=bench.state,
        discovery=False,
        sinks=[seen],
        plug=Plug(),
    )
    async with charger, living(bench, charger.evse.write):
        bench.plug_in()
        await until(lambda: charger._communicating)
        reader, writer = await asyncio.open_connection(*charger.address)
        await until(lambda: charger._reception._half_open)
        bench.pulled = True
        bench._set(cp=CpState.A)
        charger.evse.write(bench.state)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 2.0) == b""
        await until(lambda: seen.of(ConnectionRefused))
        assert seen.of(ConnectionRefused)[0].reason == "no vehicle is plugged in and matched"
        assert "SESSION" not in [e.state for e in seen.of(PlugState)]
        writer.close()


async def test_a_connection_cut_in_the_session_is_no_orderly_end():
    async with station() as (charger, bench, seen):
        vehicle, its_bench, _ = car(charger, max_loops=None)
        driving = asyncio.create_task(drive(vehicle, its_bench))
        await until(lambda: bench.state.contactor is Contactor.CLOSED, 8.0)
        charger._reception.session._transport.abort()
        result = await driving
        assert result.reason is EndReason.PEER_CLOSED
        await until(lambda: seen.of(Disconnected))
        await until(lambda: bench.state.contactor is Contactor.OPEN)


def in_hardware(identity):
    key = HardwareKey(identity.key.public_key(), lambda digest: digest)
    return dataclasses.replace(identity, key=key)


# --- configuration ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: tree().vehicle(), "role vehicle; accepted: secc, as in DIR/secc"),
        (lambda: dataclasses.replace(tree().secc(), roots={}), "trusts no root"),
        (lambda: TestPki(tree().at, "iso15118-2").secc("Station 7"), "ISO 15118-2"),
        (lambda: in_hardware(tree().secc()), r"cannot use its key \(HardwareKey\)"),
        (lambda: tree().secc(defect="swapped-key"), "cannot use its key"),
        (lambda: None, "pki init DIR"),
    ],
)
async def test_an_identity_that_does_not_fit_is_told_at_start(make, told):
    with pytest.raises(ConfigError, match=told):
        await Charger(SeccConfig(), Recorder(), "lo", identity=make(), state=EvseState()).start()


async def test_a_library_that_cannot_be_limited_is_told_at_start(monkeypatch):
    from OpenSSL import _util

    monkeypatch.setattr(_util.lib, "SSL_CTX_set1_sigalgs_list", None, raising=False)
    with pytest.raises(TlsError, match="cannot be limited to ecdsa_secp521r1_sha512, ed448"):
        await Charger(SeccConfig(), Recorder(), "lo", identity=tree().secc()).start()


async def test_contracts_without_roots_are_told_at_start():
    config = SeccConfig(insecure_no_tls=True, authorization=("PnC", "EIM"))
    with pytest.raises(ConfigError, match=r"authorization.*identity="):
        await Charger(config, Recorder(), "lo").start()


async def test_a_vehicle_without_identity_names_the_command_that_makes_one():
    vehicle = Vehicle(EvccConfig(), benches()[1], "lo")
    with pytest.raises(ConfigError, match=r"pki init DIR.*DIR/vehicle"):
        await anext(vehicle.run())


@pytest.mark.parametrize("change", [{"handshake_s": 0.0}, {"half_open": 0}])
async def test_limits_are_limits(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        Security(tree().secc(), **change)


async def test_regression_17_the_key_log_is_off_unless_asked_for_and_then_loud(caplog):
    lines = []
    with caplog.at_level(logging.WARNING, logger="iso15118.runtime"):
        async with station(Security(tree().secc(), key_log=lines.append)) as (charger, _, _):
            assert "SECRETS" in caplog.text
            vehicle, bench, _ = car(charger)
            assert (await drive(vehicle, bench)).as_intended
    assert {line.split()[0] for line in lines} >= {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"}
    assert "CLIENT_TRAFFIC" not in caplog.text
    assert str(tree().secc().key) not in repr(Security(tree().secc(), key_log=lines.append))
    assert Security(tree().secc()).key_log is None


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: tree().secc(), ["nothing is known about revoked vehicles"]),
        (lambda: Security(tree().secc(), evidence=Evidence), []),
        (
            lambda: Security(tree().secc(defect="expired"), evidence=Evidence),
            ["its own certificate ended on"],
        ),
        (lambda: Security(tree().secc(defect="not-yet-valid"), evidence=Evidence), ["look at the clock"]),
        (
            lambda: Security(tree().secc(defect="stale-status"), evidence=Evidence),
            ["OCSP response proves nothing"],
        ),
        (lambda: Security(tree().secc(), evidence=Evidence, staple=bytes), ["there is no OCSP response"]),
    ],
)
async def test_what_will_keep_vehicles_away_is_told_at_start(make, told, caplog):
    with caplog.at_level(logging.WARNING, logger="iso15118.runtime"):
        async with station(make()):
            pass
    assert len(caplog.records) == len(told)
    assert all(text in caplog.text for text in told)
    assert "WITHOUT TLS" not in caplog.text


async def test_a_car_with_tls_does_not_take_a_plain_answer():
    """The answer of discovery is judged twice: by the machine that asks, and before anybody connects."""
    from iso15118.discovery.events import SeccFound
    from iso15118.runtime.approach import Approach
    from iso15118.runtime.net import find_interface

    for tls, found_tls, reason in ((True, False, "offers no TLS"), (False, True, "no identity")):
        approach = Approach(1, lambda _: None, tls=tls, plain=not tls)

        async def answer(_, found_tls=found_tls):
            return SeccFound(t=0.0, role="EVCC", address="::1", port=9, tls=found_tls)

        approach._discover = answer
        with pytest.raises(DiscoveryError, match=reason):
            await approach.connect(find_interface("lo"), lambda _: None)


async def test_plain_programs_do_not_load_the_tls_library():
    program = (
        "import sys, iso15118.runtime.charger, iso15118.runtime.vehicle as v; "
        "sys.exit(any(m.split('.')[0] in ('OpenSSL', 'cryptography') for m in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == 0
