"""9, 10: a wish tells of each file once, of such as it asks for, and fetches within its bounds.

What a leaf remembers of a wish is what it has told of; so the record is what is looked at, each
time that it is to be remembered.
"""

from collections.abc import Callable

from common.core import Effect, Event
from common.limits import WISHES_PER_LEAF_MAX
from common.names import words
from common.storage import RememberWish, WishRecord
from deploy.sim.chaos.truth import Truth
from deploy.sim.host import Host
from deploy.sim.inside import leaf_of
from leaf.search.wishes import FILES_MAX


class Wishes:
    """Looks at every wish that is remembered."""

    def __init__(self, violate: Callable[[str, str], None], truth: Truth) -> None:
        self._violate, self._truth = violate, truth

    def fed(self, host: Host, _event: Event, effects: list[Effect]) -> None:
        """An event was taken in."""
        for effect in effects:
            if isinstance(effect, RememberWish) and not effect.forget:
                self._look(host, effect.record)
                inside = leaf_of(host)
                if inside is not None and len(inside.wishes._wishes) > WISHES_PER_LEAF_MAX:
                    self._tell(host, "keeps too many wishes")

    def _look(self, host: Host, record: WishRecord) -> None:
        contents = [(file.root, file.size) for file in record.files]
        if len(dict.fromkeys(contents)) < len(contents) or len(contents) > FILES_MAX:
            self._tell(host, f"tells of {len(contents)} files, some of them twice")
        fetched = [file.size for file in record.files if file.fetched]
        if len(fetched) > FILES_MAX or sum(fetched) > max(record.bytes_max, sum(fetched[:-1])):
            self._tell(host, f"fetches {len(fetched)} files, {sum(fetched)} bytes for a wish")
        if self._truth.hostile or self._truth.decayed:
            return
        for content in contents:
            names = self._truth.named.get(content, {})
            if not any(_fits(record, name) for name in names):
                self._tell(host, f"tells of {list(names)} for {record.words}")

    def _tell(self, host: Host, what: str) -> None:
        self._violate("9: a wish tells of what it asks for, once", f"{host.name} {what}")


def _fits(record: WishRecord, name: str) -> bool:
    """Whether a file of this name is wished for."""
    there = words(name)
    asked = [word for text in record.words for word in words(text)]
    return all(word in there for word in asked)
