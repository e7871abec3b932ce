"""Type id -> message -> who takes it and by which door. Append only; an id is never used again.

This is the whole protocol at a glance. `Node` routes by `to`, the wire encodes by `id`, and a
message that does not stand here cannot be sent.
"""

import enum
from typing import Final, NamedTuple

from common.doors import Door
from common.messages import cluster, control, hierarchy, link, overlay, relay, swarm
from common.messages.fields import Message


class To(enum.Enum):
    """The part of a node that takes a message."""

    LINK = "link"
    DATAGRAM = "datagram"
    SUPERPEER = "superpeer"
    LEAF = "leaf"
    COMMAND = "command"


class Row(NamedTuple):
    """One message type; `door` is None where any door will do."""

    id: int
    message: type[Message]
    to: To
    door: Door | None
    carries_data: bool = False  # its bytes travel as a second frame


TABLE: Final = (
    Row(0, link.Hello, To.LINK, None),
    Row(1, link.Refused, To.LINK, None),
    Row(2, link.Echo, To.LINK, None),
    Row(3, link.Bye, To.LINK, None),
    Row(4, link.Ping, To.DATAGRAM, None),
    Row(5, link.Pong, To.DATAGRAM, None),
    Row(16, cluster.Join, To.SUPERPEER, Door.CONTROL),
    Row(17, cluster.Welcome, To.LEAF, Door.CONTROL),
    Row(18, cluster.Busy, To.LEAF, Door.CONTROL),
    Row(19, cluster.Publish, To.SUPERPEER, Door.CONTROL),
    Row(20, cluster.Published, To.LEAF, Door.CONTROL),
    Row(21, cluster.Search, To.SUPERPEER, Door.CONTROL),
    Row(22, cluster.SearchHits, To.LEAF, Door.CONTROL),
    Row(23, cluster.SearchDone, To.LEAF, Door.CONTROL),
    Row(24, cluster.Locate, To.SUPERPEER, Door.CONTROL),
    Row(25, cluster.Sources, To.LEAF, Door.CONTROL),
    Row(26, cluster.Forget, To.SUPERPEER, Door.CONTROL),
    Row(27, cluster.Wish, To.SUPERPEER, Door.CONTROL),
    Row(28, cluster.Unwish, To.SUPERPEER, Door.CONTROL),
    Row(29, cluster.WishHits, To.LEAF, Door.CONTROL),
    Row(30, cluster.Wished, To.LEAF, Door.CONTROL),
    Row(31, cluster.Credit, To.LEAF, Door.CONTROL),
    Row(32, cluster.Heir, To.LEAF, Door.CONTROL),
    Row(33, cluster.ReHome, To.LEAF, Door.CONTROL),
    Row(34, cluster.Leave, To.SUPERPEER, Door.CONTROL),
    Row(35, cluster.Unreached, To.SUPERPEER, Door.CONTROL),
    Row(38, cluster.Line, To.LEAF, Door.CONTROL),
    Row(39, cluster.Push, To.LEAF, Door.CONTROL),
    Row(40, hierarchy.Receipts, To.SUPERPEER, Door.CONTROL),
    Row(41, hierarchy.Vitals, To.LEAF, Door.CONTROL),
    Row(42, hierarchy.Offer, To.LEAF, Door.CONTROL),
    Row(43, hierarchy.OfferAnswer, To.SUPERPEER, Door.CONTROL),
    Row(46, hierarchy.Errand, To.LEAF, Door.CONTROL),
    Row(47, hierarchy.ErrandDone, To.SUPERPEER, Door.CONTROL),
    Row(48, overlay.Link, To.SUPERPEER, Door.CONTROL),
    Row(49, overlay.Linked, To.SUPERPEER, Door.CONTROL),
    Row(50, overlay.Unlinked, To.SUPERPEER, Door.CONTROL),
    Row(51, overlay.Neighbourhood, To.SUPERPEER, Door.CONTROL),
    Row(52, overlay.Query, To.SUPERPEER, Door.CONTROL),
    Row(53, overlay.Extend, To.SUPERPEER, Door.CONTROL),
    Row(54, overlay.QueryHits, To.SUPERPEER, Door.CONTROL),
    Row(55, overlay.QueryDone, To.SUPERPEER, Door.CONTROL),
    Row(56, overlay.Prune, To.SUPERPEER, Door.CONTROL),
    Row(57, overlay.Patches, To.SUPERPEER, Door.CONTROL),
    Row(58, overlay.Hold, To.SUPERPEER, Door.CONTROL),
    Row(59, overlay.Held, To.SUPERPEER, Door.CONTROL),
    Row(60, overlay.Release, To.SUPERPEER, Door.CONTROL),
    Row(64, overlay.Ablest, To.SUPERPEER, Door.CONTROL),
    Row(66, hierarchy.Examine, To.SUPERPEER, Door.CONTROL),
    Row(67, hierarchy.Examined, To.SUPERPEER, Door.CONTROL),
    Row(68, hierarchy.Carried, To.SUPERPEER, Door.CONTROL),
    Row(69, hierarchy.Reserve, To.SUPERPEER, Door.CONTROL),
    Row(70, hierarchy.Reserved, To.SUPERPEER, Door.CONTROL),
    Row(71, hierarchy.Records, To.SUPERPEER, Door.CONTROL),
    Row(72, hierarchy.Outdone, To.SUPERPEER, Door.CONTROL),
    Row(73, hierarchy.Yielded, To.SUPERPEER, Door.CONTROL),
    Row(80, swarm.Interested, To.LEAF, Door.BULK),
    Row(81, swarm.NotInterested, To.LEAF, Door.BULK),
    Row(82, swarm.Bitfield, To.LEAF, Door.BULK),
    Row(83, swarm.Have, To.LEAF, Door.BULK),
    Row(84, swarm.Choke, To.LEAF, Door.BULK),
    Row(85, swarm.Unchoke, To.LEAF, Door.BULK),
    Row(86, swarm.Request, To.LEAF, Door.BULK),
    Row(87, swarm.Piece, To.LEAF, Door.BULK, carries_data=True),
    Row(88, swarm.Cancel, To.LEAF, Door.BULK),
    Row(89, swarm.Reject, To.LEAF, Door.BULK),
    Row(90, swarm.TreeRequest, To.LEAF, Door.BULK),
    Row(91, swarm.TreeHashes, To.LEAF, Door.BULK, carries_data=True),
    Row(92, swarm.Peers, To.LEAF, Door.BULK),
    Row(93, hierarchy.Home, To.LEAF, Door.BULK),
    Row(94, hierarchy.Trial, To.LEAF, Door.BULK),
    Row(95, hierarchy.TrialData, To.LEAF, Door.BULK, carries_data=True),
    Row(112, control.Call, To.COMMAND, None),
    Row(113, control.Told, To.COMMAND, None),
    Row(114, control.Answered, To.COMMAND, None),
    Row(115, control.Failed, To.COMMAND, None),
    Row(116, control.Hung, To.COMMAND, None),
    Row(120, relay.Relay, To.SUPERPEER, Door.CONTROL),
    Row(121, relay.Relayed, To.LEAF, Door.CONTROL),
    Row(122, relay.Ferry, To.SUPERPEER, Door.CONTROL),
    Row(123, relay.Ferried, To.LEAF, Door.CONTROL),
)

BY_ID: Final = {row.id: row for row in TABLE}
BY_MESSAGE: Final = {row.message: row for row in TABLE}
