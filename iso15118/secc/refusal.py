"""Refusals: the response that pairs with the refused request, schema-valid throughout [V2G20-459] [V2G20-736]."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from iso15118.messages.iso20.exchanges import exchange_of
from iso15118.messages.iso20.numbers import rational
from iso15118.messages.iso20.types import RationalNumber, ResponseCode, V2GRequest, V2GResponse
from iso15118.messages.minimal import minimal

if TYPE_CHECKING:
    from iso15118.secc.session import View


_PLAUSIBLE: Final = 1e6
"""V and A below this are reported as measured."""


def refuse(view: View, request: V2GRequest, code: ResponseCode) -> V2GResponse:
    """The paired response with `code`, a true header, and contents that do not matter.

    Measured values are true where the response has them; control mode variants follow the request.
    """
    response = exchange_of(type(request)).response
    given: dict[str, Any] = {"header": view.header, "response_code": code}
    fill = _FILLERS.get(type(request).__name__)
    if fill:
        given.update(fill(view, request))
    if hasattr(request, "cl_req_control_mode"):  # AC and DC loops; WPT knows no modes
        given["cl_res_control_mode"] = _paired_mode(request)
    return minimal(response, **given)


def _paired_mode(request: Any) -> Any:
    """The response's control mode in the variant of the request, at its lowest values."""
    mode = type(request.cl_req_control_mode)
    module = sys.modules[mode.__module__]
    return minimal(getattr(module, mode.__name__.replace("CLReq", "CLRes")))


def _paired_transfer_mode(attr: str) -> Callable[[View, Any], dict[str, Any]]:
    def fill(view: View, request: Any) -> dict[str, Any]:
        mode = type(getattr(request, attr))
        module = sys.modules[mode.__module__]
        paired = getattr(module, mode.__name__.replace("CPDReq", "CPDRes"))
        return {attr.replace("_req_", "_res_"): minimal(paired)}

    return fill


def _present_voltage(view: View, request: Any) -> dict[str, Any]:
    return {"evse_present_voltage": _measured(view.evse.voltage_v)}


def _present_dc(view: View, request: Any) -> dict[str, Any]:
    return {
        "evse_present_voltage": _measured(view.evse.voltage_v),
        "evse_present_current": _measured(view.evse.current_a),
    }


def _measured(value: float) -> RationalNumber:
    """A refusal goes out even where the measurement itself is what went wrong."""
    return rational(value if abs(value) < _PLAUSIBLE else 0.0)


_FILLERS: Final[Mapping[str, Callable[[View, Any], dict[str, Any]]]] = MappingProxyType(
    {
        "SessionSetupReq": lambda view, request: {"evseid": view.config.evse_id},
        "ServiceDetailReq": lambda view, request: {"service_id": request.service_id},
        "AC_ChargeParameterDiscoveryReq": _paired_transfer_mode("ac_cpd_req_energy_transfer_mode"),
        "DC_ChargeParameterDiscoveryReq": _paired_transfer_mode("dc_cpd_req_energy_transfer_mode"),
        "DC_PreChargeReq": _present_voltage,
        "DC_WeldingDetectionReq": _present_voltage,
        "DC_ChargeLoopReq": _present_dc,
    }
)
