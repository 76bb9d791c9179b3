"""The EVSE's law of matching: what each message of an EV does to its run, as a table of pure functions.

A run is one matching attempt of one EV, known by the EV's MAC and its run id. Run ids repeat in the field
(some cars use a constant), MACs do not. All messages not in the table are ignored, as the standard wants it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from iso15118.config import SlacConfig
from iso15118.machine import NEVER
from iso15118.slac.attenuation import GROUPS, average
from iso15118.slac.constants import MATCH_REQ_LENGTH, NUM_SOUNDS, RETRIES, TIME_OUT
from iso15118.slac.keys import NetworkKey
from iso15118.slac.validation import READY, TIMER_UNIT_S, TOGGLE, Verdict, count_toggles
from iso15118.wire.homeplug import (
    AttenCharInd,
    AttenCharRsp,
    AttenProfileInd,
    Message,
    MnbcSoundInd,
    SlacMatchCnf,
    SlacMatchReq,
    SlacParmCnf,
    StartAttenCharInd,
    ValidateCnf,
    ValidateReq,
)


class Phase(enum.Enum):
    """Where a run is; in the order of progress."""

    WAIT_START = "waiting for CM_START_ATTEN_CHAR.IND"
    SOUNDING = "sounding"
    WAIT_RSP = "waiting for CM_ATTEN_CHAR.RSP"
    WAIT_MATCH = "waiting for CM_SLAC_MATCH.REQ"
    VALIDATION = "ready to count toggles"
    TOGGLING = "counting toggles"
    MATCHED = "matched"

    @property
    def validating(self) -> bool:
        """Whether the pilot is to be watched for this EV alone."""
        return self in (Phase.VALIDATION, Phase.TOGGLING)


PROGRESS: Final[Mapping[Phase, int]] = {phase: number for number, phase in enumerate(Phase)}


@dataclass(frozen=True, slots=True)
class Run:
    """One matching attempt of one EV. Times are monotonic seconds.

    `due` is when the phase is over, `heard` when the EV last did something, `tries` how often the
    message awaited an answer for has been sent, `counted` the toggles of a finished validation.
    """

    ev_mac: bytes
    run_id: bytes
    phase: Phase
    due: float
    heard: float
    profiles: tuple[bytes, ...] = ()
    aag: bytes = b""
    tries: int = 1
    since: float = 0.0
    counted: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What a handler may know: the EVSE's MAC and key, settings, the pilot's changes, and the time.

    `slot_free`: no other EV is validating.
    """

    mac: bytes
    key: NetworkKey
    config: SlacConfig
    pilot: Sequence[tuple[float, bool]]
    slot_free: bool
    now: float


@dataclass(frozen=True, slots=True)
class Step:
    """What follows: the run as it goes on (None: it is over), messages for the EV, and why."""

    run: Run | None
    send: tuple[Message, ...] = ()
    why: str = ""
    failed: bool = False


Handler = Callable[[Run, Any, View], Step | None]


# --- beginning ----------------------------------------------------------------------------------


def begin(ev_mac: bytes, run_id: bytes, view: View) -> tuple[Run, SlacParmCnf]:
    """A new run, or the same once more from the start [V2G3-A09-16], and the answer to the EV."""
    due = view.now + view.config.times.start_s
    run = Run(ev_mac, run_id, Phase.WAIT_START, due, view.now)
    return run, parameters(run)


def parameters(run: Run) -> SlacParmCnf:
    """What the EV has to sound like."""
    return SlacParmCnf(run_id=run.run_id, forwarding_sta=run.ev_mac, num_sounds=NUM_SOUNDS, time_out=TIME_OUT)


# --- sounding -----------------------------------------------------------------------------------


def started(run: Run, _: StartAttenCharInd, view: View) -> Step:
    """The first of up to three opens the window; what it announces may differ from what was agreed."""
    due = view.now + TIME_OUT * 0.1 + view.config.times.sounding_grace_s
    return Step(replace(run, phase=Phase.SOUNDING, due=due), why="CM_START_ATTEN_CHAR.IND")


def sounded(run: Run, sound: MnbcSoundInd, view: View) -> Step:
    """The last sound ends the window early, once a profile has shown that the modem listens."""
    if sound.cnt == 0 and run.profiles:
        return Step(replace(run, due=min(run.due, view.now + view.config.times.last_sound_s)))
    return Step(run)


def profiled(run: Run, profile: AttenProfileInd, view: View) -> Step | None:
    """What our modem measured of one sound. Old modems send empty profiles: they do not count."""
    if len(profile.aag) != GROUPS:
        return None
    run = replace(run, profiles=(*run.profiles, profile.aag))
    return report(run, view, "all sounds heard") if len(run.profiles) == NUM_SOUNDS else Step(run)


def window_over(run: Run, view: View) -> Step:
    """Fewer profiles than sounds are a report as well, none is not."""
    if not run.profiles:
        reason = "no attenuation profile from the modem: is its role EVSE?"
        return Step(None, why=reason, failed=True)
    return report(run, view, f"{len(run.profiles)} of {NUM_SOUNDS} sounds heard")


def report(run: Run, view: View, why: str) -> Step:
    """Tell the EV how near it is."""
    aag = average(run.profiles, view.config.attn_rx_db)
    due = view.now + view.config.times.match_response_s
    run = replace(run, phase=Phase.WAIT_RSP, aag=aag, due=due, tries=1)
    return Step(run, (attenuation_of(run),), why)


def attenuation_of(run: Run) -> AttenCharInd:
    """The report."""
    return AttenCharInd(
        run_id=run.run_id, source_address=run.ev_mac, num_sounds=len(run.profiles), aag=run.aag
    )


def report_again(run: Run, view: View) -> Step:
    """The EV has not answered the report."""
    if run.tries > RETRIES:
        return Step(None, why="no CM_ATTEN_CHAR.RSP", failed=True)
    due = view.now + view.config.times.match_response_s
    return Step(replace(run, tries=run.tries + 1, due=due), (attenuation_of(run),))


def answered(run: Run, response: AttenCharRsp, view: View) -> Step | None:
    """The EV has the report; whether it comes here is its choice."""
    if response.result != 0 or response.source_address != run.ev_mac:
        return None
    return _choosing(run, view, "CM_ATTEN_CHAR.RSP")


def _choosing(run: Run, view: View, why: str) -> Step:
    due = view.now + view.config.times.match_session_s
    return Step(replace(run, phase=Phase.WAIT_MATCH, due=due), why=why)


# --- validation ---------------------------------------------------------------------------------


def validate(run: Run, request: ValidateReq, view: View) -> Step | None:
    """Step 1 asks for the pilot, step 2 toggles it. Validation is optional for an EVSE [V2G3-A09-51]."""
    if request.signal_type != TOGGLE or request.result != READY:
        return None
    if not view.config.validation:
        return Step(run, (_verdict(Verdict.NOT_REQUIRED),))
    if not view.slot_free:
        return Step(run, (_verdict(Verdict.NOT_READY),))
    if request.timer == 0:
        due = view.now + view.config.times.match_sequence_s
        ready = replace(run, phase=Phase.VALIDATION, due=due, tries=1, counted=None)
        return Step(ready, (_verdict(Verdict.READY),), "CM_VALIDATE.REQ")
    if run.counted is not None:
        return Step(run, (_verdict(Verdict.SUCCESS, run.counted),))
    window_s = min((request.timer + 1) * TIMER_UNIT_S, view.config.times.validation_window_s)
    toggling = replace(run, phase=Phase.TOGGLING, since=view.now, due=view.now + window_s)
    return Step(toggling, why=f"toggles for {window_s:.1f} s")


def ready_again(run: Run, view: View) -> Step:
    """The EV has not begun to toggle."""
    if run.tries > RETRIES:
        return _choosing(run, view, "no toggles announced")
    due = view.now + view.config.times.match_sequence_s
    return Step(replace(run, tries=run.tries + 1, due=due), (_verdict(Verdict.READY),))


def toggled(run: Run, view: View) -> Step:
    """The window is over: tell what was seen."""
    count = count_toggles(view.pilot, run.since, run.due, view.config.times.validation_detect_s)
    step = _choosing(replace(run, counted=count), view, f"{count} toggles counted")
    return replace(step, send=(_verdict(Verdict.SUCCESS, count),))


def _verdict(result: Verdict, toggles: int = 0) -> ValidateCnf:
    return ValidateCnf(toggle_num=toggles, result=int(result), signal_type=TOGGLE)


# --- match --------------------------------------------------------------------------------------


def match(run: Run, request: SlacMatchReq, view: View) -> Step | None:
    """The EV has chosen this EVSE: here is the key. The same request again gets the same answer."""
    if (request.pev_mac, request.evse_mac) != (
        run.ev_mac,
        view.mac,
    ) or request.mvf_length != MATCH_REQ_LENGTH:
        return None
    confirmation = SlacMatchCnf(
        run_id=run.run_id,
        pev_mac=run.ev_mac,
        evse_mac=view.mac,
        nid=view.key.nid,
        nmk=view.key.nmk,
        pev_id=request.pev_id,
        evse_id=request.evse_id,
    )
    matched = replace(run, phase=Phase.MATCHED, due=NEVER, profiles=())
    return Step(matched, (confirmation,), "CM_SLAC_MATCH.REQ")


# --- the law ------------------------------------------------------------------------------------

TABLE: Final[Mapping[Phase, Mapping[type[Message], Handler]]] = {
    Phase.WAIT_START: {StartAttenCharInd: started},
    Phase.SOUNDING: {MnbcSoundInd: sounded, AttenProfileInd: profiled},
    Phase.WAIT_RSP: {AttenCharRsp: answered},
    Phase.WAIT_MATCH: {ValidateReq: validate, SlacMatchReq: match},
    Phase.VALIDATION: {ValidateReq: validate, SlacMatchReq: match},
    Phase.TOGGLING: {},
    Phase.MATCHED: {SlacMatchReq: match},
}
"""phase -> message -> what it does."""


def start_missing(_: Run, __: View) -> Step:
    """The EV asked around and went on elsewhere, or has not heard us."""
    return Step(None, why="no CM_START_ATTEN_CHAR.IND")


def choice_missing(_: Run, view: View) -> Step:
    """The EV matched with another EVSE, or gave up."""
    reason = f"no CM_SLAC_MATCH.REQ within {view.config.times.match_session_s:g} s"
    return Step(None, why=reason, failed=True)


EXPIRY: Final[Mapping[Phase, Callable[[Run, View], Step]]] = {
    Phase.WAIT_START: start_missing,
    Phase.SOUNDING: window_over,
    Phase.WAIT_RSP: report_again,
    Phase.WAIT_MATCH: choice_missing,
    Phase.VALIDATION: ready_again,
    Phase.TOGGLING: toggled,
}
"""phase -> what happens when its time is over; a match does not expire here, the link does."""
