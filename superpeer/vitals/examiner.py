"""The super-peer that has leaves examined, as dial-backs and tests see it.

Both ask others about a leaf of ours and enter what these say in its book, so both read the same of
us. All of it is read as it is at the moment, and nothing here decides or remembers anything.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from common.core import LinkUp
from common.ids import NodeId
from common.messages.fields import Contact
from superpeer.vitals.books import Book


class Examiner(NamedTuple):
    """Who we are, who is here, and where results go."""

    me: NodeId
    links: Mapping[NodeId, LinkUp]
    leaves: Mapping[NodeId, Contact]
    askable: Callable[[], list[NodeId]]
    """The neighbours of whom anything new may be asked."""
    book: Callable[[NodeId], Book]
    """What we keep of a leaf."""
    changed: Callable[[NodeId, float], None]
    """Hears of each result."""
