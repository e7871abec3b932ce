"""Probes of a super-peer's cluster and neighbours: joins, leases, publishing, refusals."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from common.core import Effect, Event, FrameReceived, LinkClosed, OpenLink, SendFrame, Woke
from common.messages.cluster import Busy, Join, Publish, Published, Welcome
from common.messages.fields import Message
from common.messages.overlay import Link, Linked, Unlinked
from deploy.sim.host import Host
from deploy.sim.inside import SuperPeerInside, superpeer_of
from deploy.sim.probes.families import Hit

_REFUSALS: Final = {
    "the signature": "publish-refused-for-its-signature",
    "generation": "publish-refused-for-its-generation",
    "at most": "publish-refused-for-its-slot",
    "a folder": "publish-refused-for-its-folder",
    "a name": "publish-refused-for-its-name",
}

SUPERPEERS: Final = {
    "welcome-to-a-stranger": "A leaf was taken in of which nothing was held.",
    "welcome-with-a-catalogue": "A leaf was taken in whose catalogue was held already.",
    "refused-without-alternative": "A full super-peer knew nobody else to name.",
    "refused-with-alternatives": "A full super-peer named others.",
    "leaf-is-gone-its-lease-runs": "A lost leaf's entries were kept for a while.",
    "lease-expired": "A lost leaf did not come back in time, and was forgotten.",
    "rejoined-within-its-lease": "A lost leaf came back before it was forgotten.",
    "rejoined-in-another-life": "A lost leaf came back in another life.",
    "publish-refused-for-its-signature": "A catalogue was refused: it was not what was signed.",
    "publish-refused-for-its-generation": "A catalogue was refused: it was not newer.",
    "publish-refused-for-its-slot": "A catalogue was refused: a slot was out of range.",
    "publish-refused-for-its-folder": "A catalogue was refused: a folder was too deep or long.",
    "published-empty": "A generation without any entry was taken.",
    "published-full": "A generation with many entries was taken.",
    "neighbour-in-full": "A neighbour was told that there is no room, or too soon.",
    "neighbour-alternative-dialled": "Somebody whom a full neighbour named was dialled.",
    "neighbours-on-both-sides": "Two super-peers asked one another at the same time.",
    "super-peer-alone": "A super-peer had leaves and no neighbour.",
    "super-peer-full": "A super-peer had as many leaves as it takes.",
}
MANY: Final = 60


class SuperPeerProbes:
    """A room."""

    def __init__(self, hit: Hit) -> None:
        self._hit = hit
        self._leased: dict[tuple[int, int], dict[bytes, int]] = {}  # by life: lost leaf -> epoch

    def fed(self, host: Host, event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        if type(event) not in (FrameReceived, Woke, LinkClosed):
            return
        inside = superpeer_of(host)
        if inside is None:
            return
        message = event.message if isinstance(event, FrameReceived) else None
        on_message = self._MESSAGES.get(type(message))
        if on_message is not None:
            on_message(self, host, inside, message, effects)
        elif message is None:
            self._leases(host, inside)

    # --- leaves -----------------------------------------------------------------------------

    def _leases(self, host: Host, inside: SuperPeerInside) -> None:
        """Who is lost and kept; who was, and is forgotten."""
        cluster = inside.cluster
        before = self._leased.get((host.number, host.life), {})
        lost = {
            peer: leaf.epoch
            for peer, leaf in cluster._leaves.items()
            if peer not in cluster.members
        }
        for peer in lost:
            if peer not in before:
                self._hit("leaf-is-gone-its-lease-runs")
        for peer in before:
            if peer not in cluster._leaves:
                self._hit("lease-expired")
        if lost or before:
            self._leased[host.number, host.life] = lost
        if cluster.members and not inside.overlay.neighbours:
            self._hit("super-peer-alone")
        if len(cluster._leaves) >= cluster._config.leaves_max:
            self._hit("super-peer-full")

    def _join(self, host: Host, inside: SuperPeerInside, join: Join, effects: list[Effect]) -> None:
        for message in _said(effects):
            if isinstance(message, Welcome):
                known = message.generation > 0
                self._hit("welcome-with-a-catalogue" if known else "welcome-to-a-stranger")
            elif isinstance(message, Busy):
                named = bool(message.alternatives)
                self._hit("refused-with-alternatives" if named else "refused-without-alternative")
        lost = self._leased.get((host.number, host.life), {})
        for peer, epoch in list(lost.items()):
            if peer in inside.cluster.members:
                del lost[peer]
                same = epoch == join.epoch
                self._hit("rejoined-within-its-lease" if same else "rejoined-in-another-life")

    def _publish(
        self, _host: Host, _inside: SuperPeerInside, message: Publish, effects: list[Effect]
    ) -> None:
        for said in _said(effects):
            if not isinstance(said, Published):
                continue
            for beginning, name in _REFUSALS.items():
                if said.refused.startswith(beginning):
                    self._hit(name)
            if not said.refused and not message.puts:
                self._hit("published-empty")
            if not said.refused and len(message.puts) >= MANY // 2:
                self._hit("published-full")

    # --- neighbours -------------------------------------------------------------------------

    def _link(
        self, _host: Host, inside: SuperPeerInside, _message: Link, effects: list[Effect]
    ) -> None:
        said = _said(effects)
        if any(isinstance(each, Unlinked) for each in said):
            self._hit("neighbour-in-full")
        if any(isinstance(each, Linked) for each in said) and any(
            wanted.phase.value == "asked" for wanted in inside.overlay.joining._wanted.values()
        ):
            self._hit("neighbours-on-both-sides")

    def _unlinked(
        self, _host: Host, _inside: SuperPeerInside, message: Unlinked, effects: list[Effect]
    ) -> None:
        named = [contact.address for contact in message.alternatives]
        if any(isinstance(each, OpenLink) and each.address in named for each in effects):
            self._hit("neighbour-alternative-dialled")

    _MESSAGES: ClassVar[dict[type, Callable[..., Any]]] = {
        Join: _join,
        Publish: _publish,
        Link: _link,
        Unlinked: _unlinked,
    }


def _said(effects: list[Effect]) -> list[Message]:
    return [each.message for each in effects if isinstance(each, SendFrame)]
