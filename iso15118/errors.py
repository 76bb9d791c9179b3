"""The error tree: every failure this package raises, with its cause and the next step.

Machines never raise for what a peer does; they answer, emit an event and end. An exception
from this tree means that the caller's own input (bytes to decode, a value to encode, a
configuration) cannot be used.
"""

from __future__ import annotations


class Iso15118Error(Exception):
    """Base of all errors of this package."""

    def diagnostics(self) -> str:
        """Cause and next step, in plain words."""
        return str(self)


class CodecError(Iso15118Error):
    """Something cannot be encoded or decoded.

    `path` names the elements from the root down, `bit` the offset in the stream (decoding) or
    in the output (encoding), None where no stream is involved.
    """

    def __init__(self, reason: str, path: tuple[str, ...] = (), bit: int | None = None) -> None:
        super().__init__(reason, path, bit)
        self.reason = reason
        self.path = path
        self.bit = bit

    def inside(self, element: str) -> None:
        """Prefix the path with an enclosing element (called while the error travels up)."""
        self.path = (element, *self.path)

    def __str__(self) -> str:
        where = "/".join(self.path)
        at = "" if self.bit is None else f" at bit {self.bit}"
        return f"{where}: {self.reason}{at}" if where else f"{self.reason}{at}"


class DecodeError(CodecError):
    """The bytes are not a message of the schema set: the sender's fault, or the wrong set."""

    def diagnostics(self) -> str:
        """Cause and next step."""
        return f"{self}. The sender encoded this wrongly, or it belongs to another schema set."


class EncodeError(CodecError):
    """The value does not fit the schema: our caller's fault."""

    def diagnostics(self) -> str:
        """Cause and next step."""
        return f"{self}. Correct the value named by the path; nothing was sent."


class FramingError(CodecError):
    """A V2GTP or SDP frame is malformed: version, length or type."""


class ProtocolError(Iso15118Error):
    """A rule of the session protocol is broken; `requirement` is its id where known."""

    def __init__(self, reason: str, state: str = "", requirement: str = "") -> None:
        super().__init__(reason, state, requirement)
        self.reason = reason
        self.state = state
        self.requirement = requirement

    def __str__(self) -> str:
        tail = ", ".join(x for x in (self.state and f"state {self.state}", self.requirement) if x)
        return f"{self.reason} ({tail})" if tail else self.reason


class LocalProtocolError(ProtocolError):
    """Our own side asked for something the protocol does not allow now."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol; raised only to a script that drives a peer by hand."""

    def __init__(self, reason: str, state: str = "", requirement: str = "", response_code: str = "") -> None:
        super().__init__(reason, state, requirement)
        self.response_code = response_code


class DeadlineExpired(ProtocolError):
    """A timer of the standard ran out; `timer` names it."""

    def __init__(self, timer: str, state: str = "", requirement: str = "") -> None:
        super().__init__(f"{timer} expired", state, requirement)
        self.timer = timer


class SecurityError(Iso15118Error):
    """A certificate, signature or TLS rule is not met."""


class LinkError(Iso15118Error):
    """The data link or the discovery of the peer failed."""


class DiscoveryError(LinkError):
    """SDP found no usable SECC."""


class ConfigError(Iso15118Error):
    """A configuration value cannot be used: `key` and what is accepted."""

    def __init__(self, key: str, reason: str, file: str = "") -> None:
        super().__init__(key, reason, file)
        self.key = key
        self.reason = reason
        self.file = file

    def __str__(self) -> str:
        return f"{self.file + ': ' if self.file else ''}{self.key}: {self.reason}"
