"""Several identities at one charger: what is looked at before it starts."""

from __future__ import annotations

import time

import pytest
from test_tls import tree

from certs.profiles import Role
from certs.reading import der, key_octets
from iso15118.errors import ConfigError
from iso15118.runtime.security import Security, demand, settings
from iso15118.tls.identity import hashes_of


@pytest.mark.parametrize(
    ("role", "others", "told"),
    [
        ("EVCC", lambda: (tree().vehicle(),), "a vehicle shows one identity"),
        ("SECC", lambda: (tree().vehicle(),), "role vehicle"),
        ("SECC", lambda: (tree("secp256r1").secc(),), "one profile for all"),
    ],
)
def test_further_identities_are_looked_at(role, others, told):
    first = tree().secc() if role == "SECC" else tree().vehicle()
    with pytest.raises(ConfigError, match=told):
        demand(role, Security(first, others=others()), insecure=False, who="test")


def test_a_root_can_be_named_by_its_hashes_as_well():
    """Of the roots that the station trusts, the one its own chain ends at."""
    own = tree().secc()
    (shown,) = settings("SECC", Security(own), time.time).identities
    (anchor,) = (root for root in own.roots[Role.V2G_ROOT] if root.subject.public_bytes() == own.root)
    assert shown.root_hashes == hashes_of(key_octets(anchor.public_key()), der(anchor))
