"""ServiceDiscovery, ServiceDetail and ServiceSelection on the station's side."""

from __future__ import annotations

from typing import Final

from iso15118.config import SeccConfig
from iso15118.control.common import ControlMode, EnergyService
from iso15118.messages import namespaces
from iso15118.messages.iso20.common import (
    IntValue,
    Parameter,
    ParameterSet,
    Service,
    ServiceDetailReq,
    ServiceDetailRes,
    ServiceDiscoveryReq,
    ServiceDiscoveryRes,
    ServiceList,
    ServiceParameterList,
    ServiceSelectionReq,
    ServiceSelectionRes,
)
from iso15118.messages.iso20.types import ResponseCode
from iso15118.secc.session import State, Step, View

MOBILITY_NEEDS_BY_EVCC: Final = 1
NO_PRICING: Final = 0
ABSOLUTE_PRICING: Final = 1
UNIFIED_CHANNEL: Final = 1
GRID_FOLLOWING: Final = 1
PASSIVE_ISLANDING_DETECTION: Final = 2


def offered_services(config: SeccConfig, namespace: str) -> tuple[EnergyService, ...]:
    """The configured services that the negotiated ProtocolNamespace can carry."""
    is_ac = namespace == namespaces.AC
    return tuple(s for s in config.services if (s.is_ac if is_ac else s.is_dc))


def parameter_sets(service: EnergyService, config: SeccConfig) -> tuple[ParameterSet, ...]:
    """One set per control mode, the preferred first [V2G20-2656]; ids count from 1."""
    return tuple(
        ParameterSet(parameter_set_id=number, parameter=_parameters(service, mode, config))
        for number, mode in enumerate(config.control_modes, 1)
    )


def _parameters(service: EnergyService, mode: ControlMode, config: SeccConfig) -> tuple[Parameter, ...]:
    values = {"Connector": config.ac_connector if service.is_ac else config.dc_connector}
    values["ControlMode"] = int(mode)
    if service.is_ac:
        values["EVSENominalVoltage"] = config.ac_nominal_voltage_v
    values["MobilityNeedsMode"] = MOBILITY_NEEDS_BY_EVCC  # 2 only with Dynamic [V2G20-2663]
    values["Pricing"] = ABSOLUTE_PRICING if config.prices and mode is ControlMode.SCHEDULED else NO_PRICING
    if service.bidirectional:
        values |= {"BPTChannel": UNIFIED_CHANNEL, "GeneratorMode": GRID_FOLLOWING}
        if service.is_ac:
            values["GridCodeIslandingDetectionMethod"] = PASSIVE_ISLANDING_DETECTION
    return tuple(Parameter(name=name, value=IntValue(value=value)) for name, value in values.items())


def service_discovery(s: View, req: ServiceDiscoveryReq) -> Step:
    """List the energy services of the negotiated protocol; there are no value-added services."""
    services = offered_services(s.config, s.record.namespace)
    response = ServiceDiscoveryRes(
        header=s.header,
        response_code=ResponseCode.OK,
        service_renegotiation_supported=s.config.service_renegotiation,
        energy_transfer_service_list=ServiceList(
            service=tuple(Service(service_id=int(x), free_service=s.config.free_service) for x in services)
        ),
    )
    return s.reply(response, State.SERVICE_DETAIL, offered=frozenset())


def service_detail(s: View, req: ServiceDetailReq) -> Step:
    """The parameter sets of an offered service; another id is refused [V2G20-425] [V2G20-464]."""
    service = _find(s, req.service_id)
    if service is None:
        why = f"service {req.service_id} was not offered"
        return s.fail(req, ResponseCode.FAILED_SERVICE_ID_INVALID, why, "V2G20-464")
    sets = parameter_sets(service, s.config)
    response = ServiceDetailRes(
        header=s.header,
        response_code=ResponseCode.OK,
        service_id=req.service_id,
        service_parameter_list=ServiceParameterList(parameter_set=sets),
    )
    offered = s.record.offered | {(req.service_id, x.parameter_set_id) for x in sets}
    return s.reply(response, State.SERVICE_SELECTION, offered=offered)


def service_selection(s: View, req: ServiceSelectionReq) -> Step:
    """Accept only pairs that were offered in this session [V2G20-433] [V2G20-467]."""
    chosen = req.selected_energy_transfer_service
    service = _find(s, chosen.service_id)
    if service is None:
        why = f"service {chosen.service_id} is no energy service offered here"
        code = ResponseCode.FAILED_NO_ENERGY_TRANSFER_SERVICE_SELECTED  # [V2G20-1618]
        return s.fail(req, code, why, "V2G20-1618")
    pairs = [(chosen.service_id, chosen.parameter_set_id)]
    if req.selected_vas_list is not None:
        pairs += [(x.service_id, x.parameter_set_id) for x in req.selected_vas_list.selected_service]
    for pair in pairs:
        if pair not in s.record.offered:
            why = f"service {pair[0]} with parameter set {pair[1]} was not offered"
            return s.fail(req, ResponseCode.FAILED_SERVICE_SELECTION_INVALID, why, "V2G20-467")
    response = ServiceSelectionRes(header=s.header, response_code=ResponseCode.OK)
    mode = s.config.control_modes[chosen.parameter_set_id - 1]
    return s.reply(
        response,
        State.CHARGE_PARAMETER_DISCOVERY,
        why=f"{service.name} with parameter set {chosen.parameter_set_id} ({mode.name})",
        service=service,
        parameter_set_id=chosen.parameter_set_id,
        control_mode=mode,
    )


def _find(s: View, service_id: int) -> EnergyService | None:
    offered = offered_services(s.config, s.record.namespace)
    return next((x for x in offered if x == service_id), None)
