"""HomePlug frames: golden octets, tolerance in reading, strictness in writing, keys out of sight."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iso15118.errors import FramingError
from iso15118.wire import homeplug, homeplug_vendor, mme
from iso15118.wire.homeplug import BROADCAST, LOCAL_MODEM, Frame, Unknown
from iso15118.wire.homeplug_names import name_of

EV = bytes.fromhex("02ee00000001")
EVSE = bytes.fromhex("02cc00000001")
RUN_ID = bytes.fromhex("1518000000000003")
NID = bytes.fromhex("893db683c80001")
NMK = bytes(range(1, 17))
AAG = bytes(range(58))

IDS = "00" * 17
# message, octets between the addresses and the padding
GOLDEN = [
    (homeplug.SlacParmReq(run_id=RUN_ID), "01 6460 0000 00 00 1518000000000003"),
    (
        homeplug.SlacParmCnf(run_id=RUN_ID, forwarding_sta=EV, num_sounds=10, time_out=6),
        "01 6560 0000 ffffffffffff 0a 06 01 02ee00000001 00 00 1518000000000003",
    ),
    (
        homeplug.StartAttenCharInd(run_id=RUN_ID, num_sounds=10, time_out=6, forwarding_sta=EV),
        "01 6a60 0000 00 00 0a 06 01 02ee00000001 1518000000000003",
    ),
    (
        homeplug.MnbcSoundInd(run_id=RUN_ID, cnt=9, random=b"\xff" * 16),
        f"01 7660 0000 00 00 {IDS} 09 1518000000000003 {'00' * 8} {'ff' * 16}",
    ),
    (homeplug.AttenProfileInd(pev_mac=EV, aag=AAG), f"01 8660 0000 02ee00000001 3a 00 {AAG.hex()}"),
    (
        homeplug.AttenCharInd(run_id=RUN_ID, source_address=EV, num_sounds=10, aag=AAG),
        f"01 6e60 0000 00 00 02ee00000001 1518000000000003 {IDS} {IDS} 0a 3a {AAG.hex()}",
    ),
    (
        homeplug.AttenCharRsp(run_id=RUN_ID, source_address=EV),
        f"01 6f60 0000 00 00 02ee00000001 1518000000000003 {IDS} {IDS} 00",
    ),
    (homeplug.ValidateReq(timer=24), "01 7860 0000 00 18 01"),
    (homeplug.ValidateCnf(toggle_num=2, result=2), "01 7960 0000 00 02 02"),
    (
        homeplug.SlacMatchReq(run_id=RUN_ID, pev_mac=EV, evse_mac=EVSE),
        f"01 7c60 0000 00 00 3e00 {IDS} 02ee00000001 {IDS} 02cc00000001 1518000000000003 {'00' * 8}",
    ),
    (
        homeplug.SlacMatchCnf(run_id=RUN_ID, pev_mac=EV, evse_mac=EVSE, nid=NID, nmk=NMK),
        f"01 7d60 0000 00 00 5600 {IDS} {EV.hex()} {IDS} {EVSE.hex()} {RUN_ID.hex()} {'00' * 8} {NID.hex()} 00"
        + NMK.hex(),
    ),
    (
        homeplug.SetKeyReq(nid=NID, new_key=NMK, my_nonce=b"\xaa" * 4),
        f"01 0860 0000 01 aaaaaaaa 00000000 04 0000 00 00 {NID.hex()} 01 {NMK.hex()}",
    ),
    (
        homeplug.SetKeyCnf(result=1, my_nonce=bytes.fromhex("c0ffee00"), your_nonce=b"\xaa" * 4),
        "01 0960 0000 01 c0ffee00 aaaaaaaa 04 0000 ff 00",
    ),
    (
        homeplug.GetKeyReq(nid=NID, my_nonce=b"\xaa" * 4),
        f"01 0c60 0000 00 01 {NID.hex()} aaaaaaaa 04 0000 00",
    ),
    (
        homeplug.GetKeyCnf(result=0, my_nonce=bytes(4), your_nonce=b"\xaa" * 4, nid=NID, key=NMK),
        f"01 0d60 0000 00 01 00000000 aaaaaaaa {NID.hex()} 01 04 0000 ff {NMK.hex()}",
    ),
    (homeplug.AmpMapReq(amplitudes=(1, 2, 15)), "01 1c60 0000 0300 21 0f"),
    (homeplug.AmpMapCnf(), "01 1d60 0000 00"),
    (
        homeplug.NwStatsCnf(stations=(homeplug.StationRate(mac=EV, tx_mbps=9, rx_mbps=8),)),
        "01 4960 0000 01 02ee00000001 09 08",
    ),
    (
        homeplug.NwInfoCnf(networks=(homeplug.Network(nid=NID, snid=3, tei=1, role=2, cco_mac=EVSE),)),
        f"01 3960 0000 01 {NID.hex()} 03 01 02 02cc00000001 00 00",
    ),
    (
        homeplug.DiscoverListCnf(
            stations=(homeplug.HeardStation(mac=EV, tei=2, same_network=1),),
            networks=(homeplug.HeardNetwork(nid=NID, snid=1, hybrid_mode=4, beacon_slots=16),),
        ),
        f"01 1500 0000 01 02ee00000001 02 01 00 00 00 00 01 {NID.hex()} 01 04 10 00 0000",
    ),
    (homeplug.BrgInfoCnf(tei=2, hosts=(EV, EVSE)), "01 2160 0000 01 02 02 02ee00000001 02cc00000001"),
]


def framed(body: str, source: bytes = EV) -> bytes:
    return (BROADCAST + source + bytes.fromhex("88e1" + body)).ljust(60, b"\0")


@pytest.mark.parametrize(("message", "body"), GOLDEN, ids=lambda x: type(x).__name__ if x else "")
def test_octets(message, body: str) -> None:
    octets = framed(body)
    assert homeplug.write(Frame(BROADCAST, EV, message)) == octets
    assert homeplug.read(octets) == Frame(BROADCAST, EV, message, mmv=1)


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        (homeplug.SlacParmReq, 60),
        (homeplug.MnbcSoundInd, 71),
        (homeplug.AttenProfileInd, 85),
        (homeplug.AttenCharInd, 129),
        (homeplug.AttenCharRsp, 70),
        (homeplug.SlacMatchReq, 85),
        (homeplug.SlacMatchCnf, 109),
        (homeplug.SetKeyReq, 60),
    ],
)
def test_lengths_on_the_wire(kind: type, length: int) -> None:
    message = next(message for message, _ in GOLDEN if type(message) is kind)
    assert len(homeplug.write(Frame(BROADCAST, EV, message))) == length


# --- reading ------------------------------------------------------------------------------------


def test_tag_padding_and_length_do_not_matter() -> None:
    plain = framed("01 6460 0000 00 00 1518000000000003")
    expected = homeplug.SlacParmReq(run_id=RUN_ID)
    assert homeplug.read(plain[:29]).message == expected
    assert homeplug.read(plain[:29] + b"\x55" * 800).message == expected
    tagged = homeplug.read(plain[:12] + bytes.fromhex("810000f4") + plain[12:56])
    assert tagged == Frame(BROADCAST, EV, expected, mmv=1, vlan=0xF4)
    assert homeplug.write(tagged)[12:18].hex() == "810000f488e1"
    assert len(homeplug.write(tagged)) == 64


def test_the_version_decides_where_the_message_begins() -> None:
    for head, mmv in (("00 6460", 0), ("01 6460 0000", 1), ("02 6460 0000", 2)):
        frame = homeplug.read(framed(f"{head} 00 00 1518000000000003"))
        assert frame == Frame(BROADCAST, EV, homeplug.SlacParmReq(run_id=RUN_ID), mmv=mmv)
        assert homeplug.write(frame) == framed(f"{head} 00 00 1518000000000003")


def test_a_fragment_is_not_taken_for_a_message() -> None:
    frame = homeplug.read(framed("01 6460 1000 00 00 1518000000000003"))
    assert isinstance(frame.message, Unknown)
    assert frame.message.fragment == 0x10
    assert homeplug.write(frame) == framed("01 6460 1000 00 00 1518000000000003")


def test_an_unknown_message_keeps_its_content() -> None:
    octets = framed("01 fcaf 0000 aabbcc 01 02 03")
    message = homeplug.read(octets).message
    assert isinstance(message, Unknown)
    assert message.oui.hex() == "aabbcc"
    assert message.payload[:6].hex() == "aabbcc010203"
    assert name_of(message) == "MMTYPE 0xaffc"
    assert homeplug.write(homeplug.read(octets)) == octets
    encrypted = homeplug.read(framed("01 0760 0000 00 01")).message
    assert isinstance(encrypted, Unknown)
    assert encrypted.oui == b""
    assert name_of(encrypted) == "CM_ENCRYPTED_PAYLOAD.RSP"


def test_more_groups_than_announced_are_padding() -> None:
    """Some EVSEs send a fixed area of 255 groups."""
    octets = framed(GOLDEN[5][1]) + bytes(255 - 58)
    assert homeplug.read(octets).message.aag == AAG


@pytest.mark.parametrize(
    ("octets", "defect"),
    [
        (b"", "2 octets wanted, the frame has 0 left at bit 96"),
        (BROADCAST + EV, "2 octets wanted, the frame has 0 left at bit 96"),
        (BROADCAST + EV + b"\x81\x00\x00", "2 octets wanted, the frame has 1 left at bit 112"),
        (BROADCAST + EV + b"\x86\xdd" + bytes(46), "0x86dd is not HomePlug's 0x88e1 at bit 96"),
        (BROADCAST + EV + b"\x88\xe1", "1 octets wanted, the frame has 0 left at bit 112"),
        (BROADCAST + EV + b"\x88\xe1\x01\x64", "2 octets wanted, the frame has 1 left"),
        (BROADCAST + EV + b"\x88\xe1\x01\x64\x60\x00", "2 octets wanted, the frame has 1 left"),
        (framed(GOLDEN[0][1])[:28], "SlacParmReq/run_id: 8 octets wanted, the frame has 7 left at bit 168"),
        (framed(GOLDEN[5][1])[:-1], "AttenCharInd/aag: 58 octets wanted, the frame has 57 left"),
        (
            framed("01 3960 0000 09" + "00" * 60),
            "NwInfoCnf/networks/Network/nid: 7 octets wanted, the frame has 6 left",
        ),
    ],
)
def test_what_is_wrong_and_where(octets: bytes, defect: str) -> None:
    with pytest.raises(FramingError) as caught:
        homeplug.read(octets)
    assert defect in str(caught.value)


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "defect"),
    [
        (Frame(b"\xff", EV, homeplug.NwInfoReq()), "destination: an address of 1 octets instead of 6"),
        (Frame(BROADCAST, b"", homeplug.NwInfoReq()), "source: an address of 0 octets instead of 6"),
        (Frame(BROADCAST, EV, homeplug.NwInfoReq(), vlan=0x10000), "vlan: 65536 does not fit 16 bits"),
        (Frame(BROADCAST, EV, homeplug.NwInfoReq(), mmv=256), "256 does not fit 8 bits"),
        (Frame(BROADCAST, EV, Unknown(mmtype=-1, payload=b"")), "-1 does not fit 16 bits"),
        (Frame(BROADCAST, EV, Unknown(mmtype=1, payload=bytes(1496))), "limit is 1514"),
        (Frame(BROADCAST, EV, homeplug.SlacParmReq(run_id=b"1")), "run_id: 1 octets instead of 8"),
        (Frame(BROADCAST, EV, homeplug.ValidateReq(timer=256)), "ValidateReq/timer: 256 does not fit"),
        (Frame(BROADCAST, EV, homeplug.AmpMapReq(amplitudes=(16,))), "amplitudes: a value does not fit 4"),
        (Frame(BROADCAST, EV, homeplug.AttenProfileInd(pev_mac=EV, aag=bytes(256))), "aag: 256 entries"),
        (
            Frame(BROADCAST, EV, homeplug_vendor.VsSwVerCnf(device_id=0, version="€")),
            "version: '€' is not Latin-1",
        ),
        (
            Frame(
                BROADCAST,
                EV,
                homeplug_vendor.VsOpAttributesCnf(hardware="Q" * 17, software="", major=0, minor=0),
            ),
            "hardware: 'QQQQQQQQQQQQQQQQQ' is longer than 16 characters",
        ),
    ],
)
def test_what_cannot_be_written(frame: Frame, defect: str) -> None:
    with pytest.raises(FramingError) as caught:
        homeplug.write(frame)
    assert defect in str(caught.value)


def test_the_longest_frame() -> None:
    assert len(homeplug.write(Frame(BROADCAST, EV, Unknown(mmtype=1, payload=bytes(1495))))) == 1514


def test_keys_are_out_of_sight() -> None:
    key = b"\xa5\x5a" * 8
    holders = [
        homeplug.SlacMatchCnf(run_id=RUN_ID, pev_mac=EV, evse_mac=EVSE, nid=NID, nmk=key),
        homeplug.SetKeyReq(nid=NID, new_key=key),
        homeplug.GetKeyCnf(result=0, your_nonce=bytes(4), nid=NID, key=key),
        homeplug_vendor.VsSetKeyReq(nmk=key, dak=key),
        homeplug_vendor.VsRdModReq(module_id=2, length=1, offset=0, secret=key),
        homeplug_vendor.VsRdModCnf(module_id=2, length=16, offset=0, checksum=0, data=key),
        Unknown(mmtype=0xACAD, payload=key),
    ]
    for holder in holders:
        shown = repr(holder) + repr(Frame(BROADCAST, EV, holder))
        assert "a5" not in shown
        assert repr(key)[2:-1] not in shown
    with pytest.raises(FramingError) as caught:
        homeplug.write(Frame(BROADCAST, EV, homeplug.SetKeyReq(nid=NID, new_key=key + b"!")))
    assert "Z" not in str(caught.value)  # 0x5a


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nmk", "nid"),
    [
        ("50d3e4933f855b7040784df815aa8db7", "b0f2e695666b03"),
        ("0102030405060708090a0b0c0d0e0f10", "893db683c80001"),
        ("00000000000000000000000000000000", "16a817e934770b"),
        ("ffffffffffffffffffffffffffffffff", "b6964cba659c0b"),
    ],
)
def test_the_identifier_follows_from_the_key(nmk: str, nid: str) -> None:
    assert homeplug.derive_nid(bytes.fromhex(nmk)).hex() == nid


def test_the_security_level_is_in_the_last_octet() -> None:
    nmk = bytes.fromhex("50d3e4933f855b7040784df815aa8db7")
    assert homeplug.derive_nid(nmk, security_level=1).hex() == "b0f2e695666b13"


@pytest.mark.parametrize(
    ("passphrase", "nmk", "dak"),
    [
        ("HomePlugAV", "50d3e4933f855b7040784df815aa8db7", "689f074b8b0275a2710b0b5779ad1630"),
        ("HomePlugAV0123", "b59319d7e8157ba001b018669ccee30d", "f084b4e8f6069ff1300c9bdb812367ff"),
    ],
)
def test_keys_of_pass_phrases(passphrase: str, nmk: str, dak: str) -> None:
    assert homeplug.nmk_from_passphrase(passphrase).hex() == nmk
    assert homeplug.dak_from_passphrase(passphrase).hex() == dak


# --- every declared message ---------------------------------------------------------------------

KINDS = tuple(dict.fromkeys([*homeplug.MESSAGES.values(), *homeplug_vendor.MESSAGES.values()]))


LATIN = st.characters(min_codepoint=1, max_codepoint=255)
VALUES = {
    mme.Uint: lambda wire: st.integers(0, (1 << 8 * wire.size) - 1),
    mme.Octets: lambda wire: st.binary(min_size=wire.size, max_size=wire.size),
    mme.Characters: lambda wire: st.text(LATIN, max_size=wire.size),
    mme.CountedCharacters: lambda _: st.text(LATIN, max_size=254),
    mme.Counted: lambda _: st.binary(max_size=255),
    mme.Nibbles: lambda _: st.lists(st.integers(0, 15), max_size=1155).map(tuple),
    mme.Rows: lambda wire: st.lists(elements(wire.of), max_size=3).map(tuple),
    mme.Rest: lambda _: st.binary(min_size=60, max_size=200),  # so long that nothing is padded
}
"""Wire type -> any value of it."""


def elements(of) -> st.SearchStrategy:
    return instances(of) if isinstance(of, type) else VALUES[type(of)](of)


def instances(kind: type) -> st.SearchStrategy:
    return st.builds(kind, **{slot.name: VALUES[type(slot.wire)](slot.wire) for slot in mme.layout(kind)})


MACS = st.binary(min_size=6, max_size=6)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_is_written_is_read(kind: type, data: st.DataObject) -> None:
    tag = data.draw(st.none() | st.integers(0, 0xFFFF))
    frame = Frame(data.draw(MACS), data.draw(MACS), data.draw(instances(kind)), kind.MMV, tag)
    octets = homeplug.write(frame)
    assert homeplug.read(octets) == frame
    assert homeplug.write(homeplug.read(octets)) == octets
    assert name_of(frame.message).startswith(("CM_", "CC_", "VS_", "NSCM_", "ST_"))


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        homeplug.ValidateCnf(result=1).result = 2


def test_random_and_damaged_frames_raise_framing_errors_only() -> None:
    chance = random.Random(15118)
    good = [homeplug.write(Frame(LOCAL_MODEM, EV, message)) for message, _ in GOLDEN]
    bad = 0
    for _ in range(8000):
        octets = bytearray(chance.choice(good))
        for _ in range(chance.randrange(6)):
            octets[chance.randrange(12, len(octets))] = chance.randrange(256)
        if chance.random() < 0.2:  # any type of message at all
            octets[14:17] = chance.randbytes(3)
        del octets[chance.randrange(12, len(octets)) if chance.random() < 0.4 else len(octets) :]
        try:
            frame = homeplug.read(octets)
        except FramingError:
            bad += 1
            continue
        if not isinstance(frame.message, Unknown):  # its padding would be content
            assert homeplug.read(homeplug.write(frame)) == frame
    assert 1000 < bad < 7000
