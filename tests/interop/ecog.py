"""Sessions against EcoG's `iso15118` package, in a private network, one peer process per session.

The peer is a separate program in its own virtual environment (its import name is also `iso15118`); it is
driven by `../shared/interop/ecog/ecog_peer.py` and told apart by its exit code and JSON timeline.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ecog_pki

from iso15118.config import EvccConfig, EvccTimers, SeccConfig, SeccTimers
from iso15118.control.common import ControlMode, EnergyService
from iso15118.errors import Iso15118Error
from iso15118.events import MessageReceived, MessageSent, SessionEnded, as_record
from iso15118.exi.schema import info_of
from iso15118.messages.iso20.common import AuthorizationReq, PnC_AReqAuthorizationMode
from iso15118.quirks import Quirk
from iso15118.runtime.charger import Charger
from iso15118.runtime.lab import EV_INTERFACE, EVSE_INTERFACE, problem
from iso15118.runtime.vehicle import Vehicle
from iso15118.sim.controllers import AC_STATION, DC_STATION
from iso15118.sim.realtime import BenchCar, BenchStation, run_bench
from iso15118.sim.run import simulate
from iso15118.tls.events import TlsEstablished

PROJECT = Path(__file__).resolve().parent.parent.parent
PEER = PROJECT.parent / "shared" / "interop" / "ecog" / "ecog_peer.py"
MAKE_PKI = PEER.with_name("make_pki.sh")
WARM_PEER = Path(__file__).resolve().parent / "_peer.py"
OWN_VENV = PROJECT / ".ecogvenv"
PACKAGE = "iso15118==0.31.2"

SESSION_S = 60.0
"""Longest a session with its two JVM starts may take."""
LOOPS = 4
STRICT_LOOP_S = 0.5
RELAXED_LOOP_S = 3.0
"""Instead of 0.5 s between the messages of the loop: a busy machine delays the peer's JVM by more."""

PEER_PRE_CHARGE_V = 30_000.0
"""Their car asks for 20 kV in pre-charge and their station always measures 1 V."""


@dataclass(frozen=True)
class Case:
    """One session: who is ours, which energy service, who plans; over TLS 1.3; paid by contract."""

    ours: str  # "station" or "vehicle"
    service: EnergyService
    control: ControlMode
    tls: bool = False
    pnc: bool = False

    @property
    def name(self) -> str:
        """For example station-DC_BPT-dynamic-tls-pnc."""
        security = "-tls" * self.tls + "-pnc" * self.pnc
        return f"{self.ours}-{self.service.name}-{self.control.name.lower()}{security}"

    @property
    def protocol(self) -> str:
        """The peer's name of the service."""
        return "iso20-" + self.service.name.lower().replace("_", "-")


CASES = tuple(
    Case(ours, service, control)
    for ours in ("station", "vehicle")
    for service in (EnergyService.DC, EnergyService.AC, EnergyService.DC_BPT, EnergyService.AC_BPT)
    for control in (ControlMode.SCHEDULED, ControlMode.DYNAMIC)
)
SECURE_CASES = tuple(
    Case(ours, service, control, tls=True, pnc=pnc)
    for ours in ("station", "vehicle")
    for service, control in (
        (EnergyService.DC, ControlMode.DYNAMIC),
        (EnergyService.AC, ControlMode.SCHEDULED),
        (EnergyService.DC_BPT, ControlMode.SCHEDULED),
    )
    for pnc in (False, True)
)


@dataclass
class Outcome:
    """What happened in one session; `faults` says what was not as it must be."""

    case: Case
    seconds: float = 0.0
    messages: list[str] = field(default_factory=list)  # ours, in order
    peer_messages: list[str] = field(default_factory=list)
    peer_code: int | None = None
    ended: SessionEnded | None = None
    faults: list[str] = field(default_factory=list)
    connection: str = ""  # version, suite and group of TLS
    slowest_ms: float = 0.0  # our slowest turn: from a message received to the next one sent
    peer_slowest_ms: float = 0.0  # theirs, as seen by us

    @property
    def ok(self) -> bool:
        """Whether the session went from SupportedAppProtocol to SessionStop on both sides."""
        return not self.faults


# --- what is needed ---------------------------------------------------------------------------


def ecog_python() -> Path | None:
    """The interpreter that has the peer installed: $ECOG_PYTHON, or the environment made by `install`."""
    named = os.environ.get("ECOG_PYTHON")
    for candidate in (Path(named) if named else None, OWN_VENV / "bin" / "python"):
        if candidate is not None and candidate.is_file():
            return candidate
    return None


def install() -> Path:
    """Make `.ecogvenv` with the peer in it, from the package index."""
    if not (OWN_VENV / "bin" / "python").is_file():
        venv.create(OWN_VENV, with_pip=True)
    python = OWN_VENV / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
    return python


def missing() -> str:
    """Why these sessions cannot run here; empty where they can."""
    if not PEER.is_file():
        return "no ../shared/interop/ecog (the peer's driver)"
    if ecog_python() is None:
        return "no peer: set ECOG_PYTHON or run `python tests/interop/matrix.py --install`"
    if shutil.which("java") is None:
        return "the peer's codec needs a Java runtime on PATH"
    return problem()


# --- one session, inside the lab --------------------------------------------------------------


async def run_case(case: Case, folder: Path, loop_s: float = RELAXED_LOOP_S) -> Outcome:
    """Run one session in the current network namespace; files go to `folder`."""
    outcome = Outcome(case)
    begun = time.monotonic()
    seen: list[Any] = []
    python = ecog_python()
    if case.tls and python is not None:
        ecog_pki.make(MAKE_PKI, python, folder)
    try:
        async with asyncio.timeout(SESSION_S):
            if case.ours == "station":
                await _our_station(case, folder, outcome, seen, loop_s)
            else:
                await _our_vehicle(case, folder, outcome, seen, loop_s)
    except TimeoutError:
        outcome.faults.append(f"not over after {SESSION_S:g} s")
    except Iso15118Error as error:
        outcome.faults.append(f"{type(error).__name__}: {error}")
    outcome.seconds = time.monotonic() - begun
    _judge(outcome, seen, folder)
    return outcome


async def _our_station(case: Case, folder: Path, outcome: Outcome, seen: list[Any], loop_s: float) -> None:
    # In the Dynamic loop it takes 400 V at most, after a pre-charge to as much as the station gives.
    limits = AC_STATION if case.service.is_ac else replace(DC_STATION, max_voltage_v=400.0)
    station = BenchStation(limits, cable_check_s=0.5)
    config = SeccConfig(
        services=(case.service,),
        control_modes=(case.control,),
        pre_charge_tolerance_v=PEER_PRE_CHARGE_V,
        authorization=("PnC", "EIM") if case.pnc else ("EIM",),
        insecure_no_tls=not case.tls,
        discovery_window_s=None,
        timers=SeccTimers(loop_sequence_s=loop_s),
        # Their car refuses a meter's discharge reading: it looks for the element under a wrong name.
        quirks=(Quirk.NO_DISCHARGED_READING, *_signatures(case)),
    )
    who = ecog_pki.station(_pki(folder)) if case.tls else None
    charger = Charger(config, station, EVSE_INTERFACE, state=station.state, sinks=[seen.append], identity=who)
    async with charger:
        bench = asyncio.create_task(run_bench(station, charger.evse.write))
        arguments = ["evcc", "--iface", EV_INTERFACE, "--loops", str(LOOPS)]
        try:
            async with peer(case, folder, arguments) as process:
                outcome.peer_code = await process.wait()
            await _until(lambda: not charger.in_session)
        finally:
            bench.cancel()


async def _our_vehicle(case: Case, folder: Path, outcome: Outcome, seen: list[Any], loop_s: float) -> None:
    car = BenchCar(case.service, case.control)
    config = EvccConfig(
        services=(case.service,),
        control_mode=case.control,
        pre_charge_tolerance_v=PEER_PRE_CHARGE_V,
        max_loops=LOOPS,
        authorization=("PnC",) if case.pnc else ("EIM",),
        insecure_no_tls=not case.tls,
        timers=EvccTimers(loop_message_s=loop_s),
        quirks=_signatures(case),
    )
    who = ecog_pki.vehicle(_pki(folder)) if case.tls else None
    vehicle = Vehicle(config, car, EV_INTERFACE, state=car.state, sinks=[seen.append], identity=who)
    ready = folder / "ready"
    arguments = ["secc", "--iface", EVSE_INTERFACE, "--control", case.control.name.lower()]
    arguments += ["--auth", "PNC" if case.pnc else "EIM"]
    async with peer(case, folder, [*arguments, "--ready-file", str(ready)]) as process:
        await _until(lambda: ready.exists() or process.returncode is not None)
        bench = asyncio.create_task(run_bench(car, vehicle.ev.write))
        try:
            async for _ in vehicle.run():
                pass
        finally:
            bench.cancel()
        outcome.peer_code = await process.wait()


def _signatures(case: Case) -> tuple[Quirk, ...]:
    """Their stack signs and verifies with SHA-256 on P-256 alone."""
    return (Quirk.P256_SIGNATURES,) if case.pnc else ()


def _pki(folder: Path) -> Path:
    """The peer's certificates for this session, which `run_case` has made."""
    return folder / "pki"


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - another process's file has no event
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def peer(case: Case, folder: Path, arguments: list[str]) -> Any:
    """The peer as a process in its own session; it and its JVM are gone afterwards."""
    warmup = folder / "warmup"
    warmup.write_text("\n".join(_warmup(case)))
    command = [
        str(ecog_python()),
        "-u",
        str(WARM_PEER),
        str(PEER),
        str(warmup),
        *arguments,
        "--protocol",
        case.protocol,
        "--quick-end",
    ]
    command += ["--timeline", str(folder / "peer.jsonl"), "--timeout", str(SESSION_S - 5)]
    if case.tls:
        command += ["--tls", "tls13", "--pki", str(_pki(folder))]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    environment["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # quick to start
    with (folder / "peer.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()


def _warmup(case: Case) -> list[str]:
    """One of each message of a simulated session of this kind, as namespace and EXI."""
    run = simulate(case.service.name, case.control.name.lower(), loops=2)
    kinds = {type(sent.message): sent for sent in run.messages}
    return [f"{info_of(kind).namespace} {sent.exi.hex()}" for kind, sent in kinds.items()]


# --- the verdict ------------------------------------------------------------------------------


def expected(case: Case) -> list[str]:
    """The messages every session must have, in this order (each may repeat)."""
    kind = "AC" if case.service.is_ac else "DC"
    names = ["SessionSetup", "AuthorizationSetup", "Authorization", "ServiceDiscovery", "ServiceDetail"]
    names += ["ServiceSelection", f"{kind}_ChargeParameterDiscovery", "ScheduleExchange"]
    if kind == "DC":
        names += ["DC_CableCheck", "DC_PreCharge"]
    names += ["PowerDelivery", *[f"{kind}_ChargeLoop"] * LOOPS, "PowerDelivery"]
    if kind == "DC":
        names.append("DC_WeldingDetection")
    names.append("SessionStop")
    pairs = [name + part for name in names for part in ("Req", "Res")]
    return ["SupportedAppProtocolReq", "SupportedAppProtocolRes", *pairs]


def in_order(wanted: list[str], seen: list[str]) -> str:
    """The first of `wanted` that does not follow the one before it in `seen`; empty if all do."""
    rest = iter(seen)
    return next((name for name in wanted if name not in rest), "")


def _judge(outcome: Outcome, seen: list[Any], folder: Path) -> None:
    messages = [event for event in seen if isinstance(event, MessageReceived | MessageSent)]
    outcome.messages = [type(event.message).__name__ for event in messages]
    _judge_security(outcome, seen, messages)
    outcome.ended = next((event for event in seen if isinstance(event, SessionEnded)), None)
    outcome.slowest_ms = _slowest_turn(messages, MessageReceived, MessageSent) * 1000
    outcome.peer_slowest_ms = _slowest_turn(messages, MessageSent, MessageReceived) * 1000
    with (folder / "ours.jsonl").open("w") as out:
        for event in seen:
            out.write(json.dumps(as_record(event)) + "\n")
    outcome.peer_messages, complaints = _peer_timeline(folder / "peer.jsonl")
    faults = outcome.faults
    if outcome.ended is None or not outcome.ended.as_intended:
        told = (
            outcome.ended and f"{outcome.ended.reason.value} in {outcome.ended.state}: {outcome.ended.detail}"
        )
        faults.append(f"our session: {told or 'none'}")
    if outcome.peer_code != 0:
        faults.append(f"the peer left with {outcome.peer_code}: {'; '.join(complaints)[-300:]}")
    wanted = expected(outcome.case)
    if gap := in_order(wanted, outcome.messages):
        faults.append(f"{gap} is missing in our log")
    if gap := in_order(wanted, outcome.peer_messages):
        faults.append(f"{gap} is missing in the peer's log")


def _judge_security(outcome: Outcome, seen: list[Any], messages: list[Any]) -> None:
    """A session that was to be secure and was not is a fault, however well it went."""
    made = [e for e in seen if isinstance(e, TlsEstablished)]
    outcome.connection = " ".join(f"{e.version} {e.suite} {e.group}" for e in made)
    if len(made) != int(outcome.case.tls):
        outcome.faults.append(f"{len(made)} TLS connections")
    modes = [e.message.authorization_mode for e in messages if isinstance(e.message, AuthorizationReq)]
    if {isinstance(mode, PnC_AReqAuthorizationMode) for mode in modes} != {outcome.case.pnc}:
        outcome.faults.append(
            f"authorization by {', '.join(type(mode).__name__ for mode in modes) or 'nothing'}"
        )


def _slowest_turn(messages: list[Any], before: type[Any], after: type[Any]) -> float:
    """The longest time between a message of kind `before` and the one `after` it (s)."""
    turns = [
        second.t - first.t
        for first, second in itertools.pairwise(messages)
        if isinstance(first, before) and isinstance(second, after)
    ]
    return max(turns, default=0.0)


def _peer_timeline(path: Path) -> tuple[list[str], list[str]]:
    """(names of the messages it sent and received in our spelling, what it complained of)."""
    names: list[str] = []
    complaints: list[str] = []
    if path.is_file():
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "msg":
                names.append(_our_spelling(event["name"]))
            elif event["event"] in ("log", "session-end", "crash", "sdp-failed"):
                complaints.append(str(event.get("text") or event.get("reason")))
    return names, complaints


def _our_spelling(name: str) -> str:
    """Their log writes DCChargeLoopReq and supportedAppProtocolReq."""
    name = name[0].upper() + name[1:]
    return f"{name[:2]}_{name[2:]}" if name[:2] in ("AC", "DC") and name[2:3] != "_" else name


def run_in_folder(case: Case, keep: Path | None, strict: bool = False) -> Outcome:
    """Run one session with its own folder, kept under `keep` if given."""
    loop_s = STRICT_LOOP_S if strict else RELAXED_LOOP_S
    if keep is not None:
        folder = keep / f"{case.name}-{int(time.time() * 1000)}"
        folder.mkdir(parents=True)
        return asyncio.run(run_case(case, folder, loop_s))
    with tempfile.TemporaryDirectory(prefix="ecog-") as scratch:
        return asyncio.run(run_case(case, Path(scratch), loop_s))


def as_row(outcome: Outcome) -> dict[str, Any]:
    """Plain data for another process."""
    return {
        "case": outcome.case.name,
        "ok": outcome.ok,
        "seconds": round(outcome.seconds, 1),
        "messages": len(outcome.messages),
        "connection": outcome.connection,
        "slowest_ms": round(outcome.slowest_ms, 1),
        "peer_slowest_ms": round(outcome.peer_slowest_ms, 1),
        "faults": outcome.faults,
    }
