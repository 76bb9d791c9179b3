"""A station that takes contracts, and a car that has some."""

from __future__ import annotations

from dataclasses import replace

from certs.profiles import Role
from iso15118.control.ev import EvControllerBase
from iso15118.control.evse import ContractRequest
from iso15118.exi.codec import decode, encode
from iso15118.messages.iso20 import common
from iso15118.messages.iso20.common import Authorization
from iso15118.messages.iso20.types import ResponseCode
from iso15118.security.algorithms import ISO20_AND_P256
from iso15118.security.chains import RootsJudge
from iso15118.security.contracts import Contract, Provisioning, Wallet
from iso15118.security.plug_and_charge import Claim, Examination, StationTrust, common_messages
from tests.unit.evcc.harness import DC, Bench, config
from tests.unit.evcc.station import Station
from tests.unit.security.made import AT_S, contract, pcid, pki, provisioning, service

CHALLENGE = bytes(range(16))
EIM, PNC = Authorization.EIM, Authorization.PNC
SET = common_messages()


def held(emaid=""):
    return Contract.of(contract(emaid=emaid))


OTHER = "DE-TST-C00000099"
FOREIGN = "FR-XYZ-C00000001"


class ContractStation(Station):
    """Offers what it is told to, verifies every proof, and asks a provisioning service for contracts.

    `codes` are the response codes to AuthorizationReqs by contract, the last one for all that follow. `installs` tells
    whether contracts can be fetched, `contracts` which there are.
    """

    def __init__(self, means=(PNC, EIM), *, codes=("OK",), providers=None, installs=False, contracts=None):
        super().__init__()
        self.means, self.codes, self.providers, self.installs = means, list(codes), providers, installs
        self.back_end = service(contracts)
        self.shown = []
        self.asked = []

    def _AuthorizationSetupReq(self, request):
        mode = common.EIM_ASResAuthorizationMode()
        if PNC in self.means:
            listed = common.SupportedProvidersList(provider_id=self.providers) if self.providers else None
            mode = common.PnC_ASResAuthorizationMode(gen_challenge=CHALLENGE, supported_providers=listed)
        return self.res(
            common.AuthorizationSetupRes,
            authorization_services=self.means,
            certificate_installation_service=self.installs,
            authorization_mode=mode,
        )

    def _AuthorizationReq(self, request):
        if request.selected_authorization_service is EIM:
            return self.finished(ResponseCode.OK)
        judge = RootsJudge(Role.CONTRACT, pki().roots[Role.MO_ROOT])
        examination = Examination(CHALLENGE, StationTrust(judge), AT_S, ISO20_AND_P256)
        found = examination.judge(request.authorization_mode, request.header.signature)
        assert isinstance(found, Claim), found
        self.shown.append(found.emaid)
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        return self.finished(ResponseCode(code))

    def finished(self, code, **given):
        done = common.Processing.FINISHED
        return self.res(common.AuthorizationRes, response_code=code, **({"evse_processing": done} | given))

    def _CertificateInstallationReq(self, request):
        self.asked.append(request)
        attempt = len(self.asked)
        answer = self.back_end.answer(ContractRequest("EV", pcid(), encode(request, SET), attempt=attempt))
        if not answer.exi:
            return self.res(
                common.CertificateInstallationRes,
                response_code=ResponseCode.WARNING_NO_CERTIFICATE_AVAILABLE,
                evse_processing=common.Processing.FINISHED,
            )
        response = decode(answer.exi, SET)
        header = self.res(common.SessionStopRes).header
        return replace(response, header=replace(header, signature=response.header.signature))


class Owner(EvControllerBase):
    """Keeps contracts, or says that it cannot."""

    wanted = (DC,)

    def __init__(self, keeps=True):
        self.keeps, self.stored = keeps, []

    async def store_contract(self, question):
        self.stored.append(question.contract)
        return self.keeps


def drive(station=None, *, contracts=None, controller=None, installing=True, **changes):
    """A car with contracts at a station, before its session."""
    settings = {"authorization": ("PnC", "EIM")} | changes
    contracts = (held(),) if contracts is None else contracts
    wallet = Wallet(tuple(contracts), Provisioning.of(provisioning()) if installing else None)
    return Bench(
        config=config(DC, **settings),
        station=station or ContractStation(),
        controller=controller or Owner(),
        wallet=wallet,
    )


def means_of(bench):
    """By what the car tried to identify itself, in order."""
    return [r.selected_authorization_service.value for r in bench.all("AuthorizationReq")]
