"""Validation from the EV's side: toggle the pilot and see who noticed.

It is the only proof in matching that is bound to the cable: attenuation can be made up, a toggle is seen by
nobody but the EVSE at the other end.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from iso15118.control.ev import SetPilot
from iso15118.machine import Do
from iso15118.slac.constants import RETRIES
from iso15118.slac.events import EvseValidated, SuspiciousEvse
from iso15118.slac.host import Host, message_from
from iso15118.slac.validation import READY, TIMER_UNIT_S, TOGGLE, Verdict
from iso15118.wire.homeplug import ValidateCnf, ValidateReq

MAX_TOGGLES: Final = 3
"""C_EV_vald_nb_toggles is 1 to 3."""
LEVELS_A_TOGGLE: Final = 3
"""The window has to be longer than so many levels a toggle."""


class Proof(enum.Enum):
    """What came of a validation."""

    PASSED = "passed"
    FAILED = "failed"  # it counted something else: not the EVSE at our cable
    NOT_REQUIRED = "not required"  # the EVSE says so
    REFUSED = "refused"  # or without an answer in time: nothing is known


async def prove(host: Host, evse: bytes, by: float) -> Proof:
    """Validate the EVSE with this MAC; a new try begins before `by` (monotonic s). The pilot ends in state B."""
    toggles = host.config.toggles or 1 + host.entropy(1)[0] % MAX_TOGGLES
    proof, counted = await _ready(host, evse, by), None
    if proof is None:
        proof, counted = await _count(host, evse, toggles)
    host.emit(EvseValidated, mac=evse, toggles=toggles, counted=counted, outcome=proof.value)
    return proof


async def _ready(host: Host, evse: bytes, by: float) -> Proof | None:
    """Step 1, asked again while the EVSE is validating another EV; None: it is ready to count."""
    request = ValidateReq(signal_type=TOGGLE, timer=0, result=READY)
    while True:
        answer = await host.ask(request, evse, _verdict_of(evse), host.times.match_response_s)
        match answer.result if answer is not None else None:
            case Verdict.READY:
                return None
            case Verdict.NOT_REQUIRED:
                return Proof.NOT_REQUIRED
            case Verdict.NOT_READY if host.now + host.times.validation_retry_s < by:
                await host.sleep(host.times.validation_retry_s)
            case _:
                return Proof.REFUSED


async def _count(host: Host, evse: bytes, toggles: int) -> tuple[Proof, int | None]:
    """Step 2: announce a window, toggle within, and see whether the EVSE counted the same.

    A refusal, and the answer to a repeated request, come at once: they are waited for before each toggling.
    """
    times = host.times
    window_s = min((LEVELS_A_TOGGLE * toggles + 1) * times.validation_level_s, times.validation_window_s)
    units = round(window_s / TIMER_UNIT_S)
    request = ValidateReq(signal_type=TOGGLE, timer=units - 1, result=READY)
    for number in range(1 + RETRIES):
        until = host.now + units * TIMER_UNIT_S + times.match_response_s
        host.send(request, evse)
        answer = await host.wait(_final_of(evse), host.now + times.match_response_s)
        if answer is not None and number == 0 and answer.result == Verdict.SUCCESS:
            reason = f"counted {answer.toggle_num} toggles before there were any"
            host.report(SuspiciousEvse, mac=evse, reason=reason)
            return Proof.FAILED, answer.toggle_num
        if answer is None:
            await _toggle(host, toggles)
            answer = await host.wait(_final_of(evse), until)
        if answer is not None:
            return _judge(answer, toggles)
    return Proof.REFUSED, None


def _judge(answer: ValidateCnf, toggles: int) -> tuple[Proof, int | None]:
    if answer.result == Verdict.NOT_REQUIRED:
        return Proof.NOT_REQUIRED, None
    if answer.result != Verdict.SUCCESS:
        return Proof.REFUSED, None
    return (Proof.PASSED if answer.toggle_num == toggles else Proof.FAILED), answer.toggle_num


async def _toggle(host: Host, toggles: int) -> None:
    """State C and back to B, so many times (TP_EV_vald_state_duration each); B whatever happens."""
    try:
        for _ in range(toggles):
            for ready in (True, False):
                host.out(Do(SetPilot(ready=ready, brief=True)))
                await host.sleep(host.times.validation_level_s)
    except BaseException:
        host.out(Do(SetPilot(ready=False)))
        raise


def _verdict_of(evse: bytes) -> Callable[[object], ValidateCnf | None]:
    """Accepts a CM_VALIDATE.CNF of this EVSE; it has no run id to go by."""

    def accept(item: object) -> ValidateCnf | None:
        verdict = message_from(evse, ValidateCnf, item)
        return verdict if verdict is not None and verdict.signal_type == TOGGLE else None

    return accept


def _final_of(evse: bytes) -> Callable[[object], ValidateCnf | None]:
    """Accepts all but the readiness an EVSE repeats while it waits for step 2."""
    verdict_of = _verdict_of(evse)

    def accept(item: object) -> ValidateCnf | None:
        verdict = verdict_of(item)
        return verdict if verdict is not None and verdict.result != Verdict.READY else None

    return accept
