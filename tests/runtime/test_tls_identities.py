"""Several identities at one charger: what is looked at before it starts."""

from __future__ import annotations

import pytest
from test_tls import tree

from iso15118.errors import ConfigError
from iso15118.runtime.security import Security, demand


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
