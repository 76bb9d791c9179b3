"""The peer's driver, run by the peer's own Python, with its codec warmed up before the session.

    _peer.py DRIVER WARMUP secc|evcc ...

Its codec is a Java program that needs seconds for the first message of each schema. That is not what the
timeouts of the standard are about, so it reads and writes the messages of WARMUP (lines of namespace and
EXI in hex) before it talks to us.
"""

import contextlib
import sys
from pathlib import Path

ROUNDS = 2


def warm(codec, lines):
    """Decode and encode every message a few times."""
    for _ in range(ROUNDS):
        for line in lines:
            namespace, octets = line.split()
            with contextlib.suppress(Exception):  # what it cannot read it will complain of in the session
                codec.encode(codec.decode(bytes.fromhex(octets), namespace), namespace)


def main():
    """Hand over to the driver once the codec is patched."""
    driver, warmup = Path(sys.argv[1]), Path(sys.argv[2])
    sys.argv[1:] = sys.argv[3:]
    sys.path.insert(0, str(driver.parent))
    import ecog_peer

    ecog_peer.shim_aiofile()
    from iso15118.shared.exificient_exi_codec import ExificientEXICodec

    start = ExificientEXICodec.__init__

    def start_warm(self):
        start(self)
        warm(self, warmup.read_text().splitlines())

    ExificientEXICodec.__init__ = start_warm
    return ecog_peer.main()


if __name__ == "__main__":
    sys.exit(main())
