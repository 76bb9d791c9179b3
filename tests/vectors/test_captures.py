"""Recordings of real sessions: everything in the clear decodes, and encodes to the same octets again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from iso15118 import trace
from iso15118.exi.codec import encode
from iso15118.messages import namespaces as ns
from iso15118.messages.registry import schema_set
from iso15118.trace import TraceItem
from iso15118.trace.secrets import Secrets
from iso15118.wire import sdp

pytestmark = pytest.mark.vectors

AC_BPT = "dsV2Gshark/ISO-20_BPT_AC_DS5366_Josev.pcapng"
TLS = "dsV2Gshark/ISO-20_TLS13_DC_DS5366_Josev.pcapng"

# Messages of each recording in the clear, over all its connections, as the index of the recordings has them.
MESSAGES = {
    "dsV2Gshark/DIN_DC_DS5366_Josev.pcapng": 200,
    "dsV2Gshark/IEC61851_AC_PWM_Basic.pcapng": 0,
    AC_BPT: 46,
    "dsV2Gshark/ISO-2_DC_BatteryDataExchange_DS5366_RiseV2G.pcapng": 184,
    "dsV2Gshark/ISO-2_DC_DS5366.pcapng": 974,
    "dsV2Gshark/ISO-2_DC_Pause_DS5366.pcapng": 330 + 148,
    "dsV2Gshark/ISO-2_DC_SalesTariffSchedule_DS5366_RiseV2G.pcapng": 210,
    "iso15118-simulator-rs/audi-dc-iso2.pcap": 1492,
    "iso15118-simulator-rs/porsche-taycan-4s-driverside-ac-iso2.pcap": 514,
    "iso15118-simulator-rs/tesla-3-din.pcap": 4428,
    "iso15118-simulator-rs/vw-ac-iso2.pcap": 18,
    "pyPLC/2022-11-17_Dehner_Alpitronic_until_SdpRequest.pcapng": 0,
    "pyPLC/2022-11-25_v0.2_ABB_until_ChargeParamDiscovery.pcapng": 9,
    "pyPLC/2022-12-13_compleo_powerdelivery230_no_load.pcapng": 65 + 97,
    "pyPLC/2022-12-13_compleo_with_bulb.pcapng": 98,
    "pyPLC/2023-04-16_at_home_Ioniq_in_currentDemandLoop.pcapng": 1466,
    "pyPLC/2023-04-19_compleo_pyPlc_lightbulb_failedBadRegulation.pcapng": 89 + 195,
    "pyPLC/2023-04-26_atHome_IoniqWithBulbs10minutesTimeout.pcapng": 5722,
    "pyPLC/2023-05-24_pyPlc_with_Ioniq93prcSoc.pcapng": 138,
    "pyPLC/2024-04-20_ModelY_pyPLC_stop_in_precharge.pcapng": 274,
    "pyPLC/2024-06-18_Griffigroen_pyPLC_polestar2_discharging_with_additional_prechargeCircuit.pcapng": 186,
    "pyPLC/2025-01-21_listenMode_02_mac_spoofing_some_frames_visible.pcapng": 1,
    "pyPLC/2026-02-03_pyPLC_FoccciCape_with_Ioniq_runs_10_minutes.pcap": 6854 + 112,
    "pyPLC/spi_ioniq_alpiHYC150_makerspace_landsberg_left_small_2024-04-03_ok.csv.pcap": 1120,
}
# Recordings in which a captured message has no handshake before it.
WITHOUT_HANDSHAKE = "pyPLC/2025-01-21_listenMode_02_mac_spoofing_some_frames_visible.pcapng"


@pytest.fixture
def captures(shared: Path) -> Path:
    folder = shared / "captures"
    if not folder.is_dir():
        pytest.skip("no recordings: ../shared/captures is not there")
    return folder


def opened(path: Path) -> Iterator[TraceItem]:
    if not path.is_file():
        pytest.skip(f"the recording {path.name} is not there")
    return trace.open(path)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_found_and_the_readable_ones_return_to_their_octets(
    captures: Path, name: str
) -> None:
    items = [i for i in opened(captures / name) if i.payload_type and i.payload_type < 0x9000]
    assert len(items) == MESSAGES[name]
    expected = {ns.SAP, ns.ISO2, ns.DIN, ns.COMMON_MESSAGES, ns.AC}
    assert {i.schema for i in items} <= expected
    for item in items:
        if item.schema in (ns.ISO2, ns.DIN):
            assert item.message is None
            assert "not supported yet" in (item.error or "")
        elif name == WITHOUT_HANDSHAKE:
            assert "begins after the handshake" in (item.error or "")
        else:
            assert item.error is None
            assert item.schema is not None
            assert encode(item.message, schema_set(item.schema)) == item.raw
    if name != WITHOUT_HANDSHAKE:
        connections = len({frozenset((i.src, i.dst)) for i in items})
        handshakes = Counter(i.name for i in items if i.schema == ns.SAP)
        assert handshakes["SupportedAppProtocolReq"] == handshakes["SupportedAppProtocolRes"] == connections


def test_the_iso20_session_message_by_message(captures: Path) -> None:
    items = list(opened(captures / AC_BPT))
    assert [i.name for i in items[:2]] == ["SdpRequest", "SdpResponse"]
    assert items[1].message.port == items[2].dst[1]
    pairs = [
        "SupportedAppProtocol",
        "SessionSetup",
        "AuthorizationSetup",
        "Authorization",
        "ServiceDiscovery",
        "ServiceDetail",
        "ServiceSelection",
        "AC_ChargeParameterDiscovery",
        "ScheduleExchange",
        "PowerDelivery",
        *["AC_ChargeLoop"] * 11,
        "PowerDelivery",
        "SessionStop",
    ]
    assert [i.name for i in items[2:]] == [pair + end for pair in pairs for end in ("Req", "Res")]
    assert {i.payload_type for i in items[2:]} == {0x8001, 0x8002, 0x8003}
    ev = items[2].src
    assert all((i.direction == "EV>SECC") == (i.src == ev) for i in items[2:])
    times = [i.t for i in items]
    assert times == sorted(times)


# Encrypted recordings: their messages as the index of the recordings has them.
ENCRYPTED = {
    TLS: 112,
    "dsV2Gshark/ISO-2_AC_PnC_TLS_Contract_MeteringReceipt_DS5366_RiseV2G.pcapng": 62,
    "dsV2Gshark/ISO-2_DC_PnC_TLS_CertInstallation_DS5366_RiseV2G.pcapng": 194,
    "dsV2Gshark/ISO-2_DC_PnC_TLS_Contract_DS5366_RiseV2G.pcapng": 190,
}


@pytest.mark.parametrize("keylog", [False, True], ids=["secrets sent along", "key log"])
@pytest.mark.parametrize("name", ENCRYPTED)
def test_encrypted_sessions_are_opened_and_decode_completely(
    captures: Path, name: str, keylog: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if keylog:
        monkeypatch.setattr(Secrets, "add_recorded", lambda *_: None)
    path = captures / name
    if not path.is_file():
        pytest.skip(f"the recording {path.name} is not there")
    items = list(trace.open(path, f"{path}.keylog" if keylog else None))
    assert [i.name for i in items[:2]] == ["SdpRequest", "SdpResponse"]
    messages = items[2:]
    assert len(messages) == ENCRYPTED[name]
    for item in messages:
        assert item.schema is not None
        if item.schema in (ns.ISO2, ns.DIN):
            assert "not supported yet" in (item.error or "")
        else:
            assert item.error is None
            assert encode(item.message, schema_set(item.schema)) == item.raw
    if name == TLS:
        assert messages[-1].name == "SessionStopRes"


def test_without_secrets_a_session_is_told_as_encrypted(
    captures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Secrets, "add_recorded", lambda *_: None)
    errors = [i.error for i in opened(captures / TLS) if i.error]
    assert errors == ["a TLS connection: its messages are encrypted, and no key log was given"]


def test_no_recording_is_left_unread(captures: Path) -> None:
    """All files open, and every discovery datagram in them is well-formed and returns to its octets."""
    paths = [
        p for p in captures.glob("*/*") if p.suffix in (".pcap", ".pcapng") and p.stat().st_size < 200_000
    ]
    discovered = [i for p in paths for i in trace.open(p) if i.payload_type and i.payload_type >= 0x9000]
    assert len(discovered) > 30
    for item in discovered:
        assert item.error is None
        assert sdp.encode(item.message)[8:] == item.raw
