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
from typing import Any, Literal, Self

from iso15118.control.common import ControlMode, EnergyService
from iso15118.errors import ConfigError
from iso15118.quirks import Quirk


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
class SeccConfig(_FromToml):
    """One EVSE: identity, services it offers, timers and policies.

    `services` in order of preference; each must be one of AC, AC_BPT, DC, DC_BPT, MCS, MCS_BPT.
    `insecure_no_tls` allows ISO 15118-20 over plain TCP, which the standard forbids: for tests
    and laboratories only, logged loudly.
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
    authorization_attempts: int = 3
    time_unit: Literal["us", "s"] = "us"
    discharge_sign: Literal["mirror", "positive", "negative"] = "mirror"
    quirks: tuple[Quirk, ...] = ()
    pre_charge_tolerance_v: float = 20.0
    profile_violations: int = 3
    insecure_no_tls: bool = False
    max_payload: int = 65_536
    timers: SeccTimers = field(default_factory=SeccTimers)

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


@dataclass(frozen=True, slots=True)
class EvccConfig(_FromToml):
    """One EV: identity, what it asks for, timers.

    `services` by preference decides which ProtocolNamespaces are offered and which service is
    wanted. `loop_interval_s` is the pause between a charge loop response and the next request;
    the standard allows 0.25 s at most [V2G20-1499].
    """

    evcc_id: str = "WMIV1234567890ABCDEX"
    services: tuple[EnergyService, ...] = (EnergyService.DC,)
    control_mode: ControlMode | None = None
    loop_interval_s: float = 0.1
    poll_interval_s: float = 0.1
    pre_charge_tolerance_v: float = 10.0
    welding_detection: bool = True
    supporting_points: int = 1024
    time_unit: Literal["us", "s"] = "us"
    meter_info_every: int = 10
    insecure_no_tls: bool = False
    max_payload: int = 65_536
    max_loops: int | None = None
    timers: EvccTimers = field(default_factory=EvccTimers)

    def __post_init__(self) -> None:
        _check(self, "services", bool(self.services), "at least one energy service")
        usable = all(s.is_ac or s.is_dc for s in self.services)
        _check(self, "services", usable, "AC, AC_BPT, DC, DC_BPT, MCS, MCS_BPT")
        _check(self, "evcc_id", 1 <= len(self.evcc_id) <= 255, "1 to 255 characters")
        _check(self, "supporting_points", 12 <= self.supporting_points <= 1024, "12 to 1024")
        _check(self, "loop_interval_s", 0 <= self.loop_interval_s <= 0.25, "0 to 0.25 s")
        _check(self, "max_payload", 1024 <= self.max_payload <= 2**24, "1024 to 16777216 octets")


def _check(owner: object, key: str, ok: bool, accepted: str) -> None:
    if not ok:
        raise ConfigError(key, f"{getattr(owner, key)!r} is not usable; accepted: {accepted}")


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
