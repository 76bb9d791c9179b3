"""The message reference of the manual, written from the declarations themselves."""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import iso15118.messages
from iso15118.exi.schema import (
    Binary,
    Boolean,
    Enumeration,
    Field,
    Integer,
    Scalar,
    Text,
    V2GEnum,
    fields_of,
    info_of,
)
from iso15118.messages.iso20.exchanges import exchange_of

# Units of RationalNumber fields follow from the last word of the name. Where the standard leaves the
# unit open (power ramps, signal strengths, curve points with their own unit fields) nothing matches.
_UNITS: Final = (
    (r"TimeConstant|RampLimitation|Asymmetry", ""),
    (r"ApparentPower", "VA"),
    (r"ReactivePower$|Var(Absorption|Injection|Setpoint)|QSetpointValue$", "var"),
    (r"(Power|PowerOutput|PowerRequest|PowerInput|PowerLimit|PowerTransmitted|PowerTolerance)$", "W"),
    (r"^(PowerRangeStart|OverstayPowerThreshold)$|^WattSetpoint$", "W"),
    (r"(Voltage|VoltageOffset|VoltageOutputInformation)$", "V"),
    (r"Current(Information|OutputInformation|Request)?$", "A"),
    (r"Frequency$", "Hz"),
    (r"(Energy|EnergyRequest|EnergyCapacity|EnergyAvailable)$", "Wh"),
)


def unit_of(field: Field) -> str:
    """The unit of a RationalNumber field; "" where it has none or the standard names none."""
    if not any(cls.__name__ == "RationalNumber" for cls in field.classes):
        return ""
    name = re.sub(r"_L[23]$", "", field.name)
    return next((unit for pattern, unit in _UNITS if re.search(pattern, name)), "")


def message_modules() -> list[ModuleType]:
    """Every module that declares types, in the order of their names."""
    found = pkgutil.walk_packages(iso15118.messages.__path__, "iso15118.messages.")
    loaded = [importlib.import_module(name) for name in sorted(m.name for m in found)]
    return [m for m in loaded if declared_types(m)]


def declared_types(module: ModuleType) -> list[type[Any]]:
    """The schema classes a module declares itself, in source order."""
    return [cls for cls in _classes(module) if "__schema__" in vars(cls)]


def declared_enums(module: ModuleType) -> list[type[V2GEnum]]:
    """The enumerations a module declares itself, in source order."""
    return [cls for cls in _classes(module) if issubclass(cls, V2GEnum)]


def _classes(module: ModuleType) -> list[type[Any]]:
    own = [c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__]
    return [c for c in own if not c.__name__.startswith("_")]


def page_name(module: ModuleType) -> str:
    """`iso15118.messages.iso20.dc` -> `iso20-dc`."""
    return module.__name__.removeprefix("iso15118.messages.").replace(".", "-")


def anchor(cls: type[Any]) -> str:
    """The link target of a declared class or enumeration."""
    module = cls.__module__.removeprefix("iso15118.messages.").replace(".", "-")
    return f"{module}-{cls.__name__}".replace("_", "-").lower()


def pages() -> dict[str, str]:
    """File name -> Markdown of every page, with the index first."""
    found = message_modules()
    written = {"index.md": "\n".join(_index(found)) + "\n"}
    for module in found:
        written[f"{page_name(module)}.md"] = "\n".join(_page(module)) + "\n"
    return written


def _index(found: list[ModuleType]) -> Iterator[str]:
    total = sum(len(declared_types(m)) for m in found)
    yield "# Messages"
    yield ""
    yield f"{total} declared types in {len(found)} modules. Written from the declarations by `docs/_ext`."
    yield ""
    yield "| module | namespace | messages | types | enumerations |"
    yield "|---|---|---|---|---|"
    for module in found:
        types = declared_types(module)
        messages = sum(is_message(cls) for cls in types)
        name = page_name(module)
        namespace = f"`{info_of(types[0]).namespace}`"
        yield f"| [{name}]({name}.md) | {namespace} | {messages} | {len(types)} | {len(declared_enums(module))} |"
    yield ""
    yield "```{toctree}"
    yield ":hidden:"
    yield ""
    yield from (page_name(module) for module in found)
    yield "```"


def is_message(cls: type[Any]) -> bool:
    """Whether a class is a message on the wire rather than a part of one."""
    return info_of(cls).element and cls.__name__.endswith(("Req", "Res")) and not info_of(cls).abstract


def _page(module: ModuleType) -> Iterator[str]:
    yield f"# {page_name(module)}"
    yield ""
    yield _summary(module)
    yield ""
    types = declared_types(module)
    groups = (
        ("Messages", [c for c in types if is_message(c)]),
        ("Types", [c for c in types if not is_message(c)]),
    )
    for title, members in groups:
        if members:
            yield f"## {title}"
            yield ""
        for cls in members:
            yield from _type_section(cls)
    enums = declared_enums(module)
    if enums:
        yield "## Enumerations"
        yield ""
    for cls in enums:
        yield from _enum_section(cls)


def _type_section(cls: type[Any]) -> Iterator[str]:
    yield f"({anchor(cls)})="
    yield f"### {cls.__name__}"
    yield ""
    yield _summary(cls)
    yield ""
    facts = list(_facts(cls))
    if facts:
        yield "; ".join(facts) + "."
        yield ""
    fields = fields_of(cls)
    if not fields:
        yield "No fields."
        yield ""
        return
    yield "| field | XML name | occurs | type | unit |"
    yield "|---|---|---|---|---|"
    for field in fields:
        name = f"@{field.name}" if field.kind == "attribute" else field.name
        row = (f"`{field.attr}`", f"`{name}`", occurs(field), type_text(field), unit_of(field))
        yield f"| {' | '.join(row)} |"
    yield ""


def _facts(cls: type[Any]) -> Iterator[str]:
    info = info_of(cls)
    if info.abstract:
        yield "Abstract"
    if info.substitutes is not None:
        yield f"Stands where {_link(info.substitutes)} is expected"
    if is_message(cls) and cls.__name__.endswith("Req"):
        try:
            exchange = exchange_of(cls)
        except KeyError:
            return
        yield f"Answered by {_link(exchange.response)}"
        yield f"payload type 0x{int(exchange.payload_type):04X}"
        yield f"the EV waits {exchange.evcc_timeout_s:g} s for the answer"
        yield f"the station waits {exchange.secc_sequence_s:g} s for the next request"


def _enum_section(cls: type[enum.Enum]) -> Iterator[str]:
    yield f"({anchor(cls)})="
    yield f"### {cls.__name__}"
    yield ""
    yield _summary(cls)
    yield ""
    yield ", ".join(f"`{member.value}`" for member in cls)
    yield ""


def _summary(thing: object) -> str:
    """The docstring, as one paragraph."""
    return " ".join((inspect.getdoc(thing) or "").split())


def occurs(field: Field) -> str:
    """`1`, `0..1`, `1..1024`, `0..*`."""
    most = "*" if field.maximum is None else str(field.maximum)
    return str(field.minimum) if str(field.minimum) == most else f"{field.minimum}..{most}"


def type_text(field: Field) -> str:
    """The type of a field in words, complex types as links."""
    if field.scalar is not None:
        return scalar_text(field.scalar)
    names = [_link(cls) for cls in field.classes]
    if field.any:
        names.append("any element")
    if field.text:
        names.append("text")
    return " or ".join(names)


def _link(cls: type[Any]) -> str:
    return f"[{cls.__name__}](#{anchor(cls)})"


def scalar_text(scalar: Scalar) -> str:
    """A simple type in words, with its bounds."""
    match scalar:
        case Boolean():
            return "boolean"
        case Integer():
            return f"{scalar.builtin}{_range(scalar.minimum, scalar.maximum, '')}"
        case Text():
            return f"{scalar.builtin}{_range(None, scalar.max_length, ' characters')}"
        case Binary():
            return f"{scalar.builtin}{_range(scalar.min_length, scalar.max_length, ' octets')}"
        case Enumeration():
            return _link(scalar.members)


def _range(low: int | None, high: int | None, unit: str) -> str:
    if low is None and high is None:
        return ""
    if low == high:
        return f", {low}{unit}"
    if low is None:
        return f", at most {high}{unit}"
    if high is None:
        return f", at least {low}{unit}"
    return f", {low} to {high}{unit}"
