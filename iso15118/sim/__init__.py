"""Charging sessions under virtual time: both machines, a network with faults, batteries and contactors.

Everything follows from one seed: the same seed gives the same log, byte for byte. Nothing here opens
a socket, reads a clock or sleeps; minutes of charging take milliseconds. Start with `run.py`
(`simulate`), then `world.py`; `plants.py` and `battery.py` are the physics, `checkers.py` what must never happen.
"""
