"""ISO 15118-20 on the station's side: handlers, one file per phase. Open `table.py` first."""
