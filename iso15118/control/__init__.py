"""What a firmware implements: controllers, their level snapshots, commands and questions.

`evse` is the station's side, `ev` the car's, `common` what both share. Nothing here talks to
hardware or knows messages; the session machines translate. Open `evse.py` first.
"""
