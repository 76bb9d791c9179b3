"""The station's side: what a charger firmware tells and is told.

A firmware writes one level snapshot (`EvseState`) whenever something is measured or wished, and
implements `EvseController`: one synchronous `command` and two questions; `ContractInstaller` adds
a third where vehicles fetch contracts. Commands are idempotent and return at once; their effect is read back from the next snapshot.

Signs: + is into the EV. All values SI: V, A, W, Wh, s.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Literal, Protocol

from iso15118.control.common import Check, Contactor, ControlMode, CpState, EnergyService, Wish
from iso15118.energy.offer import EnergyOffer
from iso15118.errors import LocalProtocolError
from iso15118.units import Envelope


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Energy since the start of this charging session, by direction (Wh, both >= 0)."""

    meter_id: str
    charged_wh: float
    discharged_wh: float = 0.0
    signature: bytes | None = None
    status: int | None = None
    taken_at: float | None = None  # seconds since the Unix epoch


@dataclass(frozen=True, slots=True)
class EvseState:
    """Everything the session reads of the station, as levels at one moment.

    `power_w` is used for AC (sum of phases), `voltage_v`/`current_a` for DC at the outlet.
    `setpoint_w` is the power the operator wants now (Dynamic mode; + charge, - discharge), None
    for "as much as the EV takes". `fault` and `emergency_stop` de-energise at once. Two levels matter only where
    the stack owns the plug: `basic_limit_a`, what basic charging may draw per phase (0: not allowed or not
    authorised), and `wake`, whether there is energy again for a vehicle that is paused.
    """

    cp: CpState = CpState.A
    contactor: Contactor = Contactor.OPEN
    locked: bool = False
    voltage_v: float = 0.0
    current_a: float = 0.0
    power_w: float = 0.0
    cable_check: Check = Check.IDLE
    limits: Envelope = field(default_factory=Envelope)
    setpoint_w: float | None = None
    setpoint_var: float | None = None
    meter: MeterReading | None = None
    wish: Wish | None = None
    emergency_stop: bool = False
    fault: str = ""
    basic_limit_a: float = 0.0
    wake: bool = False

    @property
    def safe(self) -> bool:
        """Whether nothing forbids energy: no emergency stop, no fault."""
        return not self.emergency_stop and not self.fault


# --- commands: returned at once, idempotent ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class LockConnector:
    """Lock the connector."""


@dataclass(frozen=True, slots=True)
class UnlockConnector:
    """Unlock the connector as soon as that is safe: contactor open and the outlet below 60 V.

    The hardware keeps it locked until both hold, however early the command comes.
    """


@dataclass(frozen=True, slots=True)
class RunCableCheck:
    """Run the insulation test once; progress shows up in `EvseState.cable_check`.

    The snapshots must show RUNNING (or IDLE) after this command before a verdict counts.
    """


@dataclass(frozen=True, slots=True)
class SetDcTarget:
    """Drive the DC output: CC/CV with these set-points.

    `voltage_v` is the voltage not to be exceeded (charging) or aimed at (pre-charge),
    `current_a` the signed current set-point, `min_voltage_v` the floor while discharging.
    """

    voltage_v: float
    current_a: float
    min_voltage_v: float = 0.0


@dataclass(frozen=True, slots=True)
class CloseContactor:
    """Close the contactor towards the EV.

    AC: when power delivery starts. DC: at the start of pre-charge, after a passed cable check and
    with the supply still off, so that the EV measures the pre-charge voltage at its inlet.
    """


@dataclass(frozen=True, slots=True)
class OpenContactor:
    """Bring the current to zero and open the contactor."""


@dataclass(frozen=True, slots=True)
class SetAcTarget:
    """The AC power agreed with the EV for now (W and var, signed); for load management and metering."""

    power_w: float
    reactive_var: float = 0.0


@dataclass(frozen=True, slots=True)
class SetPilotDuty:
    """Signal this on the control pilot (percent): 5 digital, 10 to 97 a current limit, 100 steady +12 V (X1).

    Sent only where the stack owns the plug (`iso15118.plug`).
    """

    percent: float


@dataclass(frozen=True, slots=True)
class SetPilotUnavailable:
    """Hold -12 V (state F; 0 V, state E, where the hardware has no F) until the next SetPilotDuty."""


@dataclass(frozen=True, slots=True)
class Deenergise:
    """Output off and contactor open, now, without ramp where the hardware allows."""

    reason: str


Command = (
    LockConnector
    | UnlockConnector
    | RunCableCheck
    | SetDcTarget
    | SetAcTarget
    | CloseContactor
    | OpenContactor
    | SetPilotDuty
    | SetPilotUnavailable
    | Deenergise
)


# --- questions: may take minutes --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuthorizationQuestion:
    """May this EV charge? `service` is the identification means the EV chose; `evcc_id` its name."""

    evcc_id: str
    service: Literal["EIM", "PnC"] = "EIM"
    attempt: int = 1

    @property
    def emaid(self) -> str:
        """The contract's identifier; empty where the EV shows none."""
        return ""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The contract certificate and its sub-CAs (DER, leaf first); empty where the EV shows none."""
        return ()


@dataclass(frozen=True, slots=True)
class ContractQuestion(AuthorizationQuestion):
    """May the owner of this contract charge? The EV has proven that it has the contract's key.

    `verified` False: the chain ends at a root that is unknown here, so that only the back end can tell whether it is one.
    """

    emaid: str = ""
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Authorization:
    """The operator's decision. `reason` is for the log."""

    accepted: bool
    reason: str = ""


class ContractFlaw(enum.Enum):
    """Why a back end refuses a contract; the EV is told by the response code that fits."""

    GENERAL = "refused"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    REVOKED = "revoked"
    INVALID = "certificate not valid"
    UNKNOWN_PROVIDER = "provider unknown"


@dataclass(frozen=True, slots=True)
class ContractRefused(Authorization):
    """A refusal of a contract that says why; a plain `Authorization(False)` is a general one."""

    accepted: bool = False
    flaw: ContractFlaw = ContractFlaw.GENERAL


@dataclass(frozen=True, slots=True)
class ContractRequest:
    """An EV wants its contracts: what a back end needs to find and wrap them.

    `exi` is the CertificateInstallationReq as it came, signature included, which OCPP and other back ends take. `pcid`
    and `chain` (DER, leaf first) are those of its provisioning certificate, whose key signed the request; whether the
    chain is to be trusted the back end decides. `maximum` is the room in the EV, `emaids` are those it prefers.
    """

    evcc_id: str
    pcid: str
    exi: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    maximum: int = 1
    emaids: tuple[str, ...] = ()
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class ContractResponse:
    """The back end's answer: a CertificateInstallationRes in EXI, signed by the provisioning service; empty: refused.

    What the service signed is handed on as it is; session id and time stamp become those of the session. `reason` is for
    the log. `known` False: there is no contract for this vehicle at all.
    """

    exi: bytes = field(default=b"", repr=False)
    reason: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class ChargingNeeds:
    """What the EV said before a schedule is offered (Wh, s from now; None = not told).

    `limits` is the intersection of both sides' envelopes. `round` counts renegotiations.
    """

    service: EnergyService
    control_mode: ControlMode
    limits: Envelope
    max_points: int
    departure_s: int | None = None
    target_wh: float | None = None
    max_wh: float | None = None
    min_wh: float | None = None
    v2x_max_wh: float | None = None
    v2x_min_wh: float | None = None
    round: int = 1


Question = AuthorizationQuestion | ChargingNeeds
"""What every controller answers."""
AnyQuestion = Question | ContractRequest
"""What a session may ask; ContractRequest only where `certificate_installation` is configured."""


class EvseController(Protocol):
    """What a charger implements.

    Questions are coroutines and may take long: the session answers the EV with Ongoing in the
    meantime. An exception from a question counts as a refusal.
    """

    def command(self, command: Command) -> None:
        """Carry out `command`; must return at once."""

    async def authorize(self, question: AuthorizationQuestion) -> Authorization:
        """Decide whether the EV may charge (card, app, free of charge)."""

    async def offer_energy(self, question: ChargingNeeds) -> EnergyOffer:
        """Offer schedules and prices for these needs."""


class ContractInstaller(Protocol):
    """What a charger implements besides where vehicles may fetch their contracts over it."""

    async def install_contract(self, question: ContractRequest) -> ContractResponse:
        """Fetch a contract for the EV; may take as long as the EV polls (some 55 s)."""


class EvseControllerBase:
    """Defaults: accept everyone, offer what the limits allow, install nothing. Override what you need.

    `command` must be overridden: without hardware nothing can be energised.
    """

    def command(self, command: Command) -> None:
        """Carry out `command`; the base has no hardware and refuses."""
        raise LocalProtocolError(f"{type(self).__name__}.command must carry out {command}")

    async def authorize(self, question: AuthorizationQuestion) -> Authorization:
        """Accept everyone (free charging)."""
        return Authorization(accepted=True, reason="free charging")

    async def offer_energy(self, question: ChargingNeeds) -> EnergyOffer:
        """Offer the full envelope for 24 hours, without price."""
        return EnergyOffer.flat(
            max_w=question.limits.charge.max_power_w, discharge_w=question.limits.discharge.max_power_w
        )

    async def install_contract(self, question: ContractRequest) -> ContractResponse:
        """Refuse: there is no back end."""
        return ContractResponse(reason="no back end for contracts")
