"""G4, 15, 16: nobody who lives is taken for dead, nobody honest is accused, nobody dialled in vain.

A link is given up as silent only if the other end could not speak: it was dead, frozen or slow, or
the way was cut or late, within the time that silence takes. Who was asleep himself accuses nobody.
Addresses are dialled within the scope in which they were learned: all nodes of a small world are in
one scope.
"""

from collections.abc import Callable

from common.core import CloseLink, Effect, Event, OpenLink
from deploy.sim.chaos.truth import Truth
from deploy.sim.host import Host
from deploy.sim.paths import Paths
from deploy.sim.schedule import Schedule

SILENT = "silent for"
MISDEEDS = (  # no honest leaf does any of these, whatever happens to it ...
    "a piece without data",
    "a piece that nobody asked for",
    "a bit field of the wrong length",
    "a piece beyond the end of the file",
    "a request that is not whole pieces",
    "piece hashes that do not lead to the root",
)
LIES = ("wrong bytes",)  # ... nor this, unless its disk deceives it
ASLEEP_S = 1.5  # who was away for so long has noticed it himself
SLACK_S = 3.0  # how long after a trouble its silence may still be heard


class Accusations:
    """Looks at every link that is given up, and every dial."""

    def __init__(
        self,
        violate: Callable[[str, str], None],
        schedule: Schedule,
        paths: Paths,
        truth: Truth,
        dead_s: float,
    ) -> None:
        self._violate, self._schedule, self._paths = violate, schedule, paths
        self._truth, self._hostile, self._dead_s = truth, truth.hostile, dead_s

    def fed(self, host: Host, _event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        if host.number in self._hostile:
            return
        for effect in effects:
            if isinstance(effect, CloseLink) and effect.reason.startswith(SILENT):
                self._silent(host, effect)
            elif isinstance(effect, CloseLink) and effect.reason.endswith((*MISDEEDS, *LIES)):
                self._misdeed(host, effect)
            elif isinstance(effect, OpenLink) and effect.address.scope < host.control.scope:
                what = f"{host.name} dials {effect.address}"
                self._violate("6: an address is used within its scope", what)

    def _misdeed(self, host: Host, effect: CloseLink) -> None:
        wire = host.wires.get(effect.link)
        other = wire.hosts[1 - wire.end_of(host)] if wire is not None else host
        deceived = other.number in self._truth.decayed or other.number in self._truth.rotten
        excused = deceived and effect.reason.endswith(LIES)
        if other.number not in self._hostile and not excused:
            what = f"{host.name} hangs up on {other.name}: {effect.reason}"
            self._violate("15: nobody honest is accused", what)

    def _silent(self, host: Host, effect: CloseLink) -> None:
        wire = host.wires.get(effect.link)
        if wire is None:
            return
        end = 1 - wire.end_of(host)
        other, now = wire.hosts[end], self._schedule.now
        long_s = host.thawed_at - host.frozen_at
        if host.thawed_at > now - self._dead_s / 2 and long_s > ASLEEP_S:
            self._violate("G4: who was asleep accuses nobody", f"{host.name} accuses {other.name}")
        elif not wire.up[end] or other.number in self._hostile:
            return
        elif not self._has_excuse(host, other, now - self._dead_s - SLACK_S):
            what = f"{host.name} takes {other.name} for dead: {effect.reason}"
            self._violate("G4: nobody who lives is taken for dead", what)

    def _has_excuse(self, host: Host, other: Host, since: float) -> bool:
        paths = self._paths
        pairs = ((host.number, other.number), (other.number, host.number))
        return (
            any(each.is_frozen or each.thawed_at > since for each in (host, other))
            or any(each.cost_s or each.slow_until > since for each in (host, other))
            or any(paths.is_cut(*pair) or paths.healed.get(pair, -1.0) > since for pair in pairs)
            or paths.spikes > 0
            or paths.late_until > since
        )
