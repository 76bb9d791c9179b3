"""Codec defects of other stacks that ours must not have, by their number in the list of regressions."""

import dataclasses

import pytest

from iso15118.exi.codec import decode, encode
from iso15118.messages.iso20 import acdp, wpt
from iso15118.messages.iso20.common import Dynamic_EVPPTControlMode, EVPowerProfile, PowerDeliveryReq
from iso15118.messages.iso20.dc import (
    BPT_Dynamic_DC_CLReqControlMode,
    DC_ChargeLoopReq,
    DC_ChargeParameterDiscoveryRes,
)
from iso15118.messages.iso20.types import ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.messages.namespaces import ACDP, COMMON_MESSAGES, DC, WPT
from iso15118.messages.registry import schema_set


def there_and_back(message, namespace):
    octets = encode(message, schema_set(namespace))
    assert decode(octets, schema_set(namespace)) == message
    return octets


@pytest.mark.parametrize(
    ("cls", "code"),
    [
        (acdp.ACDP_ConnectReq, 0),
        (acdp.ACDP_ConnectRes, 1),
        (acdp.ACDP_DisconnectReq, 2),
        (acdp.ACDP_DisconnectRes, 3),
    ],
)
def test_regression_16_document_codes_follow_element_names(cls, code):
    assert there_and_back(minimal(cls), ACDP)[1] >> 2 == code


def test_regression_16_an_optional_element_in_the_middle_is_kept():
    setup = minimal(wpt.LF_TransmitterSetupData)
    full = minimal(
        wpt.WPT_FinePositioningSetupReq,
        vendor_specific_data_container=(b"\x01", b"\x02", b"\x03"),
        lf_system_setup_data=wpt.WPT_LF_SystemSetupData(setup_data=setup),
    )
    there_and_back(full, WPT)
    there_and_back(dataclasses.replace(full, vendor_specific_data_container=()), WPT)


def test_regression_16_lists_with_a_minimum_of_two_end():
    spec = minimal(wpt.WPT_TxRxSpecData)
    for count in (2, 3, 254, 255):
        setup = minimal(wpt.LF_TransmitterSetupData, tx_spec_data=(spec,) * count)
        message = minimal(
            wpt.WPT_FinePositioningSetupReq,
            lf_system_setup_data=wpt.WPT_LF_SystemSetupData(setup_data=setup),
        )
        there_and_back(message, WPT)


def test_regression_16_an_empty_control_mode_is_written_and_read():
    profile = minimal(EVPowerProfile, control_mode=Dynamic_EVPPTControlMode())
    there_and_back(minimal(PowerDeliveryReq, ev_power_profile=profile), COMMON_MESSAGES)


def test_regression_16_one_control_mode_and_no_second():
    mode = minimal(BPT_Dynamic_DC_CLReqControlMode)
    octets = there_and_back(minimal(DC_ChargeLoopReq, cl_req_control_mode=mode), DC)
    assert decode(octets, schema_set(DC)).cl_req_control_mode == mode


def test_regression_16_every_response_code_is_read():
    for code in ResponseCode:
        there_and_back(minimal(DC_ChargeParameterDiscoveryRes, response_code=code), DC)
