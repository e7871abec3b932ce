"""What the last search found, by number, and what else people call a file: an id or a link."""

from typing import NamedTuple

from common.content.manifest import is_manifest_name
from common.content.torrent import LinkError, file_id, parse_file_id, parse_magnet
from common.core import Asked, Effect
from common.errors import Exit, UserError
from common.limits import MANIFEST_BYTES_MAX
from common.messages.fields import Contact
from leaf.methods import Get
from leaf.search.hits import Row
from leaf.signals import FolderWanted, Wanted
from leaf.swarm.webpeers import contact_of


class Target(NamedTuple):
    """A file to fetch, as somebody named it, with the leaves that are known to have it."""

    root: bytes
    size: int
    name: str
    sources: tuple[Contact, ...]
    urls: tuple[str, ...] = ()


class LastResult:
    """The rows of the last search that is over."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def get(self, event: Asked) -> list[Effect]:
        """Somebody wants what it names; UserError where that is no file."""
        params = event.params
        if not isinstance(params, Get):
            raise TypeError(event.method)
        root, size, name, sources, urls = self._target(params.what)
        sources += tuple(contact_of(root, url) for url in urls)
        may_be = is_manifest_name(name) and size <= MANIFEST_BYTES_MAX
        kind = FolderWanted if may_be or params.only else Wanted
        return [kind(event.call, params, root, size, name, sources, urls)]

    def _target(self, what: str) -> Target:
        """The file that `what` names: a number of the last result, an id or a link.

        UserError where it names none.
        """
        if what.isascii() and what.isdigit():
            return self._by_number(int(what))
        try:
            if what.startswith("magnet:"):
                link = parse_magnet(what)
                return self._named(link.root, link.size, link.name)._replace(urls=link.urls)
            return self._named(*parse_file_id(what), "")
        except LinkError as error:
            hint = "Give an id, a link, or the number of a hit of the last search."
            raise UserError(Exit.USAGE, f"{what[:80]!r} names no file: {error}.", hint) from error

    def _by_number(self, number: int) -> Target:
        if not 0 < number <= len(self.rows):
            found = f"it found {len(self.rows)}" if self.rows else "there is none"
            raise UserError(
                Exit.USAGE, f"The last search has no hit number {number}: {found}.", "Search first."
            )
        row = self.rows[number - 1]
        return Target(*row.content, row.name, row.contacts)

    def _named(self, root: bytes, size: int, name: str) -> Target:
        """A file by its content, with what the last search knows of it."""
        for row in self.rows:
            if row.content == (root, size):
                return Target(root, size, name or row.name, row.contacts)
        return Target(root, size, name or file_id(root, size), ())
