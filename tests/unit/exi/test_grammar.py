"""Tables derived from the declarations: numbers of codes, names and states, event order."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import pytest

from iso15118.exi.grammar import SchemaSet
from iso15118.exi.schema import Group, Occurs, String, UnsignedInt, schema_type
from iso15118.exi.tables import QName, State
from iso15118.messages import namespaces, xmldsig
from iso15118.messages.iso20 import ac, common, dc, wpt
from iso15118.messages.registry import SETS, message_class, schema_set

COUNTS = {
    namespaces.SAP: (2, 2, 9, 4),
    namespaces.XMLDSIG: (24, 5, 45, 6),
    namespaces.COMMON_MESSAGES: (54, 6, 281, 9),
    namespaces.AC: (42, 6, 154, 8),
    namespaces.DC: (48, 6, 149, 8),
    namespaces.WPT: (38, 6, 193, 8),
    namespaces.ACDP: (34, 6, 129, 8),
    namespaces.AC_DER_IEC: (48, 6, 259, 9),
    namespaces.AC_DER_SAE: (49, 6, 367, 9),
}
"""Global elements, document width, fragment names, fragment width."""

NAMES = {
    namespaces.SAP: [("", 7), (namespaces.SAP, 8)],
    namespaces.XMLDSIG: [("", 7), (namespaces.XMLDSIG, 70)],
    namespaces.COMMON_MESSAGES: [
        ("", 7), (namespaces.XMLDSIG, 70), (namespaces.COMMON_MESSAGES, 294), (namespaces.COMMON_TYPES, 81),
    ],
    namespaces.AC: [("", 7), (namespaces.XMLDSIG, 70), (namespaces.AC, 77), (namespaces.COMMON_TYPES, 81)],
    namespaces.DC: [("", 7), (namespaces.XMLDSIG, 70), (namespaces.COMMON_TYPES, 81), (namespaces.DC, 78)],
    namespaces.WPT: [("", 7), (namespaces.XMLDSIG, 70), (namespaces.COMMON_TYPES, 81), (namespaces.WPT, 144)],
    namespaces.ACDP: [("", 7), (namespaces.XMLDSIG, 70), (namespaces.ACDP, 48), (namespaces.COMMON_TYPES, 81)],
}  # fmt: skip
"""Initial local names by namespace, without those of XML and XML Schema."""

DOCUMENT_CODES = {
    (namespaces.SAP, "supportedAppProtocolRes"): 1,
    (namespaces.COMMON_MESSAGES, "AuthorizationReq"): 0,
    (namespaces.COMMON_MESSAGES, "CertificateInstallationReq"): 7,
    (namespaces.COMMON_MESSAGES, "SessionSetupReq"): 35,
    (namespaces.COMMON_MESSAGES, "VehicleCheckOutRes"): 52,
    (namespaces.AC, "AC_ChargeLoopReq"): 2,
    (namespaces.AC, "AC_ChargeParameterDiscoveryRes"): 5,
    (namespaces.DC, "DC_CableCheckReq"): 11,
    (namespaces.DC, "DC_WeldingDetectionRes"): 20,
    (namespaces.WPT, "WPT_AlignmentCheckReq"): 25,
    (namespaces.WPT, "WPT_PairingRes"): 36,
    (namespaces.ACDP, "ACDP_ConnectRes"): 1,
    (namespaces.ACDP, "ACDP_DisconnectReq"): 2,
    (namespaces.XMLDSIG, "SignedInfo"): 20,
}

FRAGMENT_CODES = {
    (namespaces.COMMON_MESSAGES, "PnC_AReqAuthorizationMode"): 151,
    (namespaces.COMMON_MESSAGES, "OEMProvisioningCertificateChain"): 128,
    (namespaces.COMMON_MESSAGES, "SignedInstallationData"): 231,
    (namespaces.COMMON_MESSAGES, "SignedMeteringData"): 232,
    (namespaces.COMMON_MESSAGES, "AbsolutePriceSchedule"): 0,
    (namespaces.COMMON_MESSAGES, "PriceLevelSchedule"): 167,
    (namespaces.COMMON_MESSAGES, "SignedInfo"): 230,
    (namespaces.AC, "SignedInfo"): 135,
    (namespaces.DC, "SignedInfo"): 129,
    (namespaces.WPT, "SignedInfo"): 146,
    (namespaces.ACDP, "SignedInfo"): 110,
    (namespaces.XMLDSIG, "SignedInfo"): 32,
    (namespaces.XMLDSIG, "Manifest"): 11,
}


@pytest.mark.parametrize("namespace", SETS)
def test_numbers_of_document_and_fragment_codes(namespace: str) -> None:
    known = schema_set(namespace)
    found = (
        len(known.elements),
        known.document_width,
        len(known.fragment_elements),
        known.fragment_width,
    )
    assert found == COUNTS[namespace]


@pytest.mark.parametrize("namespace", NAMES)
def test_initial_name_tables(namespace: str) -> None:
    table = [(uri, len(names)) for uri, names in schema_set(namespace).string_table]
    assert table[:1] + table[4:] == NAMES[namespace]
    assert [count for _, count in table[1:4]] == [4, 2, 46]


@pytest.mark.parametrize(("root", "code"), DOCUMENT_CODES.items())
def test_document_codes(root: tuple[str, str], code: int) -> None:
    assert schema_set(root[0]).document_codes[QName(root[1], root[0])] == code


@pytest.mark.parametrize(("root", "code"), FRAGMENT_CODES.items())
def test_fragment_codes(root: tuple[str, str], code: int) -> None:
    known = schema_set(root[0])
    assert [c for qname, c in known.fragment_codes.items() if qname.name == root[1]] == [code]


def test_only_one_name_is_declared_with_different_types() -> None:
    relaxed = [e.qname.name for n in SETS for e in schema_set(n).fragment_elements if e.is_relaxed]
    assert relaxed == ["IntentionalDelayPowerControl"]


# --- states -----------------------------------------------------------------------------------


def labels(state: State) -> list[str]:
    names = {3: "EE", 5: "CH", 6: "CH"}
    return [names.get(p.action, p.label) for p in state.productions]


def state_after(namespace: str, cls: type[Any], *names: str) -> State:
    state = schema_set(namespace).kind(cls).compiled()
    for name in names:
        production = next(p for p in state.productions if p.label == name)
        assert production.next
        state = production.next
    return state


def test_substitution_group_in_the_middle_of_optional_elements() -> None:
    state = state_after(namespaces.AC, ac.AC_ChargeLoopRes, "Header", "ResponseCode")
    assert labels(state) == [
        "EVSEStatus",
        "MeterInfo",
        "Receipt",
        "EVSETargetFrequency",
        "BPT_Dynamic_AC_CLResControlMode",
        "BPT_Scheduled_AC_CLResControlMode",
        "CLResControlMode",
        "Dynamic_AC_CLResControlMode",
        "Scheduled_AC_CLResControlMode",
    ]
    assert state.width == 4


def test_substitution_group_of_a_derived_set() -> None:
    state = state_after(namespaces.AC_DER_IEC, ac.AC_ChargeLoopReq, "Header", "MeterInfoRequested")
    assert "DER_Scheduled_AC_CLReqControlMode" in labels(state)
    assert labels(state) == sorted(labels(state))


def test_list_of_two_loses_its_element_behind_the_second() -> None:
    path = ("Header", "ResponseCode", "AuthorizationServices")
    once = state_after(namespaces.COMMON_MESSAGES, common.AuthorizationSetupRes, *path)
    twice = state_after(
        namespaces.COMMON_MESSAGES, common.AuthorizationSetupRes, *path, "AuthorizationServices"
    )
    assert labels(once) == ["AuthorizationServices", "CertificateInstallationService"]
    assert labels(twice) == ["CertificateInstallationService"]


def test_long_list_is_one_open_state() -> None:
    kind = schema_set(namespaces.COMMON_MESSAGES).kind(common.EVPowerProfileEntryList)
    kind.compiled()
    assert len(kind.states) <= 5
    following = state_after(namespaces.COMMON_MESSAGES, common.EVPowerProfileEntryList, "EVPowerProfileEntry")
    production = following.productions[0]
    assert (production.limit, labels(following)) == (2048, ["EVPowerProfileEntry", "EE"])
    assert production.next is following
    assert production.full
    assert labels(production.full) == ["EE"]


def test_list_with_a_minimum_of_two() -> None:
    start = state_after(namespaces.WPT, wpt.WPT_LF_ReceiverData, "NumberOfReceivers")
    once = state_after(namespaces.WPT, wpt.WPT_LF_ReceiverData, "NumberOfReceivers", "RxSpecData")
    twice = state_after(
        namespaces.WPT, wpt.WPT_LF_ReceiverData, "NumberOfReceivers", "RxSpecData", "RxSpecData"
    )
    assert labels(start) == labels(once) == ["RxSpecData"]
    assert labels(twice) == ["RxSpecData", "EE"]


def test_attributes_come_first_in_alphabetical_order() -> None:
    start = state_after(namespaces.XMLDSIG, xmldsig.Reference)
    assert labels(start) == ["Id", "Type", "URI", "Transforms", "DigestMethod"]
    assert start.kind == "F"
    behind = state_after(namespaces.XMLDSIG, xmldsig.Reference, "Type")
    assert labels(behind) == ["URI", "Transforms", "DigestMethod"]
    assert behind.kind == "S"
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.SignatureProperty)) == ["Id", "Target"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.SignatureProperty, "Id")) == ["Target"]


def test_mixed_content_and_wildcards_sort_last() -> None:
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.Transform, "Algorithm")) == [
        "XPath",
        "*",
        "EE",
        "CH",
    ]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.KeyInfo))[-2:] == ["*", "CH"]


def test_hand_written_groups_of_key_data() -> None:
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.DSAKeyValue)) == ["P", "G", "Y"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.DSAKeyValue, "P")) == ["Q"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.DSAKeyValue, "Y")) == ["J", "Seed", "EE"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.PGPData)) == ["PGPKeyID", "PGPKeyPacket"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.PGPData, "PGPKeyID")) == ["PGPKeyPacket", "*", "EE"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.PGPData, "PGPKeyPacket")) == ["*", "EE"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.SPKIData)) == ["SPKISexp"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.SPKIData, "SPKISexp")) == ["SPKISexp", "*", "EE"]
    assert labels(state_after(namespaces.XMLDSIG, xmldsig.SPKIData, "SPKISexp", "*")) == ["SPKISexp", "EE"]


def test_empty_type_has_one_event() -> None:
    assert labels(state_after(namespaces.COMMON_MESSAGES, common.EIM_AReqAuthorizationMode)) == ["EE"]


def test_every_kind_of_every_set_compiles() -> None:
    total = 0
    for namespace in SETS:
        known = schema_set(namespace)
        for cls in known.classes:
            known.kind(cls).compiled()
            total += len(known.kind(cls).states)
    assert total < 5000  # open lists keep it small: 1024-fold lists unrolled would be far more


# --- the registry -----------------------------------------------------------------------------


def test_sets_are_made_once() -> None:
    assert schema_set(namespaces.DC) is schema_set(namespaces.DC)


def test_unknown_namespace() -> None:
    with pytest.raises(KeyError):
        schema_set("urn:nobody")


def test_finds_message_classes_by_root_name() -> None:
    assert message_class("DC_CableCheckReq") is dc.DC_CableCheckReq
    assert message_class("AC_ChargeLoopReq", namespaces.AC) is ac.AC_ChargeLoopReq
    with pytest.raises(KeyError):
        message_class("AC_ChargeLoopReq", namespaces.DC)


def test_element_names_of_classes() -> None:
    known = schema_set(namespaces.COMMON_MESSAGES)
    assert known.element_of(common.SignedCertificateChain) == QName(
        "OEMProvisioningCertificateChain", namespaces.COMMON_MESSAGES
    )
    assert known.element_of(common.PnC_AReqAuthorizationMode) == QName(
        "PnC_AReqAuthorizationMode", namespaces.COMMON_MESSAGES
    )


# --- models that cannot be -------------------------------------------------------------------


@schema_type("urn:test:ambiguous", element=True, content=Group("choice", ("first", "second")))
class Ambiguous:
    """Two fields under one element name."""

    first: Annotated[UnsignedInt | None, Occurs(0, 1)] = None
    second: Annotated[String | None, Occurs(0, 1)] = None


def test_ambiguous_models_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known = SchemaSet("urn:test:ambiguous", [sys.modules[__name__]])
    monkeypatch.setattr("iso15118.exi.compiler.QName", lambda name, ns: QName("Same", ns))
    with pytest.raises(TypeError, match="ambiguous"):
        known.kind(Ambiguous).compiled()
