"""The declaration vocabulary: how an XML schema type is written as a Python class.

A message or type is declared once, as a frozen dataclass decorated with `schema_type`.
Everything else (EXI grammar, XML, JSON, reference docs, schema checks) is derived from
that declaration by `fields_of` and the grammar compiler; nothing here reads a schema file.

Naming: the class name is the standard's element or type name; field names are snake_case
and the XML name follows by the one rule in `xml_name`, or by an explicit `Xml("...")`.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import itertools
import operator
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, dataclass_transform

from iso15118.record import record, value_class

T = TypeVar("T")
R = TypeVar("R")


# --- scalars: the simple types, as values -----------------------------------------------------


@value_class
class Boolean:
    """xs:boolean: one bit."""

    name: str = ""


@value_class
class Integer:
    """A restriction of xs:integer. Bounds are inclusive; None means unbounded.

    `builtin` is the XML Schema built-in the type derives from, `name` the schema's own name
    for the restriction (empty when the built-in is used directly).
    """

    builtin: str
    minimum: int | None = None
    maximum: int | None = None
    name: str = ""


@value_class
class Text:
    """A restriction of xs:string, xs:anyURI or xs:ID; lengths count Unicode code points."""

    builtin: str = "string"
    max_length: int | None = None
    name: str = ""


@value_class
class Binary:
    """A restriction of xs:hexBinary or xs:base64Binary; lengths count octets.

    `other_lengths` are allowed too, where the text of the standard asks for what its own schema does not have.
    """

    builtin: str
    min_length: int | None = None
    max_length: int | None = None
    name: str = ""
    other_lengths: tuple[int, ...] = ()


@value_class
class Enumeration:
    """An enumerated string; the member order is the schema order and so the EXI index."""

    members: type[enum.Enum]
    name: str = ""


Scalar = Boolean | Integer | Text | Binary | Enumeration


class V2GEnum(str, enum.Enum):
    """Base of all enumerations: the value is the XML text, the order is the schema order.

    `schema_name` (a class keyword) is the schema's name of the simple type.
    """

    __schema_name__: typing.ClassVar[str]

    def __init_subclass__(cls, schema_name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__schema_name__ = schema_name

    def __str__(self) -> str:
        return str(self.value)


Bool = Annotated[bool, Boolean()]
Byte = Annotated[int, Integer("byte", -128, 127)]
Short = Annotated[int, Integer("short", -32768, 32767)]
Int = Annotated[int, Integer("int", -(2**31), 2**31 - 1)]
UnsignedByte = Annotated[int, Integer("unsignedByte", 0, 255)]
UnsignedShort = Annotated[int, Integer("unsignedShort", 0, 65535)]
UnsignedInt = Annotated[int, Integer("unsignedInt", 0, 2**32 - 1)]
UnsignedLong = Annotated[int, Integer("unsignedLong", 0, 2**64 - 1)]
BigInteger = Annotated[int, Integer("integer")]
String = Annotated[str, Text("string")]
AnyURI = Annotated[str, Text("anyURI")]
XmlId = Annotated[str, Text("ID")]
HexBinary = Annotated[bytes, Binary("hexBinary")]
Base64Binary = Annotated[bytes, Binary("base64Binary")]


# --- markers inside Annotated -----------------------------------------------------------------


@value_class
class Xml:
    """The XML name of a field, where the naming rule does not give it."""

    name: str


@value_class
class Occurs:
    """How often a list field occurs; `maximum` None means unbounded."""

    minimum: int = 0
    maximum: int | None = None


@value_class
class Attribute:
    """The field is an XML attribute. `qualified`: in the namespace of its schema, else in none."""

    qualified: bool = True


@value_class
class Content:
    """The field is the character content of a simple type or of a complex type with simple content."""


# --- content models beyond "all fields in order" ----------------------------------------------


@value_class
class Group:
    """A particle of a content model written by hand: fields or groups, in sequence or choice.

    `parts` names fields of the class (or nests groups): "attr" stands for the field exactly once (a
    list field: as often as it declares), "attr:Tag" for one alternative of a choice field and
    "attr:*" for its wildcard. Only xmldsig needs it.
    """

    kind: typing.Literal["sequence", "choice"]
    parts: tuple[str | Group, ...]
    minimum: int = 1
    maximum: int | None = 1


@value_class
class AnyElement:
    """An element matched by a wildcard and not known to the schema set.

    `attributes` are (namespace, local name, value); `children` mixes text (str), AnyElement
    and schema objects (an element known to the set, kept typed).
    """

    namespace: str
    name: str
    attributes: tuple[tuple[str, str, str], ...] = ()
    children: tuple[Any, ...] = ()


# --- the class decorator ----------------------------------------------------------------------


@value_class
class TypeInfo:
    """What a class declares about itself.

    `tag` is the element name the class carries where it is an element of its own: a global
    element (`element`), a member of a substitution group, or an alternative of a choice.
    """

    namespace: str
    type_name: str
    tag: str
    element: bool
    abstract: bool
    substitutes: type[Any] | None
    mixed: bool
    content: Group | None
    qualified: bool
    own_fields: tuple[str, ...]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def schema_type(
    namespace: str,
    *,
    type_name: str | None = None,
    tag: str | None = None,
    element: bool = False,
    abstract: bool = False,
    substitutes: type[Any] | None = None,
    mixed: bool = False,
    content: Group | None = None,
    qualified: bool = True,
) -> Callable[[type[T]], type[T]]:
    """Declare a complex type (and, with `element`, the global element of the same name).

    `type_name` defaults to the class name + "Type"; "" means anonymous. `substitutes` names the
    head of the substitution group. `qualified` False: local elements carry no namespace.
    """

    def declare(cls: type[T]) -> type[T]:
        made = record(cls)
        info = TypeInfo(
            namespace=namespace,
            type_name=made.__name__ + "Type" if type_name is None else type_name,
            tag=made.__name__ if tag is None else tag,
            element=element,
            abstract=abstract,
            substitutes=substitutes,
            mixed=mixed,
            content=content,
            qualified=qualified,
            own_fields=tuple(inspect.get_annotations(cls)),
        )
        made.__schema__ = info  # type: ignore[attr-defined]
        return made

    return declare


def info_of(cls: type[Any]) -> TypeInfo:
    """The declaration of a schema class; TypeError where `cls` is none."""
    info = cls.__dict__.get("__schema__")
    if not isinstance(info, TypeInfo):
        raise TypeError(f"{cls.__name__} is not declared with @schema_type")
    return info


# --- fields, as the grammar compiler wants them -----------------------------------------------


@value_class
class Field:
    """One field of a schema class, resolved.

    `scalar` is set for simple values, `classes` for complex ones: one class for a plain element,
    several for a choice. `any` tells that wildcard elements are allowed, `text` that mixed
    character content is kept in this list. `maximum` None means unbounded.
    """

    attr: str
    name: str
    namespace: str
    owner: type[Any]
    kind: typing.Literal["element", "attribute", "content"]
    scalar: Scalar | None
    classes: tuple[type[Any], ...]
    any: bool
    text: bool
    is_list: bool
    minimum: int
    maximum: int | None

    @property
    def is_choice(self) -> bool:
        """Whether the alternatives carry their own element names (a choice of elements)."""
        return len(self.classes) + self.any > 1 or (self.any and not self.classes)

    @property
    def is_reference(self) -> bool:
        """Whether the field refers to a global element (and so to its substitution group)."""
        if len(self.classes) != 1 or self.any:
            return False
        info = info_of(self.classes[0])
        return info.element and info.tag == self.name


def cached_per_class(function: Callable[[type[Any]], R]) -> Callable[[type[Any]], R]:
    """`functools.cache` for a function of a class; mypy does not take classes for hashable."""
    return typing.cast("Callable[[type[Any]], R]", functools.cache(function))


@cached_per_class
def fields_of(cls: type[Any]) -> tuple[Field, ...]:
    """All fields of a schema class in schema order, the base type's first."""
    hints = typing.get_type_hints(cls, include_extras=True)
    owners = {}
    for base in reversed(cls.__mro__):
        info = base.__dict__.get("__schema__")
        if isinstance(info, TypeInfo):
            owners.update(dict.fromkeys(info.own_fields, base))
    return tuple(_resolve(f.name, hints[f.name], owners[f.name]) for f in dataclasses.fields(cls))


def _resolve(attr: str, hint: Any, owner: type[Any]) -> Field:
    hint, markers = _strip(hint)
    hint, optional = _drop_none(hint)
    hint, inner = _strip(hint)
    markers += inner
    occurs = next((m for m in markers if isinstance(m, Occurs)), None)
    is_list = typing.get_origin(hint) is tuple
    if is_list:
        hint = typing.get_args(hint)[0]
        hint, inner = _strip(hint)
        markers += inner
        occurs = occurs or Occurs()
    scalar = next((m for m in markers if isinstance(m, Scalar)), None)
    attribute = next((m for m in markers if isinstance(m, Attribute)), None)
    is_content = any(isinstance(m, Content) for m in markers)
    alternatives = _alternatives(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        scalar = Enumeration(hint, getattr(hint, "__schema_name__", ""))
    explicit = next((m.name for m in markers if isinstance(m, Xml)), None)
    info = info_of(owner)
    namespace = info.namespace
    if (attribute and not attribute.qualified) or (not attribute and not info.qualified):
        namespace = ""
    name = explicit or xml_name(attr)
    classes = () if scalar else tuple(a for a in alternatives if hasattr(a, "__schema__"))
    if len(classes) == 1 and not is_content:
        only = info_of(classes[0])
        if only.element and only.tag == name:
            namespace = only.namespace
    return Field(
        attr=attr,
        name=name,
        namespace=namespace,
        owner=owner,
        kind="attribute" if attribute else "content" if is_content else "element",
        scalar=scalar,
        classes=classes,
        any=AnyElement in alternatives,
        text=str in alternatives and scalar is None,
        is_list=is_list,
        minimum=occurs.minimum if occurs else 0 if optional else 1,
        maximum=occurs.maximum if occurs else 1,
    )


def _strip(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Take Annotated apart: the bare type and the markers."""
    if typing.get_origin(hint) is Annotated:
        bare, *markers = typing.get_args(hint)
        return bare, tuple(markers)
    return hint, ()


def _drop_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    args = typing.get_args(hint)
    rest = [a for a in args if a is not type(None)]
    if len(rest) == len(args):
        return hint, False
    return functools.reduce(operator.or_, rest), True


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


# --- the naming rule --------------------------------------------------------------------------

_ACRONYMS: typing.Final[frozenset[str]] = frozenset(
    "ac acdp bpt cl cpd cps crl dc der dh dso ecdh eim eirp ev evcc evpc evse evseid evid frt hmac id ieee ip lf oem "
    "pd pgp pt1 rssi secc sd sdp secp521 ski soc spc spki ssid bssid tpm uri v2x vas wlan wpt x448 x509".split()
)
_SPECIAL: typing.Final[dict[str, str]] = {
    "cosphi": "CosPhi",
    "emaid": "EMAID",
    "emaids": "EMAIDs",
    "ids": "IDs",
    "l2": "_L2",
    "l3": "_L3",
    "pnc": "PnC",
    "varh": "VARh",
}


_PREFIXES: typing.Final[frozenset[str]] = frozenset({"ac", "bpt", "dc", "lf", "wpt"})


def xml_name(attr: str) -> str:
    """The XML name of a snake_case field name: acronyms upper, other words capitalised, joined.

    A prefix of the energy transfer mode at the beginning keeps its underscore: `bpt_channel_selection`
    is BPT_ChannelSelection.
    """
    words = attr.split("_")
    leading = list(itertools.takewhile(_PREFIXES.__contains__, words))
    return "".join([f"{w.upper()}_" for w in leading] + [_word(w) for w in words[len(leading) :]])


def _word(word: str) -> str:
    if word in _SPECIAL:
        return _SPECIAL[word]
    return word.upper() if word in _ACRONYMS else word[:1].upper() + word[1:]
