"""Schema sets: one namespace and all it imports, with every table that depends on the whole.

The same class may live in several sets with different event codes, so grammars belong to a set.
Everything is derived from the declarations when first needed and then kept.
"""

from __future__ import annotations

import enum
import functools
import typing
from collections.abc import Iterable, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, Final

from iso15118.exi.compiler import compile_kind, global_element
from iso15118.exi.scalars import ScalarCodec, codec_for
from iso15118.exi.schema import Field, Scalar, TypeInfo, V2GEnum, fields_of, info_of
from iso15118.exi.tables import Kind, QName
from iso15118.record import value_class

XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"
XSI_NAMESPACE: Final = "http://www.w3.org/2001/XMLSchema-instance"
XSD_NAMESPACE: Final = "http://www.w3.org/2001/XMLSchema"
_XML_NAMES: Final = ("base", "id", "lang", "space")
_XSI_NAMES: Final = ("nil", "type")
_XSD_NAMES: Final = tuple(
    "ENTITIES ENTITY ID IDREF IDREFS NCName NMTOKEN NMTOKENS NOTATION Name QName anySimpleType anyType anyURI "
    "base64Binary boolean byte date dateTime decimal double duration float gDay gMonth gMonthDay gYear gYearMonth "
    "hexBinary int integer language long negativeInteger nonNegativeInteger nonPositiveInteger normalizedString "
    "positiveInteger short string time token unsignedByte unsignedInt unsignedLong unsignedShort".split()
)


@value_class
class Element:
    """An element name of a set and its type: a class or a scalar, neither if declarations differ."""

    qname: QName
    cls: type[Any] | None = None
    scalar: Scalar | None = None

    @property
    def is_relaxed(self) -> bool:
        """Whether the name is declared with different types (EXI: relaxed fragment grammar)."""
        return self.cls is None and self.scalar is None


class SchemaSet:
    """One namespace plus what it imports: the unit a payload is decoded with.

    `modules` hold the declared classes, imported ones first.
    """

    def __init__(self, namespace: str, modules: Iterable[ModuleType]) -> None:
        self.namespace = namespace
        self.modules = tuple(modules)
        self.classes: tuple[type[Any], ...] = tuple(c for m in self.modules for c in declared_in(m))
        self._kinds: dict[type[Any], Kind] = {}
        self._codecs: dict[Scalar, ScalarCodec] = {}

    def __repr__(self) -> str:
        return f"SchemaSet({self.namespace!r})"

    # --- what the compiler asks ---

    def kind(self, cls: type[Any]) -> Kind:
        """The grammar of a class in this set."""
        kind = self._kinds.get(cls)
        if kind is None:
            kind = self._kinds[cls] = Kind(cls, functools.partial(compile_kind, context=self))
        return kind

    def codec(self, scalar: Scalar) -> ScalarCodec:
        """The codec of a simple type."""
        codec = self._codecs.get(scalar)
        if codec is None:
            codec = self._codecs[scalar] = codec_for(scalar)
        return codec

    def substitutes(self, cls: type[Any]) -> tuple[type[Any], ...]:
        """All global elements that may stand for the global element `cls`, itself included."""
        return self._substitutions.get(cls, (cls,))

    @functools.cached_property
    def _substitutions(self) -> Mapping[type[Any], tuple[type[Any], ...]]:
        groups: dict[type[Any], list[type[Any]]] = {}
        for cls in self.classes:
            head = info_of(cls).substitutes
            while head is not None:
                groups.setdefault(head, [head]).append(cls)
                head = info_of(head).substitutes
        return {head: tuple(sorted(found, key=_qname_of)) for head, found in groups.items()}

    # --- document and fragment ---

    @functools.cached_property
    def elements(self) -> tuple[Element, ...]:
        """All global elements, in the order of their document codes."""
        found = [Element(_qname_of(cls), cls) for cls in self.classes if info_of(cls).element]
        return tuple(sorted(found, key=lambda e: e.qname))

    @functools.cached_property
    def document_codes(self) -> Mapping[QName, int]:
        """Document code by element name."""
        return MappingProxyType({element.qname: code for code, element in enumerate(self.elements)})

    @functools.cached_property
    def roots(self) -> Mapping[type[Any], tuple[Element, int]]:
        """Element and document code by class."""
        return MappingProxyType(
            {e.cls: (e, code) for code, e in enumerate(self.elements) if e.cls is not None}
        )

    @functools.cached_property
    def document_width(self) -> int:
        """Bits of a document code: one code per global element and one for SE(*)."""
        return len(self.elements).bit_length()

    @functools.cached_property
    def fragment_elements(self) -> tuple[Element, ...]:
        """All element names declared anywhere in the set, in the order of their fragment codes."""
        types: dict[QName, dict[Any, Element]] = {}
        for cls in self.classes:
            for element in _declared_elements(cls):
                identity = element.scalar or type_identity(typing.cast("type[Any]", element.cls))
                types.setdefault(element.qname, {}).setdefault(identity, element)
        return tuple(
            next(iter(found.values())) if len(found) == 1 else Element(qname)
            for qname, found in sorted(types.items())
        )

    @functools.cached_property
    def fragment_codes(self) -> Mapping[QName, int]:
        """Fragment code by element name."""
        return MappingProxyType({element.qname: code for code, element in enumerate(self.fragment_elements)})

    @functools.cached_property
    def fragment_width(self) -> int:
        """Bits of a fragment code: the names, SE(*) and ED."""
        return (len(self.fragment_elements) + 1).bit_length()

    @functools.cached_property
    def attribute_names(self) -> tuple[QName, ...]:
        """All attribute names declared anywhere in the set, sorted."""
        return tuple(
            sorted({_field_qname(f) for c in self.classes for f in _own(c) if f.kind == "attribute"})
        )

    # --- names ---

    def class_named(self, name: str, namespace: str | None = None) -> type[Any] | None:
        """The class of a global element by local name, None if there is none."""
        for element in self.elements:
            if element.qname.name == name and namespace in (None, element.qname.namespace):
                return element.cls
        return None

    def element_of(self, cls: type[Any]) -> QName | None:
        """The name under which a class is an element: its global one, or the only local one."""
        if info_of(cls).element:
            return _qname_of(cls)
        identity = type_identity(cls)
        names = [
            e.qname for e in self.fragment_elements if e.cls is not None and type_identity(e.cls) == identity
        ]
        tagged = [name for name in names if name.name == info_of(cls).tag]
        return names[0] if len(names) == 1 else tagged[0] if tagged else None

    @functools.cached_property
    def types(self) -> Mapping[QName, type[Any]]:
        """The complex types by name (for xsi:type)."""
        found: dict[QName, type[Any]] = {}
        for cls in self.classes:
            identity = type_identity(cls)
            if isinstance(identity, QName):
                found.setdefault(identity, cls)
        return MappingProxyType(found)

    @functools.cached_property
    def string_table(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The initial URI partition and its local names: EXI 1.0 appendix D, then the set's own."""
        names = _all_names(self)
        known = [("", names.pop("", set())), (XML_NAMESPACE, _XML_NAMES), (XSI_NAMESPACE, _XSI_NAMES)]
        known += [(XSD_NAMESPACE, _XSD_NAMES), *sorted(names.items())]
        return tuple((uri, tuple(sorted(found))) for uri, found in known)


def declared_in(module: ModuleType) -> tuple[type[Any], ...]:
    """The schema classes a module declares itself, in the order of declaration."""
    return tuple(
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and isinstance(value.__dict__.get("__schema__"), TypeInfo)
    )


def type_identity(cls: type[Any]) -> Any:
    """What makes two classes the same schema type: a type name, a simple type, or the class itself."""
    fields = fields_of(cls)
    if len(fields) == 1 and fields[0].kind == "content":
        return fields[0].scalar
    name = info_of(cls).type_name
    if not name:
        return cls
    owner = [
        base for base in cls.__mro__ if "__schema__" in base.__dict__ and info_of(base).type_name == name
    ][-1]
    return QName(name, info_of(owner).namespace)


def _qname_of(cls: type[Any]) -> QName:
    info = info_of(cls)
    return QName(info.tag, info.namespace)


def _field_qname(field: Field) -> QName:
    return QName(field.name, field.namespace)


def _own(cls: type[Any]) -> list[Field]:
    """The fields a class declares itself."""
    return [field for field in fields_of(cls) if field.owner is cls]


def _declared_elements(cls: type[Any]) -> Iterable[Element]:
    """The elements a class declares: itself where global, and its local elements."""
    if info_of(cls).element:
        yield Element(_qname_of(cls), cls)
    for field in _own(cls):
        if field.kind != "element" or field.is_reference:
            continue
        if field.scalar is not None:
            yield Element(_field_qname(field), None, field.scalar)
        elif not field.is_choice:
            yield Element(_field_qname(field), field.classes[0])
        else:
            for alternative in field.classes:
                info = info_of(alternative)
                if not info.element:
                    yield Element(QName(info.tag, field.namespace), alternative)


def _all_names(schema_set: SchemaSet) -> dict[str, set[str]]:
    """Element, attribute and type names of a set, by namespace."""
    names: dict[str, set[str]] = {info_of(cls).namespace: set() for cls in schema_set.classes}
    for element in schema_set.fragment_elements:
        names.setdefault(element.qname.namespace, set()).add(element.qname.name)
    for attribute in schema_set.attribute_names:
        names.setdefault(attribute.namespace, set()).add(attribute.name)
    for qname in schema_set.types:
        names[qname.namespace].add(qname.name)
    seen: set[str] = set()
    for module in schema_set.modules:
        simple = _simple_types(module) - seen
        names[info_of(declared_in(module)[0]).namespace] |= simple
        seen |= simple
    return names


def _simple_types(module: ModuleType) -> set[str]:
    """The names of the simple types a module declares or imports."""
    found = set()
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, enum.Enum) and issubclass(value, V2GEnum):
            if value.__module__ == module.__name__:
                found.add(value.__schema_name__)
            continue
        for marker in getattr(value, "__metadata__", ()):
            found.add(getattr(marker, "name", "") if isinstance(marker, Scalar) else "")
    return found - {""}


__all__ = ["Element", "SchemaSet", "declared_in", "global_element", "type_identity"]
