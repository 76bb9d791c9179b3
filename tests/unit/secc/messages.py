"""What an EV says: every request, valid and with nothing surprising in it unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from iso15118.control.common import ControlMode, EnergyService
from iso15118.exi.schema import info_of
from iso15118.messages import namespaces as ns
from iso15118.messages.iso20 import ac, common, dc
from iso15118.messages.iso20 import schedules as plan
from iso15118.messages.iso20.common import ChargeProgress, ChargingSession
from iso15118.messages.iso20.exchanges import exchange_of
from iso15118.messages.iso20.numbers import rational
from iso15118.messages.iso20.types import MessageHeader, Processing
from iso15118.messages.minimal import minimal
from iso15118.messages.sap import AppProtocol, SupportedAppProtocolReq
from iso15118.wire.v2gtp import PayloadType

WRONG_SESSION = b"\x0f" * 8
NO_SESSION = bytes(8)
R = rational


def lane_of(message: Any) -> tuple[str, int]:
    """The schema set and the payload type a message usually travels with."""
    if isinstance(message, SupportedAppProtocolReq):
        return ns.SAP, PayloadType.APP_PROTOCOL
    return info_of(type(message)).namespace, exchange_of(type(message)).payload_type


def protocol(
    namespace: str, priority: int = 1, schema_id: int = 1, major: int = 1, minor: int = 0
) -> AppProtocol:
    return AppProtocol(
        protocol_namespace=namespace,
        version_number_major=major,
        version_number_minor=minor,
        schema_id=schema_id,
        priority=priority,
    )


def handshake(*protocols: AppProtocol) -> SupportedAppProtocolReq:
    return SupportedAppProtocolReq(app_protocol=protocols)


@dataclass
class Ev:
    """The requests of one EV in one session."""

    service: EnergyService = EnergyService.DC
    control: ControlMode = ControlMode.DYNAMIC
    session_id: bytes = NO_SESSION
    stamp: int = 1_750_000_000_000_000
    steps: tuple[tuple[int, float], ...] = ((3600, 1000.0),)

    @property
    def header(self) -> MessageHeader:
        self.stamp += 1
        return MessageHeader(session_id=self.session_id, time_stamp=self.stamp)

    @property
    def bidirectional(self) -> bool:
        return self.service.bidirectional

    def make(self, cls: type[Any], **given: Any) -> Any:
        return minimal(cls, **({"header": self.header} | given))

    # --- set-up -------------------------------------------------------------------------------

    def handshake(self) -> SupportedAppProtocolReq:
        return handshake(protocol(ns.AC if self.service.is_ac else ns.DC))

    def session_setup(self, **given: Any) -> Any:
        return self.make(common.SessionSetupReq, evcc_id="EV", **given)

    def authorization_setup(self) -> Any:
        return self.make(common.AuthorizationSetupReq)

    def authorization(self, **given: Any) -> Any:
        return self.make(common.AuthorizationReq, **given)

    def pnc_authorization(self) -> Any:
        chain = minimal(
            common.ContractCertificateChain,
            certificate=b"\x30",
            sub_certificates=common.SubCertificates(certificate=(b"\x30",)),
        )
        mode = common.PnC_AReqAuthorizationMode(
            id="id1", gen_challenge=bytes(16), contract_certificate_chain=chain
        )
        selected = common.Authorization.PNC
        return self.authorization(selected_authorization_service=selected, authorization_mode=mode)

    def service_discovery(self, **given: Any) -> Any:
        return self.make(common.ServiceDiscoveryReq, **given)

    def service_detail(self, service: int | None = None) -> Any:
        wanted = int(self.service) if service is None else service
        return self.make(common.ServiceDetailReq, service_id=wanted)

    def service_selection(self, service: int | None = None, parameter_set: int = 1, vas: Any = None) -> Any:
        wanted = int(self.service) if service is None else service
        chosen = common.SelectedService(service_id=wanted, parameter_set_id=parameter_set)
        return self.make(
            common.ServiceSelectionReq, selected_energy_transfer_service=chosen, selected_vas_list=vas
        )

    # --- parameters and schedules -------------------------------------------------------------

    def charge_parameters(self, **values: float) -> Any:
        return self.ac_parameters(**values) if self.service.is_ac else self.dc_parameters(**values)

    def dc_parameters(self, *, bpt: bool | None = None, **values: float) -> Any:
        usual = {
            "ev_maximum_charge_power": 100_000.0,
            "ev_minimum_charge_power": 0.0,
            "ev_maximum_charge_current": 250.0,
            "ev_minimum_charge_current": 0.0,
            "ev_maximum_voltage": 450.0,
            "ev_minimum_voltage": 300.0,
        }
        both = self.bidirectional if bpt is None else bpt
        if both:
            usual |= {
                "ev_maximum_discharge_power": 10_000.0,
                "ev_minimum_discharge_power": 0.0,
                "ev_maximum_discharge_current": 30.0,
                "ev_minimum_discharge_current": 0.0,
            }
        cls = dc.BPT_DC_CPDReqEnergyTransferMode if both else dc.DC_CPDReqEnergyTransferMode
        mode = cls(**{k: R(v) for k, v in (usual | values).items()})
        return self.make(dc.DC_ChargeParameterDiscoveryReq, dc_cpd_req_energy_transfer_mode=mode)

    def ac_parameters(self, *, bpt: bool | None = None, **values: float) -> Any:
        usual = {"ev_maximum_charge_power": 11_000.0, "ev_minimum_charge_power": 1_380.0}
        both = self.bidirectional if bpt is None else bpt
        if both:
            usual |= {"ev_maximum_discharge_power": 8_000.0, "ev_minimum_discharge_power": 0.0}
        cls = ac.BPT_AC_CPDReqEnergyTransferMode if both else ac.AC_CPDReqEnergyTransferMode
        mode = cls(**{k: R(v) for k, v in (usual | values).items()})
        return self.make(ac.AC_ChargeParameterDiscoveryReq, ac_cpd_req_energy_transfer_mode=mode)

    def schedule_exchange(self, *, dynamic: bool | None = None, points: int = 1024, **energies: float) -> Any:
        steered = self.control is ControlMode.DYNAMIC if dynamic is None else dynamic
        needs = {k: R(v) for k, v in energies.items()}
        mode: Any
        if steered:
            usual = {
                "ev_target_energy_request": R(20_000),
                "ev_maximum_energy_request": R(40_000),
                "ev_minimum_energy_request": R(-5_000),
            }
            mode = plan.Dynamic_SEReqControlMode(departure_time=3600, **(usual | needs))
        else:
            mode = plan.Scheduled_SEReqControlMode(**needs)
        return self.make(common.ScheduleExchangeReq, maximum_supporting_points=points, control_mode=mode)

    # --- power --------------------------------------------------------------------------------

    def cable_check(self) -> Any:
        return self.make(dc.DC_CableCheckReq)

    def pre_charge(self, volts: float = 400.0, *, finished: bool = False) -> Any:
        processing = Processing.FINISHED if finished else Processing.ONGOING
        return self.make(
            dc.DC_PreChargeReq,
            ev_processing=processing,
            ev_present_voltage=R(0),
            ev_target_voltage=R(volts),
        )

    def profile(
        self, *steps: tuple[int, float], tuple_id: int = 1, accepts: bool | None = None, anchor: int = 0
    ) -> Any:
        """A power profile of (seconds, W), in Scheduled mode."""
        entries = [plan.PowerScheduleEntry(duration=s, power=R(w)) for s, w in steps or self.steps]
        told = plan.PowerToleranceAcceptance
        acceptance = {
            None: None,
            True: told.POWER_TOLERANCE_CONFIRMED,
            False: told.POWER_TOLERANCE_NOT_CONFIRMED,
        }[accepts]
        return plan.EVPowerProfile(
            time_anchor=anchor,
            control_mode=plan.Scheduled_EVPPTControlMode(
                selected_schedule_tuple_id=tuple_id, power_tolerance_acceptance=acceptance
            ),
            ev_power_profile_entries=plan.EVPowerProfileEntryList(ev_power_profile_entry=tuple(entries)),
        )

    def power_delivery(self, progress: str = "START", *, finished: bool = True, profile: Any = None) -> Any:
        return self.make(
            common.PowerDeliveryReq,
            ev_processing=Processing.FINISHED if finished else Processing.ONGOING,
            charge_progress=ChargeProgress[progress],
            ev_power_profile=profile,
        )

    def start(self, profile: Any = None) -> Any:
        wanted = self.profile() if self.control is ControlMode.SCHEDULED else None
        return self.power_delivery("START", profile=profile or wanted)

    def loop(self, *, meter: bool = False, **values: float) -> Any:
        """A charge loop request in the variant of the session."""
        return self.loop_with(self.loop_mode(**values), meter=meter)

    def loop_with(self, mode: Any, *, meter: bool = False) -> Any:
        given: dict[str, Any] = {"meter_info_requested": meter, "cl_req_control_mode": mode}
        if self.service.is_ac:
            return self.make(ac.AC_ChargeLoopReq, **given)
        return self.make(dc.DC_ChargeLoopReq, ev_present_voltage=R(400), **given)

    def loop_mode(self, **values: float) -> Any:
        usual = self._ac_mode() if self.service.is_ac else self._dc_mode()
        steered = self.control is ControlMode.DYNAMIC
        if steered:
            usual |= {
                "ev_target_energy_request": 20_000.0,
                "ev_maximum_energy_request": 40_000.0,
                "ev_minimum_energy_request": -5_000.0,
            }
        prefix = ("BPT_" if self.bidirectional else "") + ("Dynamic" if steered else "Scheduled")
        module: Any = ac if self.service.is_ac else dc
        cls = getattr(module, f"{prefix}_{'AC' if self.service.is_ac else 'DC'}_CLReqControlMode")
        return cls(**{k: R(v) for k, v in (usual | values).items() if v is not None})

    def _dc_mode(self) -> dict[str, float]:
        if self.control is ControlMode.SCHEDULED:
            return {"ev_target_current": 100.0, "ev_target_voltage": 420.0}
        usual = {
            "ev_maximum_charge_power": 100_000.0,
            "ev_minimum_charge_power": 0.0,
            "ev_maximum_charge_current": 250.0,
            "ev_maximum_voltage": 450.0,
            "ev_minimum_voltage": 300.0,
        }
        if self.bidirectional:
            usual |= {
                "ev_maximum_discharge_power": 10_000.0,
                "ev_minimum_discharge_power": 0.0,
                "ev_maximum_discharge_current": 30.0,
            }
        return usual

    def _ac_mode(self) -> dict[str, float]:
        if self.control is ControlMode.SCHEDULED:
            return {"ev_present_active_power": 0.0}
        usual = {
            "ev_maximum_charge_power": 11_000.0,
            "ev_minimum_charge_power": 1_380.0,
            "ev_present_active_power": 0.0,
            "ev_present_reactive_power": 0.0,
        }
        if self.bidirectional:
            usual |= {"ev_maximum_discharge_power": 8_000.0, "ev_minimum_discharge_power": 0.0}
        return usual

    def welding(self, *, finished: bool = False) -> Any:
        processing = Processing.FINISHED if finished else Processing.ONGOING
        return self.make(dc.DC_WeldingDetectionReq, ev_processing=processing)

    def session_stop(self, how: str = "TERMINATE", **given: Any) -> Any:
        return self.make(common.SessionStopReq, charging_session=ChargingSession[how], **given)

    # --- all of them --------------------------------------------------------------------------

    def sample(self, cls: type[Any]) -> Any:
        """A request of any class, as an EV in this session would make it."""
        made = {
            "SessionSetupReq": self.session_setup,
            "AuthorizationReq": self.authorization,
            "ServiceDetailReq": self.service_detail,
            "ServiceSelectionReq": self.service_selection,
            "ScheduleExchangeReq": self.schedule_exchange,
            "PowerDeliveryReq": self.start,
            "SessionStopReq": self.session_stop,
            "DC_ChargeParameterDiscoveryReq": self.dc_parameters,
            "AC_ChargeParameterDiscoveryReq": self.ac_parameters,
            "DC_PreChargeReq": self.pre_charge,
        }.get(cls.__name__)
        if made:
            return made()
        if cls.__name__ in ("AC_ChargeLoopReq", "DC_ChargeLoopReq"):
            fits = self.service.is_ac == (cls is ac.AC_ChargeLoopReq)
            other = EnergyService.DC if self.service.is_ac else EnergyService.AC
            return Ev(self.service if fits else other, self.control, self.session_id).loop()
        return self.make(cls)
