"""Pinned keys without a daemon: reading them, and forgetting one while none runs.

A daemon that runs is asked to forget by its method instead; reading never changes its store.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from urllib.parse import quote

import msgspec

from common.errors import Exit, UserError
from common.ids import NodeId, node_text
from common.shell.desk.home import Home, Lock
from common.shell.desk.output import Output
from common.shell.desk.resolve import place_of


class Pin(msgspec.Struct):
    """The key that is pinned for HOST:PORT."""

    place: str
    node: str


def forget_pin(home: Home, place: str) -> None:
    """Forget the key pinned for HOST:PORT. Raises UserError: exit 3 where none is, 10 where a
    daemon runs."""
    if home.state_file.exists():
        from common.shell.disk.store import Store

        lock = Lock(home)
        try:
            store = Store(home.state_file)
            try:
                if place in dict(store.pins()):
                    store.remember_pin(place, None)
                    return
            finally:
                store.close()
        finally:
            lock.release()
    raise UserError(
        Exit.NOTHING_FOUND, f"No key is pinned for {place}.", "Write it as it was given to --super."
    )


def read_pins(home: Home) -> dict[str, NodeId]:
    """The key pinned for each HOST:PORT; none where there is no store that can be read.

    Not by `Store`, which would mend or move a broken file, perhaps under a daemon that runs.
    """
    place = f"file:{quote(str(home.state_file))}?mode=ro"
    try:
        with closing(sqlite3.connect(place, uri=True)) as db:
            return dict(db.execute("SELECT place, node FROM pins").fetchall())
    except sqlite3.Error:
        return {}


def with_pins(home: Home, places: Iterable[str]) -> tuple[str, ...]:
    """Each HOST[:PORT] with the key that is pinned for it, where none stands there."""
    pins = read_pins(home)
    found = []
    for text in places:
        pin = None if "/" in text else pins.get(place_of(text))
        found.append(text if pin is None else f"{text}/{node_text(pin)}")
    return tuple(found)


def print_pins(home: Home, output: Output) -> None:
    """All pinned keys, whether or not a daemon runs."""
    pins = [Pin(place, node_text(node)) for place, node in sorted(read_pins(home).items())]
    if output.for_people:
        output.table(("place", "node"), [(pin.place, pin.node) for pin in pins])
    else:
        output.document(pins)
