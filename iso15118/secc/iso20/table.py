"""The law of the SECC for ISO 15118-20: which request is served in which state, and by what.

`SessionStopReq` is served in every state after SessionSetup; everything else that is not listed
is a sequence error [V2G20-459]. AC and DC differ only in the rows named after them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from iso15118.messages import namespaces
from iso15118.messages.iso20 import common as m
from iso15118.secc.iso20 import delivery, metering, schedule, services, setup
from iso15118.secc.session import State, Step, View

Handler = Callable[[View, Any], Step]
Row = Mapping[type[Any], Handler]
Table = Mapping[State, Row]

COMMON: Final[Table] = MappingProxyType(
    {
        State.SESSION_SETUP: {m.SessionSetupReq: setup.session_setup},
        State.AUTHORIZATION_SETUP: {m.AuthorizationSetupReq: setup.authorization_setup},
        State.AUTHORIZATION: {
            m.AuthorizationReq: setup.authorization,
            m.CertificateInstallationReq: setup.certificate_installation,
        },
        State.SERVICE_DISCOVERY: {m.ServiceDiscoveryReq: services.service_discovery},
        State.SERVICE_DETAIL: {m.ServiceDetailReq: services.service_detail},
        State.SERVICE_SELECTION: {
            m.ServiceDetailReq: services.service_detail,
            m.ServiceSelectionReq: services.service_selection,
        },
        State.SCHEDULE_EXCHANGE: {m.ScheduleExchangeReq: schedule.schedule_exchange},
        State.POWER_DELIVERY: {m.PowerDeliveryReq: delivery.power_delivery},
        State.SESSION_STOP: {},
        State.ENDED: {},
    }
)


@functools.cache
def table(namespace: str) -> Table:
    """The whole table of a negotiated ProtocolNamespace (AC or DC); its messages are loaded here."""
    return MappingProxyType({**COMMON, **(_ac() if namespace == namespaces.AC else _dc())})


def _ac() -> dict[State, Row]:
    from iso15118.messages.iso20 import ac as messages
    from iso15118.secc.iso20 import ac

    return {
        State.CHARGE_PARAMETER_DISCOVERY: {
            messages.AC_ChargeParameterDiscoveryReq: ac.charge_parameter_discovery
        },
        State.CHARGE_LOOP: {
            messages.AC_ChargeLoopReq: ac.charge_loop,
            m.PowerDeliveryReq: delivery.power_delivery,
            m.MeteringConfirmationReq: metering.metering_confirmation,
        },
    }


def _dc() -> dict[State, Row]:
    from iso15118.messages.iso20 import dc as messages
    from iso15118.secc.iso20 import dc

    return {
        State.CHARGE_PARAMETER_DISCOVERY: {
            messages.DC_ChargeParameterDiscoveryReq: dc.charge_parameter_discovery
        },
        State.CABLE_CHECK: {messages.DC_CableCheckReq: dc.cable_check},
        State.CABLE_CHECKED: {messages.DC_PreChargeReq: dc.pre_charge},
        State.PRE_CHARGE: {
            messages.DC_PreChargeReq: dc.pre_charge,
            m.PowerDeliveryReq: delivery.power_delivery,
        },
        State.CHARGE_LOOP: {
            messages.DC_ChargeLoopReq: dc.charge_loop,
            m.PowerDeliveryReq: delivery.power_delivery,
            m.MeteringConfirmationReq: metering.metering_confirmation,
        },
        State.WELDING_DETECTION: {messages.DC_WeldingDetectionReq: dc.welding_detection},
    }


def handler_for(namespace: str, state: State, request: Any) -> Handler | None:
    """The handler of `request` in `state`; None is a sequence error."""
    if isinstance(request, m.SessionStopReq) and state not in (State.SESSION_SETUP, State.ENDED):
        return delivery.session_stop
    return table(namespace).get(state, {}).get(type(request))
