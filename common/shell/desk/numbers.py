"""The hits of a home's last search by their numbers, kept from one command to the next.

A small file of links, in order, written in one go: it is that of one search or of another, never
a mixture, and its owner's alone (names of files tell what somebody looked for). It outlives the
daemon and needs none. Hits themselves, with sources and scores, are not kept.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from common.errors import Exit, UserError
from common.shell.desk.home import Home
from common.shell.disk.diskcalls import naming

HITS_BYTES_MAX: Final = 32 * 1024 * 1024  # 5,000 links of names of 255 characters: 15 MB


def keep_links(home: Home, links: Sequence[str]) -> None:
    """These are the hits of the last search now. Raises DiskError."""
    home.prepare()
    with naming("write", home.hits_file):
        fd, name = tempfile.mkstemp(prefix="hits-", dir=home.folder)  # 0600 whatever the umask
        part = Path(name)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.encode(links))
            part.replace(home.hits_file)  # no sync: a crash of the machine may cost them
        except BaseException:
            part.unlink()
            raise


def link_of(home: Home, number: int) -> str | None:
    """The link of a hit, from 1; None where no search was kept here.

    Raises UserError (exit 2) where the search had fewer hits.
    """
    try:
        with home.hits_file.open("rb") as file:
            links = msgspec.json.decode(file.read(HITS_BYTES_MAX), type=list[str])
    except (OSError, msgspec.MsgspecError):
        return None
    if not 0 < number <= len(links):
        text = f"The last search has no hit number {number}: it found {len(links)}."
        raise UserError(Exit.USAGE, text, "Search again, or give an id or a link.")
    return links[number - 1]
