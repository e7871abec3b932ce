"""How much is demanded of an answer: decided here for every world, by what is done meanwhile.

A network at rest owes all that lies within reach, exactly. One that is struck, or whose content
grows, owes what was there all the time. Where nodes come and go or lie, and where the phase may
fail, what is missing is counted and no violation: what a report must show says how much it may be.
"""

import enum
from typing import Final

from deploy.scenario import Fault, Phase, Scenario
from deploy.standing import Standing
from deploy.targets import SUPER_PEER, read_aim


class Strictness(enum.Enum):
    """What counts as a violation; under each of them, what nobody ever held."""

    EXACT = "exact"  # all that lies within reach, nothing else, each super-peer once
    WHOLE = "whole"  # nothing of what lives may be missing, and the answer must know that
    HONEST = "honest"  # nothing of what lives may be missing; whom it left out the answer may say
    TRUE = "true"  # what is said to be there was there; how much is missing is only counted
    PRESENT = "present"  # the same, but all in the network is counted, whoever is linked to whom
    LEFT = "left"  # what is left: all that living leaves hold is counted, wherever they hang


# Held against what stood all through a phase.
STEADY: Final = (Strictness.EXACT, Strictness.WHOLE, Strictness.HONEST)


def of_phase(scenario: Scenario, phase: Phase) -> Strictness:
    """What is demanded of the answers of a phase."""
    if phase.may_fail:
        return Strictness.LEFT
    if scenario.churn.profile != "none" or scenario.overlay.mends:
        return Strictness.PRESENT
    if scenario.hostile or scenario.large:
        return Strictness.TRUE
    if any(_silences(scenario, fault) for fault in phase.faults):
        return Strictness.HONEST
    grows = phase.for_s and (phase.gets or phase.crowd)  # what there is to find, meanwhile
    return Strictness.WHOLE if phase.faults or grows else Strictness.EXACT


def of_asker(strictness: Strictness, standing: Standing, leaf: int) -> Strictness:
    """What of that is demanded for a leaf: nothing for one whose parent was struck meanwhile.

    One that had no parent from the beginning is owed what is left, and nothing of it for certain.
    """
    if strictness not in STEADY:
        return strictness
    parent = standing.parents.get(leaf)
    if parent is None:
        return Strictness.LEFT
    return strictness if parent in standing.alive else Strictness.TRUE


def _silences(scenario: Scenario, fault: Fault) -> bool:
    """Whether super-peers owe answers for a while: their neighbours leave them out, and say so."""
    names = fault.cut or (fault.stop,) * bool(fault.stop)
    return any(scenario.together or read_aim(name).kind == SUPER_PEER for name in names)
