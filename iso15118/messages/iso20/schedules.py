"""CommonMessages of ISO 15118-20, second half: schedules, power profiles, prices.

The contents of ScheduleExchange and PowerDelivery (payload type 0x8002, or 0x8101 in a renegotiation).
Open `ScheduleTuple` first: what the station offers; then `EVPowerProfile`: what the EV makes of it.

Time: entry 0 of a list begins at `time_anchor` (µs since 1970 UTC), every entry where the one before ends;
`duration` in s. Money: in units of `currency`. Ranges: a price rule holds from its `power_range_start`
up to that of the next rule.
"""

from __future__ import annotations

from typing import Annotated, Final

from iso15118.exi.schema import (
    Attribute,
    Bool,
    Occurs,
    Text,
    UnsignedByte,
    UnsignedInt,
    UnsignedLong,
    UnsignedShort,
    V2GEnum,
    Xml,
    XmlId,
    schema_type,
)
from iso15118.messages import namespaces
from iso15118.messages.iso20.types import (
    Description,
    Identifier,
    Name,
    NumericID,
    PercentValue,
    RationalNumber,
)

NS: Final = namespaces.COMMON_MESSAGES


# --- simple types -----------------------------------------------------------------------------

Currency = Annotated[str, Text("string", 3, "currencyType")]  # ISO 4217
Language = Annotated[str, Text("string", 3, "languageType")]  # ISO 639, three letters


class PowerToleranceAcceptance(V2GEnum, schema_name="powerToleranceAcceptanceType"):
    """Whether the EV promises to stay within `power_tolerance`."""

    POWER_TOLERANCE_NOT_CONFIRMED = "PowerToleranceNotConfirmed"
    POWER_TOLERANCE_CONFIRMED = "PowerToleranceConfirmed"


# --- what the EV needs, and what the station answers ------------------------------------------


@schema_type(NS)
class Scheduled_SEReqControlMode:
    """The EV will choose a schedule; needs are hints for the offers."""

    departure_time: UnsignedInt | None = None  # s from now
    ev_target_energy_request: RationalNumber | None = None  # Wh, to the target SoC at departure
    ev_maximum_energy_request: RationalNumber | None = None  # Wh, to the highest SoC the EV allows
    ev_minimum_energy_request: RationalNumber | None = None  # Wh, to the lowest SoC it can accept
    ev_energy_offer: EVEnergyOffer | None = None  # energy the EV would sell


@schema_type(NS)
class Scheduled_SEResControlMode:
    """Up to three schedules to choose from."""

    schedule_tuple: Annotated[tuple[ScheduleTuple, ...], Occurs(1, 3)]


@schema_type(NS)
class Dynamic_SEReqControlMode:
    """The station will steer; the EV says what it needs and by when."""

    departure_time: UnsignedInt  # s from now
    minimum_soc: PercentValue | None = None
    target_soc: PercentValue | None = None
    ev_target_energy_request: RationalNumber  # Wh, to the target SoC at departure
    ev_maximum_energy_request: RationalNumber  # Wh, to the highest SoC the EV allows
    ev_minimum_energy_request: RationalNumber  # Wh, to the lowest SoC it can accept; > 0: charge at once
    # Wh, to the top of the cycling window; comes with the minimum
    ev_maximum_v2x_energy_request: RationalNumber | None = None
    # Wh, to the bottom of the cycling window; > 0: no cycling
    ev_minimum_v2x_energy_request: RationalNumber | None = None


@schema_type(NS)
class Dynamic_SEResControlMode:
    """The goals the station will steer to (only with MobilityNeedsMode 2), and its prices."""

    departure_time: UnsignedInt | None = None  # s from now
    minimum_soc: PercentValue | None = None
    target_soc: PercentValue | None = None
    price_schedule: AbsolutePriceSchedule | PriceLevelSchedule | None = None


# --- power schedules --------------------------------------------------------------------------


@schema_type(NS)
class ScheduleTuple:
    """One offer: power over time, in one or both directions."""

    schedule_tuple_id: NumericID  # arbitrary; the EV names it when it chooses
    charging_schedule: ChargingSchedule
    discharging_schedule: ChargingSchedule | None = None  # bidirectional services only


@schema_type(NS)
class ChargingSchedule:
    """Power limits over time, and what energy costs under them."""

    power_schedule: PowerSchedule
    price_schedule: AbsolutePriceSchedule | PriceLevelSchedule | None = None


@schema_type(NS)
class PowerSchedule:
    """The most power at each time."""

    time_anchor: UnsignedLong  # µs since 1970 UTC
    available_energy: RationalNumber | None = None  # Wh, over the whole schedule
    power_tolerance: RationalNumber | None = None  # W the EV may deviate from its profile
    power_schedule_entries: PowerScheduleEntryList


@schema_type(NS)
class PowerScheduleEntryList:
    """Power limits, one after the other without gaps."""

    power_schedule_entry: Annotated[tuple[PowerScheduleEntry, ...], Occurs(1, 1024)]


@schema_type(NS)
class PowerScheduleEntry:
    """A power that holds for `duration`."""

    duration: UnsignedInt  # s
    power: RationalNumber  # W
    power_l2: RationalNumber | None = None
    power_l3: RationalNumber | None = None


@schema_type(NS)
class EVPowerProfile:
    """The power the EV will draw; negative: feed back."""

    time_anchor: UnsignedLong  # µs since 1970 UTC
    control_mode: Dynamic_EVPPTControlMode | Scheduled_EVPPTControlMode
    ev_power_profile_entries: EVPowerProfileEntryList


@schema_type(NS)
class EVPowerProfileEntryList:
    """The EV's power, interval after interval."""

    ev_power_profile_entry: Annotated[tuple[PowerScheduleEntry, ...], Occurs(1, 2048)]


@schema_type(NS)
class Scheduled_EVPPTControlMode:
    """The profile follows this schedule."""

    selected_schedule_tuple_id: NumericID
    # wanted where the schedule has a `power_tolerance`
    power_tolerance_acceptance: PowerToleranceAcceptance | None = None


@schema_type(NS)
class Dynamic_EVPPTControlMode:
    """The profile is a forecast only; the station steers."""


# --- prices -----------------------------------------------------------------------------------


@schema_type(NS, abstract=True)
class PriceSchedule:
    """Base of both kinds of price information."""

    time_anchor: UnsignedLong  # µs since 1970 UTC
    price_schedule_id: NumericID
    price_schedule_description: Description | None = None


@schema_type(NS)
class PriceLevelSchedule(PriceSchedule):
    """Prices as ranks: 0 is the cheapest level, amounts stay unknown."""

    id: Annotated[XmlId | None, Attribute(), Xml("Id")] = None  # present where the schedule is signed
    number_of_price_levels: UnsignedByte
    price_level_schedule_entries: PriceLevelScheduleEntryList


@schema_type(NS)
class PriceLevelScheduleEntryList:
    """Price levels, one after the other without gaps."""

    price_level_schedule_entry: Annotated[tuple[PriceLevelScheduleEntry, ...], Occurs(1, 1024)]


@schema_type(NS)
class PriceLevelScheduleEntry:
    """A price level that holds for `duration`."""

    duration: UnsignedInt  # s
    price_level: UnsignedByte


@schema_type(NS)
class AbsolutePriceSchedule(PriceSchedule):
    """Prices as amounts: energy, parking, overstay, services, taxes."""

    id: Annotated[XmlId | None, Attribute(), Xml("Id")] = None  # present where the schedule is signed
    currency: Currency
    language: Language
    price_algorithm: Identifier  # URN: Power, PeakPower or StackedEnergy
    minimum_cost: RationalNumber | None = None  # the bill is never lower
    maximum_cost: RationalNumber | None = None  # nor higher
    tax_rules: TaxRuleList | None = None
    price_rule_stacks: PriceRuleStackList
    overstay_rules: OverstayRuleList | None = None
    additional_selected_services: AdditionalServiceList | None = None


@schema_type(NS)
class TaxRuleList:
    """All taxes of a price schedule."""

    tax_rule: Annotated[tuple[TaxRule, ...], Occurs(1, 10)]


@schema_type(NS)
class TaxRule:
    """A tax and the fees it applies to."""

    tax_rule_id: NumericID
    tax_rule_name: Name | None = None
    tax_rate: RationalNumber  # %
    tax_included_in_price: Bool | None = None  # true: the fees are gross
    applies_to_energy_fee: Bool
    applies_to_parking_fee: Bool
    applies_to_overstay_fee: Bool
    applies_minimum_maximum_cost: Bool


@schema_type(NS)
class PriceRuleStackList:
    """Price stacks, one after the other without gaps."""

    price_rule_stack: Annotated[tuple[PriceRuleStack, ...], Occurs(1, 1024)]


@schema_type(NS)
class PriceRuleStack:
    """Prices by power, for `duration`; lowest range first."""

    duration: UnsignedInt  # s
    price_rule: Annotated[tuple[PriceRule, ...], Occurs(1, 8)]


@schema_type(NS)
class PriceRule:
    """Prices from `power_range_start` up to the next rule's."""

    energy_fee: RationalNumber  # per kWh
    parking_fee: RationalNumber | None = None  # per begun `parking_fee_period`
    parking_fee_period: UnsignedInt | None = None  # s
    carbon_dioxide_emission: UnsignedShort | None = None  # g/kWh
    renewable_generation_percentage: UnsignedByte | None = None  # %
    power_range_start: RationalNumber  # W


@schema_type(NS)
class OverstayRuleList:
    """Fees for staying connected once power has been low for too long."""

    overstay_time_threshold: UnsignedInt | None = None  # s below the power threshold
    overstay_power_threshold: RationalNumber | None = None  # W
    overstay_rule: Annotated[tuple[OverstayRule, ...], Occurs(1, 5)]


@schema_type(NS)
class OverstayRule:
    """From `start_time` after the overstay began this fee replaces the one before."""

    overstay_rule_description: Description | None = None
    start_time: UnsignedInt  # s
    overstay_fee: RationalNumber  # per begun `overstay_fee_period`
    overstay_fee_period: UnsignedInt  # s


@schema_type(NS)
class AdditionalServiceList:
    """Further services with a price."""

    additional_service: Annotated[tuple[AdditionalService, ...], Occurs(1, 5)]


@schema_type(NS)
class AdditionalService:
    """A service at a flat fee."""

    service_name: Name
    service_fee: RationalNumber


# --- energy the EV sells ----------------------------------------------------------------------


@schema_type(NS)
class EVEnergyOffer:
    """The EV offers energy: when, how much, at what price."""

    ev_power_schedule: EVPowerSchedule
    ev_absolute_price_schedule: EVAbsolutePriceSchedule


@schema_type(NS)
class EVPowerSchedule:
    """The power the EV offers."""

    time_anchor: UnsignedLong  # µs since 1970 UTC
    ev_power_schedule_entries: EVPowerScheduleEntryList


@schema_type(NS)
class EVPowerScheduleEntryList:
    """Offered power, interval after interval."""

    ev_power_schedule_entry: Annotated[tuple[EVPowerScheduleEntry, ...], Occurs(1, 1024)]


@schema_type(NS)
class EVPowerScheduleEntry:
    """Offered power for `duration`."""

    duration: UnsignedInt  # s
    power: RationalNumber  # W, negative: from the EV


@schema_type(NS)
class EVAbsolutePriceSchedule:
    """What the EV asks for its energy."""

    time_anchor: UnsignedLong  # µs since 1970 UTC
    currency: Currency
    price_algorithm: Identifier  # URN, as for the station's prices
    ev_price_rule_stacks: EVPriceRuleStackList


@schema_type(NS)
class EVPriceRuleStackList:
    """Asked prices, one stack after the other."""

    ev_price_rule_stack: Annotated[tuple[EVPriceRuleStack, ...], Occurs(1, 1024)]


@schema_type(NS)
class EVPriceRuleStack:
    """Asked prices by power, for `duration`."""

    duration: UnsignedInt  # s
    ev_price_rule: Annotated[tuple[EVPriceRule, ...], Occurs(1, 8)]


@schema_type(NS)
class EVPriceRule:
    """The EV's price from `power_range_start` up to the next rule's."""

    energy_fee: RationalNumber  # per kWh
    power_range_start: RationalNumber  # W, may be negative
