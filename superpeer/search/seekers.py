"""Which of our leaves look for sources of which file: they will be sources soon, if not yet.

Those who want a file at the same moment have nothing to be named for, and would know nobody but the
seed until each has something and asks again: that cost a star of eight a twentieth of its time. So
a leaf that asks for sources is named to those who ask after it for a while, as a tracker names all
that announce themselves (BEP 3). Nobody outside our own leaves hears of it; no search does.
"""

from typing import Final

from common.ids import NodeId
from common.limits import SOURCES_PER_ANSWER_MAX
from common.messages.fields import Contact

SEEKERS_MAX: Final = SOURCES_PER_ANSWER_MAX  # of one file
NAMED_MAX: Final = 20  # in one answer: the rest is for those who have it; wild guess
FILES_MAX: Final = 2_000  # that are looked for; the one asked for longest ago is forgotten
SOUGHT_S: Final = 60.0  # twice `swarm.locate_s`: who still wants it has asked again


class Seekers:
    """Who asked for sources lately, by root."""

    __slots__ = ("_by_root",)

    def __init__(self) -> None:
        self._by_root: dict[bytes, dict[NodeId, tuple[Contact, float]]] = {}

    def meet(self, root: bytes, seeker: Contact, now: float) -> tuple[Contact, ...]:
        """It looks for this file: the others who do, the one that asked last first."""
        if not seeker.address.port:
            return ()  # nobody can fetch from it, so it finds nobody either that way
        seekers = self._by_root.pop(root, {})
        self._by_root[root] = seekers
        if len(self._by_root) > FILES_MAX:
            del self._by_root[next(iter(self._by_root))]
        seekers.pop(seeker.node, None)
        for node in [node for node, (_, at) in seekers.items() if now - at > SOUGHT_S]:
            del seekers[node]
        others = [contact for contact, _ in seekers.values()][-NAMED_MAX:]
        if len(seekers) >= SEEKERS_MAX:
            del seekers[next(iter(seekers))]
        seekers[seeker.node] = (seeker, now)
        return tuple(reversed(others))
