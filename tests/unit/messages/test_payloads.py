"""The schema set of a payload follows from its type and the session's phase, never from trials."""

from __future__ import annotations

import pytest

from iso15118.messages import namespaces as ns
from iso15118.messages.payloads import (
    ENERGY_PAYLOADS,
    HANDSHAKE,
    Phase,
    document_code,
    payload_type_for,
    schema_by_type,
    schema_for,
)
from iso15118.wire.v2gtp import PayloadType

DC = Phase(ns.DC)
ISO20 = [Phase(protocol) for protocol in ENERGY_PAYLOADS]


def exi(code: int) -> bytes:
    """The first octets of a message with this document code."""
    return bytes([0x80, code << 2, 0])


@pytest.mark.parametrize("payload_type", PayloadType)
def test_before_the_handshake_only_app_protocol_counts(payload_type: PayloadType) -> None:
    expected = ns.SAP if payload_type == 0x8001 else None
    assert schema_for(payload_type, HANDSHAKE, exi(0)) == expected


@pytest.mark.parametrize("phase", ISO20)
@pytest.mark.parametrize(
    ("payload_type", "namespace"),
    [
        (0x8002, ns.COMMON_MESSAGES),
        (0x8003, ns.AC),
        (0x8004, ns.DC),
        (0x8005, ns.ACDP),
        (0x8006, ns.WPT),
        (0x8010, ns.AC_DER_IEC),
        (0x8011, ns.AC_DER_SAE),
        (0x8102, ns.COMMON_MESSAGES),
        (0x8103, ns.ACDP),
        (0x8104, ns.COMMON_MESSAGES),
        (0x9000, None),
        (0xA000, None),
        (0x8007, None),
    ],
)
def test_after_an_iso20_handshake_the_type_decides(phase: Phase, payload_type: int, namespace: str) -> None:
    assert schema_for(payload_type, phase) == namespace


def test_app_protocol_is_out_of_place_after_the_handshake() -> None:
    assert schema_for(0x8001, DC, bytes.fromhex("8000f3ab9371d34b9b79d39ba321")) is None
    assert schema_for(0x8001, DC, bytes.fromhex("80400040")) is None
    assert schema_for(0x8001, DC) is None


def test_josev_sends_certificate_installation_as_app_protocol() -> None:
    assert schema_for(0x8001, DC, exi(7)) == ns.COMMON_MESSAGES
    assert schema_for(0x8001, Phase(ns.ISO2), exi(7)) == ns.ISO2


@pytest.mark.parametrize(
    ("protocol", "code", "namespace"),
    [
        (ns.AC, 4, ns.AC),
        (ns.AC, 5, ns.AC),
        (ns.AC_DER_IEC, 4, ns.AC_DER_IEC),
        (ns.AC_DER_SAE, 5, ns.AC_DER_SAE),
        (ns.DC, 0x0F, ns.DC),
        (ns.DC, 0x10, ns.DC),
        (ns.ACDP, 0x0F, ns.DC),
        (ns.WPT, 0x1D, ns.WPT),
        (ns.WPT, 0x1E, ns.WPT),
        (ns.DC, 4, ns.COMMON_MESSAGES),
        *[(p, code, ns.COMMON_MESSAGES) for p in ENERGY_PAYLOADS for code in (21, 22, 27, 28)],
    ],
)
def test_schedule_renegotiation_mixes_two_sets(protocol: str, code: int, namespace: str) -> None:
    assert schema_for(0x8101, Phase(protocol), exi(code)) == namespace


@pytest.mark.parametrize("protocol", [ns.ISO2, ns.DIN])
def test_older_protocols_use_one_type(protocol: str) -> None:
    assert schema_for(0x8001, Phase(protocol)) == protocol
    assert schema_for(0x8002, Phase(protocol)) is None


@pytest.mark.parametrize(
    ("payload_type", "code", "namespace"),
    [
        (0x8001, 0, ns.SAP),
        (0x8002, 4, ns.COMMON_MESSAGES),
        (0x8004, 4, ns.DC),
        (0x8101, 4, ns.AC),
        (0x8101, 0x10, ns.DC),
        (0x8101, 0x1D, ns.WPT),
        (0x8101, 27, ns.COMMON_MESSAGES),
        (0x9000, 0, None),
        (0xFFFF, 0, None),
    ],
)
def test_a_payload_by_itself(payload_type: int, code: int, namespace: str | None) -> None:
    assert schema_by_type(payload_type, exi(code)) == namespace


def test_the_main_stream_type_of_a_set() -> None:
    assert payload_type_for(ns.SAP) == 0x8001
    assert payload_type_for(ns.COMMON_MESSAGES) == 0x8002
    assert payload_type_for(ns.AC_DER_SAE) == 0x8011
    with pytest.raises(KeyError):
        payload_type_for(ns.DIN)


def test_document_codes() -> None:
    assert document_code(bytes.fromhex("802c04")) == 0x0B
    assert document_code(b"\x80") is None
    assert document_code(b"\x00\x2c") is None
    assert document_code(None) is None
