"""Energy: what the EVSE offers, what the EV chooses. Pure functions over schedules and prices.

Open `offer.py` first. Never talks to hardware, never keeps state.
"""
