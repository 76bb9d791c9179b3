"""Plug & Charge PKI: certificates, chains, revocation, contract keys.

Empty for now. Here will live certificate profiles per role, `TestPki` (a whole V2G, OEM, MO and CPS
tree in one call, with deliberate defects on request), path validation at a given time, OCSP and CRL
checks, key stores, and the wrapping of contract keys.

It never imports `iso15118` or `hal`. Until it is filled, sessions run without TLS and authorize by
external means (EIM) only.
"""
