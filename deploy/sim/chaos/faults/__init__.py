"""All faults by name, each with the mean time between two of its strikes."""

from typing import Final

from deploy.sim.chaos.faults import disks, hosts, network, users
from deploy.sim.chaos.faults.strike import Strike

FAULTS: Final[dict[str, tuple[Strike, float]]] = {
    **hosts.FAULTS,
    **network.FAULTS,
    **disks.FAULTS,
    **users.FAULTS,
}
