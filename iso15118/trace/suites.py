"""Cipher suites of TLS as far as recordings need them: keys from secrets, and records opened with them.

ISO 15118-20 uses the first two, ISO 15118-2 the CBC ones; the rest is what test devices and older stacks choose.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from iso15118.errors import Iso15118Error

_BLOCK: Final = 16
_VERSION: Final = b"\x03\x03"


class UnreadableError(Iso15118Error):
    """A recorded connection cannot be read any further; the text says why."""


class Opener(Protocol):
    """Opens the records of one direction, in order."""

    def open(self, kind: int, header: bytes, body: bytes) -> tuple[int, bytes]:
        """(content type, content) of the next record; UnreadableError where it does not open."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite: `cipher` gcm, ccm, ccm8, chacha or cbc, the size of its key, the hash of its keys, that of its MAC."""

    name: str
    cipher: str
    key_size: int
    hash: str
    mac: str = ""

    @property
    def hash_size(self) -> int:
        """Octets of a secret."""
        return 48 if self.hash == "sha384" else 32

    @property
    def mac_size(self) -> int:
        """Octets of a MAC; 0 with AEAD."""
        return {"": 0, "sha1": 20, "sha256": 32, "sha384": 48}[self.mac]

    def expand(self, secret: bytes, label: str, size: int) -> bytes:
        """HKDF-Expand-Label without context (RFC 8446, 7.1)."""
        name = b"tls13 " + label.encode()
        info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
        return hmac.digest(secret, info + b"\x01", self.hash)[:size]

    def opener13(self, secret: bytes) -> Opener:
        """For TLS 1.3, from a traffic secret."""
        key, iv = self.expand(secret, "key", self.key_size), self.expand(secret, "iv", 12)
        return _Aead13(_aead(self.cipher, key), iv)

    def opener12(self, master: bytes, seed: bytes, *, client: bool, mac_last: bool) -> Opener:
        """For TLS 1.2, from the master secret and both randoms, the server's first (RFC 5246, 6.3)."""
        iv_size = {"cbc": 0, "chacha": 12}.get(self.cipher, 4)
        sizes = (self.mac_size, self.mac_size, self.key_size, self.key_size, iv_size, iv_size)
        block = _prf(master, b"key expansion" + seed, sum(sizes), self.hash)
        parts = []
        for size in sizes:
            parts.append(block[:size])
            block = block[size:]
        mac, key, iv = parts[0 if client else 1 :: 2]
        if self.cipher == "cbc":
            return _Cbc12(key, mac, self.mac, mac_last=mac_last)
        return _Aead12(_aead(self.cipher, key), iv, 8 if self.cipher == "ccm8" else 16)


SUITES: Final = MappingProxyType(
    {
        0x1302: Suite("TLS_AES_256_GCM_SHA384", "gcm", 32, "sha384"),
        0x1303: Suite("TLS_CHACHA20_POLY1305_SHA256", "chacha", 32, "sha256"),
        0x1301: Suite("TLS_AES_128_GCM_SHA256", "gcm", 16, "sha256"),
        0x1304: Suite("TLS_AES_128_CCM_SHA256", "ccm", 16, "sha256"),
        0x1305: Suite("TLS_AES_128_CCM_8_SHA256", "ccm8", 16, "sha256"),
        0xC023: Suite("ECDHE-ECDSA-AES128-SHA256", "cbc", 16, "sha256", "sha256"),
        0xC025: Suite("ECDH-ECDSA-AES128-SHA256", "cbc", 16, "sha256", "sha256"),
        0xC024: Suite("ECDHE-ECDSA-AES256-SHA384", "cbc", 32, "sha384", "sha384"),
        0xC009: Suite("ECDHE-ECDSA-AES128-SHA", "cbc", 16, "sha256", "sha1"),
        0xC00A: Suite("ECDHE-ECDSA-AES256-SHA", "cbc", 32, "sha256", "sha1"),
        0xC02B: Suite("ECDHE-ECDSA-AES128-GCM-SHA256", "gcm", 16, "sha256"),
        0xC02C: Suite("ECDHE-ECDSA-AES256-GCM-SHA384", "gcm", 32, "sha384"),
        0xC02D: Suite("ECDH-ECDSA-AES128-GCM-SHA256", "gcm", 16, "sha256"),
        0xC0AC: Suite("ECDHE-ECDSA-AES128-CCM", "ccm", 16, "sha256"),
        0xC0AD: Suite("ECDHE-ECDSA-AES256-CCM", "ccm", 32, "sha256"),
        0xC0AE: Suite("ECDHE-ECDSA-AES128-CCM8", "ccm8", 16, "sha256"),
        0xCCA9: Suite("ECDHE-ECDSA-CHACHA20-POLY1305", "chacha", 32, "sha256"),
    }
)
"""By their number on the wire."""


# --- openers ----------------------------------------------------------------------------------


class _Aead13:
    """RFC 8446, 5.2 and 5.3."""

    def __init__(self, cipher: Any, iv: bytes) -> None:
        self._cipher, self._iv, self._number = cipher, iv, 0

    def open(self, kind: int, header: bytes, body: bytes) -> tuple[int, bytes]:
        nonce = _xored(self._iv, self._number)
        self._number += 1
        content = _decrypted(self._cipher, nonce, body, header).rstrip(b"\0")
        if not content:
            raise UnreadableError("a record has no content type")
        return content[-1], content[:-1]


class _Aead12:
    """RFC 5288 and RFC 6655 (explicit nonce), RFC 7905 (ChaCha20, without)."""

    def __init__(self, cipher: Any, iv: bytes, tag_size: int) -> None:
        self._cipher, self._iv, self._tag_size, self._number = cipher, iv, tag_size, 0

    def open(self, kind: int, header: bytes, body: bytes) -> tuple[int, bytes]:
        if len(self._iv) == 12:
            nonce, sealed = _xored(self._iv, self._number), body
        else:
            nonce, sealed = self._iv + body[:8], body[8:]
        extra = (
            struct.pack(">QB", self._number, kind)
            + _VERSION
            + struct.pack(">H", max(len(sealed) - self._tag_size, 0))
        )
        self._number += 1
        return kind, _decrypted(self._cipher, nonce, sealed, extra)


class _Cbc12:
    """RFC 5246, 6.2.3.2; with encrypt-then-mac RFC 7366."""

    def __init__(self, key: bytes, mac_key: bytes, digest: str, *, mac_last: bool) -> None:
        self._key, self._mac_key, self._digest, self._mac_last = key, mac_key, digest, mac_last
        self._size = len(mac_key)
        self._number = 0

    def open(self, kind: int, header: bytes, body: bytes) -> tuple[int, bytes]:
        if self._mac_last:
            body, mac = body[: -self._size], body[-self._size :]
            self._check(kind, body, mac)
            content = self._unpadded(body)
        else:
            plain = self._unpadded(body)
            content, mac = plain[: -self._size], plain[-self._size :]
            self._check(kind, content, mac)
        self._number += 1
        return kind, content

    def _unpadded(self, body: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        if len(body) < 2 * _BLOCK or len(body) % _BLOCK:
            raise UnreadableError(f"a record of {len(body)} octets is none of a block cipher")
        opened = Cipher(algorithms.AES(self._key), modes.CBC(body[:_BLOCK])).decryptor()
        plain = opened.update(body[_BLOCK:]) + opened.finalize()
        return plain[: max(len(plain) - 1 - plain[-1], 0)]

    def _check(self, kind: int, content: bytes, mac: bytes) -> None:
        head = struct.pack(">QB", self._number, kind) + _VERSION + struct.pack(">H", len(content))
        if not hmac.compare_digest(hmac.digest(self._mac_key, head + content, self._digest), mac):
            raise UnreadableError("a record is not authentic with this secret")


def _aead(name: str, key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import aead

    if name == "gcm":
        return aead.AESGCM(key)
    if name == "chacha":
        return aead.ChaCha20Poly1305(key)
    return aead.AESCCM(key, tag_length=8 if name == "ccm8" else 16)


def _decrypted(cipher: Any, nonce: bytes, sealed: bytes, extra: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        plain: bytes = cipher.decrypt(nonce, sealed, extra)
    except (InvalidTag, ValueError) as error:
        raise UnreadableError("a record is not authentic with this secret") from error
    return plain


def _xored(iv: bytes, number: int) -> bytes:
    return (int.from_bytes(iv, "big") ^ number).to_bytes(len(iv), "big")


def _prf(secret: bytes, seed: bytes, size: int, digest: str) -> bytes:
    """P_hash (RFC 5246, 5)."""
    out, link = b"", seed
    while len(out) < size:
        link = hmac.digest(secret, link, digest)
        out += hmac.digest(secret, link + seed, digest)
    return out[:size]
