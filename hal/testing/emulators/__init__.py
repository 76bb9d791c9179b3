"""Real devices as their driver sees them: octets and the time in, octets out, one file each.

They are written from what is known of the device, not from the driver: only checksums are shared. `emulator` is
their base; `serve` puts one behind a pty or a TCP port, `hal.testing.wire` joins one to a driver under virtual
time.
"""
