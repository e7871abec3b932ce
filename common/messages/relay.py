"""Two leaves that nobody can dial, and the super-peer that passes between them what they say.

The super-peer is the parent of the one that asks for files; the other comes to it as a visitor.
What they say is what passes a bulk link, cut into parts; neither the super-peer nor anybody else
proves to one leaf that it is the other, but pieces are proven as ever.
"""

from typing import Annotated

from msgspec import Meta

from common.limits import RELAY_PART_BYTES_MAX
from common.messages.fields import Bytes32, Count, Message, Name

Part = Annotated[bytes, Meta(max_length=RELAY_PART_BYTES_MAX)]


class Relay(Message, frozen=True, array_like=True, gc=False):
    """Pass between me and this leaf of yours what we say; `over`: pass no more."""

    peer: Bytes32
    over: bool = False


class Relayed(Message, frozen=True, array_like=True, gc=False):
    """I pass between you and this leaf what you say; `refused` says why I do not, or no more."""

    peer: Bytes32
    refused: Name = ""


class Ferry(Message, frozen=True, array_like=True, gc=False):
    """A part of what I say to this leaf, the `last` or not; I have `taken` so much of its."""

    peer: Bytes32
    part: Part = b""
    last: bool = False
    taken: Count = 0


class Ferried(Message, frozen=True, array_like=True, gc=False):
    """A part of what this leaf says to you, the `last` or not; so much of yours was `taken`."""

    peer: Bytes32
    part: Part = b""
    last: bool = False
    taken: Count = 0
