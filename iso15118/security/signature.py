"""XML signatures over EXI fragments: made one way, verified in the order that leaves no gap.

A signature covers elements by their Id. Verification demands that the references are exactly the elements that have to
be signed, so that a valid signature over something else proves nothing (ISO 15118-20 clause 7.9.2).
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from iso15118.errors import CodecError
from iso15118.exi.fragment import fragment, signed_info_forms
from iso15118.exi.grammar import SchemaSet
from iso15118.exi.options import DEFAULT, Options
from iso15118.messages import namespaces, xmldsig
from iso15118.messages.registry import schema_set
from iso15118.security.algorithms import CANONICAL_EXI, ISO20, Algorithms, SigningKey, for_key

MAX_REFERENCES: Final = 8
"""A signature of ISO 15118 covers one to four elements."""


class Flaw(enum.Enum):
    """What is wrong with a signature, in the order it is looked for."""

    MISSING = "there is no signature"
    FORM = "the signature has parts that ISO 15118 forbids"
    REFERENCES = "the signed elements are not those that have to be signed"
    ALGORITHM = "the algorithms are not allowed or do not fit the key"
    DIGEST = "a signed element was changed"
    VALUE = "the signature value does not belong to this key and content"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a verification. `form` tells which SignedInfo grammar matched: "standalone" or "combined"."""

    flaw: Flaw | None = None
    detail: str = ""
    algorithms: str = ""
    form: str = ""

    @property
    def ok(self) -> bool:
        """Whether the signature is right."""
        return self.flaw is None

    def __str__(self) -> str:
        if self.flaw is None:
            return f"valid ({self.algorithms}, {self.form})"
        return f"{self.flaw.value}: {self.detail}" if self.detail else self.flaw.value


def sign(
    elements: Mapping[str, Any], key: SigningKey, algorithms: Algorithms, signed_set: SchemaSet
) -> xmldsig.Signature:
    """The Signature over `elements` (Id -> the element) for a message header; the Ids must be the elements' own."""
    references = tuple(
        xmldsig.Reference(
            uri=f"#{identifier}",
            transforms=xmldsig.Transforms(transform=(xmldsig.Transform(algorithm=CANONICAL_EXI),)),
            digest_method=xmldsig.DigestMethod(algorithm=algorithms.digest_uri),
            digest_value=xmldsig.DigestValue(value=algorithms.digest(fragment(element, signed_set))),
        )
        for identifier, element in elements.items()
    )
    signed_info = xmldsig.SignedInfo(
        canonicalization_method=xmldsig.CanonicalizationMethod(algorithm=CANONICAL_EXI),
        signature_method=xmldsig.SignatureMethod(algorithm=algorithms.signature_uri),
        reference=references,
    )
    (octets,) = signed_info_forms(signed_info, _xmldsig_set())
    return xmldsig.Signature(
        signed_info=signed_info,
        signature_value=xmldsig.SignatureValue(value=algorithms.sign(key, octets)),
    )


def verify(
    signature: xmldsig.Signature | None,
    elements: Mapping[str, Any],
    public_key: Any,
    signed_set: SchemaSet,
    *,
    allowed: tuple[Algorithms, ...] = ISO20,
    combined: bool = True,
    options: Options = DEFAULT,
) -> Verdict:
    """Whether `signature` covers exactly `elements` (Id -> decoded element) under `public_key`.

    `options` carries the spelling of empty values met in the message, since the digest covers its sender's bits.
    `combined` also accepts SignedInfo in the grammar of the message's own set, which some implementations sign. The
    signer's certificate is not judged here. Never raises on what a peer sent.
    """
    if signature is None:
        return Verdict(Flaw.MISSING)
    algorithms = for_key(public_key, allowed)
    # Facets are the business of whoever accepts the element; here only the bits count that were signed.
    options = replace(options, facets=False)
    try:
        flawed = _form(signature) or _references(signature, elements) or _algorithms(signature, algorithms)
        if flawed is not None:
            return flawed
        assert algorithms is not None
        return _digests(signature, elements, algorithms, signed_set, options) or _value(
            signature, public_key, algorithms, signed_set if combined else None, options
        )
    except CodecError as error:
        return Verdict(Flaw.DIGEST, f"a signed element cannot be encoded again: {error}")


def _form(signature: xmldsig.Signature) -> Verdict | None:
    """Parts that a signature of this protocol never has: they only help a forger [V2G20-764]."""
    info = signature.signed_info
    parts: list[tuple[str, Any]] = [
        ("SignedInfo/Id", info.id),
        ("SignatureValue/Id", signature.signature_value.id),
        ("KeyInfo", signature.key_info),
        ("Object", signature.object or None),
        ("HMACOutputLength", info.signature_method.hmac_output_length),
        ("CanonicalizationMethod content", info.canonicalization_method.items or None),
        ("SignatureMethod content", info.signature_method.items or None),
    ]
    for reference in info.reference:
        transforms = _transforms(reference)
        parts.append(("Reference/Type", reference.type))
        parts.append(("DigestMethod content", reference.digest_method.items or None))
        parts += [("Transform content", transform.items or None) for transform in transforms]
        parts.append(("a second Transform", transforms[1:] or None))
    found = dict.fromkeys(name for name, value in parts if value is not None)
    return Verdict(Flaw.FORM, ", ".join(found)) if found else None


def _transforms(reference: xmldsig.Reference) -> tuple[xmldsig.Transform, ...]:
    """Many leave the one Transform out, and it is optional in the schema."""
    return reference.transforms.transform if reference.transforms is not None else ()


def _references(signature: xmldsig.Signature, elements: Mapping[str, Any]) -> Verdict | None:
    """Exactly the elements that have to be signed, each once."""
    named = [reference.uri or "" for reference in signature.signed_info.reference[: MAX_REFERENCES + 1]]
    wanted = {f"#{identifier}" for identifier in elements}
    if len(named) != len(wanted) or set(named) != wanted:
        return Verdict(Flaw.REFERENCES, f"signed: {', '.join(named)}; expected: {', '.join(sorted(wanted))}")
    return None


def _algorithms(signature: xmldsig.Signature, algorithms: Algorithms | None) -> Verdict | None:
    """Those of the key's curve, in every place."""
    if algorithms is None:
        return Verdict(Flaw.ALGORITHM, "the key is on a curve this protocol does not use")
    info = signature.signed_info
    told = [
        (info.canonicalization_method.algorithm, CANONICAL_EXI),
        (info.signature_method.algorithm, algorithms.signature_uri),
    ]
    for reference in info.reference:
        told += [(transform.algorithm, CANONICAL_EXI) for transform in _transforms(reference)]
        told.append((reference.digest_method.algorithm, algorithms.digest_uri))
    wrong = [given for given, right in told if given != right]
    return Verdict(Flaw.ALGORITHM, ", ".join(wrong)) if wrong else None


def _digests(
    signature: xmldsig.Signature,
    elements: Mapping[str, Any],
    algorithms: Algorithms,
    signed_set: SchemaSet,
    options: Options,
) -> Verdict | None:
    for reference in signature.signed_info.reference:
        identifier = (reference.uri or "")[1:]
        digest = algorithms.digest(fragment(elements[identifier], signed_set, options=options))
        if not hmac.compare_digest(digest, reference.digest_value.value):
            return Verdict(Flaw.DIGEST, f"element {identifier}")
    return None


def _value(
    signature: xmldsig.Signature,
    public_key: Any,
    algorithms: Algorithms,
    combined: SchemaSet | None,
    options: Options,
) -> Verdict:
    forms = signed_info_forms(signature.signed_info, _xmldsig_set(), combined, options=options)
    for form, octets in zip(("standalone", "combined"), forms, strict=False):
        if algorithms.verifies(public_key, signature.signature_value.value, octets):
            return Verdict(algorithms=algorithms.name, form=form)
    return Verdict(Flaw.VALUE)


def _xmldsig_set() -> SchemaSet:
    return schema_set(namespaces.XMLDSIG)
