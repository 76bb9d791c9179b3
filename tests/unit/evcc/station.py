"""A station made of answers: it remembers nothing but its session id and says yes to everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from iso15118.control.common import ControlMode, EnergyService
from iso15118.messages.iso20 import ac, common, dc
from iso15118.messages.iso20.numbers import rational
from iso15118.messages.iso20.types import MessageHeader, Processing, ResponseCode
from iso15118.messages.minimal import minimal
from iso15118.messages.sap import ResponseCode as SapCode
from iso15118.messages.sap import SupportedAppProtocolReq, SupportedAppProtocolRes

SESSION_ID: Final = bytes.fromhex("5e551011 d0000001")
STATION_UTC: Final = 1_764_000_321.5
"""The station's wall clock at the bench's start."""

SILENT: Final = None
"""Instead of a response: no answer at all."""

Change = Callable[[Any, Any, int], Any]
"""(request, the usual response, how many of this request before) -> what to send instead."""


def parameter_set(number: int, mode: int, *more: common.Parameter, **values: int) -> common.ParameterSet:
    """A parameter set with ControlMode and further integers."""
    parameters = [integer("ControlMode", mode), *(integer(k, v) for k, v in values.items()), *more]
    return common.ParameterSet(parameter_set_id=number, parameter=tuple(parameters))


def integer(name: str, value: int) -> common.Parameter:
    """A parameter as most stations send it."""
    return common.Parameter(name=name, value=common.IntValue(value=value))


def entry(duration: int, power: float, *phases: float) -> common.PowerScheduleEntry:
    """A stretch of a power schedule, phase by phase where more than one power is given."""
    names = dict(zip(("power_l2", "power_l3"), map(rational, phases), strict=False))
    return common.PowerScheduleEntry(duration=duration, power=rational(power), **names)


def schedule(*entries: common.PowerScheduleEntry, anchor: int = 0, **more: Any) -> common.ChargingSchedule:
    """Power limits over time; `price_schedule` goes beside them, everything else into the PowerSchedule."""
    price = more.pop("price_schedule", None)
    listed = common.PowerScheduleEntryList(power_schedule_entry=entries or (entry(86_400, 22_000.0),))
    power = common.PowerSchedule(time_anchor=anchor, power_schedule_entries=listed, **more)
    return common.ChargingSchedule(power_schedule=power, price_schedule=price)


def offer(number: int, charging: common.ChargingSchedule, discharging: Any = None) -> common.ScheduleTuple:
    """A schedule tuple."""
    return common.ScheduleTuple(
        schedule_tuple_id=number, charging_schedule=charging, discharging_schedule=discharging
    )


class Station:
    """Answers requests. `on(name, ...)` changes an answer, `voltage` is what its output shows."""

    def __init__(
        self,
        service: EnergyService = EnergyService.DC,
        mode: ControlMode = ControlMode.DYNAMIC,
        *,
        session_id: bytes = SESSION_ID,
        unit: float = 1e6,
        utc: float = STATION_UTC,
    ) -> None:
        self.service, self.mode, self.session_id = service, mode, session_id
        self.unit, self.utc = unit, utc
        self.voltage = 0.0
        self.discharges = True
        self.current = 0.0
        self.offers: tuple[common.ScheduleTuple, ...] = (offer(1, schedule()),)
        self.counts: Counter[str] = Counter()
        self._changes: dict[str, Change] = {}
        self._bench: Any = None

    def on(self, name: str, change: Change | Any) -> Station:
        """From now on answer request `name` by `change`, a function or what to send."""
        self._changes[name] = change if callable(change) else lambda req, res, n: change
        return self

    def alter(self, name: str, first: int = 0, last: int = 10**9, **fields: Any) -> Station:
        """Answer request `name`, from its `first` to its `last` occurrence, with other fields."""
        return self.on(name, lambda req, res, n: replace(res, **fields) if first <= n <= last else res)

    def answer(self, bench: Any, request: Any) -> list[Any]:
        """What the station sends for a request, nothing included."""
        self._bench = bench
        name = type(request).__name__
        if isinstance(request, dc.DC_PreChargeReq):
            self._follow(request)
        if getattr(request, "charge_progress", None) is common.ChargeProgress.STOP and self.discharges:
            self._bench.at(0.02, lambda: self._bench.update(inlet_voltage_v=0.0))
        usual = self.usual(request)
        count, self.counts[name] = self.counts[name], self.counts[name] + 1
        change = self._changes.get(name) or self._changes.get("*")
        reply = usual if change is None else change(request, usual, count)
        return list(reply) if isinstance(reply, (list, tuple)) else [] if reply is None else [reply]

    # --- the usual answers --------------------------------------------------------------------

    def stamp(self) -> int:
        """The station's clock."""
        return int((self.utc + self._bench.now - 100.0) * self.unit)

    def res(self, kind: type[Any], **fields: Any) -> Any:
        """A response with everything mandatory in it."""
        header = MessageHeader(session_id=self.session_id, time_stamp=self.stamp())
        return minimal(kind, **{"header": header, "response_code": ResponseCode.OK} | fields)

    def usual(self, request: Any) -> Any:
        """The answer of a station at which everything goes well; None for octets it cannot read."""
        if isinstance(request, SupportedAppProtocolReq):
            first = request.app_protocol[0].schema_id
            return SupportedAppProtocolRes(response_code=SapCode.OK_SUCCESSFUL_NEGOTIATION, schema_id=first)
        make = getattr(self, "_" + type(request).__name__, None)
        if make is not None:
            return make(request)
        name = type(request).__name__.removesuffix("Req") + "Res"
        kind = getattr(common, name, None) or getattr(dc, name, None)
        return self.res(kind) if kind else None

    def _follow(self, request: dc.DC_PreChargeReq) -> None:
        """The output goes to the wanted voltage, and the car measures it at its inlet."""
        target = request.ev_target_voltage
        self.voltage = target.value * 10.0**target.exponent
        self._bench.at(0.02, lambda: self._bench.update(inlet_voltage_v=self.voltage))

    def _SessionSetupReq(self, request: Any) -> Any:
        code = ResponseCode.OK_NEW_SESSION_ESTABLISHED
        return self.res(common.SessionSetupRes, response_code=code, evseid="DE*ABC*E1")

    def _AuthorizationSetupReq(self, request: Any) -> Any:
        return self.res(common.AuthorizationSetupRes, authorization_services=(common.Authorization.EIM,))

    def _ServiceDiscoveryReq(self, request: Any) -> Any:
        found = common.Service(service_id=int(self.service), free_service=False)
        return self.res(
            common.ServiceDiscoveryRes,
            service_renegotiation_supported=True,
            energy_transfer_service_list=common.ServiceList(service=(found,)),
        )

    def _ServiceDetailReq(self, request: Any) -> Any:
        sets = (parameter_set(1, int(self.mode), Connector=2, MobilityNeedsMode=1, Pricing=0),)
        return self.res(
            common.ServiceDetailRes,
            service_id=request.service_id,
            service_parameter_list=common.ServiceParameterList(parameter_set=sets),
        )

    def _AC_ChargeParameterDiscoveryReq(self, request: Any) -> Any:
        values: dict[str, Any] = {
            "evse_maximum_charge_power": rational(22_000.0),
            "evse_nominal_frequency": rational(50.0),
        }
        kind = ac.AC_CPDResEnergyTransferMode
        if self.service.bidirectional:
            kind = ac.BPT_AC_CPDResEnergyTransferMode
            values["evse_maximum_discharge_power"] = rational(11_000.0)
        return self.res(
            ac.AC_ChargeParameterDiscoveryRes, ac_cpd_res_energy_transfer_mode=minimal(kind, **values)
        )

    def _DC_ChargeParameterDiscoveryReq(self, request: Any) -> Any:
        values: dict[str, Any] = {
            "evse_maximum_charge_power": rational(50_000.0),
            "evse_maximum_charge_current": rational(125.0),
            "evse_maximum_voltage": rational(500.0),
        }
        kind = dc.DC_CPDResEnergyTransferMode
        if self.service.bidirectional:
            kind = dc.BPT_DC_CPDResEnergyTransferMode
            values["evse_maximum_discharge_power"] = rational(20_000.0)
            values["evse_maximum_discharge_current"] = rational(50.0)
        return self.res(
            dc.DC_ChargeParameterDiscoveryRes, dc_cpd_res_energy_transfer_mode=minimal(kind, **values)
        )

    def _ScheduleExchangeReq(self, request: Any) -> Any:
        if self.mode is ControlMode.DYNAMIC:
            mode: Any = common.Dynamic_SEResControlMode()
        else:
            mode = common.Scheduled_SEResControlMode(schedule_tuple=self.offers)
        finished = Processing.FINISHED
        return self.res(common.ScheduleExchangeRes, evse_processing=finished, control_mode=mode)

    def _DC_PreChargeReq(self, request: Any) -> Any:
        return self.res(dc.DC_PreChargeRes, evse_present_voltage=rational(self.voltage))

    def _AC_ChargeLoopReq(self, request: Any) -> Any:
        return self.res(ac.AC_ChargeLoopRes, cl_res_control_mode=self.ac_mode(5000.0))

    def ac_mode(self, target_w: float | None, *phases: float, **more: Any) -> Any:
        """The control mode of an AC loop response; `target_w` None only in Scheduled mode."""
        kinds = {
            (False, ControlMode.SCHEDULED): ac.Scheduled_AC_CLResControlMode,
            (True, ControlMode.SCHEDULED): ac.BPT_Scheduled_AC_CLResControlMode,
            (False, ControlMode.DYNAMIC): ac.Dynamic_AC_CLResControlMode,
            (True, ControlMode.DYNAMIC): ac.BPT_Dynamic_AC_CLResControlMode,
        }
        if target_w is not None:
            more["evse_target_active_power"] = rational(target_w)
        for phase, power in zip(("l2", "l3"), phases, strict=False):
            more[f"evse_target_active_power_{phase}"] = rational(power)
        return minimal(kinds[self.service.bidirectional, self.mode], **more)

    def _DC_ChargeLoopReq(self, request: Any) -> Any:
        return self.res(
            dc.DC_ChargeLoopRes,
            evse_present_voltage=rational(self.voltage),
            evse_present_current=rational(self.current),
            cl_res_control_mode=self.dc_mode(),
        )

    def dc_mode(self, **fields: Any) -> Any:
        """The control mode of a DC loop response."""
        kinds = {
            (False, ControlMode.SCHEDULED): dc.Scheduled_DC_CLResControlMode,
            (True, ControlMode.SCHEDULED): dc.BPT_Scheduled_DC_CLResControlMode,
            (False, ControlMode.DYNAMIC): dc.Dynamic_DC_CLResControlMode,
            (True, ControlMode.DYNAMIC): dc.BPT_Dynamic_DC_CLResControlMode,
        }
        return minimal(kinds[self.service.bidirectional, self.mode], **fields)
