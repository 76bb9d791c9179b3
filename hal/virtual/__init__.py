"""Hardware that exists only here: one circuit with a station, a cable and a car, and a device for every protocol.

`circuit` joins the parts of `plants` with a `battery`; time passes by `step(dt)` alone. It never reads a clock.
"""
