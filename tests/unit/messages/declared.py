"""What the message modules declare, as comparable text: one fact a line.

Used twice: pinned in `declared_facts.txt`, and compared with the schemas by `tests/vectors`. Occurrence is
written as in regular expressions: nothing (once), `?`, `*`, `+`, `{2,10}`. Names carry the prefix of
their namespace; inside a type its own namespace has none.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType, ModuleType
from typing import Any

import iso15118.messages
from iso15118.exi.schema import (
    Binary,
    Boolean,
    Enumeration,
    Field,
    Group,
    Integer,
    Scalar,
    Text,
    TypeInfo,
    V2GEnum,
    fields_of,
    info_of,
)
from iso15118.messages import namespaces as ns

PREFIXES = MappingProxyType(
    {
        ns.SAP: "sap",
        ns.XMLDSIG: "ds",
        ns.COMMON_TYPES: "ct",
        ns.COMMON_MESSAGES: "cm",
        ns.AC: "ac",
        ns.DC: "dc",
        ns.WPT: "wpt",
        ns.ACDP: "acdp",
        ns.AC_DER_IEC: "iec",
        ns.AC_DER_SAE: "sae",
        "": "",
    }
)


# --- content models, for both sides -----------------------------------------------------------


@dataclass(frozen=True)
class Particle:
    """A leaf (`text`) or a group of particles, with its occurrence (`maximum` None: unbounded)."""

    minimum: int
    maximum: int | None
    text: str = ""
    kind: str = ""
    parts: tuple[Particle, ...] = ()

    def lines(self, indent: str = "") -> Iterator[str]:
        yield f"{indent}{self._label()}"
        for part in self.parts:
            yield from part.lines(indent + "  ")

    def _label(self) -> str:
        name, _, rest = (self.text or self.kind).partition(" ")
        return f"{name}{quantity(self.minimum, self.maximum)} {rest}".rstrip()


def quantity(minimum: int, maximum: int | None) -> str:
    """Occurrence as a regular expression writes it."""
    short = {(1, 1): "", (0, 1): "?", (0, None): "*", (1, None): "+"}
    most = "" if maximum is None else maximum
    return short.get((minimum, maximum), f"{{{minimum},{most}}}")


WILDCARD = "any"
"""A wildcard; in a choice it is written last, as its place makes no difference."""


def group(kind: str, parts: Iterator[Particle], minimum: int = 1, maximum: int | None = 1) -> Particle:
    """A sequence or choice in its simplest form: nested groups that change nothing are dissolved."""
    flat: list[Particle] = []
    for part in parts:
        dissolves = part.kind == kind and (part.minimum, part.maximum) == (1, 1)
        if not part.kind or part.parts:
            flat.extend(part.parts if dissolves else [part])
    if kind == "choice":
        flat.sort(key=lambda part: part.text == WILDCARD)
    if len(flat) == 1:
        only = flat[0]
        if (minimum, maximum) == (1, 1):
            return only
        if (only.minimum, only.maximum) == (1, 1) or (minimum, maximum, only.maximum) == (0, 1, 1):
            return replace(only, minimum=minimum, maximum=maximum)
    return Particle(minimum, maximum, kind=kind, parts=tuple(flat))


def model_lines(content: Particle) -> list[str]:
    """The lines of a whole content model; a plain sequence is not named."""
    if content.kind == "sequence" and (content.minimum, content.maximum) == (1, 1):
        return [line for part in content.parts for line in part.lines()]
    return list(content.lines())


# --- what is declared -------------------------------------------------------------------------


def declaring_modules() -> list[ModuleType]:
    """Every module of `iso15118.messages` that declares schema classes."""
    found = pkgutil.walk_packages(iso15118.messages.__path__, "iso15118.messages.")
    loaded = [importlib.import_module(m.name) for m in found]
    return [m for m in loaded if any(True for _ in own_classes(m))]


def own_classes(module: ModuleType) -> Iterator[type[Any]]:
    """The schema classes a module declares itself."""
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__ and "__schema__" in vars(value):
            yield value


def classes() -> list[type[Any]]:
    """All declared schema classes."""
    return [cls for module in declaring_modules() for cls in own_classes(module)]


def enumerations() -> list[type[V2GEnum]]:
    """All declared enumerations."""
    return [
        value
        for module in declaring_modules()
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, V2GEnum) and value.__module__ == module.__name__
    ]


def simple_types() -> dict[str, list[Scalar]]:
    """Every named simple type, by prefixed name, with all its declarations (there should be one)."""
    found: dict[str, dict[int, Scalar]] = {}
    home: dict[str, str] = {}
    for module in sorted(declaring_modules(), key=lambda m: list(PREFIXES).index(m.NS)):
        for value in vars(module).values():
            for scalar in getattr(value, "__metadata__", ()):
                if isinstance(scalar, Scalar) and scalar.name:
                    name = home.setdefault(scalar.name, f"{PREFIXES[module.NS]}:{scalar.name}")
                    found.setdefault(name, {})[id(value)] = scalar
    for members in enumerations():
        scalar = Enumeration(members, members.__schema_name__)
        found.setdefault(scalar_name(scalar), {})[id(members)] = scalar
    return {name: list(scalars.values()) for name, scalars in found.items()}


# --- names and facts --------------------------------------------------------------------------


def qualified(name: str, namespace: str, home: str) -> str:
    """A name with its prefix, unless it is in the namespace of the type it occurs in."""
    return name if namespace == home else f"{PREFIXES[namespace]}:{name}"


def scalar_name(scalar: Scalar) -> str:
    """The name of a simple type; built-ins have no prefix."""
    match scalar:
        case Boolean():
            return scalar.name or "boolean"
        case Enumeration():
            module = importlib.import_module(scalar.members.__module__)
            return f"{PREFIXES[module.NS]}:{scalar.name}"
        case _:
            return scalar.name or scalar.builtin


def scalar_fact(scalar: Scalar) -> str:
    """The built-in a simple type derives from, and its facets."""
    match scalar:
        case Boolean():
            return "boolean"
        case Integer():
            return f"{scalar.builtin} {interval(scalar.minimum, scalar.maximum)}"
        case Text():
            return f"{scalar.builtin} length {interval(None, scalar.max_length)}"
        case Binary():
            return f"{scalar.builtin} length {interval(scalar.min_length, scalar.max_length)}"
        case Enumeration():
            return "enumeration " + " | ".join(str(m.value) for m in scalar.members)


def interval(low: int | None, high: int | None) -> str:
    """`1..20`, with nothing where there is no bound."""
    return f"{'' if low is None else low}..{'' if high is None else high}"


def type_name(cls: type[Any], home: str) -> str:
    """The schema's name for the type of a class: complex, simple, or anonymous."""
    fields = fields_of(cls)
    if len(fields) == 1 and fields[0].kind == "content" and fields[0].scalar is not None:
        return scalar_name(fields[0].scalar)
    name = info_of(cls).type_name
    if not name:
        return "(anonymous)"
    origin = [base for base in schema_bases(cls) if info_of(base).type_name == name]
    return qualified(name, info_of((origin or [cls])[-1]).namespace, home)


def schema_bases(cls: type[Any]) -> list[type[Any]]:
    """The declared bases of a class, the nearest first."""
    return [b for b in cls.__mro__[1:] if isinstance(b.__dict__.get("__schema__"), TypeInfo)]


def is_same_type(cls: type[Any]) -> bool:
    """Whether a class is its base's type under another element name."""
    bases = schema_bases(cls)
    return bool(bases) and info_of(bases[0]).type_name == info_of(cls).type_name


def complex_types() -> dict[str, list[type[Any]]]:
    """Every named complex type, with the classes that declare it (there should be one)."""
    found: dict[str, list[type[Any]]] = {}
    for cls in classes():
        name = type_name(cls, "")
        if name.endswith(":" + info_of(cls).type_name) and not is_same_type(cls):
            found.setdefault(name, []).append(cls)
    return found


def elements() -> dict[str, list[type[Any]]]:
    """Every global element by name, with the classes that declare it (there should be one)."""
    found: dict[str, list[type[Any]]] = {}
    for cls in classes():
        if info_of(cls).element:
            found.setdefault(qualified(info_of(cls).tag, info_of(cls).namespace, ""), []).append(cls)
    return found


def element_facts(cls: type[Any]) -> list[str]:
    """A global element: type, substitution group; the content of an anonymous type.

    Abstractness is declared of types only; no element of the schemas is abstract by itself.
    """
    info = info_of(cls)
    facts = [f"type {type_name(cls, '')}"]
    if info.substitutes is not None:
        head = info_of(info.substitutes)
        facts.append(f"substitutes {qualified(head.tag, head.namespace, '')}")
    return facts + (type_facts(cls) if facts[0] == "type (anonymous)" else [])


def type_facts(cls: type[Any], own_only: bool = False) -> list[str]:
    """A complex type: base, flags, attributes, content model (with the base's first, or its own alone)."""
    info = info_of(cls)
    home = info.namespace
    facts = [f"extends {type_name(base, '')}" for base in schema_bases(cls)[:1]]
    facts += ["abstract"] * info.abstract + ["mixed"] * info.mixed
    fields = [f for f in fields_of(cls) if f.owner is cls or not own_only]
    facts += sorted(attribute_fact(f, home) for f in fields if f.kind == "attribute")
    facts += [
        f"content {scalar_name(f.scalar)}" for f in fields if f.kind == "content" and f.scalar is not None
    ]
    by_name = {f.attr: f for f in fields if f.kind == "element"}
    if info.content is not None:
        return facts + model_lines(_group(info.content, by_name, home))
    parts = (_field(f, home, f.minimum, f.maximum) for f in by_name.values())
    return facts + model_lines(group("sequence", parts))


def attribute_fact(field: Field, home: str) -> str:
    """`@Id? ID`; an attribute without a namespace has an empty prefix."""
    assert field.scalar is not None
    mark = "" if field.minimum else "?"
    return f"@{qualified(field.name, field.namespace, home)}{mark} {scalar_name(field.scalar)}"


def _field(field: Field, home: str, minimum: int, maximum: int | None) -> Particle:
    if field.scalar is not None:
        text = f"{qualified(field.name, field.namespace, home)} {scalar_name(field.scalar)}"
        return Particle(minimum, maximum, text)
    if field.is_choice:
        alternatives = [_alternative(cls, field, home) for cls in field.classes]
        alternatives += [Particle(1, 1, WILDCARD)] * field.any
        return group("choice", iter(alternatives), minimum, maximum)
    cls = field.classes[0]
    if field.is_reference:
        return replace(_alternative(cls, field, home), minimum=minimum, maximum=maximum)
    name = qualified(field.name, field.namespace, home)
    return Particle(minimum, maximum, f"{name} {type_name(cls, home)}")


def _alternative(cls: type[Any], field: Field, home: str) -> Particle:
    info = info_of(cls)
    if info.element:
        return Particle(1, 1, f"{qualified(info.tag, info.namespace, home)} (reference)")
    name = qualified(info.tag, field.namespace, home)
    return Particle(1, 1, f"{name} {type_name(cls, home)}")


def _group(declared: Group, fields: dict[str, Field], home: str) -> Particle:
    parts = (
        _group(part, fields, home) if isinstance(part, Group) else _part(part, fields, home)
        for part in declared.parts
    )
    return group(declared.kind, parts, declared.minimum, declared.maximum)


def _part(part: str, fields: dict[str, Field], home: str) -> Particle:
    name, _, tag = part.partition(":")
    field = fields[name]
    if tag == "*":
        return Particle(1, 1, WILDCARD)
    if tag:
        return _alternative(next(c for c in field.classes if info_of(c).tag == tag), field, home)
    return _field(field, home, *((field.minimum, field.maximum) if field.is_list else (1, 1)))


def snapshot() -> str:
    """All facts as one text, for `declared_facts.txt`: simple types, global elements, complex types."""
    lines = [f"{name}: {scalar_fact(found[0])}" for name, found in sorted(simple_types().items())]
    lines.append("")
    for name, declared in sorted(elements().items()):
        facts = [fact for fact in element_facts(declared[0]) if fact != f"type {name}Type"]
        lines.append(f"<{name}> {'; '.join(facts)}".rstrip())
    for name, types in sorted(complex_types().items()):
        lines += ["", name, *type_facts(types[0], own_only=True)]
    return brief("\n".join(lines) + "\n")


def brief(text: str) -> str:
    """The same text with the most frequent type by a shorter name, and X, X_L2?, X_L3? on one line."""
    text = re.sub(r" (ct:)?RationalNumberType$", " number", text, flags=re.MULTILINE)
    return re.sub(
        r"^(\w+)(\??) (\S+)\n\1_L2\? \3\n\1_L3\? \3$", r"\1\2 _L2? _L3? \3", text, flags=re.MULTILINE
    )


if __name__ == "__main__":
    print(snapshot(), end="")
