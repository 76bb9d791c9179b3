"""Defects of other stacks that show in whole sessions, by their number in the list of regressions."""

from iso15118 import events
from iso15118.exi.codec import decode
from iso15118.messages.payloads import HANDSHAKE, Phase, schema_for
from iso15118.messages.registry import schema_set
from iso15118.sim.run import simulate


def test_regression_17_every_message_is_logged_with_its_own_octets():
    run = simulate("DC", "dynamic", 3, loops=2)
    messages = [e for e in run.events if isinstance(e, (events.MessageSent, events.MessageReceived))]
    assert len(messages) > 50
    phase = HANDSHAKE
    for event in messages:
        namespace = schema_for(event.payload_type, phase, event.exi)
        if namespace is None:
            phase = Phase("urn:iso:std:iso:15118:-20:DC")
            namespace = schema_for(event.payload_type, phase, event.exi)
        assert decode(event.exi, schema_set(namespace)) == event.message


def test_pitfall_13_session_ids_come_from_the_entropy_given():
    ids = set()
    for seed in range(5):
        run = simulate("AC", "dynamic", seed, loops=1)
        ids |= {e.session_id for e in run.events if isinstance(e, events.SessionEstablished)}
    assert len(ids) == 5
    assert all(len(x) == 8 and x != bytes(8) for x in ids)
