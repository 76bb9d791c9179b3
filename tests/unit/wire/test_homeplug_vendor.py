"""Messages of the modems' makers: golden octets, and numbers that several of them use."""

from __future__ import annotations

import pytest

from iso15118.wire import homeplug, homeplug_vendor
from iso15118.wire.homeplug import LOCAL_MODEM, Frame
from iso15118.wire.homeplug_names import name_of

HOST = bytes.fromhex("020000000001")
MODEM = bytes.fromhex("02b052000003")
NID = bytes.fromhex("0102030405060b")
LUMISSIL_HEADER = "0000 00000000 07" + "00" * 12

GOLDEN = [
    (homeplug_vendor.VsSwVerReq(), "00 00a0 00b052"),
    (
        homeplug_vendor.VsSwVerCnf(device_id=0x20, version="MAC-QCA7420-1.4.0.20-00-20171027-CS"),
        "00 01a0 00b052 00 20 24" + b"MAC-QCA7420-1.4.0.20-00-20171027-CS\0".hex(),
    ),
    (homeplug_vendor.VsRsDevReq(), "00 1ca0 00b052"),
    (homeplug_vendor.VsRsDevCnf(), "00 1da0 00b052 00"),
    (
        homeplug_vendor.VsRdModReq(module_id=2, length=1024, offset=0x1000),
        f"00 24a0 00b052 02 00 0004 00100000 {'00' * 16}",
    ),
    (homeplug_vendor.VsPlLnkStatusReq(), "00 b8a0 00b052"),
    (homeplug_vendor.VsPlLnkStatusCnf(link_status=1), "00 b9a0 00b052 00 01"),
    (
        homeplug_vendor.VsNwInfoCnf(
            networks=(
                homeplug_vendor.VsNetwork(
                    nid=NID,
                    snid=14,
                    tei=1,
                    role=2,
                    cco_mac=bytes.fromhex("02b052000004"),
                    cco_tei=1,
                    stations=(
                        homeplug_vendor.VsStation(
                            mac=bytes.fromhex("02b052000005"),
                            tei=2,
                            bridged_mac=bytes.fromhex("02cc00000006"),
                            tx_mbps=9,
                            rx_mbps=9,
                        ),
                    ),
                ),
            )
        ),
        "00 39a0 00b052 01 0102030405060b 0e 01 02 02b052000004 01 01 02b052000005 02 02cc00000006 09 09",
    ),
    (homeplug_vendor.VsNwInfoReqV1(), "01 38a0 0000 00b052 00"),
    (homeplug_vendor.VsNwInfoCnfV1(length=2), "01 39a0 0000 00b052 00 00 0200 00 00"),
    (
        homeplug_vendor.VsAttenCharInd(pev_mac=HOST, aag=bytes(range(58))),
        f"00 4ea1 000000 020000000001 3a 00 10 {'00' * 7} {bytes(range(58)).hex()}",
    ),
    (homeplug_vendor.LumissilGetVersionReq(request_id=7), f"00 6cac 0016e8 {LUMISSIL_HEADER}"),
    (homeplug_vendor.LumissilGetVersionReqLong(request_id=7), f"01 6cac 0000 0016e8 {LUMISSIL_HEADER}"),
    (
        homeplug_vendor.LumissilGetVersionCnf(request_id=7, major=1, minor=2, build=0x304),
        f"00 6dac 0016e8 {LUMISSIL_HEADER} 0100 0200 0000 0403 0000",
    ),
    (
        homeplug_vendor.LumissilGetDLinkStatusCnf(request_id=7, link_status=1),
        f"00 9dac 0016e8 {LUMISSIL_HEADER} 01",
    ),
    (homeplug_vendor.LumissilResetReq(request_id=7), f"00 70ac 0016e8 {LUMISSIL_HEADER} 00"),
    (homeplug_vendor.VertexcomGetVersionReq(), "01 00a0 0000 0013d7"),
    (homeplug_vendor.VertexcomResetReq(), "01 08a0 0000 0013d7"),
    (
        homeplug_vendor.VertexcomGetStatusCnf(cco=1, link_connect_status=1, ready_operation=1),
        "01 31a0 0000 0013d7 00 00 01 00 00 00 00 01 01",
    ),
    (
        homeplug_vendor.VertexcomPwmStatsInd(frequency_hz=1000, duty_permille=50, voltage_mv=9000),
        "01 0ea1 0000 0013d7 00 e803 3200 2823",
    ),
    (
        homeplug_vendor.StPilotInd(state=3, duty_percent=5, frequency_hz=1000, voltage_mv=8909),
        "01 2ea2 0000 0080e1 0000000000 03 05 e803 cd22",
    ),
]


@pytest.mark.parametrize(("message", "body"), GOLDEN, ids=lambda x: type(x).__name__ if x else "")
def test_octets(message, body: str) -> None:
    octets = (LOCAL_MODEM + HOST + bytes.fromhex("88e1" + body)).ljust(60, b"\0")
    assert homeplug.write(Frame(LOCAL_MODEM, HOST, message)) == octets
    frame = homeplug.read(octets)
    assert frame == Frame(LOCAL_MODEM, HOST, message, mmv=message.MMV)


@pytest.mark.parametrize(
    ("mmtype", "names"),
    [
        ("1ca0", {"00b052": "VS_RS_DEV.REQ", "0013d7": "VS_GET_TONEMASK.REQ"}),
        ("38a0", {"00b052": "VS_NW_INFO.REQ", "0013d7": "VS_GET_SNR.REQ"}),
        ("30a0", {"00b052": "VS_LNK_STATS.REQ", "0013d7": "VS_GET_STATUS.REQ"}),
        ("00a0", {"00b052": "VS_SW_VER.REQ", "0013d7": "VS_GET_VERSION.REQ", "ffffff": "MMTYPE 0xa000"}),
    ],
)
def test_the_vendor_tells_what_a_number_means(mmtype: str, names: dict[str, str]) -> None:
    for oui, name in names.items():
        for head in (f"00{mmtype}{oui}", f"01{mmtype}0000{oui}"):
            octets = (LOCAL_MODEM + HOST + bytes.fromhex("88e1" + head)).ljust(60, b"\0")
            assert name_of(homeplug.read(octets).message) == name


def test_answers_are_read_in_either_form() -> None:
    body = f"{LUMISSIL_HEADER} 01"
    for head, mmv in (("00 9dac 0016e8", 0), ("01 9dac 0000 0016e8", 1)):
        octets = (HOST + MODEM + bytes.fromhex(f"88e1 {head} {body}")).ljust(60, b"\0")
        expected = homeplug_vendor.LumissilGetDLinkStatusCnf(request_id=7, link_status=1)
        assert homeplug.read(octets) == Frame(HOST, MODEM, expected, mmv=mmv)


def test_some_firmware_fills_in_the_oui_of_its_profile() -> None:
    body = f"88e1 00 4ea1 00b052 {HOST.hex()} 00 00 10"
    frame = homeplug.read((HOST + MODEM + bytes.fromhex(body)).ljust(60, b"\0"))
    assert frame.message == homeplug_vendor.VsAttenCharInd(pev_mac=HOST, aag=b"")
