"""ServiceDiscovery, ServiceDetail and ServiceSelection on the car's side."""

from __future__ import annotations

from iso15118 import events
from iso15118.control.common import ControlMode, EnergyService
from iso15118.control.ev import ParameterSet, ServiceChoice
from iso15118.evcc.vocabulary import EarlyLeave, Ev
from iso15118.messages import namespaces
from iso15118.messages.iso20 import common as m
from iso15118.messages.iso20.numbers import number


async def select_service(ev: Ev) -> None:
    """Discover, look at the details, choose, select; leave where nothing suits."""
    ev.begin("SERVICE_DISCOVERY")
    wanted = tuple(int(s) for s in ev.config.services)[:16]
    found = await ev.ask(
        m.ServiceDiscoveryReq(header=ev.header, supported_service_ids=m.ServiceIDList(service_id=wanted)),
        m.ServiceDiscoveryRes,
    )
    ev.renegotiation_supported = found.service_renegotiation_supported
    offered = {x.service_id for x in found.energy_transfer_service_list.service}
    ev.begin("SERVICE_DETAIL")
    offers: list[ParameterSet] = []
    for service in ev.config.services:
        if service in offered and _fits(service, ev.namespace):
            offers += await _details(ev, service)
    choice = await ev.query(ServiceChoice(tuple(offers))) if offers else None
    if not isinstance(choice, ParameterSet) or choice not in offers:
        ev.decide("service", f"none of {sorted(offered)} suits {[s.name for s in ev.config.services]}")
        ev.give_way()
        raise EarlyLeave("no suitable service")
    await _select(ev, choice)


def _fits(service: EnergyService, namespace: str) -> bool:
    return service.is_ac if namespace == namespaces.AC else service.is_dc


async def _details(ev: Ev, service: EnergyService) -> list[ParameterSet]:
    """The parameter sets in a wanted control mode; one that does not tell its mode cannot be used."""
    response = await ev.ask(m.ServiceDetailReq(header=ev.header, service_id=int(service)), m.ServiceDetailRes)
    if response.service_id != service:
        ev.fail(f"ServiceDetailRes for service {response.service_id} instead of {int(service)}")
    sets = response.service_parameter_list.parameter_set
    read = [ParameterSet(int(service), x.parameter_set_id, _values(x)) for x in sets]
    wanted = tuple(ControlMode) if ev.config.control_mode is None else (ev.config.control_mode,)
    return [x for x in read if x.control_mode in wanted]


def _values(parameters: m.ParameterSet) -> dict[str, int | bool | float | str]:
    """Parameters by name, whatever width they were sent in; of a repeated name the first counts."""
    values: dict[str, int | bool | float | str] = {}
    for parameter in parameters.parameter:
        value = parameter.value
        plain = number(value) if isinstance(value, m.RationalValue) else value.value
        values.setdefault(parameter.name, plain)
    return values


async def _select(ev: Ev, choice: ParameterSet) -> None:
    ev.begin("SERVICE_SELECTION")
    selected = m.SelectedService(service_id=choice.service, parameter_set_id=choice.parameter_set_id)
    await ev.ask(
        m.ServiceSelectionReq(header=ev.header, selected_energy_transfer_service=selected),
        m.ServiceSelectionRes,
    )
    ev.service, ev.parameter_set_id = EnergyService(choice.service), choice.parameter_set_id
    assert choice.control_mode is not None
    ev.control_mode = ControlMode(choice.control_mode)
    ev.emit(
        events.ServiceSelected,
        service=ev.service.name,
        parameter_set_id=choice.parameter_set_id,
        control_mode=ev.control_mode.name,
    )
