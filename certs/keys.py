"""Private keys and where they are kept.

A key is one of the types of `cryptography` everywhere, so that everything that signs works with every key. A key
that cannot leave its hardware is a `HardwareKey` or `HardwareEd448Key`: built from a public key and a function that
signs; that is also the seam for a TPM 2.0. Only TLS needs a key that can be handed to the TLS library. A key that only
agrees (X448) is no `PrivateKey`: it signs nothing and stands beside the key of an identity.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, x448
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from certs import reading
from certs.curves import Curve, PrivateKey, curve_of
from certs.errors import CertsError

MAX_KEY_FILE: Final = 16_384
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeyStore(Protocol):
    """Named private keys. Failures are CertsError; nothing here ever shows a key."""

    def names(self) -> tuple[str, ...]:
        """The keys there are, sorted."""

    def generate(self, name: str, curve: Curve) -> PrivateKey:
        """Make a key and keep it; a name that is taken is an error."""

    def load(self, name: str) -> PrivateKey:
        """The key of a name."""

    def store(self, name: str, key: PrivateKey) -> None:
        """Keep a key made elsewhere, such as one that came with a contract; replaces an older one of that name."""

    def delete(self, name: str) -> None:
        """Forget a key."""


class Signer:
    """A key in the words of message signatures: raw r || s, or an EdDSA signature."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a digest: r || s, each as wide as a coordinate of the curve."""
        curve = curve_of(self._key)
        if not isinstance(self._key, ec.EllipticCurvePrivateKey) or curve is None or curve.digest is None:
            raise CertsError("key", "an Ed448 key signs messages, not digests")
        signature = self._key.sign(digest, ec.ECDSA(Prehashed(curve.digest)))
        r, s = decode_dss_signature(signature)
        return r.to_bytes(curve.coordinate, "big") + s.to_bytes(curve.coordinate, "big")

    def sign_message(self, message: bytes) -> bytes:
        """EdDSA over the message itself."""
        if not isinstance(self._key, ed448.Ed448PrivateKey):
            raise CertsError("key", "an elliptic curve key signs digests, not messages")
        return self._key.sign(message)


class HardwareKey(ec.EllipticCurvePrivateKey):
    """An elliptic curve key that stays in its hardware.

    `sign_digest` gets a digest and returns r || s of equal widths. `exchange_point` gets the peer's uncompressed point
    and returns the x-coordinate of the shared point; None where the hardware cannot.
    """

    def __init__(
        self,
        public_key: ec.EllipticCurvePublicKey,
        sign_digest: Callable[[bytes], bytes],
        exchange_point: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._public_key, self._sign_digest, self._exchange_point = public_key, sign_digest, exchange_point

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve of the key."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve's order."""
        return self._public_key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half, which is known outside."""
        return self._public_key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """An ECDSA signature (DER) over data or, with Prehashed, over a digest."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            digest = bytes(data)
        else:
            hashing = hashes.Hash(algorithm)
            hashing.update(data)
            digest = hashing.finalize()
        raw = self._sign_digest(digest)
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """The shared secret: the x-coordinate, as wide as the curve wants."""
        if self._exchange_point is None:
            raise CertsError("key", "its hardware offers no key agreement")
        size = (self.key_size + 7) // 8
        numbers = peer_public_key.public_numbers()
        point = b"\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
        return self._exchange_point(point).rjust(size, b"\0")

    def private_numbers(self) -> NoReturn:
        """Not offered."""
        raise CertsError("key", "it cannot leave its hardware")

    def private_bytes(self, *_: object) -> NoReturn:
        """Not offered."""
        raise CertsError("key", "it cannot leave its hardware")

    def __copy__(self) -> HardwareKey:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> HardwareKey:
        return self


class HardwareEd448Key(ed448.Ed448PrivateKey):
    """An Ed448 key that stays in its hardware; `sign_message` returns the 114 octets of a signature."""

    def __init__(self, public_key: ed448.Ed448PublicKey, sign_message: Callable[[bytes], bytes]) -> None:
        self._public_key, self._sign_message = public_key, sign_message

    def public_key(self) -> ed448.Ed448PublicKey:
        """The public half, which is known outside."""
        return self._public_key

    def sign(self, data: Any) -> bytes:
        """An Ed448 signature over the data."""
        return self._sign_message(bytes(data))

    def private_bytes(self, *_: object) -> NoReturn:
        """Not offered."""
        raise CertsError("key", "it cannot leave its hardware")

    def private_bytes_raw(self) -> NoReturn:
        """Not offered."""
        raise CertsError("key", "it cannot leave its hardware")

    def __copy__(self) -> HardwareEd448Key:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> HardwareEd448Key:
        return self


def can_leave(key: PrivateKey) -> bool:
    """Whether a key is here and nowhere else, so that it has to be kept; False: its hardware keeps it."""
    return not isinstance(key, HardwareKey | HardwareEd448Key)


def belongs_to(key: PrivateKey, public_key: Any) -> bool:
    """Whether a private key is the one of a public key."""
    return bool(key.public_key() == public_key)


# --- keys in memory and in files -------------------------------------------------------------------


class MemoryKeyStore(KeyStore):
    """Keys that are gone with the process."""

    def __init__(self) -> None:
        self._keys: dict[str, PrivateKey] = {}

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._keys))

    def generate(self, name: str, curve: Curve) -> PrivateKey:
        demand_free(name, self.names())
        self._keys[name] = curve.generate()
        return self._keys[name]

    def load(self, name: str) -> PrivateKey:
        return self._keys[demand_known(name, self.names())]

    def store(self, name: str, key: PrivateKey) -> None:
        self._keys[_checked(name)] = key

    def delete(self, name: str) -> None:
        del self._keys[demand_known(name, self.names())]


class FileKeyStore(KeyStore):
    """A folder of PKCS#8 files, one a key, readable by the owner alone.

    They are encrypted with `passphrase`. Without one, `unencrypted=True` has to be said.
    """

    def __init__(self, folder: Path, passphrase: bytes = b"", *, unencrypted: bool = False) -> None:
        if bool(passphrase) == unencrypted:
            raise CertsError(
                f"key store {folder}", "needs a passphrase, or unencrypted=True said in so many words"
            )
        self._folder, self._passphrase = folder, passphrase

    def __repr__(self) -> str:
        return f"FileKeyStore({str(self._folder)!r})"

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(path.name.removesuffix(".key.pem") for path in self._folder.glob("*.key.pem")))

    def generate(self, name: str, curve: Curve) -> PrivateKey:
        demand_free(name, self.names())
        key = curve.generate()
        self.store(name, key)
        return key

    def load(self, name: str) -> PrivateKey:
        return read_key(self._path(demand_known(name, self.names())), self._passphrase)

    def store(self, name: str, key: PrivateKey) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._path(_checked(name)), key_pem(key, self._passphrase))

    def delete(self, name: str) -> None:
        self._path(demand_known(name, self.names())).unlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.key.pem"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise CertsError(
            f"key name {name[:64]!r}", "use up to 64 letters, digits, dots, hyphens and underscores"
        )
    return name


def demand_free(name: str, taken: tuple[str, ...]) -> None:
    """CertsError where a name is taken or is no name."""
    if _checked(name) in taken:
        raise CertsError(
            f"key {name!r}", "there is one already", next_step="Delete it first, or choose another name"
        )


def demand_known(name: str, known: tuple[str, ...]) -> str:
    """The name; CertsError where no key has it."""
    if name not in known:
        raise CertsError(f"key {name[:64]!r}", f"not in this store; there are: {', '.join(known) or 'none'}")
    return name


def key_pem(key: PrivateKey | x448.X448PrivateKey, passphrase: bytes) -> bytes:
    """A key as PKCS#8 PEM, encrypted; an empty passphrase leaves it in the clear."""
    protection: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def read_key(path: Path, passphrase: bytes) -> PrivateKey:
    """A private key from a PEM file; CertsError where it is unreadable, unprotected or of no curve of ours."""
    what = f"private key {path}"
    key = _read_pem(path, what, passphrase)
    if curve_of(key) is None:
        raise CertsError(what, "of no curve that ISO 15118 knows")
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed448.Ed448PrivateKey)
    return key


def read_x448_key(path: Path, passphrase: bytes) -> x448.X448PrivateKey:
    """A private key that agrees, as `read_key` reads those that sign."""
    what = f"private key {path}"
    key = _read_pem(path, what, passphrase)
    if not isinstance(key, x448.X448PrivateKey):
        raise CertsError(what, "no X448 key")
    return key


def _read_pem(path: Path, what: str, passphrase: bytes) -> Any:
    text = read_file(path, what, MAX_KEY_FILE)
    is_encrypted = b"ENCRYPTED" in text
    if is_encrypted and not passphrase:
        raise CertsError(
            what, "it is encrypted and there is no passphrase", next_step="Name its passphrase file"
        )
    if not is_encrypted:
        demand_private(path, what)
    try:
        return reading.guarded(what, lambda: load_pem_private_key(text, passphrase if is_encrypted else None))
    except CertsError:
        # What the parser says is left out: it may quote what it was given.
        cause = "the passphrase is wrong or the file is damaged" if is_encrypted else "it cannot be read"
        raise CertsError(what, cause) from None


def read_passphrase(path: Path) -> bytes:
    """The first line of a passphrase file, which nobody but its owner may read."""
    what = f"passphrase {path}"
    text = read_file(path, what, MAX_KEY_FILE)
    demand_private(path, what)
    passphrase = text.split(b"\n", 1)[0].strip()
    if not passphrase:
        raise CertsError(what, "the file is empty")
    return passphrase


def read_file(path: Path, what: str, limit: int) -> bytes:
    """A small file; CertsError where it is not there, not readable or too large."""
    try:
        with path.open("rb") as file:
            text = file.read(limit + 1)
    except OSError as error:
        raise CertsError(what, error.strerror or "cannot be read") from None
    if len(text) > limit:
        raise CertsError(what, f"more than {limit} octets")
    return text


def demand_private(path: Path, what: str) -> None:
    """CertsError where others than the owner may read a secret."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise CertsError(what, "others may read it", next_step=f"chmod 600 {path}")


def write_private(path: Path, text: bytes) -> None:
    """Write a file that only its owner may read. It is whole or not there, also after a power cut."""
    write_whole(path, text, 0o600)


def write_whole(path: Path, text: bytes, mode: int = 0o644) -> None:
    """Write a file beside its place and move it there."""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        # Made with its mode: there is no moment in which others could open it.
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise CertsError(f"file {path}", error.strerror or "cannot be written") from None
