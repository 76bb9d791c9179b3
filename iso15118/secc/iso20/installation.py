"""CertificateInstallation on the station's side: a letterbox between the vehicle and the back end.

The vehicle's signature is verified; what the back end answers is handed on as its provisioning service signed it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from iso15118.control.evse import ContractRequest, ContractResponse
from iso15118.errors import CodecError
from iso15118.exi.codec import decode, encode
from iso15118.messages.iso20.common import (
    CertificateInstallationReq,
    CertificateInstallationRes,
    SignedInstallationData,
)
from iso15118.messages.iso20.exchanges import is_failure
from iso15118.messages.iso20.types import Processing, ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.quirks import Quirk
from iso15118.secc.iso20.pnc import algorithms
from iso15118.secc.session import Step, View
from iso15118.security.chains import common_name, leaf_key
from iso15118.security.plug_and_charge import SIGNED_ID, chain_of, common_messages, judged
from iso15118.security.signature import Verdict, verify

ANSWER_HOLD_S: Final = 3.0
"""How long a request waits for the back end before it is answered Ongoing (of 4.5 s allowed)."""
MAX_INSTALLATIONS: Final = 32
"""How often a vehicle may ask in one session; more is refused before anything is computed."""


def install(s: View, req: CertificateInstallationReq) -> Step:
    """Ask the back end for a contract; Ongoing until it has answered; one more round for each further contract."""
    content = _content(req)
    if s.record.pending is None:
        return _forward(s, req, content)
    if s.record.installing != content:
        return s.fail(req, ResponseCode.FAILED, "the request changed while it was being answered")
    if s.record.answered or s.record.overdue:
        return _answered(s, s.record.answer)
    if s.held and not s.expired:
        return s.wait(ANSWER_HOLD_S)
    return s.reply(_response(s, ResponseCode.OK, Processing.ONGOING))


def _content(req: CertificateInstallationReq) -> tuple[Any, ...]:
    """All but the header, whose time stamp changes from poll to poll."""
    return (
        req.oem_provisioning_certificate_chain,
        req.list_of_root_certificate_ids,
        req.maximum_contract_certificate_chains,
        req.prioritized_emaids,
    )


def _forward(s: View, req: CertificateInstallationReq, content: tuple[Any, ...]) -> Step:
    chain = chain_of(req.oem_provisioning_certificate_chain)
    if s.record.installed >= MAX_INSTALLATIONS:
        return _refused(s, ResponseCode.WARNING_NO_CERTIFICATE_AVAILABLE, "too many contracts in one session")
    count = s.record.installed + 1
    verdict = _verified(s, req, chain)
    if verdict is None:
        code = ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR
        return _refused(s, code, "the provisioning certificate cannot be read", installed=count)
    if not verdict.ok:
        return s.fail(req, ResponseCode.FAILED_SIGNATURE_ERROR, str(verdict), "V2G20-1548")
    if s.trust is not None and s.trust.provisioning is not None:
        judgement = judged(s.trust.provisioning, chain, s.utc())
        if not judgement.ok:
            unknown = ResponseCode.WARNING_CERTIFICATE_VALIDATION_ERROR
            code = unknown if judgement.unknown_root else ResponseCode(judgement.code)
            return _refused(s, code, judgement.refusal, installed=count)
    asked = s.ask(_question(s, req, chain), ANSWER_HOLD_S)
    record = asked.record.but(installing=content, installed=count)
    return replace(asked, record=record, why=f"signature {verdict}")


def _verified(s: View, req: CertificateInstallationReq, chain: tuple[bytes, ...]) -> Verdict | None:
    """The signature of the provisioning key; None where the certificate cannot be read."""
    key = leaf_key(chain)
    if key is None:
        return None
    identifier = req.oem_provisioning_certificate_chain.id
    signature, allowed = req.header.signature, algorithms(s)
    elements: dict[str, Any] = {identifier: req.oem_provisioning_certificate_chain}
    verdict = verify(signature, elements, key, common_messages(), allowed=allowed)
    if verdict.ok or Quirk.INSTALLATION_SIGNED_WHOLE not in s.config.quirks:
        return verdict
    whole = replace(req, header=replace(req.header, signature=None))
    return verify(signature, {identifier: whole}, key, common_messages(), allowed=allowed)


def _question(s: View, req: CertificateInstallationReq, chain: tuple[bytes, ...]) -> ContractRequest:
    wanted = req.prioritized_emaids
    return ContractRequest(
        evcc_id=s.record.evcc_id,
        pcid=common_name(chain[0]),
        exi=s.exi,
        chain=chain,
        maximum=req.maximum_contract_certificate_chains,
        emaids=wanted.emaid if wanted is not None else (),
        attempt=s.record.installed + 1,
    )


def _answered(s: View, answer: Any) -> Step:
    if not isinstance(answer, ContractResponse):
        code = ResponseCode.WARNING_NO_CERTIFICATE_AVAILABLE
        why = "the back end did not answer in time" if answer is None else f"no usable answer: {answer!r}"
        return _refused(s, code, why)
    if not answer.exi:
        known = ResponseCode.WARNING_NO_CERTIFICATE_AVAILABLE
        code = known if answer.known else ResponseCode.WARNING_NO_CONTRACT_MATCHING_PCID_FOUND
        return _refused(s, code, answer.reason or "the back end has no contract")
    try:
        response = _handed_on(s, answer.exi)
        encode(response, common_messages())
    except (CodecError, ValueError) as error:
        why = f"the back end's answer cannot be used: {error}"
        return _refused(s, ResponseCode.WARNING_NO_CERTIFICATE_AVAILABLE, why)
    why = f"{response.response_code}, {response.remaining_contract_certificate_chains} more"
    return s.reply(response, why=why, **s.settled())


def _handed_on(s: View, exi: bytes) -> CertificateInstallationRes:
    """The back end's response under the session's own header; what it signed stays as it is."""
    response = decode(exi, common_messages())
    if not isinstance(response, CertificateInstallationRes):
        raise ValueError(f"{type(response).__name__} instead of CertificateInstallationRes")
    if response.evse_processing is not Processing.FINISHED or is_failure(response.response_code):
        raise ValueError(f"{response.evse_processing.value}, {response.response_code}")
    return replace(response, header=replace(s.header, signature=response.header.signature))


def _refused(s: View, code: ResponseCode, why: str, **changes: Any) -> Step:
    """The EV may go on without a new contract."""
    return s.reply(_response(s, code, Processing.FINISHED), why=why, **s.settled(), **changes)


def _response(s: View, code: ResponseCode, processing: Processing) -> CertificateInstallationRes:
    """Without a contract in it: what the EV ignores is filled so that it fits the schema."""
    return minimal(
        CertificateInstallationRes,
        header=s.header,
        response_code=code,
        evse_processing=processing,
        signed_installation_data=minimal(SignedInstallationData, id=SIGNED_ID),
    )
