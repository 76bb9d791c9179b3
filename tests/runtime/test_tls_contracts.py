"""Plug & Charge over TLS on loopback: contracts that pay, are fetched and kept."""

from __future__ import annotations

import os
import time

import pytest
from support import drive, until
from test_tls import car, station, tree

from certs.profiles import Role
from iso15118.control.common import Contactor
from iso15118.control.evse import Authorization, CloseContactor
from iso15118.events import CommandIssued, MessageSent
from iso15118.runtime.events import Disconnected
from iso15118.runtime.security import Security
from iso15118.security.chains import RootsJudge
from iso15118.security.contracts import Provisioning, Wallet
from iso15118.security.provisioning import ProvisioningService

pytestmark = [pytest.mark.asyncio, pytest.mark.runtime]


@pytest.mark.parametrize("curve", ["secp521r1", "ed448"])
async def test_a_contract_is_fetched_kept_and_pays_the_next_time(curve, nothing_left):
    """Plug & Charge over TLS from end to end: installed in the first session, used at once in the second.

    On Ed448, TLS included, it is an experiment, which both sides join.
    """
    pki = tree(curve)
    own = Provisioning.of(pki.provisioning(), experimental_x448=True)
    service = ProvisioningService(
        cps=pki.cps(),
        contracts={own.pcid: (pki.contract(),)},
        vehicles=RootsJudge(Role.PROVISIONING, pki.secc().roots_for(Role.PROVISIONING)),
        utc=time.time,
        entropy=os.urandom,
        experimental_x448=True,
    )
    asked, stored = [], []
    means = {"authorization": ("PnC",)}
    async with station(pki.secc(), **means, certificate_installation=True) as (charger, bench, seen):

        async def install(question):
            return service.answer(question)

        async def authorize(question):
            asked.append(question)
            return Authorization(accepted=True)

        async def store(question):
            stored.append(question.contract)
            return True

        bench.install_contract, bench.authorize = install, authorize
        vehicle, its_bench, seen_ev = car(
            charger, Security(pki.vehicle(), wallet=Wallet((), own)), **means, install_contracts=True
        )
        its_bench.store_contract = store
        for number in (1, 2):
            assert (await drive(vehicle, its_bench)).as_intended
            await until(lambda: len(seen.of(Disconnected)) == number)  # noqa: B023
            bench.plug_in()
            its_bench.__init__()
        names = [type(e.message).__name__ for e in seen_ev.of(MessageSent)]
        assert names.count("CertificateInstallationReq") == 1
    (contract,) = stored
    assert vehicle.security.wallet.contracts == (contract,)
    assert {question.emaid for question in asked} == {contract.emaid}
    assert "PRIVATE" not in repr(seen.events) + repr(seen_ev.events) + repr(vehicle.security)
    await nothing_left()


async def test_a_station_without_a_back_end_installs_nothing():
    own = Provisioning.of(tree().provisioning())
    async with station(authorization=("PnC",), certificate_installation=True) as (charger, bench, seen):
        vehicle, its_bench, _ = car(
            charger,
            Security(tree().vehicle(), wallet=Wallet((), own)),
            authorization=("PnC",),
            install_contracts=True,
        )
        result = await drive(vehicle, its_bench)
        assert not result.as_intended
        assert bench.state.contactor is Contactor.OPEN
        assert not any(isinstance(e.command, CloseContactor) for e in seen.of(CommandIssued))
