"""What a fault is: something that strikes a small world, and ends by itself."""

from collections.abc import Callable

from deploy.sim.chaos.arena import Arena

Strike = Callable[[Arena], None]
