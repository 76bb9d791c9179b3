"""Keys in a PKCS#11 token: hardware security modules, secure elements, SoftHSM.

Needs the package `python-pkcs11` (extra `pkcs11`) and the module of the token's maker. Keys are made in the token
and stay there; what they sign and agree on is the same as with a key in a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import load_der_public_key

from certs.curves import ED448, SECP256R1, SECP521R1, Curve, PrivateKey
from certs.errors import CertsError
from certs.keys import HardwareEd448Key, HardwareKey, KeyStore, demand_free, demand_known

_CURVES: Final = (SECP256R1, SECP521R1)
_ED448_PARAMETERS: Final = b"\x13\x0aedwards448"
"""CKA_EC_PARAMS as the curve's name (PrintableString), the form SoftHSM and PKCS#11 3.0 know."""


class Pkcs11KeyStore(KeyStore):
    """The keys of one token. `module` is the path of the maker's library, `label` the token's; `pin` is asked at login."""

    def __init__(self, module: str, label: str, pin: Callable[[], str]) -> None:
        self._pkcs11 = _library()
        self._label = label
        with _told(f"token {label!r}", self._pkcs11):
            self._token = self._pkcs11.lib(module).get_token(token_label=label)
            self._session = self._token.open(rw=True, user_pin=pin())

    def __repr__(self) -> str:
        return f"Pkcs11KeyStore({self._label!r})"

    def close(self) -> None:
        """Log out. Keys of this store cannot be used afterwards."""
        self._session.close()

    def names(self) -> tuple[str, ...]:
        with self._guarded("list of keys"):
            wanted = {self._pkcs11.Attribute.CLASS: self._pkcs11.ObjectClass.PRIVATE_KEY}
            return tuple(sorted({str(key.label) for key in self._session.get_objects(wanted)}))

    def generate(self, name: str, curve: Curve) -> PrivateKey:
        demand_free(name, self.names())
        with self._guarded(f"key {name!r}"):
            public, private = self._pair(name, curve)
            return self._as_key(public, private)

    def load(self, name: str) -> PrivateKey:
        demand_known(name, self.names())
        with self._guarded(f"key {name!r}"):
            private = self._session.get_key(
                object_class=self._pkcs11.ObjectClass.PRIVATE_KEY, label=name, id=name.encode()
            )
            public = self._session.get_key(
                object_class=self._pkcs11.ObjectClass.PUBLIC_KEY, label=name, id=name.encode()
            )
            return self._as_key(public, private)

    def store(self, name: str, key: PrivateKey) -> None:
        """Not offered: a key that was outside the token is not protected by it."""
        raise CertsError(
            f"key {name!r}", "keys are made in the token", next_step="Use generate and a new certificate"
        )

    def delete(self, name: str) -> None:
        demand_known(name, self.names())
        with self._guarded(f"key {name!r}"):
            for found in list(self._session.get_objects({self._pkcs11.Attribute.LABEL: name})):
                found.destroy()

    def _pair(self, name: str, curve: Curve) -> tuple[Any, Any]:
        pkcs11 = self._pkcs11
        options = {"store": True, "label": name, "id": name.encode()}
        if curve is ED448:
            parameters = self._domain(pkcs11.KeyType.EC_EDWARDS, _ED448_PARAMETERS)
            mechanism = pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN
            return tuple(parameters.generate_keypair(mechanism=mechanism, **options))
        from pkcs11.util.ec import encode_named_curve_parameters

        parameters = self._domain(pkcs11.KeyType.EC, encode_named_curve_parameters(curve.name))
        use = pkcs11.MechanismFlag
        capabilities = use.SIGN | use.VERIFY | use.DERIVE
        return tuple(parameters.generate_keypair(capabilities=capabilities, **options))

    def _domain(self, kind: Any, parameters: bytes) -> Any:
        attributes = {self._pkcs11.Attribute.EC_PARAMS: parameters}
        return self._session.create_domain_parameters(kind, attributes, local=True)

    def _as_key(self, public: Any, private: Any) -> PrivateKey:
        pkcs11 = self._pkcs11
        if private.key_type == pkcs11.KeyType.EC_EDWARDS:
            point = public[pkcs11.Attribute.EC_POINT][-57:]
            return HardwareEd448Key(
                ed448.Ed448PublicKey.from_public_bytes(point),
                lambda message: self._signed(private, message, pkcs11.Mechanism.EDDSA),
            )
        from pkcs11.util.ec import encode_ec_public_key

        key = load_der_public_key(encode_ec_public_key(public))
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return HardwareKey(
            key,
            lambda digest: self._signed(private, digest, pkcs11.Mechanism.ECDSA),
            lambda point: self._agreed(private, point),
        )

    def _signed(self, private: Any, data: bytes, mechanism: Any) -> bytes:
        with self._guarded("signing"):
            return bytes(private.sign(data, mechanism=mechanism))

    def _agreed(self, private: Any, point: bytes) -> bytes:
        pkcs11 = self._pkcs11
        size = (len(point) - 1) // 2
        template = {
            pkcs11.Attribute.TOKEN: False,
            pkcs11.Attribute.SENSITIVE: False,
            pkcs11.Attribute.EXTRACTABLE: True,
        }
        with self._guarded("key agreement"):
            derived = private.derive_key(
                pkcs11.KeyType.GENERIC_SECRET,
                8 * size,
                mechanism=pkcs11.Mechanism.ECDH1_DERIVE,
                mechanism_param=(pkcs11.KDF.NULL, None, point),
                template=template,
            )
            return bytes(derived[pkcs11.Attribute.VALUE])

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        with _told(f"{what} in token {self._label!r}", self._pkcs11):
            yield


@contextmanager
def _told(what: str, pkcs11: ModuleType) -> Iterator[None]:
    """Failures of the token as CertsError."""
    try:
        yield
    except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
        raise CertsError(what, str(error)[:200] or type(error).__name__) from None


def _library() -> ModuleType:
    try:
        import pkcs11
    except ImportError:
        raise CertsError(
            "PKCS#11", "python-pkcs11 is not installed", next_step="Install iso15118-stack[pkcs11]"
        ) from None
    found: ModuleType = pkcs11
    return found
