"""A powerline without hardware: modems at the ends of a cable, private networks, attenuation, and faults.

    medium = Medium(seed=1)
    ev = medium.attach(EV_MAC, EV_MODEM)              # a port: a host's address and the modem it is wired to
    evse = medium.attach(EVSE_MAC, EVSE_MODEM)
    medium.attenuate(ev, evse, 12.0)
    medium.send(ev, frame, now)                       # a host sends
    for port, frame in medium.due(medium.deadline):   # hosts receive

Nothing here reads a clock: the same seed and the same calls give the same frames. What carries it: `world` under
virtual time, `hub` in real time for the sockets of `udp` (loopback), `veth` (network interfaces) and `pty` (a serial
line with the modem's framing).

Open `medium.py` first, then `modem.py` and `answers.py`; `rogue.py` is an EVSE that answers everybody.
"""
