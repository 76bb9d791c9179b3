"""Times and policies of a plug, per side."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EvsePlugConfig:
    """One outlet. Times in s; defaults from ISO 15118-3, IEC 61851-1 and what chargers in the field do.

    `dc`: always 5 %, no basic charging. `nominal_duty` (AC): signal the current limit instead of 5 %, and let the
    vehicle choose between basic charging and communication.
    """

    dc: bool = True
    nominal_duty: bool = False
    plugged_s: float = 1.0
    step_ef_s: float = 4.0  # T_step_EF
    step_x1_s: float = 3.0  # T_step_X1
    hold_x1_s: float = 0.75  # between an E/F pulse and the next oscillation
    retries: int = 2  # C_sequ_retry
    setup_s: float = 20.0  # link up -> session: V2G_SECC_CommunicationSetup and some
    end_s: float = 2.5  # SessionStopRes -> X1
    resume_s: float = 60.0  # after a wake-up
    open_after_x1_s: float = 6.0  # a vehicle that stays in C: open under load


@dataclass(frozen=True, slots=True)
class EvPlugConfig:
    """One inlet. Times in s (ISO 15118-3)."""

    settle_s: float = 0.2  # T_conn_init_HLC
    toggle_s: float = 0.3  # one level of a wake-up toggle, 200 to 400 ms
    wake_s: float = 8.0  # T_conn_max_comm: the duty cycle comes back within
    wake_attempts: int = 3
    resetup_s: float = 15.0  # T_conn_resetup
    setup_s: float = 60.0  # link up -> session; discovery has its own, shorter clock
    retry_s: float = 60.0  # matching failed at 5 %: once more after
    hlc_at_nominal: bool = True
