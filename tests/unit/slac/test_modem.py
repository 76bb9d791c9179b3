"""A host and its modem: who it is, its key, the ways to ask for the link, and management from elsewhere."""

from __future__ import annotations

import pytest

from iso15118.config import SlacConfig
from iso15118.slac.dlink import DLink, LinkState, LinkStatus
from iso15118.slac.events import (
    ForeignManagement,
    KeySet,
    LinkAssumed,
    LinkSeen,
    ModemIdentified,
    ModemSilent,
)
from iso15118.slac.vendors import VENDORS, is_vendor_request
from iso15118.wire import homeplug as hp
from iso15118.wire import homeplug_vendor as hv
from tests.unit.slac.bench import Bench, Party, pair

STRANGER = bytes.fromhex("02b052000d66")
VERSIONS = {"qualcomm": "MAC-QCA7005-1.1.0.730", "lumissil": "1.2.3.4.5", "vertexcom": ""}
METHODS = {
    "qualcomm": "VS_PL_LNK_STATUS",
    "lumissil": "NSCM_GET_D_LINK_STATUS",
    "vertexcom": "VS_GET_STATUS",
    "discovery": "CC_DISCOVER_LIST",
    "counting": "CM_GET_KEY to all",
}


def couple(says: str, config: SlacConfig | None = None) -> tuple[Bench, Party, Party]:
    bench = Bench()
    ev, evse = bench.ev(config, says=says), bench.evse(config, says=says)
    bench.open(5)
    return bench, ev, evse


# --- identity -----------------------------------------------------------------------------------


@pytest.mark.parametrize("says", VERSIONS)
def test_modems_are_known_by_what_they_answer(says: str) -> None:
    _, ev, _ = couple(says)
    first = ev.events(ModemIdentified)[0]
    assert (first.vendor, first.version, first.mac) == (says, VERSIONS[says], ev.modem.mac)
    assert ev.events(ModemIdentified)[-1].proven


@pytest.mark.parametrize("says", METHODS)
def test_each_kind_of_modem_is_asked_for_the_link_in_its_own_way(says: str) -> None:
    bench, ev, evse = couple(says)
    bench.plug()
    bench.run(11)
    assert ev.established and evse.established
    assert ev.events(LinkSeen)[-1].method == METHODS[says] and ev.events(LinkSeen)[-1].up
    bench.apart = True
    bench.run(5)
    assert ev.ready[-1] is LinkStatus.LOST


def test_a_vendor_that_is_told_is_asked_alone() -> None:
    _, ev, _ = couple("vertexcom", SlacConfig(modem="vertexcom"))
    assert not ev.messages(hv.VsSwVerReq) and ev.events(ModemIdentified)[0].vendor == "vertexcom"


def test_a_modem_of_no_known_vendor_is_not_asked() -> None:
    bench, ev, evse = couple("discovery", SlacConfig(modem="other"))
    assert not ev.messages(hv.VsSwVerReq)
    assert ev.events(ModemIdentified)[0].vendor == "unknown"
    bench.plug()
    bench.run(4)
    assert ev.established and evse.established


def test_lumissil_with_the_long_header() -> None:
    _, ev, _ = couple("lumissil", SlacConfig(modem="lumissil", lumissil_long_header=True))
    (_, frame) = ev.sent[0]
    assert isinstance(frame.message, hv.LumissilGetVersionReqLong)
    assert hp.write(frame)[14] == 1


@pytest.mark.parametrize("name", VENDORS)
def test_only_where_there_is_a_long_header_it_changes_anything(name: str) -> None:
    vendor = VENDORS[name]
    assert (vendor.with_long_header() == vendor) is (name != "lumissil")


@pytest.mark.parametrize(("says", "count"), [("qualcomm", 2), ("lumissil", 2), ("discovery", 0)])
def test_a_restart_after_each_key_where_that_is_wished(says: str, count: int) -> None:
    bench, ev, _ = couple(says, SlacConfig(reset_after_key=True))
    bench.plug()
    bench.run(11)
    assert ev.modem.resets == count and ev.established


def test_a_modem_that_does_not_answer_any_question_is_taken_for_joined() -> None:
    bench = Bench()
    ev, evse = bench.ev(says="", join_s=0.5), bench.evse(says="")
    bench.open(5)
    bench.plug()
    bench.run(15)
    assert ev.events(LinkAssumed)[0].after_s == pytest.approx(10.0, abs=0.6)
    assert ev.established and evse.established
    bench.run(60)
    assert ev.ready == [LinkStatus.ESTABLISHED]  # its loss cannot be seen


def test_a_foreign_modem_that_answers_first_is_found_out() -> None:
    """Its answer to a broadcast question; what only our own modem can have heard proves who is ours."""
    bench = Bench()
    ev, _ = bench.ev(says=""), bench.evse(says="qualcomm")
    bench.open(5)
    first, last = ev.events(ModemIdentified)[0], ev.events(ModemIdentified)[-1]
    assert first.mac != ev.modem.mac and not first.proven
    assert last.mac == ev.modem.mac and last.proven


# --- key ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", [0, 1, 7])
def test_quirk_1_the_result_of_set_key_is_told_not_judged(result: int) -> None:
    bench = Bench()
    ev, evse = bench.ev(result=result), bench.evse(result=result)
    bench.open()
    bench.plug()
    bench.run(2)
    assert ev.established and evse.established
    assert {e.result for e in ev.events(KeySet)} == {result}


def test_the_request_for_a_key_is_as_modems_know_it() -> None:
    _, ev, _ = pair()
    request = ev.messages(hp.SetKeyReq)[0]
    assert (request.key_type, request.pid, request.prn, request.pmn) == (1, 4, 0, 0)
    assert (request.cco_capability, request.new_eks, request.your_nonce) == (0, 1, bytes(4))
    assert request.nid == hp.derive_nid(request.new_key)
    assert ev.sent[-1][1].destination == hp.LOCAL_MODEM


def test_a_deaf_modem_is_told_and_asked_again() -> None:
    bench = Bench()
    ev = bench.ev(takes_keys=False)
    bench.open(4)
    assert ev.events(ModemSilent)[0].tries == 3 and len(ev.messages(hp.SetKeyReq)) == 3
    assert ev.state is LinkState.LEAVING and not ev.ready
    bench.run(5)
    assert len(ev.messages(hp.SetKeyReq)) > 3
    ev.modem.takes_keys = True
    bench.run(6)
    assert ev.state is LinkState.UNMATCHED


def test_a_modem_still_starting_is_identified_later() -> None:
    bench = Bench()
    ev = bench.ev(deaf_until=107.0)
    bench.open(12)
    assert ev.events(ModemIdentified)[0].vendor == "qualcomm"
    assert ev.state is LinkState.UNMATCHED


def test_a_deaf_modem_fails_the_wish_to_match() -> None:
    bench = Bench()
    ev, evse = bench.ev(takes_keys=False), bench.evse(takes_keys=False)
    bench.open(0)
    bench.plug()
    bench.run(20)
    assert ev.ready == [LinkStatus.FAILED]
    assert evse.ready and set(evse.ready) == {LinkStatus.FAILED}
    evse.modem.takes_keys = ev.modem.takes_keys = True
    bench.run(8)
    ev.give(DLink.MATCH)
    bench.run(4)
    assert ev.established and evse.established


def test_a_modem_that_refuses_the_evses_key_fails_the_attempt() -> None:
    bench, ev, _ = pair(SlacConfig(match_attempts=1))
    bench.plug()
    bench.run(0.3)
    ev.modem.takes_keys = False
    bench.run(5)
    ev.modem.takes_keys = True
    bench.run(10)
    assert ev.ready == [LinkStatus.FAILED]


def test_confirmations_that_echo_another_nonce_are_none() -> None:
    bench = Bench()
    ev = bench.ev(takes_keys=False)
    bench.open(0.1)
    ev.message(hp.SetKeyCnf(result=1, your_nonce=b"\x01\x02\x03\x04"), ev.modem.mac)
    assert not ev.events(KeySet)


def test_confirmations_of_another_modem_are_none_once_ours_is_proven() -> None:
    bench, ev, _ = pair()
    ev.modem.takes_keys = False
    bench.plug()
    while len(ev.messages(hp.SetKeyReq)) < 2:
        bench.run(0.01)
    nonce = ev.messages(hp.SetKeyReq)[-1].my_nonce
    ev.message(hp.SetKeyCnf(result=1, your_nonce=nonce), STRANGER)
    assert len(ev.events(KeySet)) == 1


# --- management from elsewhere ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (hp.SetKeyReq(nid=bytes(7), new_key=bytes(16)), "CM_SET_KEY.REQ"),
        (hv.VsRsDevReq(), "VS_RS_DEV.REQ"),
        (hp.Unknown(mmtype=0xA020, payload=hv.QUALCOMM + bytes(40)), "VS_WR_MOD.REQ"),
        (hp.Unknown(mmtype=0xA07C, payload=hv.QUALCOMM + bytes(40)), "VS_FAC_DEFAULTS.REQ"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("moment", [0.0, 0.3, 3.0])
def test_keys_and_vendor_requests_from_the_powerline_are_told_and_dropped(
    message: hp.Message, name: str, moment: float
) -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(moment)
    for party in (ev, evse):
        sent, keys = len(party.sent), len(party.modem.keys)
        party.message(message, STRANGER)
        (told,) = party.events(ForeignManagement)
        assert (told.source, told.message) == (STRANGER, name)
        assert len(party.sent) == sent and len(party.modem.keys) == keys
    bench.run(3)
    assert ev.established and evse.established


def test_a_flood_of_management_is_told_in_part() -> None:
    _, ev, _ = pair()
    for _ in range(300):
        ev.message(hv.VsRsDevReq(), STRANGER)
    assert len(ev.events(ForeignManagement)) == 20


def test_other_messages_of_vendors_are_normal() -> None:
    """Pilot reports, diagnostics, what newer firmware says before each profile."""
    bench, ev, evse = pair()
    bench.plug()
    bench.run(0.3)
    for party in (ev, evse):
        party.message(hp.Unknown(mmtype=0xA22E, payload=hv.ST + bytes(20)), STRANGER)
        party.message(hv.VsAttenCharInd(pev_mac=ev.mac, aag=bytes(58)), party.modem.mac)
        party.message(hp.Unknown(mmtype=0x8002, payload=b"dMp{}" + bytes(40)), STRANGER)
    bench.run(3)
    assert ev.established and evse.established
    assert not ev.events(ForeignManagement) and not evse.events(ForeignManagement)
    assert evse.messages(hp.AttenCharInd)[0].num_sounds == 10


@pytest.mark.parametrize(
    ("message", "is_request"),
    [
        (hv.VsSwVerReq(), True),
        (hv.VsSwVerCnf(device_id=1, version=""), False),
        (hp.SlacParmReq(run_id=bytes(8)), False),
        (hp.Unknown(mmtype=0x8000, payload=b""), True),
        (hp.Unknown(mmtype=0x6044, payload=b""), False),
    ],
)
def test_what_a_vendor_request_is(message: hp.Message, is_request: bool) -> None:
    assert is_vendor_request(message) is is_request


def test_nobody_gets_a_key_by_asking_for_it() -> None:
    bench, ev, evse = pair()
    bench.plug()
    bench.run(3)
    for party in (ev, evse):
        sent = len(party.sent)
        party.message(hp.GetKeyReq(), STRANGER)
        party.message(hv.LumissilGetVersionReq(), party.modem.mac)
        assert len(party.sent) == sent
