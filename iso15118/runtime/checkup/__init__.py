"""What `iso15118 doctor` looks at before a session is tried: one file for each kind of check, each giving findings.

`findings` and `parameters` are pure values and judgement; the others look at the machine. None energises anything,
changes a setting or sends a key; only `hardware.check_devices` opens devices, which puts them into their safe state.
"""
