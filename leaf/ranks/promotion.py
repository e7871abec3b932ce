"""Being asked to become a super-peer too.

Only our parent asks. A node that may not (`--no-promote`) declines, and one that changed roles a
short time ago too: the time doubles, so that nobody flips to and fro (gtk-gnutella). A promoted
node goes on as a leaf as before.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from common.addresses import Address, may_tell
from common.config import PromotionConfig
from common.core import Demoted, Effect, Event, Notify, Promote, Promoted, Received, Send
from common.ids import NodeId
from common.messages.hierarchy import Offer, OfferAnswer
from leaf.signals import Joined, Orphaned

SEEDS_MAX: Final = 8  # of those that an offer names


class Offers:
    """The answers of one leaf, which may become a super-peer if it `promotes`."""

    __slots__ = (
        *("_changed_at", "_config", "_parent", "_pause_s", "_promoted", "_promotes"),
        "_parent_address",
    )

    def __init__(self, config: PromotionConfig, *, promotes: bool) -> None:
        self._config, self._promotes = config, promotes
        self._promoted = False
        self._parent: NodeId | None = None
        self._parent_address: Address | None = None
        self._changed_at: float | None = None  # when it stepped down last
        self._pause_s = 0.0

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take in one event."""
        return self._HANDLERS[type(event)](self, event, now)

    def wakeup(self) -> float | None:
        """Never: it only answers."""
        return None

    def _received(self, event: Received, now: float) -> list[Effect]:
        offer = event.message
        if event.peer != self._parent or not isinstance(offer, Offer):
            return []
        refusal = self._refusal(now)
        if refusal:
            return [Send(event.peer, OfferAnswer(False, refusal))]
        seeds = self._seeds(offer)
        return [
            Send(event.peer, OfferAnswer(True)),
            Notify("promotion_accepted"),
            Promote(tuple(seeds)),
        ]

    def _seeds(self, offer: Offer) -> list[tuple[NodeId, Address]]:
        """Our parent, and those that it names as far as it may be believed (THREATS T3)."""
        near = self._parent_address
        if self._parent is None or near is None:
            return []
        named = [one for one in offer.neighbours[:SEEDS_MAX] if may_tell(one.address, near)]
        return [(self._parent, near), *((one.node, one.address) for one in named)]

    def _refusal(self, now: float) -> str:
        if not self._promotes:
            return "it may not"
        if self._promoted:
            return "it is one already"
        if self._changed_at is not None and now < self._changed_at + self._pause_s:
            return "it stepped down a short time ago"
        return ""

    def _on_promoted(self, _event: Promoted, _now: float) -> list[Effect]:
        self._promoted = True
        return []

    def _on_demoted(self, _event: Demoted, now: float) -> list[Effect]:
        self._promoted, self._changed_at = False, now
        config = self._config
        self._pause_s = min(max(2 * self._pause_s, config.flip_s), config.flip_max_s)
        return []

    def _joined(self, event: Joined, _now: float) -> list[Effect]:
        self._parent, self._parent_address = event.parent, event.address
        return []

    def _orphaned(self, _event: Orphaned, _now: float) -> list[Effect]:
        self._parent = None
        return []

    _HANDLERS: ClassVar[dict[type[Event], Callable[..., list[Effect]]]] = {
        Received: _received,
        Promoted: _on_promoted,
        Demoted: _on_demoted,
        Joined: _joined,
        Orphaned: _orphaned,
    }
