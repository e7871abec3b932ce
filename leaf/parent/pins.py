"""The keys that places of super-peers had when they were first met, as people typed the places.

A pinned key is never exchanged for another but by a person's word, and survives restarts.
"""

from common.core import Answer, Asked, Effect
from common.errors import Exit, UserError
from common.ids import NodeId
from common.storage import RememberPin
from leaf.methods import Nothing, PinReset
from leaf.parent.candidates import Candidate, place_of


class Pins:
    """Keys by place."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[str, NodeId] = {}

    def restore(self, pins: tuple[tuple[str, NodeId], ...]) -> None:
        """What earlier runs pinned."""
        self._keys.update({place_of(place): node for place, node in pins})

    def of(self, candidate: Candidate) -> NodeId | None:
        """The key that a candidate must have; None where any will do, or it was told itself."""
        if not candidate.place or candidate.node is not None:
            return None
        return self._keys.get(place_of(candidate.place))

    def joined(self, candidate: Candidate) -> list[Effect]:
        """A link has proven this candidate's key: from now on its place has no other."""
        if not candidate.place or candidate.pin is None:
            return []
        place = place_of(candidate.place)
        if place in self._keys:
            return []
        self._keys[place] = candidate.pin
        return [RememberPin(place, candidate.pin)]

    def reset(self, event: Asked) -> list[Effect]:
        """Any key will do for a place again. Raises UserError where none is pinned."""
        params = event.params
        place = place_of(params.place) if isinstance(params, PinReset) else ""
        if self._keys.pop(place, None) is None:
            raise UserError(Exit.NOTHING_FOUND, f"No key is pinned for {place}.")
        return [RememberPin(place, None), Answer(event.call, Nothing())]
