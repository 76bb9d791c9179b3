"""What must never happen, whatever breaks: judged from the outside.

Each checker is a function of a `Recording` alone: events, octets on the wire and the truth in the plant. None
knows how the session machines work; what the standard demands is written down here a second time, on purpose.
Safety and energy are in this file, `protocol_checks.py` has liveness, pairing, order and the log,
`security_checks.py` trust.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from hal.virtual.circuit import Sample
from iso15118.control.common import CpState
from iso15118.events import MessageSent, SessionEnded
from iso15118.sim import protocol_checks, security_checks
from iso15118.sim.world import Recording

MAX_CLOSING_V: Final = 20.0
"""IEC 61851-23: greatest voltage across a contactor that closes."""
SAFE_V: Final = 60.0
OFF_S: Final = 0.5
"""From a reason to stop until no current flows and the contactor is open."""
PILOT_S: Final = 0.2
"""From losing state C or D until no current flows, detection and contactor included."""
WATCHDOG_S: Final = 1.0
"""Hardware whose computer has stopped switches off by itself after this time."""
SILENCE_S: Final = 2.0
"""After this time without snapshots a session de-energises by itself."""
LIMIT_GRACE_S: Final = 1.0
"""A new limit may be exceeded this long: the car's next request, then the ramp of the supply."""
_READY: Final = (CpState.C, CpState.D)
_ADVANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: which checker, when, and what was seen."""

    checker: str
    t: float
    detail: str

    def __str__(self) -> str:
        return f"{self.checker} at {self.t:.3f} s: {self.detail}"


Found = Iterator[tuple[float, str]]


def check(recording: Recording) -> tuple[Violation, ...]:
    """All violations, by checker; one per checker and kind of detail, the earliest."""
    found: list[Violation] = []
    for name, checker in CHECKERS:
        seen: set[str] = set()
        for t, detail in checker(recording):
            kind = detail.partition(":")[0]
            if kind not in seen:
                seen.add(kind)
                found.append(Violation(name, t, detail))
    return tuple(found)


def _has(recording: Recording, name: str, side: str = "") -> bool:
    """Whether a fault of this name (and side) was injected."""
    return any(f.name == name and (not side or f.text("side") == side) for f in recording.faults)


def _deaf_s(recording: Recording, *roles: str) -> float:
    """How much later a side may act because a fault kept it from knowing."""
    late = 0.0
    for role in roles:
        if _has(recording, "controller_silence", role):
            late = max(late, SILENCE_S + 0.2)
        if role in recording.gone:
            late = max(late, WATCHDOG_S + 0.2)
    return late


def _persisting(
    samples: list[Sample], bad: Callable[[Sample], bool], grace_s: float
) -> Iterator[tuple[float, Sample]]:
    """(since, sample) whenever `bad` has held for longer than `grace_s`, once each time."""
    since = math.inf
    told = False
    for sample in samples:
        if not bad(sample):
            since, told = math.inf, False
        elif since == math.inf:
            since = sample.t
        elif not told and sample.t - since > grace_s + _ADVANCE:
            told = True
            yield since, sample


# --- safety -----------------------------------------------------------------------------------


def contactor_needs_cable_check(recording: Recording) -> Found:
    """DC: the station's contactor is closed only during or after a passed cable check."""
    if not recording.is_dc or _has(recording, "welded_contactor", "EVSE"):
        return
    wrong = lambda s: s.evse_closed and s.cable_check not in ("running", "passed")  # noqa: E731
    for t, sample in _persisting(recording.samples, wrong, 0.1):
        yield t, f"contactor closed: cable check is {sample.cable_check}"


def no_voltage_across_closing_contactor(recording: Recording) -> Found:
    """No contactor closes onto another voltage than its own."""
    for closing in recording.closings:
        if abs(closing.difference_v) > MAX_CLOSING_V:
            yield closing.t, f"{closing.side} contactor closed: {closing.difference_v:.0f} V across it"


def no_current_without_pilot(recording: Recording) -> Found:
    """Current only while the car holds state C or D."""
    grace = PILOT_S + _deaf_s(recording, "SECC", "EVCC")
    wrong = lambda s: abs(s.current_a) > 1.0 and s.cp_wire not in _READY  # noqa: E731
    for t, sample in _persisting(recording.samples, wrong, grace):
        yield t, f"current without pilot: {sample.current_a:.0f} A in state {sample.cp_wire.value}"


def no_energy_without_pilot(recording: Recording) -> Found:
    """The station's contactor opens when the car leaves state C or D."""
    if _has(recording, "welded_contactor", "EVSE"):
        return
    grace = PILOT_S + _deaf_s(recording, "SECC")
    wrong = lambda s: s.evse_closed and s.cp_wire not in _READY  # noqa: E731
    for t, sample in _persisting(recording.samples, wrong, grace):
        yield t, f"contactor closed without pilot: state {sample.cp_wire.value}"


def locked_while_energised(recording: Recording) -> Found:
    """The connector is locked while voltage or current is on it."""
    wrong = lambda s: not s.locked and (s.outlet_v > SAFE_V or abs(s.current_a) > 1.0)  # noqa: E731
    for t, sample in _persisting(recording.samples, wrong, 0.05):
        yield t, f"unlocked: {sample.outlet_v:.0f} V, {sample.current_a:.0f} A"


def off_after_danger(recording: Recording) -> Found:
    """A fault or emergency stop of either side stops the current, the station's own opens its contactor."""
    grace = OFF_S + _deaf_s(recording, "SECC", "EVCC")
    flowing = lambda s: (s.evse_unsafe or s.ev_unsafe) and abs(s.current_a) > 1.0  # noqa: E731
    for t, sample in _persisting(recording.samples, flowing, grace):
        yield t, f"current after emergency stop or fault: {sample.current_a:.0f} A"
    if not _has(recording, "welded_contactor", "EVSE"):
        closed = lambda s: s.evse_unsafe and s.evse_closed  # noqa: E731
        for t, _ in _persisting(recording.samples, closed, OFF_S + _deaf_s(recording, "SECC")):
            yield t, "contactor closed after emergency stop or fault: the station's"


def off_after_end(recording: Recording) -> Found:
    """Each side's contactor is open and no current flows soon after its session has ended."""
    for role, kind, name in (("SECC", "EVSE", "evse_closed"), ("EVCC", "EV", "ev_closed")):
        ended = [e.t for e in recording.events if isinstance(e, SessionEnded) and e.role == role]
        if not ended:
            continue
        if not _has(recording, "welded_contactor", kind):
            wrong = lambda s, at=ended[0], name=name: s.t > at and getattr(s, name)  # noqa: E731
            for t, _ in _persisting(recording.samples, wrong, OFF_S):
                yield t, f"{kind} contactor closed after the session's end"
        flowing = lambda s, at=ended[0]: s.t > at and abs(s.current_a) > 1.0  # noqa: E731
        for t, sample in _persisting(recording.samples, flowing, OFF_S):
            yield t, f"current after the {role}'s end: {sample.current_a:.0f} A"


def dead_at_last(recording: Recording) -> Found:
    """When everything is over nothing is energised but what a welded contactor keeps so."""
    if recording.overrun or not recording.samples:
        return
    last = recording.samples[-1]
    if abs(last.current_a) > 1.0:
        yield last.t, f"current at last: {last.current_a:.0f} A"
    if last.evse_closed and not _has(recording, "welded_contactor", "EVSE"):
        yield last.t, "EVSE contactor closed at last"
    welded_ev = _has(recording, "welded_contactor", "EV")
    if last.ev_closed and not welded_ev:
        yield last.t, "EV contactor closed at last"
    if recording.is_dc and last.outlet_v > SAFE_V and not welded_ev:
        yield last.t, f"voltage at last: {last.outlet_v:.0f} V"


# --- announced limits -------------------------------------------------------------------------


@dataclass(slots=True)
class _Announced:
    """What one side has announced, as magnitudes; None = not said."""

    charge_w: float | None = None
    charge_a: float | None = None
    discharge_w: float | None = None
    discharge_a: float | None = None
    max_v: float | None = None

    def take(self, mode: Any, prefix: str) -> None:
        """Read the limits out of a transfer or control mode element."""
        for name, field in (
            ("charge_w", "maximum_charge_power"),
            ("charge_a", "maximum_charge_current"),
            ("discharge_w", "maximum_discharge_power"),
            ("discharge_a", "maximum_discharge_current"),
            ("max_v", "maximum_voltage"),
        ):
            value = getattr(mode, f"{prefix}_{field}", None)
            if value is not None:
                setattr(self, name, abs(value.value) * 10.0**value.exponent)


def _least(*values: float | None) -> float:
    return min((v for v in values if v is not None), default=math.inf)


def _announcements(recording: Recording) -> Iterator[tuple[float, float, float, float, float, float]]:
    """(t, charge W, charge A, discharge W, discharge A, max V) after each announcement of either side."""
    both = {"EVCC": _Announced(), "SECC": _Announced()}
    prefixes = {"EVCC": "ev", "SECC": "evse"}
    for event in recording.events:
        if not isinstance(event, MessageSent) or event.role not in both:
            continue
        name = type(event.message).__name__
        if "ChargeParameterDiscovery" not in name and "ChargeLoop" not in name:
            continue
        for field in _MODE_FIELDS:
            mode = getattr(event.message, field, None)
            if mode is not None:
                both[event.role].take(mode, prefixes[event.role])
        a, b = both["EVCC"], both["SECC"]
        yield (
            event.t,
            _least(a.charge_w, b.charge_w),
            _least(a.charge_a, b.charge_a),
            _least(a.discharge_w, b.discharge_w),
            _least(a.discharge_a, b.discharge_a),
            _least(a.max_v, b.max_v),
        )


_MODE_FIELDS: Final = (
    "dc_cpd_req_energy_transfer_mode",
    "dc_cpd_res_energy_transfer_mode",
    "ac_cpd_req_energy_transfer_mode",
    "ac_cpd_res_energy_transfer_mode",
    "cl_req_control_mode",
    "cl_res_control_mode",
)


def within_announced_limits(recording: Recording) -> Found:
    """Power, current and voltage stay within what both sides announced, a new limit after its ramp."""
    announced = list(_announcements(recording))
    at, limits = 0, (math.inf,) * 5
    since = dict.fromkeys(("power", "current", "voltage"), math.inf)
    judge_voltage = recording.is_dc and not _has(recording, "wrong_voltage")
    for sample in recording.samples:
        while at < len(announced) and announced[at][0] <= sample.t:
            limits = announced[at][1:]
            at += 1
        for what, value, limit in _excesses(sample, limits, recording.is_dc, judge_voltage):
            if value <= limit:
                since[what] = math.inf
                continue
            since[what] = min(since[what], sample.t)
            if sample.t - since[what] > LIMIT_GRACE_S:
                yield since[what], f"{what} above the announced limit: {value:.0f} instead of {limit:.0f}"


def _excesses(
    sample: Sample, limits: tuple[float, ...], dc: bool, judge_voltage: bool
) -> Iterator[tuple[str, float, float]]:
    """(what, value, limit with tolerance) of a sample."""
    charge_w, charge_a, discharge_w, discharge_a, max_v = limits
    charging = sample.power_w >= 0
    yield "power", abs(sample.power_w), (charge_w if charging else discharge_w) * 1.03 + 100.0
    if dc:
        yield "current", abs(sample.current_a), (charge_a if charging else discharge_a) * 1.03 + 2.0
    if judge_voltage and sample.evse_closed and sample.ev_closed:
        yield "voltage", sample.outlet_v, max_v * 1.02 + 5.0


# --- energy -----------------------------------------------------------------------------------


def energy_is_conserved(recording: Recording) -> Found:
    """What passed the outlet was stored or lost; the meter counted it, each direction by itself."""
    through = recording.delivered_wh + recording.fed_back_wh
    slack = 0.001 * through + 0.01
    if abs(recording.balance_wh) > slack:
        yield recording.duration_s, f"energy lost or made: {recording.balance_wh:.3f} Wh of {through:.1f} Wh"
    if _has(recording, "meter_jump"):
        return
    pairs = zip(recording.meter_wh, (recording.delivered_wh, recording.fed_back_wh), strict=True)
    for shown, true in pairs:
        if abs(shown - true) > slack:
            yield recording.duration_s, f"meter differs: {shown:.2f} Wh shown, {true:.2f} Wh passed"


def meter_only_grows(recording: Recording) -> Found:
    """The registers told to the car never run backwards."""
    before = (0, 0)
    for event in recording.events:
        info = getattr(event.message, "meter_info", None) if isinstance(event, MessageSent) else None
        if info is None:
            continue
        now = (info.charged_energy_reading_wh, info.bpt_discharged_energy_reading_wh or 0)
        if now[0] < before[0] or now[1] < before[1]:
            yield event.t, f"meter runs backwards: {before} to {now} Wh"
        before = now


CHECKERS: Final[tuple[tuple[str, Callable[[Recording], Found]], ...]] = (
    ("contactor needs cable check", contactor_needs_cable_check),
    ("no voltage across closing contactor", no_voltage_across_closing_contactor),
    ("no current without pilot", no_current_without_pilot),
    ("no energy without pilot", no_energy_without_pilot),
    ("locked while energised", locked_while_energised),
    ("off after danger", off_after_danger),
    ("off after end", off_after_end),
    ("dead at last", dead_at_last),
    ("within announced limits", within_announced_limits),
    ("energy is conserved", energy_is_conserved),
    ("meter only grows", meter_only_grows),
    ("every session ends", protocol_checks.every_session_ends),
    ("nobody waits in vain", protocol_checks.nobody_waits_in_vain),
    ("requests and responses pair", protocol_checks.requests_and_responses_pair),
    ("responses are in time", protocol_checks.responses_are_in_time),
    ("order is legal", protocol_checks.order_is_legal),
    ("session id is kept", protocol_checks.session_id_is_kept),
    ("log equals wire", protocol_checks.log_equals_wire),
    ("log reads back", protocol_checks.log_reads_back),
    ("energy needs authorization", security_checks.energy_needs_authorization),
    ("no forgery is accepted", security_checks.no_forgery_is_accepted),
    ("challenge is the own one", security_checks.challenge_is_the_own_one),
    ("what arrives was sent", security_checks.what_arrives_was_sent),
    ("no downgrade", security_checks.no_downgrade),
    ("nothing under another session id", security_checks.nothing_under_another_session_id),
)
