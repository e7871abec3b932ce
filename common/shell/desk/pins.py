"""Forgetting a pinned key while no daemon runs; one that runs is asked by its method instead."""

from common.errors import Exit, UserError
from common.shell.desk.home import Home, Lock


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
