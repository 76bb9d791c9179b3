"""What a SECC handler sees and what it returns.

A handler is a pure function `(View, request) -> Step`. The `Record` is everything the session
remembers, frozen; the `View` adds the present hardware snapshot, time and configuration; the
`Step` is the answer, the next record, and commands. Nothing else flows between requests.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from iso15118.config import SeccConfig
from iso15118.control.common import ControlMode, EnergyService
from iso15118.control.evse import AnyQuestion, ChargingNeeds, Command, EvseState
from iso15118.energy.offer import EnergyOffer, PlanStep
from iso15118.events import EndReason, Fault
from iso15118.machine import Entropy, Utc
from iso15118.messages.iso20.common import ChargingSession, SessionStopReq
from iso15118.messages.iso20.numbers import stamp
from iso15118.messages.iso20.types import (
    MessageHeader,
    MeterInfo,
    ResponseCode,
    V2GRequest,
    V2GResponse,
)
from iso15118.secc.refusal import refuse
from iso15118.security.binding import ConnectionFacts
from iso15118.security.paused import PausedSession
from iso15118.units import Envelope

if TYPE_CHECKING:
    from iso15118.security.plug_and_charge import Claim, StationTrust


class State(enum.Enum):
    """What the SECC expects next."""

    SUPPORTED_APP_PROTOCOL = "SUPPORTED_APP_PROTOCOL"
    SESSION_SETUP = "SESSION_SETUP"
    AUTHORIZATION_SETUP = "AUTHORIZATION_SETUP"
    AUTHORIZATION = "AUTHORIZATION"
    SERVICE_DISCOVERY = "SERVICE_DISCOVERY"
    SERVICE_DETAIL = "SERVICE_DETAIL"
    SERVICE_SELECTION = "SERVICE_SELECTION"
    CHARGE_PARAMETER_DISCOVERY = "CHARGE_PARAMETER_DISCOVERY"
    SCHEDULE_EXCHANGE = "SCHEDULE_EXCHANGE"
    CABLE_CHECK = "CABLE_CHECK"
    CABLE_CHECKED = "CABLE_CHECKED"
    PRE_CHARGE = "PRE_CHARGE"
    POWER_DELIVERY = "POWER_DELIVERY"
    CHARGE_LOOP = "CHARGE_LOOP"
    WELDING_DETECTION = "WELDING_DETECTION"
    SESSION_STOP = "SESSION_STOP"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class EvNeeds:
    """The EV's latest energy requests in Wh (None = not told)."""

    target_wh: float | None = None
    maximum_wh: float | None = None
    minimum_wh: float | None = None
    v2x_maximum_wh: float | None = None
    v2x_minimum_wh: float | None = None


NOT_ANNOUNCED: Final = Envelope()
"""The EVSE limits before ChargeParameterDiscovery."""


@dataclass(frozen=True)
class Record:
    """What the session remembers from request to request.

    `announced` are the EVSE limits of ChargeParameterDiscovery, never exceeded later. `plan` is
    the EV's power profile, `offer_at`/`plan_at` the monotonic times at which offer and plan start.
    `energised` is true from the first command that may put voltage on the outlet until it is
    switched off; `check_seen` once the insulation test was seen under way,
    `opening` while the contactor is on its way to open. `pending`/`answer`/`answered` are the open question to the controller.
    `binding` ties the session to the vehicle's TLS certificate (empty: there is none), `claim` is the contract that the
    EV has proven, `payer` the leaf (DER) of the one that was accepted, `resumed` whether it was paused before,
    `carried_wh` the energy (charged, discharged) of that time which the controller does not know any more, `installing` the request for contracts under way, `installed` how many of them were asked for, `unconfirmed` the meter reading it is to sign.
    """

    state: State = State.SUPPORTED_APP_PROTOCOL
    namespace: str = ""
    session_id: bytes = b""
    evcc_id: str = ""
    binding: bytes = b""
    challenge: bytes = field(default=b"", repr=False)
    claim: Claim | None = None
    payer: bytes = b""
    resumed: bool = False
    carried_wh: tuple[float, float] = (0.0, 0.0)
    installing: tuple[Any, ...] = field(default=(), repr=False)
    installed: int = 0
    attempts: int = 0
    authorized: bool = False
    offered: frozenset[tuple[int, int]] = frozenset()
    service: EnergyService | None = None
    parameter_set_id: int = 0
    control_mode: ControlMode | None = None
    ev_limits: Envelope = field(default_factory=Envelope)
    announced: Envelope = NOT_ANNOUNCED
    negative_discharge: bool = False
    needs: EvNeeds = field(default_factory=EvNeeds)
    rounds: int = 0
    offer: EnergyOffer | None = None
    offer_at: float = 0.0
    tuple_id: int | None = None
    plan: tuple[PlanStep, ...] = ()
    plan_at: float = 0.0
    violations: int = 0
    violated_at: float = -math.inf
    target_voltage_v: float = 0.0
    pre_charged: bool = False
    energised: bool = False
    check_seen: bool = False
    opening: bool = False
    loops: int = 0
    unconfirmed: MeterInfo | None = None
    notified: bool = False
    pending: AnyQuestion | None = None
    answered: bool = False
    answer: Any = None
    overdue: bool = False
    tripped: str = ""
    trip_fault: Fault = Fault.LOCAL
    stopping: str = ""

    def lets_leave(self, request: V2GRequest) -> bool:
        """Whether the EV took back state C because it wants to end: B has to come before SessionStop."""
        ends = isinstance(request, SessionStopReq) and request.charging_session is ChargingSession.TERMINATE
        return ends and self.trip_fault is Fault.REMOTE

    def but(self, **changes: Any) -> Record:
        """The same record with some fields changed.

        What `dataclasses.replace` does, without setting forty fields one by one at each request.
        """
        made = object.__new__(Record)
        made.__dict__.update(self.__dict__)
        made.__dict__.update(changes)
        if len(made.__dict__) != len(self.__dict__):
            raise TypeError(f"a Record has no {sorted(set(changes) - set(self.__dict__))}")
        return made


@dataclass(frozen=True, slots=True)
class Step:
    """What a handler decided.

    `response` None holds the request for at most `hold_s` until hardware or controller have moved;
    the handler is then called again. `why` explains the decision in plain words.
    """

    record: Record
    response: V2GResponse | None = None
    commands: tuple[Command, ...] = ()
    question: AnyQuestion | None = None
    hold_s: float = 0.0
    why: str = ""
    requirement: str = ""
    ending: EndReason | None = None
    fault: Fault = Fault.NONE


@dataclass(frozen=True, slots=True)
class View:
    """What a handler may look at.

    `exi` are the octets of the request. `paused` is a session that may go on. `held` tells that the request has been waiting already, `expired` that it may
    not wait longer.
    """

    record: Record
    evse: EvseState
    config: SeccConfig
    now: float
    utc: Utc
    entropy: Entropy
    exi: bytes = b""
    tls: ConnectionFacts | None = None
    trust: StationTrust | None = None
    paused: PausedSession | None = None
    held: bool = False
    expired: bool = False

    @property
    def header(self) -> MessageHeader:
        """The header of a response sent now."""
        session_id = self.record.session_id or bytes(8)
        return MessageHeader(session_id=session_id, time_stamp=self.stamp())

    def stamp(self, ahead_s: float = 0.0) -> int:
        """The present time (plus `ahead_s`) as TimeStamp or TimeAnchor."""
        return stamp(self.utc() + ahead_s, self.config.time_unit)

    @property
    def limits(self) -> Envelope:
        """What the station can do now, never more than it announced."""
        if self.record.service is None or self.record.announced is NOT_ANNOUNCED:
            return self.evse.limits
        return self.evse.limits.within(self.record.announced)

    def reply(
        self,
        response: V2GResponse,
        state: State | None = None,
        *,
        do: tuple[Command, ...] = (),
        why: str = "",
        requirement: str = "",
        ending: EndReason | None = None,
        **changes: Any,
    ) -> Step:
        """Answer, go to `state` (default: stay) and remember `changes`."""
        record = self.record.but(state=state or self.record.state, **changes)
        return Step(record, response, do, why=why, requirement=requirement, ending=ending)

    def wait(self, limit_s: float, *, do: tuple[Command, ...] = (), **changes: Any) -> Step:
        """Hold the request until hardware or controller move, at most `limit_s` in all."""
        return Step(self.record.but(**changes), None, do, hold_s=limit_s)

    def ask(self, question: AnyQuestion, limit_s: float) -> Step:
        """Put a question to the controller and hold the request for its answer."""
        record = self.record.but(pending=question, answered=False, answer=None)
        return Step(record, None, question=question, hold_s=limit_s)

    def settled(self) -> dict[str, Any]:
        """Changes that forget the open question."""
        return {"pending": None, "answered": False, "answer": None, "overdue": False}

    def fail(
        self,
        request: V2GRequest,
        code: ResponseCode,
        why: str,
        requirement: str = "",
        *,
        fault: Fault = Fault.REMOTE,
    ) -> Step:
        """Refuse with a FAILED code: the session ends [V2G20-734]. `fault` tells on whose account."""
        return Step(
            self.record.but(state=State.ENDED),
            refuse(self, request, code),
            why=why,
            requirement=requirement,
            ending=EndReason.REFUSED,
            fault=fault,
        )


def needs_of(view: View, needs: EvNeeds, departure_s: int | None, max_points: int) -> ChargingNeeds:
    """The question to the controller from what the EV said."""
    record = view.record
    assert record.service is not None and record.control_mode is not None
    return ChargingNeeds(
        service=record.service,
        control_mode=record.control_mode,
        limits=view.limits.within(record.ev_limits),
        max_points=max_points,
        departure_s=departure_s,
        target_wh=needs.target_wh,
        max_wh=needs.maximum_wh,
        min_wh=needs.minimum_wh,
        v2x_max_wh=needs.v2x_maximum_wh,
        v2x_min_wh=needs.v2x_minimum_wh,
        round=record.rounds + 1,
    )
