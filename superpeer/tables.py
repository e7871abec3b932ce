"""Which machine of a super-peer takes what: messages of others, of its own node, of wishes."""

from collections.abc import Callable
from typing import Any

from common.core import Effect
from common.ids import NodeId
from common.messages import cluster, hierarchy, overlay, relay
from common.messages.fields import Message
from superpeer.hierarchy.hierarchy import Hierarchy
from superpeer.machines import Machines
from superpeer.search.questions import Questions

OnMessage = Callable[[NodeId, Any, float], list[Effect]]
Table = dict[type[Message], OnMessage]


def of_others(at: Machines) -> Table:
    """What leaves and neighbours say."""
    return {
        cluster.Join: _both(at.cluster.on_join, _both(at.line.on_join, at.hierarchy.on_join)),
        cluster.Publish: at.cluster.on_publish,
        cluster.Leave: _leaving(at),
        cluster.Unreached: at.cluster.heirs.on_unreached,
        cluster.Search: at.questions.on_question,
        cluster.Locate: at.questions.on_question,
        cluster.Forget: _unless_waiting(at.questions, at.searches.on_forget),
        cluster.Wish: at.wishes.on_wish,
        cluster.Unwish: at.wishes.on_unwish,
        overlay.Link: _then(at.overlay.on_link, at.hierarchy.linked),
        overlay.Linked: _then(at.overlay.on_linked, at.hierarchy.linked),
        overlay.Unlinked: _unlinking(at),
        overlay.Neighbourhood: at.overlay.on_neighbourhood,
        overlay.Patches: at.digests.on_patches,
        overlay.Ablest: at.line.on_ablest,
        overlay.Hold: at.handing.on_hold,
        overlay.Held: at.handing.on_held,
        overlay.Release: at.handing.on_release,
        overlay.Query: _once_met(at),
        overlay.Extend: at.flood.on_extend,
        overlay.QueryHits: at.flood.on_query_hits,
        overlay.QueryDone: at.flood.on_query_done,
        overlay.Prune: _unless_waiting(at.questions, at.flood.on_prune),
        relay.Relay: at.relays.on_relay,
        relay.Ferry: at.relays.on_ferry,
        **_of_the_hierarchy(at.hierarchy),
    }


def _of_the_hierarchy(at: Hierarchy) -> Table:
    """What is measured of leaves, offered, moved and reserved."""
    return {
        hierarchy.Receipts: at.vitals.on_receipts,
        hierarchy.Carried: at.vitals.on_carried,
        hierarchy.Records: at.vitals.on_records,
        hierarchy.Examine: at.on_examine,
        hierarchy.Examined: at.on_examined,
        hierarchy.ErrandDone: at.on_examined,
        hierarchy.OfferAnswer: at.promotion.on_answer,
        hierarchy.Reserve: at.stepdown.on_reserve,
        hierarchy.Reserved: at.stepdown.on_reserved,
        hierarchy.Outdone: at.stepdown.on_outdone,
        hierarchy.Yielded: at.promotion.on_yielded,
    }


def of_ourselves(at: Machines) -> Table:
    """The origin of a query asks its own node, and is answered by it."""
    return {
        overlay.Query: at.flood.on_query,
        overlay.Extend: at.flood.on_extend,
        overlay.Prune: at.flood.on_prune,
        overlay.QueryHits: at.searches.on_query_hits,
        overlay.QueryDone: at.searches.on_query_done,
    }


def of_wishes(at: Machines) -> Table:
    """What wishes and the searches for them say to one another."""
    return {
        cluster.Search: at.searches.begin,
        cluster.Forget: at.searches.on_forget,
        cluster.SearchHits: at.wishes.on_search_hits,
        cluster.SearchDone: at.wishes.on_search_done,
    }


def _then(on_message: OnMessage, then: Callable[[NodeId, float], list[Effect]]) -> OnMessage:
    """What follows from it for others: they look at what has become of the peer."""
    return lambda peer, message, now: [*on_message(peer, message, now), *then(peer, now)]


def _both(first: OnMessage, then: OnMessage) -> OnMessage:
    """One machine answers, then another."""
    return lambda peer, message, now: [*first(peer, message, now), *then(peer, message, now)]


def _leaving(at: Machines) -> OnMessage:
    """A leaf that has another parent asks us nothing and wishes for nothing here."""

    def on_leave(peer: NodeId, message: cluster.Leave, now: float) -> list[Effect]:
        effects = at.cluster.on_leave(peer, message, now)
        if peer in at.cluster.members:
            return effects
        effects += at.searches.leaf_lost(peer) + at.wishes.leaf_lost(peer, now)
        effects += at.handing.left(peer, now)
        return effects + at.hierarchy.left(peer, now)

    return on_leave


def _unlinking(at: Machines) -> OnMessage:
    """Who leaves is no heir any more."""

    def on_unlinked(peer: NodeId, message: overlay.Unlinked, now: float) -> list[Effect]:
        at.cluster.heirs.peers_changed(now)
        return at.overlay.on_unlinked(peer, message, now)

    return on_unlinked


def _once_met(at: Machines) -> OnMessage:
    """A query that is new waits for its turn; of one that we have met before the flood hears."""
    flood, questions = at.flood, at.questions
    return lambda peer, query, now: (
        flood.on_query(peer, query, now)
        if flood.has_met(query)
        else questions.on_question(peer, query, now)
    )


def _unless_waiting(questions: Questions, on_message: OnMessage) -> OnMessage:
    """What still waits for its turn is taken back; of what was begun `on_message` hears."""
    return lambda peer, message, now: (
        [] if questions.take_back(peer, message.guid) else on_message(peer, message, now)
    )
