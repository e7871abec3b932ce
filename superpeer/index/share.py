"""What one leaf shares in one of its lives, and how it becomes findable: in slices.

So a large library never keeps the others waiting, whether it comes from the leaf or from a
super-peer whose heir we are.
"""

from collections.abc import Callable
from typing import Final

from common.config import ClusterConfig
from common.content.catalogue import Entry
from common.core import LinkUp
from common.ids import NodeId
from common.messages.cluster import Join
from common.messages.fields import Contact
from superpeer.index.holding import Changes, Holding
from superpeer.index.index import Index

INDEX_SLICE: Final = 10_000  # keys by which entries are made searchable in one turn: 5 to 10 ms


class Share:
    """What a leaf has signed, where it is, and which of its joins brought it to its parent."""

    __slots__ = ("epoch", "holding", "joins", "source", "unindexed")

    def __init__(self, epoch: int, joins: int, source: Contact, holding: Holding) -> None:
        self.epoch = epoch
        self.joins = joins
        self.source = source
        self.holding = holding
        self.unindexed: Changes = {}  # signed, but not in the index yet


def index_some(
    index: Index,
    leaf: NodeId,
    share: Share,
    config: ClusterConfig,
    look: Callable[[int, Entry], int] | None = None,
) -> str:
    """Put a slice of what is signed into the index; why not, '' where it went.

    `look` hears of each entry that is there now, and tells how many keys its own work was worth.
    """
    budget = INDEX_SLICE
    for slot, entry in list(share.unindexed.items()):
        del share.unindexed[slot]
        if entry is None:
            keys = index.remove(leaf, slot)
        elif index.has_room(config.docs_max):
            keys = index.add(leaf, slot, entry)
        else:
            return "this super-peer holds as many files as it can"
        budget -= max(keys, 1)
        if entry is not None and look is not None:
            budget -= look(slot, entry)
        if index.keys(leaf) > config.keys_max:
            return "the names have more words than we hold of a leaf"
        if budget <= 0:
            break
    return ""


def source_of(link: LinkUp, join: Join) -> Contact:
    """Where the leaf's files can be fetched: the observed host, at its bulk door."""
    told = join.advertised
    if told is not None and told.ip == link.address.ip and told.port:
        return Contact(link.peer, told)
    return Contact(link.peer, link.address.at(link.bulk_port))
