"""Configuration: frozen values with the standard's defaults, readable from TOML.

No environment variables, no working directory, no global state: two connectors in one process
are two configs. Unknown keys are errors with a suggestion.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from iso15118.control.common import ControlMode, EnergyService
from iso15118.errors import ConfigError
from iso15118.quirks import Quirk


def _check(owner: object, key: str, ok: bool, accepted: str) -> None:
    if not ok:
        raise ConfigError(key, f"{getattr(owner, key)!r} is not usable; accepted: {accepted}")


class _FromToml:
    """Reads a frozen dataclass from TOML, nested tables into nested dataclasses."""

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read `path`. ConfigError names file, key and what is accepted."""
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError("(file)", str(error), str(path)) from error
        return cls.from_dict(data, str(path))

    @classmethod
    def from_dict(cls, data: dict[str, Any], file: str = "") -> Self:
        """Build from plain data, checking names and types."""
        return typing.cast(Self, _build(cls, data, "", file))


@dataclass(frozen=True, slots=True)
class SeccTimers:
    """SECC side timers in seconds (ISO 15118-20 Tables 215 to 218).

    `loop_sequence_s` 0.5 is the standard's value; slow peers in the field need more, which is a
    deviation to be chosen knowingly.
    """

    communication_setup_s: float = 18.0
    sequence_s: float = 60.0
    loop_sequence_s: float = 0.5
    ongoing_s: float = 55.0
    customer_s: float = 180.0
    cable_check_s: float = 38.0
    contactor_s: float = 1.4
    pilot_s: float = 1.4
    close_s: float = 4.0
    hardware_silence_s: float = 2.0


@dataclass(frozen=True, slots=True)
class EvccTimers:
    """EVCC side timers in seconds (ISO 15118-20 Tables 215 to 218); message timeouts stand with the messages.

    `loop_message_s` is the message timeout of the charge loop, 0.5 by the standard; more is a
    deviation for slow peers and busy test machines.
    """

    communication_setup_s: float = 20.0
    loop_message_s: float = 0.5
    ongoing_s: float = 60.0
    customer_s: float = 300.0
    cable_check_s: float = 40.0
    pre_charge_s: float = 10.0
    welding_s: float = 60.0
    contactor_s: float = 3.0
    current_down_s: float = 5.0
    hardware_silence_s: float = 2.0


@dataclass(frozen=True, slots=True)
class AttenuationLimits:
    """Which EVSE is the one at our cable, by mean attenuation in dB (ISO 15118-3, C_EV_match_signalattn).

    Below `direct_db` an EVSE is found, below `indirect_db` it has to prove itself by validation, above
    it is none of ours. An EVSE not at least `margin_db` nearer than the next has to prove itself as
    well. `proof_required`: without the proof there is no match; else the nearest is taken all the same.
    """

    direct_db: float = 40.0
    indirect_db: float = 80.0
    margin_db: float = 3.0
    proof_required: bool = False

    def __post_init__(self) -> None:
        _check(self, "direct_db", 0 < self.direct_db <= 255, "above 0, at most 255 dB")
        _check(self, "indirect_db", self.direct_db <= self.indirect_db <= 255, "direct_db to 255 dB")
        _check(self, "margin_db", 0 <= self.margin_db <= 255, "0 to 255 dB")


FIELD_LIMITS: Final = AttenuationLimits()
"""What uncalibrated chargers and cars in the field need: real sessions report 10 to 37 dB."""
STANDARD_LIMITS: Final = AttenuationLimits(10.0, 20.0, 0.0, proof_required=True)
"""The values of ISO 15118-3, for calibrated equipment."""


@dataclass(frozen=True, slots=True)
class SlacTimers:
    """Times of matching and of the powerline link in seconds, as the field needs them.

    Names follow ISO 15118-3: TT_ is the time the other side is given, TP_ the time we keep ourselves.
    """

    match_response_s: float = 0.2  # TT_match_response
    match_sequence_s: float = 0.4  # TT_match_sequence
    start_s: float = 2.0  # TT_match_sequence before the first sound; some cars come later than 0.4
    parm_for_s: float = 20.0  # how long one attempt asks for EVSEs; 3 requests by the standard
    collect_s: float = 0.08  # TP_match_sequence: after the first CM_SLAC_PARM.CNF, for further ones
    batch_interval_s: float = 0.025  # TP_EV_batch_msg_interval
    atten_results_s: float = 1.2  # TT_EV_atten_results
    matching_rate_s: float = 0.4  # TT_matching_rate
    matching_repetition_s: float = 40.0  # TT_matching_repetition, at least 10
    join_s: float = 12.0  # TT_match_join
    link_ready_s: float = 0.2  # TP_link_ready_notification
    validation_level_s: float = 0.3  # TP_EV_vald_state_duration
    validation_detect_s: float = 0.15  # T_vald_detect_time 0.2 less a tolerance of 50 ms
    validation_window_s: float = 3.5  # TT_EVSE_vald_toggle
    validation_retry_s: float = 0.5  # the EVSE is validating another EV
    validation_for_s: float = 8.0  # in all, within TT_EVSE_match_session of the EVSE
    slac_init_s: float = 40.0  # TT_EVSE_SLAC_init, 20 to 50
    early_parm_s: float = 0.5  # a CM_SLAC_PARM.REQ just before matching was asked for is still answered
    sounding_grace_s: float = 0.045  # on top of TT_EVSE_match_MNBC
    last_sound_s: float = 0.05  # after the last sound, for profiles still on their way from the modem
    match_session_s: float = 10.0  # TT_EVSE_match_session
    set_key_s: float = 1.0  # for CM_SET_KEY.CNF, three tries
    set_key_again_s: float = 5.0  # before the next three
    probe_s: float = 0.3  # for the answer to a vendor's question
    poll_joining_s: float = 0.2
    poll_matched_s: float = 0.5
    settle_s: float = 10.0  # the link is taken for granted after, where no modem answers any poll
    amp_map_s: float = 0.2  # TT_amp_map_exchange

    def __post_init__(self) -> None:
        for timer in dataclasses.fields(self):
            value, may_be_zero = getattr(self, timer.name), timer.name in _MAY_BE_ZERO
            _check(self, timer.name, value > 0 or (may_be_zero and value == 0), "above 0 s")


_MAY_BE_ZERO: Final = ("collect_s", "sounding_grace_s", "last_sound_s", "link_ready_s", "early_parm_s")


_STRICT: Final[dict[str, float]] = {
    "match_response_s": 0.2,
    "match_sequence_s": 0.4,
    "start_s": 0.4,
    "parm_for_s": 0.6,
    "batch_interval_s": 0.025,
    "atten_results_s": 1.2,
    "matching_rate_s": 0.4,
    "matching_repetition_s": 10.0,
    "join_s": 12.0,
    "sounding_grace_s": 0.0,
    "match_session_s": 10.0,
}


@dataclass(frozen=True, slots=True)
class SlacConfig(_FromToml):
    """Matching over the powerline (ISO 15118-3) and the modem, either side.

    `attenuation` names the limits by which the EV chooses, `limits` gives own ones instead.
    `attn_tx_db` (EV) and `attn_rx_db` (EVSE; one value, or one a carrier group) are what the own
    side's wiring attenuates; they are subtracted. `strict_timing` keeps the standard's numbers where
    the field needs patience: for conformance tests. `validation` (EVSE): count pilot toggles; needs
    the pilot level within some 20 ms. `modem` is the vendor, where asking it is to be avoided.
    `reset_after_key` restarts a Qualcomm modem after each new key, which costs seconds.
    `amp_map_db`: reduction a carrier, 0 to 28 dB in steps of 2, 30 for off, sent once after the link is up.
    """

    attenuation: Literal["field", "standard"] = "field"
    limits: AttenuationLimits | None = None
    attn_tx_db: float = 0.0
    attn_rx_db: tuple[int, ...] = (0,)
    strict_timing: bool = False
    match_attempts: int = 3
    validation: bool = False
    toggles: int | None = None
    parallel: int = 5
    requests_per_s: int = 20
    modem: Literal["auto", "qualcomm", "lumissil", "vertexcom", "other"] = "auto"
    lumissil_long_header: bool = False
    reset_after_key: bool = False
    amp_map_db: tuple[int, ...] = ()
    timers: SlacTimers = field(default_factory=SlacTimers)

    def __post_init__(self) -> None:
        _check(self, "attn_rx_db", len(self.attn_rx_db) in (1, 58), "one value, or one for each of 58 groups")
        _check(self, "match_attempts", self.match_attempts >= 1, "1 or more")
        _check(self, "toggles", self.toggles is None or 1 <= self.toggles <= 3, "1 to 3, or none for random")
        _check(self, "parallel", 1 <= self.parallel <= 64, "1 to 64")
        _check(self, "requests_per_s", self.requests_per_s >= 5, "5 or more: an EV asks every 200 ms")
        steps = all(0 <= db <= 30 and db % 2 == 0 for db in self.amp_map_db)
        _check(self, "amp_map_db", steps, "0 to 30 dB in steps of 2")

    @property
    def attenuation_limits(self) -> AttenuationLimits:
        """The limits in force."""
        return self.limits or (STANDARD_LIMITS if self.attenuation == "standard" else FIELD_LIMITS)

    @property
    def times(self) -> SlacTimers:
        """The times in force."""
        return dataclasses.replace(self.timers, **_STRICT) if self.strict_timing else self.timers


@dataclass(frozen=True, slots=True)
class EvsePlugConfig:
    """The plug of one outlet. Times in s; defaults from ISO 15118-3, IEC 61851-1 and what chargers in the field do.

    `nominal_duty` (AC): signal the current limit instead of 5 %, and let the vehicle choose between basic charging
    and communication. DC is always 5 %, without basic charging.
    """

    nominal_duty: bool = False
    plugged_s: float = 1.0
    step_ef_s: float = 4.0  # T_step_EF
    step_x1_s: float = 3.0  # T_step_X1
    hold_x1_s: float = 0.75  # between an E/F pulse and the next oscillation
    retries: int = 2  # C_sequ_retry
    setup_s: float = 20.0  # link up -> session: V2G_SECC_CommunicationSetup and some
    end_s: float = 2.5  # SessionStopRes -> X1
    open_after_x1_s: float = 6.0  # a vehicle that stays in C: open under load


@dataclass(frozen=True, slots=True)
class EvPlugConfig:
    """The plug of one inlet. Times in s (ISO 15118-3)."""

    settle_s: float = 0.2  # T_conn_init_HLC
    leave_s: float = 0.5  # within TP_match_leave
    toggle_s: float = 0.3  # one level of a wake-up toggle, 200 to 400 ms
    wake_s: float = 8.0  # T_conn_max_comm: the duty cycle comes back within
    wake_attempts: int = 3
    resetup_s: float = 15.0  # T_conn_resetup
    setup_s: float = 60.0  # link up -> session; discovery has its own, shorter clock
    retry_s: float = 60.0  # matching failed at 5 %: once more after
    hlc_at_nominal: bool = True


@dataclass(frozen=True, slots=True)
class SeccConfig(_FromToml):
    """One EVSE: identity, services it offers, timers and policies.

    `services` in order of preference; each must be one of AC, AC_BPT, DC, DC_BPT, MCS, MCS_BPT.
    `insecure_no_tls` allows ISO 15118-20 over plain TCP, which the standard forbids: for tests
    and laboratories only, logged loudly. `discovery_window_s` is how long after plug-in and after a session
    discovery is answered (V2G_SECC_CommunicationSetup; None: without limit). `plug` and `slac` matter where the stack owns the plug.
    `authorization` in order of preference. For Plug & Charge: `providers` are those whose contracts are taken (country
    and provider, as "DEABC"; empty: all), `central_validation` asks the back end about contracts of unknown roots,
    `certificate_installation` lets vehicles fetch contracts, `confirm_meter_every` is the number of charge loops after
    which the EV is to sign the meter reading (0: never).
    """

    evse_id: str = "DE*ABC*E1*1"
    services: tuple[EnergyService, ...] = (EnergyService.DC,)
    control_modes: tuple[ControlMode, ...] = (ControlMode.DYNAMIC, ControlMode.SCHEDULED)
    dc_connector: int = 2
    ac_connector: int = 2
    ac_nominal_voltage_v: int = 230
    ac_nominal_frequency_hz: float = 50.0
    service_renegotiation: bool = True
    free_service: bool = False
    prices: bool = True
    language: str = "en"
    pause_allowed: bool = True
    authorization: tuple[Literal["EIM", "PnC"], ...] = ("EIM",)
    authorization_attempts: int = 3
    providers: tuple[str, ...] = ()
    central_validation: bool = False
    certificate_installation: bool = False
    confirm_meter_every: int = 0
    resume_within_s: float = 86_400.0
    paused_file: str = ""
    time_unit: Literal["us", "s"] = "us"
    discharge_sign: Literal["mirror", "positive", "negative"] = "mirror"
    quirks: tuple[Quirk, ...] = ()
    pre_charge_tolerance_v: float = 20.0
    profile_violations: int = 3
    insecure_no_tls: bool = False
    discovery_window_s: float | None = 18.0
    max_payload: int = 65_536
    timers: SeccTimers = field(default_factory=SeccTimers)
    plug: EvsePlugConfig = field(default_factory=EvsePlugConfig)
    slac: SlacConfig = field(default_factory=SlacConfig)

    def __post_init__(self) -> None:
        _check(self, "services", bool(self.services), "at least one energy service")
        usable = all(s.is_ac or s.is_dc for s in self.services)
        _check(self, "services", usable, "AC, AC_BPT, DC, DC_BPT, MCS, MCS_BPT")
        _check(self, "services", len(set(self.services)) == len(self.services), "each service once")
        _check(self, "services", len(self.services) <= 8, "at most 8 services")
        _check(self, "control_modes", bool(self.control_modes), "SCHEDULED, DYNAMIC or both")
        _check(self, "evse_id", 1 <= len(self.evse_id) <= 255, "1 to 255 characters")
        _check(self, "max_payload", 1024 <= self.max_payload <= 2**24, "1024 to 16777216 octets")
        _check(self, "authorization_attempts", self.authorization_attempts >= 1, "1 or more")
        means = len(set(self.authorization)) == len(self.authorization) > 0
        _check(self, "authorization", means, "EIM, PnC or both, each once")
        _check(self, "providers", len(self.providers) <= 128, "at most 128 providers")
        named = all(len(p) == 5 and p.isascii() and p.isalnum() and p.isupper() for p in self.providers)
        _check(self, "providers", named, "country and provider in capitals, as DEABC")
        installs = not self.certificate_installation or "PnC" in self.authorization
        _check(self, "certificate_installation", installs, "true only with PnC in authorization")
        _check(self, "confirm_meter_every", self.confirm_meter_every >= 0, "0 (never) or more")

    @property
    def dc(self) -> bool:
        """Whether the outlet serves DC: the pilot is always at 5 % then."""
        return any(service.is_dc for service in self.services)


@dataclass(frozen=True, slots=True)
class EvccConfig(_FromToml):
    """One EV: identity, what it asks for, timers.

    `services` by preference decides which ProtocolNamespaces are offered and which service is
    wanted. `loop_interval_s` is the pause between a charge loop response and the next request;
    the standard allows 0.25 s at most [V2G20-1499]. `plug` and `slac` matter where the stack owns the plug.
    `authorization` by preference; PnC is tried with each contract in the wallet that the station takes, and what comes
    after it where all are refused. `install_contracts` fetches contracts where none fits or one is about to end, at most
    `maximum_contracts`, those in `prioritized_emaids` first. `resume_within_s` and
    `paused_file` as in `SeccConfig`.
    """

    evcc_id: str = "WMIV1234567890ABCDEX"
    services: tuple[EnergyService, ...] = (EnergyService.DC,)
    control_mode: ControlMode | None = None
    loop_interval_s: float = 0.1
    poll_interval_s: float = 0.1
    pre_charge_tolerance_v: float = 10.0
    welding_detection: bool = True
    supporting_points: int = 1024
    authorization: tuple[Literal["EIM", "PnC"], ...] = ("EIM",)
    install_contracts: bool = False
    maximum_contracts: int = 4
    prioritized_emaids: tuple[str, ...] = ()
    quirks: tuple[Quirk, ...] = ()
    time_unit: Literal["us", "s"] = "us"
    meter_info_every: int = 10
    insecure_no_tls: bool = False
    max_payload: int = 65_536
    max_loops: int | None = None
    resume_within_s: float = 86_400.0
    paused_file: str = ""
    discovery_cycles: int = 3
    timers: EvccTimers = field(default_factory=EvccTimers)
    plug: EvPlugConfig = field(default_factory=EvPlugConfig)
    slac: SlacConfig = field(default_factory=SlacConfig)

    def __post_init__(self) -> None:
        _check(self, "services", bool(self.services), "at least one energy service")
        usable = all(s.is_ac or s.is_dc for s in self.services)
        _check(self, "services", usable, "AC, AC_BPT, DC, DC_BPT, MCS, MCS_BPT")
        _check(self, "evcc_id", 1 <= len(self.evcc_id) <= 255, "1 to 255 characters")
        _check(self, "discovery_cycles", self.discovery_cycles >= 1, "1 or more")
        means = len(set(self.authorization)) == len(self.authorization) > 0
        _check(self, "authorization", means, "EIM, PnC or both, each once")
        installs = not self.install_contracts or "PnC" in self.authorization
        _check(self, "install_contracts", installs, "true only with PnC in authorization")
        _check(self, "maximum_contracts", 1 <= self.maximum_contracts <= 255, "1 to 255")
        _check(self, "prioritized_emaids", len(self.prioritized_emaids) <= 8, "at most 8 contracts")
        _check(self, "supporting_points", 12 <= self.supporting_points <= 1024, "12 to 1024")
        _check(self, "loop_interval_s", 0 <= self.loop_interval_s <= 0.25, "0 to 0.25 s")
        _check(self, "max_payload", 1024 <= self.max_payload <= 2**24, "1024 to 16777216 octets")


# --- plain data -> dataclass ------------------------------------------------------------------


def _build(cls: Any, data: dict[str, Any], prefix: str, file: str) -> Any:
    hints = typing.get_type_hints(cls)
    names = {f.name for f in dataclasses.fields(cls)}
    for key in data:
        if key not in names:
            near = difflib.get_close_matches(key, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(names))}"
            raise ConfigError(prefix + key, f"unknown key{hint}", file)
    values = {k: _convert(hints[k], v, prefix + k, file) for k, v in data.items()}
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(prefix + error.key, error.reason, file) from error


def _convert(hint: Any, value: Any, key: str, file: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(key, "a table is expected", file)
        return _build(hint, value, key + ".", file)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(key, "a list is expected", file)
        return tuple(_convert(args[0], v, key, file) for v in value)
    if origin is Literal:
        if value not in args:
            raise ConfigError(key, f"{value!r}; accepted: {', '.join(map(repr, args))}", file)
        return value
    if origin is types.UnionType:
        return _convert(next(a for a in args if a is not type(None)), value, key, file)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _member(hint, value, key, file)
    accepted = (int, float) if hint is float else (hint,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(key, f"{value!r} is not a {hint.__name__}", file)
    return hint(value)


def _member(hint: type[enum.Enum], value: Any, key: str, file: str) -> enum.Enum:
    try:
        return hint[str(value).upper()]
    except KeyError:
        raise ConfigError(key, f"{value!r}; accepted: {', '.join(hint.__members__)}", file) from None
