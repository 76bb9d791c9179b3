"""A pytest file: car and charger in one process under virtual time, with faults and a rude car.

    pytest examples/02_test_a_handshake.py

The fixture `v2g` comes with the package. Run as a script, this file calls pytest on itself.
"""

import subprocess
import sys

from iso15118.evcc.iso20.setup import negotiate, set_up
from iso15118.messages.iso20.dc import DC_CableCheckReq, DC_CableCheckRes
from iso15118.messages.iso20.types import ResponseCode


def test_bpt_session_survives_a_late_contactor(v2g):
    run = v2g.session(energy="DC_BPT", control="dynamic", seed=4711, faults=[v2g.late_contactor(0.5)])
    assert run.ok, run.explain()
    assert run.completed
    assert run.fed_back_wh > 0


def test_cable_check_before_authorization_is_refused(v2g):
    async def rude(ev):
        await negotiate(ev)
        await set_up(ev)
        answer = await ev.ask(DC_CableCheckReq(header=ev.header), DC_CableCheckRes, accept_failure=True)
        assert answer.response_code is ResponseCode.FAILED_SEQUENCE_ERROR

    run = v2g.run(ev=rude)
    assert not run.violations, run.explain()


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", __file__, "-q", "-p", "no:cacheprovider"]))
