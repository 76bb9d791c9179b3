"""XML Signature (W3C xmldsig-core): the types that carry and cover signatures on this wire.

A schema set of its own for `SignedInfo` (what a SignatureValue covers) and part of every
ISO 15118-20, ISO 15118-2 and DIN set. Only the fields of a plain enveloped reference are ever
used by V2G; the rest is declared so that whatever is legal decodes and re-encodes.
"""

from __future__ import annotations

from typing import Annotated, Final

from iso15118.exi.schema import (
    AnyElement,
    AnyURI,
    Attribute,
    Base64Binary,
    BigInteger,
    Binary,
    Content,
    Group,
    Integer,
    Occurs,
    String,
    Xml,
    XmlId,
    schema_type,
)
from iso15118.messages import namespaces

NS: Final = namespaces.XMLDSIG


# --- simple types, and attributes that occur often --------------------------------------------

CryptoBinary = Annotated[bytes, Binary("base64Binary", None, None, "CryptoBinary")]
DigestValueText = Annotated[bytes, Binary("base64Binary", None, None, "DigestValueType")]
HMACOutputLength = Annotated[int, Integer("integer", None, None, "HMACOutputLengthType")]
Id = Annotated[XmlId | None, Attribute(qualified=False), Xml("Id")]
OptionalURI = Annotated[AnyURI | None, Attribute(qualified=False)]
Algorithm = Annotated[AnyURI, Attribute(qualified=False)]


# --- Signature and SignedInfo -----------------------------------------------------------------


@schema_type(NS, element=True, mixed=True)
class CanonicalizationMethod:
    """How SignedInfo is turned into octets before hashing: canonical EXI on this wire."""

    algorithm: Algorithm
    items: Annotated[tuple[AnyElement | str, ...], Occurs()] = ()


@schema_type(NS, element=True, mixed=True)
class SignatureMethod:
    """The signature algorithm, by URI."""

    algorithm: Algorithm
    hmac_output_length: HMACOutputLength | None = None
    items: Annotated[tuple[AnyElement | str, ...], Occurs()] = ()


@schema_type(NS, type_name="", tag="XPath")
class XPath:
    """An XPath expression of a Transform; never used by V2G."""

    value: Annotated[String, Content()]


@schema_type(NS, element=True, mixed=True)
class Transform:
    """A step between the referenced element and its digest: canonical EXI on this wire."""

    algorithm: Algorithm
    items: Annotated[tuple[AnyElement | XPath | str, ...], Occurs()] = ()


@schema_type(NS, element=True)
class Transforms:
    """The transforms of one Reference, in order."""

    transform: Annotated[tuple[Transform, ...], Occurs(1)]


@schema_type(NS, element=True, mixed=True)
class DigestMethod:
    """The hash algorithm of a Reference, by URI."""

    algorithm: Algorithm
    items: Annotated[tuple[AnyElement | str, ...], Occurs()] = ()


@schema_type(NS, element=True, type_name="DigestValueType")
class DigestValue:
    """The hash of the referenced fragment."""

    value: Annotated[DigestValueText, Content()]


@schema_type(NS, element=True)
class Reference:
    """One signed element: its Id (`uri` = "#" + Id) and the hash of its EXI fragment."""

    id: Id = None
    uri: OptionalURI = None
    type: OptionalURI = None
    transforms: Transforms | None = None
    digest_method: DigestMethod
    digest_value: DigestValue


@schema_type(NS, element=True)
class SignedInfo:
    """What the SignatureValue covers, as a fragment of this schema alone."""

    id: Id = None
    canonicalization_method: CanonicalizationMethod
    signature_method: SignatureMethod
    reference: Annotated[tuple[Reference, ...], Occurs(1)]


@schema_type(NS, element=True)
class SignatureValue:
    """The signature octets: r || s for ECDSA, R || S for EdDSA."""

    id: Id = None
    value: Annotated[Base64Binary, Content()]


# --- KeyInfo and what it may hold -------------------------------------------------------------


@schema_type(NS, element=True, type_name="string")
class KeyName:
    """A name by which the receiver finds the key."""

    value: Annotated[String, Content()]


@schema_type(NS, element=True, type_name="string")
class MgmtData:
    """In-band key data; deprecated by its own standard."""

    value: Annotated[String, Content()]


@schema_type(
    NS,
    element=True,
    content=Group(
        "sequence",
        (
            Group("sequence", ("p", "q"), 0),
            Group("sequence", ("g",), 0),
            "y",
            Group("sequence", ("j",), 0),
            Group("sequence", ("seed", "pgen_counter"), 0),
        ),
    ),
)
class DSAKeyValue:
    """A DSA public key; `p`/`q` and `seed`/`pgen_counter` come in pairs."""

    p: CryptoBinary | None = None
    q: CryptoBinary | None = None
    g: CryptoBinary | None = None
    y: CryptoBinary
    j: CryptoBinary | None = None
    seed: CryptoBinary | None = None
    pgen_counter: CryptoBinary | None = None


@schema_type(NS, element=True)
class RSAKeyValue:
    """An RSA public key."""

    modulus: CryptoBinary
    exponent: CryptoBinary


@schema_type(NS, element=True, mixed=True)
class KeyValue:
    """A bare public key."""

    items: Annotated[tuple[DSAKeyValue | RSAKeyValue | AnyElement | str, ...], Occurs(1, 1)]


@schema_type(NS, element=True)
class RetrievalMethod:
    """Where key data can be fetched."""

    uri: OptionalURI = None
    type: OptionalURI = None
    transforms: Transforms | None = None


@schema_type(NS)
class X509IssuerSerial:
    """A certificate by issuer distinguished name (RFC 2253 text) and serial number."""

    issuer_name: Annotated[String, Xml("X509IssuerName")]
    serial_number: Annotated[BigInteger, Xml("X509SerialNumber")]


@schema_type(NS, type_name="", tag="X509SKI")
class X509SKI:
    """A subject key identifier."""

    value: Annotated[Base64Binary, Content()]


@schema_type(NS, type_name="", tag="X509SubjectName")
class X509SubjectName:
    """A subject distinguished name."""

    value: Annotated[String, Content()]


@schema_type(NS, type_name="", tag="X509Certificate")
class X509Certificate:
    """A DER certificate."""

    value: Annotated[Base64Binary, Content()]


@schema_type(NS, type_name="", tag="X509CRL")
class X509CRL:
    """A DER certificate revocation list."""

    value: Annotated[Base64Binary, Content()]


@schema_type(NS, element=True)
class X509Data:
    """Certificates, or names of them, in any order."""

    items: Annotated[
        tuple[X509IssuerSerial | X509SKI | X509SubjectName | X509Certificate | X509CRL | AnyElement, ...],
        Occurs(1),
    ]


@schema_type(
    NS,
    element=True,
    content=Group(
        "choice",
        (
            Group("sequence", ("key_id", Group("sequence", ("key_packet",), 0), "items")),
            Group("sequence", ("key_packet", "items")),
        ),
    ),
)
class PGPData:
    """A PGP key: an id, a packet, or both."""

    key_id: Annotated[Base64Binary | None, Xml("PGPKeyID")] = None
    key_packet: Annotated[Base64Binary | None, Xml("PGPKeyPacket")] = None
    items: Annotated[tuple[AnyElement, ...], Occurs()] = ()


@schema_type(NS, type_name="", tag="SPKISexp")
class SPKISexp:
    """An SPKI S-expression."""

    value: Annotated[Base64Binary, Content()]


@schema_type(
    NS,
    element=True,
    content=Group("sequence", ("items:SPKISexp", Group("sequence", ("items:*",), 0)), 1, None),
)
class SPKIData:
    """SPKI S-expressions, each optionally followed by one foreign element."""

    items: Annotated[tuple[SPKISexp | AnyElement, ...], Occurs(1)]


@schema_type(NS, element=True, mixed=True)
class KeyInfo:
    """How the receiver finds the verification key."""

    id: Id = None
    items: Annotated[
        tuple[
            KeyName
            | KeyValue
            | RetrievalMethod
            | X509Data
            | PGPData
            | SPKIData
            | MgmtData
            | AnyElement
            | str,
            ...,
        ],
        Occurs(1),
    ]


# --- Object, Manifest, SignatureProperties ----------------------------------------------------


@schema_type(NS, element=True, mixed=True)
class Object:
    """Any further content of a Signature."""

    id: Id = None
    mime_type: Annotated[String | None, Attribute(qualified=False)] = None
    encoding: Annotated[AnyURI | None, Attribute(qualified=False)] = None
    items: Annotated[tuple[AnyElement | str, ...], Occurs()] = ()


@schema_type(NS, element=True)
class Manifest:
    """A list of references whose verification is left to the application."""

    id: Id = None
    reference: Annotated[tuple[Reference, ...], Occurs(1)]


@schema_type(NS, element=True, mixed=True)
class SignatureProperty:
    """A statement about the signature."""

    target: Annotated[AnyURI, Attribute(qualified=False)]
    id: Id = None
    items: Annotated[tuple[AnyElement | str, ...], Occurs(1)]


@schema_type(NS, element=True)
class SignatureProperties:
    """A list of SignatureProperty."""

    id: Id = None
    signature_property: Annotated[tuple[SignatureProperty, ...], Occurs(1)]


@schema_type(NS, element=True)
class Signature:
    """The signature in a message header: what was signed, and the value."""

    id: Id = None
    signed_info: SignedInfo
    signature_value: SignatureValue
    key_info: KeyInfo | None = None
    object: Annotated[tuple[Object, ...], Occurs()] = ()
