"""A tracker site: a list of super-peers at a URL or in a file, `HOST[:PORT][/KEY]` a line.

What follows a `#` is for people. A list is bounded in bytes, entries and time, and a line that is
no entry costs nothing but being counted. What a list at a URL says is believed within the scope
that the site itself is in: one out in the world names nobody on our loopback or in our LAN.
"""

import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from http.client import HTTPException
from pathlib import Path
from typing import Final, NamedTuple

from common.addresses import Scope
from common.errors import UserError
from common.ladder import FOUND_MAX
from common.meeting import Seed
from common.shell.desk.resolve import seeds

LIST_BYTES_MAX: Final = 64 * 1024
ENTRIES_MAX: Final = FOUND_MAX
SITE_S: Final = 5.0  # for the fetch, and again for the names of hosts on it
REASON_CHARS_MAX: Final = 200
_SCHEMES: Final = ("https", "http", "file")


class Listed(NamedTuple):
    """What a list names; `problem` is one sentence where that is less than it holds."""

    seeds: tuple[Seed, ...]
    problem: str = ""


def ask_site(where: str, clock: Callable[[], float] = time.monotonic) -> Listed:
    """What the list at a URL, or in a file, says now. Blocks; raises nothing."""
    try:
        text, scope = _read(where)
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        return Listed((), f"the list {where} cannot be read: {one_line(reason)}")
    try:
        lines = text.decode().splitlines()
    except UnicodeDecodeError:
        return Listed((), f"the list {where} is no text")
    return _named(where, lines, scope, clock)


def one_line(reason: object) -> str:
    """What a library or a server says, as part of a sentence."""
    return " ".join(str(reason).split())[:REASON_CHARS_MAX].rstrip(".")


def _named(where: str, lines: Iterable[str], scope: Scope, clock: Callable[[], float]) -> Listed:
    entries = [entry for line in lines if (entry := line.partition("#")[0].strip())]
    found: list[Seed] = []
    bad, until = 0, clock() + SITE_S
    for entry in entries[:ENTRIES_MAX]:
        if clock() > until:
            return Listed(tuple(found[:FOUND_MAX]), f"not all names on {where} could be looked up")
        try:
            named = seeds([entry])
        except UserError:
            named = ()
        usable = [each for each in named if each.address.is_a_place]
        near = [each for each in usable if each.address.scope >= scope]
        bad += not near
        found += near
    return Listed(tuple(found[:FOUND_MAX]), _complaint(where, len(entries), bad))


def _complaint(where: str, entries: int, bad: int) -> str:
    said = []
    if bad:
        said.append(f"{bad} of {min(entries, ENTRIES_MAX)} lines of {where} are of no use")
    if entries > ENTRIES_MAX:
        said.append(f"only the first {ENTRIES_MAX} entries of {where} are read")
    return "; ".join(said)


def _read(where: str) -> tuple[bytes, Scope]:
    """The bytes of the list, and how far away it lies. Raises OSError, ValueError (for what is no
    URL or no list) or HTTPException."""
    parts = urllib.parse.urlsplit(where)
    if parts.scheme == "file":
        return _read_file(Path(urllib.request.url2pathname(parts.path)))
    if not parts.netloc:
        return _read_file(Path(where).expanduser())
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{parts.scheme} is not {', '.join(_SCHEMES)}")
    request = urllib.request.Request(where, headers={"User-Agent": "superpeer"})
    until = time.monotonic() + SITE_S
    with _opener().open(request, timeout=SITE_S) as answer:
        body = b""
        while block := answer.read1(LIST_BYTES_MAX + 1 - len(body)):
            body += block
            if time.monotonic() > until:  # a site that trickles
                raise ValueError(f"it takes longer than {SITE_S:g} s")
        led_to = urllib.parse.urlsplit(answer.geturl())
    return _bounded(body), max(_scope_of(each.hostname or "") for each in (parts, led_to))


def _read_file(path: Path) -> tuple[bytes, Scope]:
    with path.open("rb") as file:
        return _bounded(file.read(LIST_BYTES_MAX + 1)), Scope.LOOPBACK


def _bounded(body: bytes) -> bytes:
    if len(body) > LIST_BYTES_MAX:
        raise ValueError(f"it is longer than {LIST_BYTES_MAX // 1024} KiB")
    return body


def _scope_of(host: str) -> Scope:
    """The widest scope of a host's addresses: where we cannot tell, it is out in the world."""
    try:
        found = seeds([f"[{host}]" if ":" in host else host])
    except UserError:
        return Scope.PUBLIC
    return max((each.address.scope for each in found), default=Scope.PUBLIC)


def _opener() -> urllib.request.OpenerDirector:
    """HTTP alone: where a site leads us elsewhere, that is no file of ours and no FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
