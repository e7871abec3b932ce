"""What a node remembers over restarts, as effects and as its first event.

A disk that takes nothing is told of and survived: the node goes on, and may have forgotten this
one thing when it starts again.
"""

import time
from collections.abc import Callable

from common.core import Effect, Notify
from common.folders import RememberFolder
from common.schedule import RememberLimits
from common.shell.disk.diskcalls import DiskError
from common.shell.disk.remembered import Memory
from common.shell.drive import Performer
from common.storage import (
    RememberDownload,
    RememberGiving,
    RememberLine,
    RememberPin,
    RememberShare,
    RememberSuperPeer,
    RememberWish,
    Restored,
)


def restored(store: Memory) -> Restored:
    """What the last run left."""
    return Restored(
        store.shares(),
        store.downloads(),
        store.pins(),
        store.super_peers(),
        store.wishes(),
        store.folder_shares(),
        store.fetched_folders(),
        store.limits(),
        store.giving(),
        store.line(),
    )


def performers(
    store: Memory, notify: Callable[[Notify], None], wall: Callable[[], float] = time.time
) -> dict[type[Effect], Performer]:
    """The `Remember...` effects; each is one small transaction, done in place."""

    def share(effect: RememberShare) -> None:
        if effect.forget:
            store.forget_share(effect.share)
        else:
            store.remember_share(effect.share, as_folder=effect.as_folder)

    def download(effect: RememberDownload) -> None:
        if effect.forget:
            store.forget_download(effect.record.number)
        else:
            store.remember_download(effect.record)

    def pin(effect: RememberPin) -> None:
        store.remember_pin(effect.place, effect.node)

    def superpeer(effect: RememberSuperPeer) -> None:
        store.remember_super_peer(effect.node, effect.address, wall())

    def wish(effect: RememberWish) -> None:
        if effect.forget:
            store.forget_wish(effect.record.number)
        else:
            store.remember_wish(effect.record)

    def folder(effect: RememberFolder) -> None:
        if effect.forget:
            store.forget_folder(effect.record.number)
        else:
            store.remember_folder(effect.record)

    def limits(effect: RememberLimits) -> None:
        store.remember_limits(effect.record)

    def told(performer: Performer) -> Performer:
        def perform(effect: Effect) -> None:
            try:
                performer(effect)
            except DiskError as error:
                fields: dict[str, object] = {"what": type(effect).__name__, "reason": error.message}
                notify(Notify("not_remembered", fields, "error"))

        return perform

    return {
        RememberShare: told(share),
        RememberDownload: told(download),
        RememberPin: told(pin),
        RememberSuperPeer: told(superpeer),
        RememberWish: told(wish),
        RememberFolder: told(folder),
        RememberLimits: told(limits),
        RememberGiving: told(lambda effect: store.remember_giving(effect.records)),
        RememberLine: told(lambda effect: store.remember_line(effect.places)),
    }
