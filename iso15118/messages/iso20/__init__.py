"""ISO 15118-20 with Amendment 1: the messages of a session and of each energy transfer mode.

`types` is what all of them share, `common` the messages every session needs, `dc`, `ac`, `wpt`, `acdp`,
`ac_der_iec` and `ac_der_sae` those of one energy transfer. `exchanges` knows pairs and times, `numbers`
converts values. Units and signs are explained in `types`. Open `common` first, then `dc`.
"""
