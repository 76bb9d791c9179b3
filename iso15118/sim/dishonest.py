"""Attacks by message: a peer whose TLS is good and who lies behind it.

The liar is an honest session machine whose messages are changed on their way to TLS. Its log says what it meant to
send; what the other side's log has received is what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from hal.virtual.bench import EPOCH_S
from iso15118.events import Role
from iso15118.exi.codec import decode, encode
from iso15118.machine import Input, Machine, Output, Send, Utc
from iso15118.messages.iso20.common import (
    AuthorizationReq,
    CertificateInstallationRes,
    PnC_AReqAuthorizationMode,
)
from iso15118.messages.namespaces import ISO2
from iso15118.messages.payloads import schema_by_type
from iso15118.messages.registry import schema_set
from iso15118.messages.sap import SupportedAppProtocolReq
from iso15118.security.chains import MAX_OCTETS
from iso15118.security.contracts import Contract
from iso15118.security.plug_and_charge import proof
from iso15118.sim.faults import Fault
from iso15118.sim.scenarios import Scenario
from iso15118.wire.v2gtp import HEADER_LENGTH, decode_header, encode_frame

Lie = Callable[[Any], Any]
"""What becomes of a message."""

OTHER_CHALLENGE: Final = bytes(range(16))
SIDES: Final = MappingProxyType({"spoilt_installation": "SECC"})
"""Who lies where the attack does not say it; else the car."""


class Liar:
    """A session machine whose messages are changed by `lie`."""

    def __init__(self, honest: Machine, lie: Lie) -> None:
        self._honest, self._lie = honest, lie

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        return self._honest.deadline

    def receive(self, item: Input, now: float) -> None:
        """Take one input."""
        self._honest.receive(item, now)

    def tick(self, now: float) -> None:
        """Let timers expire."""
        self._honest.tick(now)

    def outputs(self) -> Iterator[Output]:
        """What the honest machine wants done, its messages changed."""
        for output in self._honest.outputs():
            yield Send(self._changed(output.data)) if isinstance(output, Send) else output

    def _changed(self, data: bytes) -> bytes:
        payload_type, _ = decode_header(data)
        exi = data[HEADER_LENGTH:]
        namespace = schema_by_type(payload_type, exi)
        if namespace is None:
            return data
        types = schema_set(namespace)
        message = decode(exi, types)
        changed = self._lie(message)
        return data if changed is message else encode_frame(payload_type, encode(changed, types))


def lying(role: Role, honest: Machine, fault: Fault, scenario: Scenario, utc: Utc) -> Machine:
    """The machine with the lies of an attack; the machine itself where it is not the one who lies."""
    told = dict(fault.values)
    if fault.name not in _LIES or role != told.get("side", SIDES.get(fault.name, "EVCC")):
        return honest
    return Liar(honest, _LIES[fault.name](fault, scenario, utc))


# --- authorization ----------------------------------------------------------------------------


def _authorizing(change: Callable[[AuthorizationReq, PnC_AReqAuthorizationMode], AuthorizationReq]) -> Lie:
    """A lie about authorization by contract alone."""

    def lie(message: Any) -> Any:
        mode = getattr(message, "authorization_mode", None)
        return change(message, mode) if isinstance(mode, PnC_AReqAuthorizationMode) else message

    return lie


def _changed_challenge(_fault: Fault, _scenario: Scenario, _utc: Utc) -> Lie:
    return _authorizing(
        lambda m, mode: replace(m, authorization_mode=replace(mode, gen_challenge=OTHER_CHALLENGE))
    )


def _signed_elsewhere(scenario: Scenario) -> tuple[PnC_AReqAuthorizationMode, Any]:
    """What the car has signed for another station, with the first contract of its wallet."""
    assert scenario.pnc is not None
    contract: Contract = scenario.pnc.wallet.contracts[0]
    made = proof(OTHER_CHALLENGE, contract.chain, contract.key)
    assert made is not None
    return made


def _replayed(_fault: Fault, scenario: Scenario, _utc: Utc) -> Lie:
    made, signature = _signed_elsewhere(scenario)
    return _authorizing(lambda m, _: _with(m, made, signature))


def _pasted(_fault: Fault, scenario: Scenario, _utc: Utc) -> Lie:
    made, signature = _signed_elsewhere(scenario)
    return _authorizing(lambda m, mode: _with(m, replace(made, gen_challenge=mode.gen_challenge), signature))


def _with(message: AuthorizationReq, mode: PnC_AReqAuthorizationMode, signature: Any) -> AuthorizationReq:
    return replace(message, header=replace(message.header, signature=signature), authorization_mode=mode)


def _spoilt_signature(fault: Fault, _scenario: Scenario, _utc: Utc) -> Lie:
    return _authorizing(lambda message, _: _resigned(message, fault))


def _resigned(message: Any, fault: Fault) -> Any:
    """The message with a bit of its signature turned."""
    signature = message.header.signature
    octets = _turned(signature.signature_value.value, fault.number("place"))
    value = replace(signature.signature_value, value=octets)
    return replace(
        message, header=replace(message.header, signature=replace(signature, signature_value=value))
    )


def _turned(octets: bytes, place: float) -> bytes:
    at = int(place * (len(octets) - 1))
    return octets[:at] + bytes((octets[at] ^ 0x04,)) + octets[at + 1 :]


def _no_signature(_fault: Fault, _scenario: Scenario, _utc: Utc) -> Lie:
    return _authorizing(lambda message, mode: _with(message, mode, None))


def _malformed_contract(fault: Fault, _scenario: Scenario, _utc: Utc) -> Lie:
    how, place = fault.text("how"), fault.number("place")

    def change(message: AuthorizationReq, mode: PnC_AReqAuthorizationMode) -> AuthorizationReq:
        chain = mode.contract_certificate_chain
        spoilt = replace(chain, certificate=_spoilt(chain.certificate, how, place))
        return replace(message, authorization_mode=replace(mode, contract_certificate_chain=spoilt))

    return _authorizing(change)


def _spoilt(octets: bytes, how: str, place: float) -> bytes:
    """A certificate that cannot be read; LONG is the longest a message can carry."""
    at = int(place * (len(octets) - 1))
    return {
        "CUT": octets[:at],
        "NOISE": octets[:at] + bytes(reversed(octets[at:])),
        "EMPTY": b"",
        "LONG": octets + bytes(MAX_OCTETS - len(octets)),
    }[how]


# --- others -----------------------------------------------------------------------------------


def _older_protocol(_fault: Fault, _scenario: Scenario, _utc: Utc) -> Lie:
    def lie(message: Any) -> Any:
        if not isinstance(message, SupportedAppProtocolReq):
            return message
        older = (replace(p, protocol_namespace=ISO2, version_number_major=2) for p in message.app_protocol)
        return replace(message, app_protocol=tuple(older))

    return lie


def _spoilt_installation(fault: Fault, _scenario: Scenario, _utc: Utc) -> Lie:
    def lie(message: Any) -> Any:
        signed = isinstance(message, CertificateInstallationRes) and message.header.signature is not None
        return _resigned(message, fault) if signed else message

    return lie


def _foreign_session_id(fault: Fault, _scenario: Scenario, utc: Utc) -> Lie:
    def lie(message: Any) -> Any:
        header = getattr(message, "header", None)
        if header is None or not any(header.session_id) or utc() - EPOCH_S < fault.number("at"):
            return message
        number = int.from_bytes(header.session_id)
        value = {"OTHER": number ^ 0x4000, "ZERO": 0, "NEXT": (number + 1) % 2**64}[fault.text("value")]
        return replace(message, header=replace(header, session_id=value.to_bytes(8)))

    return lie


_LIES: Final[MappingProxyType[str, Callable[[Fault, Scenario, Utc], Lie]]] = MappingProxyType(
    {
        "older_protocol": _older_protocol,
        "changed_challenge": _changed_challenge,
        "replayed_authorization": _replayed,
        "pasted_challenge": _pasted,
        "spoilt_signature": _spoilt_signature,
        "no_signature": _no_signature,
        "malformed_contract": _malformed_contract,
        "spoilt_installation": _spoilt_installation,
        "foreign_session_id": _foreign_session_id,
    }
)
