"""Who is who in Plug & Charge, and what each one's certificate looks like, as data.

`Rules` are what a protocol demands of every certificate, a `Profile` is one role's. Issuing takes its values from
here; validation its demands. Sources: ISO 15118-2 Annex F, ISO 15118-20 Annex B.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from certs.curves import ED448, SECP256R1, SECP521R1, Curve
from certs.errors import CertsError
from certs.ids import Kind


class Role(enum.Enum):
    """What a certificate is for. The value is also the name of its directory."""

    V2G_ROOT = "v2g-root"
    CPO_SUB_1 = "cpo-sub1"
    CPO_SUB_2 = "cpo-sub2"
    SECC = "secc"
    CPS_SUB_1 = "cps-sub1"
    CPS_SUB_2 = "cps-sub2"
    CPS = "cps"
    OEM_ROOT = "oem-root"
    OEM_SUB_1 = "oem-sub1"
    OEM_SUB_2 = "oem-sub2"
    PROVISIONING = "provisioning"
    VEHICLE_SUB_1 = "vehicle-sub1"
    VEHICLE_SUB_2 = "vehicle-sub2"
    VEHICLE = "vehicle"
    MO_ROOT = "mo-root"
    MO_SUB_1 = "mo-sub1"
    MO_SUB_2 = "mo-sub2"
    CONTRACT = "contract"
    OCSP = "ocsp"
    CROSS = "cross"


class Usage(enum.Enum):
    """Key usages; the value is the name of the flag in `cryptography.x509.KeyUsage`."""

    SIGNATURE = "digital_signature"
    COMMITMENT = "content_commitment"  # nonRepudiation
    KEY_ENCIPHERMENT = "key_encipherment"
    DATA_ENCIPHERMENT = "data_encipherment"
    AGREEMENT = "key_agreement"
    CERT_SIGN = "key_cert_sign"
    CRL_SIGN = "crl_sign"
    ENCIPHER_ONLY = "encipher_only"
    DECIPHER_ONLY = "decipher_only"


Usages = frozenset[Usage]
CA_USAGE: Final[Usages] = frozenset({Usage.CERT_SIGN, Usage.CRL_SIGN})
_CERT_SIGN: Final[Usages] = frozenset({Usage.CERT_SIGN})
NO_LEAF_USAGE: Final[Usages] = CA_USAGE
_SIGNS: Final[Usages] = frozenset({Usage.SIGNATURE})
_SIGNS_AND_AGREES: Final[Usages] = _SIGNS | {Usage.AGREEMENT}
_NO_CONTRACT_USAGE: Final[Usages] = CA_USAGE | {
    Usage.DATA_ENCIPHERMENT,
    Usage.ENCIPHER_ONLY,
    Usage.DECIPHER_ONLY,
}

ANY: Final = ".*"


@dataclass(frozen=True, slots=True)
class Profile:
    """One role's certificate.

    `issuer` None: self-signed, or (OCSP) issued by whichever CA it answers for. `days` is the validity that is issued.
    `domain` is the DC that is issued, `domains` the pattern of those accepted (several are joined by a comma).
    `usage` is issued; a verifier insists on `demanded` and refuses `forbidden`. `extended` is the extended key usage
    that is issued and demanded; without it none may be there. `identifier` is what the CN has to be.
    `anchors` are the roots a chain may end at. `path_length` belongs to CAs, None is no limit.
    """

    role: Role
    issuer: Role | None
    days: int
    ca: bool = False
    path_length: int | None = None
    domain: str = ""
    domains: str = ANY
    usage: Usages = _SIGNS
    demanded: Usages = _SIGNS
    forbidden: Usages = NO_LEAF_USAGE
    extended: ObjectIdentifier | None = None
    identifier: Kind | None = None
    anchors: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a protocol demands of every certificate.

    `max_octets` is the size of a DER certificate of a peer. `short_key_id`: 8 octets instead of 20. `allowed` are the
    extensions a certificate may carry at all in a role of `strict_extensions`, and the only ones that may be critical.
    """

    name: str
    curves: tuple[Curve, ...]
    max_octets: int
    short_key_id: bool
    profiles: Mapping[Role, Profile]
    strict_extensions: frozenset[Role] = frozenset()

    @property
    def authorities(self) -> tuple[Profile, ...]:
        """The roots and sub-CAs a PKI consists of, in the order they are issued."""
        return tuple(p for p in self.profiles.values() if p.ca and p.role is not Role.CROSS)

    def profile(self, role: Role) -> Profile:
        """The profile of a role; CertsError where the protocol has no such role."""
        try:
            return self.profiles[role]
        except KeyError:
            raise CertsError(
                f"role {role.value}", f"{self.name} has no such certificate", next_step=f"Use {_names(self)}"
            ) from None


def _names(rules: Rules) -> str:
    return ", ".join(role.value for role in rules.profiles)


KNOWN_EXTENSIONS: Final = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_INFORMATION_ACCESS,
    }
)
"""What the profiles may contain, marked critical or not."""

_YEAR: Final = 365
_V2G: Final = (Role.V2G_ROOT,)


def _branch(
    root: Role, subs: tuple[Role, Role], domain: str, days: tuple[int, int]
) -> tuple[Profile, Profile]:
    """The two sub-CAs of a branch; below the second stand leaves."""
    first, second = subs
    return (
        Profile(first, root, days[0], True, 1, domain, ANY, CA_USAGE, _CERT_SIGN, frozenset()),
        Profile(second, first, days[1], True, 0, domain, ANY, CA_USAGE, _CERT_SIGN, frozenset()),
    )


def _tariff_signers(branch: tuple[Profile, Profile]) -> tuple[Profile, Profile]:
    """The lower sub-CA of a mobility operator also signs the tariffs of ISO 15118-2."""
    first, second = branch
    return first, dataclasses.replace(second, usage=CA_USAGE | {Usage.SIGNATURE, Usage.COMMITMENT})


def _cross(domain: str) -> Profile:
    """A root vouches for another root, below which stand its two sub-CAs."""
    return dataclasses.replace(_root(Role.CROSS, domain), issuer=Role.V2G_ROOT, days=4 * _YEAR, path_length=2)


def _root(role: Role, domain: str) -> Profile:
    return Profile(role, None, 40 * _YEAR, True, None, domain, ANY, CA_USAGE, _CERT_SIGN, frozenset())


_CPO: Final = (Role.CPO_SUB_1, Role.CPO_SUB_2)
_CPS: Final = (Role.CPS_SUB_1, Role.CPS_SUB_2)
_OEM: Final = (Role.OEM_SUB_1, Role.OEM_SUB_2)
_VEHICLE: Final = (Role.VEHICLE_SUB_1, Role.VEHICLE_SUB_2)
_MO: Final = (Role.MO_SUB_1, Role.MO_SUB_2)
_OPERATORS: Final = (4 * _YEAR, 2 * _YEAR)
_MAKERS: Final = (30 * _YEAR, 25 * _YEAR)


def _table(*profiles: Profile) -> Mapping[Role, Profile]:
    return MappingProxyType({profile.role: profile for profile in profiles})


ISO2: Final = Rules(
    "iso15118-2",
    (SECP256R1,),
    800,
    False,
    _table(
        _root(Role.V2G_ROOT, "V2G"),
        _root(Role.OEM_ROOT, "OEM"),
        _root(Role.MO_ROOT, "MO"),
        *_branch(Role.V2G_ROOT, _CPO, "V2G", _OPERATORS),
        *_branch(Role.V2G_ROOT, _CPS, "V2G", _OPERATORS),
        *_branch(Role.OEM_ROOT, _OEM, "OEM", _MAKERS),
        *_tariff_signers(_branch(Role.MO_ROOT, _MO, "MO", (4 * _YEAR, 4 * _YEAR))),
        Profile(
            Role.SECC,
            Role.CPO_SUB_2,
            90,
            domain="CPO",
            domains="CPO",
            usage=_SIGNS_AND_AGREES,
            anchors=_V2G,
        ),
        Profile(Role.CPS, Role.CPS_SUB_2, 90, domain="CPS", domains="CPS", anchors=_V2G),
        Profile(
            Role.PROVISIONING,
            Role.OEM_SUB_2,
            20 * _YEAR,
            domain="OEM",
            domains="OEM",
            usage=_SIGNS_AND_AGREES,
            demanded=_SIGNS_AND_AGREES,
            identifier=Kind.PCID,
            anchors=(Role.OEM_ROOT, Role.V2G_ROOT),
        ),
        Profile(
            Role.CONTRACT,
            Role.MO_SUB_2,
            2 * _YEAR,
            domain="MO",
            domains="MO|",
            usage=_SIGNS_AND_AGREES | {Usage.COMMITMENT, Usage.KEY_ENCIPHERMENT},
            identifier=Kind.EMAID,
            anchors=(Role.MO_ROOT, Role.V2G_ROOT),
        ),
        Profile(Role.OCSP, None, 90, extended=ExtendedKeyUsageOID.OCSP_SIGNING),
        _cross("V2G"),
    ),
)
"""The domain component tells the roles apart: a contract must not pass for a station."""

ISO20: Final = Rules(
    "iso15118-20",
    (SECP521R1, ED448),
    1600,
    True,
    _table(
        _root(Role.V2G_ROOT, ""),
        _root(Role.OEM_ROOT, ""),
        _root(Role.MO_ROOT, ""),
        *_branch(Role.V2G_ROOT, _CPO, "", _OPERATORS),
        *_branch(Role.V2G_ROOT, _CPS, "", _OPERATORS),
        *_branch(Role.OEM_ROOT, _OEM, "", _MAKERS),
        *_branch(Role.OEM_ROOT, _VEHICLE, "", _MAKERS),
        *_branch(Role.MO_ROOT, _MO, "", (4 * _YEAR, 4 * _YEAR)),
        Profile(
            Role.SECC,
            Role.CPO_SUB_2,
            90,
            extended=ExtendedKeyUsageOID.SERVER_AUTH,
            identifier=Kind.SECCID,
            anchors=_V2G,
        ),
        # Nothing else keeps a station's certificate from signing contract data: DC is demanded here too.
        Profile(Role.CPS, Role.CPS_SUB_2, 90, domain="CPS", domains="CPS", anchors=_V2G),
        # Edition 1 has CN and O only [V2G20-2598]; Amendment 1 adds one DC that ends in EV.
        Profile(
            Role.VEHICLE,
            Role.VEHICLE_SUB_2,
            10 * _YEAR,
            domains="([^,]*EV)?",
            extended=ExtendedKeyUsageOID.CLIENT_AUTH,
            identifier=Kind.EVCCID,
            anchors=(Role.OEM_ROOT, Role.V2G_ROOT),
        ),
        # The key also receives the contract key [V2G20-822].
        Profile(
            Role.PROVISIONING,
            Role.OEM_SUB_2,
            20 * _YEAR,
            usage=_SIGNS_AND_AGREES,
            demanded=_SIGNS_AND_AGREES,
            identifier=Kind.PCID,
            anchors=(Role.OEM_ROOT, Role.V2G_ROOT),
        ),
        Profile(
            Role.CONTRACT,
            Role.MO_SUB_2,
            2 * _YEAR,
            forbidden=_NO_CONTRACT_USAGE,
            identifier=Kind.EMAID,
            anchors=(Role.MO_ROOT, Role.V2G_ROOT),
        ),
        Profile(Role.OCSP, None, 90, extended=ExtendedKeyUsageOID.OCSP_SIGNING),
        _cross(""),
    ),
    strict_extensions=frozenset({Role.CONTRACT}),
)

ISO20_LAB_P256: Final = dataclasses.replace(ISO20, name="iso15118-20-lab-p256", curves=(SECP256R1,))
"""Not conformant: for peers in a laboratory whose ISO 15118-20 certificates are on the curve of ISO 15118-2."""

PROTOCOLS: Final = MappingProxyType({rules.name: rules for rules in (ISO20, ISO2, ISO20_LAB_P256)})

LEAF_ROLES: Final = (Role.SECC, Role.VEHICLE, Role.PROVISIONING, Role.CONTRACT, Role.CPS)
ROOT_ROLES: Final = (Role.V2G_ROOT, Role.OEM_ROOT, Role.MO_ROOT)


def rules_of(protocol: str) -> Rules:
    """The rules of a protocol by its name; CertsError names those there are."""
    try:
        return PROTOCOLS[protocol]
    except KeyError:
        raise CertsError(f"protocol {protocol!r}", f"accepted: {', '.join(PROTOCOLS)}") from None


def role_of(name: str) -> Role:
    """The role of a name such as "secc"; CertsError names those there are."""
    try:
        return Role(name)
    except ValueError:
        raise CertsError(f"role {name!r}", f"accepted: {', '.join(role.value for role in Role)}") from None
