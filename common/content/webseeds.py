"""URLs of web servers that have a file, as a person gives them (BEP 19).

Each becomes the address of the file itself: one that ends in `/` is a folder with the file's name
in it. Nothing is asked there.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlsplit

from common.addresses import WELL_KNOWN_PORTS, Address, Scope

URLS_MAX: Final = 16  # as many as super-peers in a link; wild guess
URL_CHARS_MAX: Final = 2_048  # what every program takes
HTTP_PORT: Final = 80
_SCHEMES: Final = ("http", "https")


def web_seeds(urls: Iterable[str], name: str) -> tuple[str, ...]:
    """The URLs of the file called `name`, each once. Raises ValueError with one sentence."""
    found: dict[str, None] = {}
    for url in urls:
        _check(url)
        is_folder = url.endswith("/") and "?" not in url
        found[url + quote(name, safe="") if is_folder else url] = None
    if len(found) > URLS_MAX:
        raise ValueError(f"{len(found)} URLs are more than the {URLS_MAX} allowed")
    return tuple(found)


def as_seed(url: str, name: str) -> str:
    """How a torrent or link tells of it: as the folder, where the file there is called `name`.

    BEP 19 lets a reader add the name to what ends in `/`, and libtorrent 2 always adds it unless
    the file is whole pieces: it counts the padding behind the last one as a second file.
    """
    tail = "/" + quote(name, safe="")
    return url[: 1 - len(tail)] if url.endswith(tail) and "?" not in url else url


def refusal(url: str, address: Address, came_from: Address | None) -> str:
    """Why nothing is fetched from `url`, whose host is at `address`; empty where it may be.

    A link may come from anybody (THREATS T3): it gets no strange port of the internet asked for
    anything, and no service of this machine or LAN for more than a path. A redirect is believed
    within the scope of who said it.
    """
    if not address.is_a_place:
        return "its address is no host's"
    if came_from is not None and address.scope < came_from.scope:
        return "a redirect leads to a nearer network"
    public = address.scope is Scope.PUBLIC
    if public and address.port < WELL_KNOWN_PORTS and address.port != HTTP_PORT:
        return f"port {address.port} of the internet is no web server's"
    if not public and "?" in url:
        return "a service of this network is asked for nothing but a path"
    return ""


def _check(url: str) -> None:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url[:80]!r} is no URL: what is not plain ASCII is written as %XX")
    if len(url) > URL_CHARS_MAX:
        raise ValueError(f"a URL of {len(url)} characters is longer than {URL_CHARS_MAX}")
    try:
        parts = urlsplit(url)
        there = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise ValueError(f"{url[:80]!r} is no URL: {error}") from error
    if parts.scheme not in _SCHEMES or not there:
        raise ValueError(f"{url[:80]!r} does not begin with http:// or https:// and a host")
    if parts.fragment:
        raise ValueError(f"{url[:80]!r} has a #, which no server is told of")
