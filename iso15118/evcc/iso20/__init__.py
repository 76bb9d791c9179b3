"""ISO 15118-20 on the car's side: procedures, one file per phase. Open `session.py` first."""
