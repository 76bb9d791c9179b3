"""Authorization by contract (Plug & Charge) on the car's side, and fetching contracts for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from iso15118.control.ev import StoreContract
from iso15118.errors import SecurityError
from iso15118.evcc.iso20.polling import authorization, until_finished
from iso15118.evcc.vocabulary import Ev
from iso15118.messages.iso20.common import (
    Authorization,
    AuthorizationReq,
    AuthorizationSetupRes,
    CertificateInstallationRes,
    PnC_ASResAuthorizationMode,
)
from iso15118.quirks import Quirk
from iso15118.security.algorithms import ISO20, ISO20_AND_P256, Algorithms
from iso15118.security.contracts import Contract, Provisioning
from iso15118.security.installation import installation_request, open_installation
from iso15118.security.plug_and_charge import proof


async def authorize_by_contract(ev: Ev, setup: AuthorizationSetupRes) -> str:
    """Show one contract after the other until one is accepted; fetch some where none fits.

    Returns the code of the last refusal, empty where no contract could be shown at all.
    """
    mode = setup.authorization_mode
    if not isinstance(mode, PnC_ASResAuthorizationMode):
        ev.decide("PnC", "the station offers it without a challenge")
        return ""
    providers = mode.supported_providers.provider_id if mode.supported_providers is not None else None
    if _should_install(ev, setup, providers):
        await install_contracts(ev)
    refused = ""
    for contract in list(_usable(ev, providers)):
        refused = await _show(ev, contract, mode.gen_challenge)
        if ev.authorized:
            ev.contract = contract
            if contract.expires_soon(ev.utc()):
                ev.decide("PnC", "the contract ends soon")
            return ""
        ev.decide("PnC", f"a contract of {contract.provider} was refused: {refused}")
    return refused


def algorithms(ev: Ev) -> tuple[Algorithms, ...]:
    """The ways to sign that our certificates may need."""
    return ISO20_AND_P256 if Quirk.P256_SIGNATURES in ev.config.quirks else ISO20


def _usable(ev: Ev, providers: tuple[str, ...] | None) -> Iterator[Contract]:
    """The contracts this station can be shown, in the owner's order; why not the others."""
    for contract in ev.wallet.contracts if ev.wallet is not None else ():
        why = contract.usable(ev.utc(), providers, algorithms(ev))
        if why:
            ev.decide("PnC", why)
        else:
            yield contract


async def _show(ev: Ev, contract: Contract, challenge: bytes) -> str:
    """One contract's AuthorizationReq, signed once: it is repeated as it is. Returns the code of a refusal."""
    ev.begin("AUTHORIZATION")
    made = proof(challenge, contract.chain, contract.key, algorithms(ev))
    if made is None:
        return "the contract's certificate cannot be used"
    mode, signature = made
    request = AuthorizationReq(
        header=replace(ev.header, signature=signature),
        selected_authorization_service=Authorization.PNC,
        authorization_mode=mode,
    )
    return await authorization(ev, request)


# --- fetching contracts -----------------------------------------------------------------------


def _should_install(ev: Ev, setup: AuthorizationSetupRes, providers: tuple[str, ...] | None) -> bool:
    """Whether contracts are to be fetched here: none fits, or one that does is about to end [V2G20-2221]."""
    wanted = ev.config.install_contracts and setup.certificate_installation_service
    if not wanted or ev.wallet is None or ev.wallet.provisioning is None:
        return False
    fitting = [
        each
        for each in ev.wallet.contracts
        if not each.usable(ev.utc(), providers, algorithms(ev)) and not each.expires_soon(ev.utc())
    ]
    return not fitting


async def install_contracts(ev: Ev) -> None:
    """Fetch contracts until the station has no more, or one cannot be used; each is stored before the next is asked for."""
    assert ev.wallet is not None and ev.wallet.provisioning is not None
    provisioning = ev.wallet.provisioning
    ev.begin("CERTIFICATE_INSTALLATION")
    for _ in range(ev.config.maximum_contracts):
        response = await _fetch(ev, provisioning)
        if response is None:
            return
        try:
            contract = open_installation(response, provisioning, ev.utc(), algorithms(ev))
        except SecurityError as error:
            ev.decide("CertificateInstallation", f"nothing of the answer is used: {error}")
            return
        await _keep(ev, contract)
        if not response.remaining_contract_certificate_chains:
            return


async def _fetch(ev: Ev, provisioning: Provisioning) -> CertificateInstallationRes | None:
    """One contract's exchange, polled while the back end works. None where there is none for us."""
    try:
        request, signature = installation_request(
            provisioning,
            ev.header,
            maximum=ev.config.maximum_contracts,
            emaids=ev.config.prioritized_emaids,
            allowed=algorithms(ev),
        )
    except SecurityError as error:
        ev.decide("CertificateInstallation", str(error))
        return None
    request = replace(request, header=replace(request.header, signature=signature))
    response = await until_finished(ev, request, CertificateInstallationRes)
    if response.response_code.value.startswith("WARNING"):
        ev.decide("CertificateInstallation", f"no contract: {response.response_code}")
        return None
    return response


async def _keep(ev: Ev, contract: Contract) -> None:
    """Store a contract; it also serves this session, before those that were there."""
    assert ev.wallet is not None
    stored = await ev.query(StoreContract(contract))
    ev.wallet = ev.wallet.with_contract(contract)
    kept = "stored" if stored is True else "not stored: it serves this session alone"
    ev.decide("CertificateInstallation", f"a contract of {contract.provider}, {kept}")
