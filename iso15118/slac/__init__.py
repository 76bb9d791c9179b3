"""The powerline link from plug to key: SLAC matching, the modem, and whether the link still stands.

Two machines, `EvSlac` (car) and `EvseSlac` (charger), over raw Ethernet frames of the port to the modem. Above them
stands whoever owns the pilot (`iso15118.plug`) and talks in the D-LINK words of ISO 15118-3:

    in   LinkUp, LinkDown          the port to the modem is open, or gone
         Frame(data)               a frame from the modem
         DLink.MATCH               match when the peer does (EV: match now); after PAUSE: be up again
         DLink.TERMINATE, .ERROR   leave the logical network (a fresh random key), be silent until MATCH
         DLink.PAUSE               keep network and key, ask the modem no more
         Update(PilotLevel(cp))    the pilot as measured; on the EVSE at every change, for validation
         Stop                      like TERMINATE
    out  Frame(data)               a frame for the modem
         Do(SetPilot(ready))       EV only: a toggle of validation; ends in state B whatever happens
         Emit(LinkReady(status))   ESTABLISHED: start discovery. FAILED: matching came to nothing. LOST: it was up
         Emit(...)                 everything else worth knowing (`events`)

The EV gives up after its attempts and waits for the next MATCH; the EVSE goes on listening until told otherwise.
TERMINATE after TERMINATE changes nothing, MATCH while matching or matched changes nothing. Unplugging (pilot A) is a
TERMINATE of its own. While an EVSE is validating, state C is no wish for energy (`Validating` tells).

No I/O, clock or randomness: keys, run ids and nonces come from the injected entropy. Never: a key in a log, or an
answer to a vendor message that did not come from our own modem.

Open first: `link.py`, the life of a link in one procedure; then `ev.py` (a procedure) and `runs.py` (a table). What
an EVSE reports is weighed in `attenuation.py`, and proven over the pilot in `proof.py` (EV) and `validation.py`.
"""
