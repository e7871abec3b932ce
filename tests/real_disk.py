"""A disk and shares on a real file system, and the content that tests put there."""

import asyncio
from pathlib import Path
from random import Random

from common.content.merkle import FileHasher, FileTree
from common.core import Effect, Event
from common.shell.disk.jobs import Disk
from common.shell.disk.shares import Shares
from common.shell.disk.store import Store
from common.storage import (
    FilesShared,
)

CONTENT = Random(5).randbytes(100_000)  # seven pieces of 16 KiB


def tree_of(content: bytes) -> FileTree:
    """The tree of a content."""
    hasher = FileHasher(len(content))
    hasher.update(content)
    return hasher.finish()


TREE = tree_of(CONTENT)


class Shell:
    """A disk and shares whose events are collected."""

    def __init__(self, folder: Path, remembering: bool = True) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self.store = Store(folder / "state.db")
        self.disk = Disk(loop, self.events.put_nowait, self.store if remembering else None)
        self.shares = Shares(
            loop, self.events.put_nowait, self.store, (folder / "private",), retry_s=0.01
        )
        self.performers = {**self.disk.performers(), **self.shares.performers()}

    async def do(self, effect: Effect) -> Event:
        """Perform it; the next event."""
        self.performers[type(effect)](effect)
        return await self.events.get()

    def order(self, effect: Effect) -> None:
        """Perform what answers nothing."""
        self.performers[type(effect)](effect)

    async def until(self, kind: type[Event]) -> list[Event]:
        """All events up to the next of this kind."""
        seen: list[Event] = []
        while not seen or type(seen[-1]) is not kind:
            seen.append(await self.events.get())
        return seen

    def close(self) -> None:
        """Let go of everything."""
        threads = [follower.thread for follower in self.shares._followed.values()]
        self.shares.close()
        for thread in threads:
            thread.join()
        self.disk.close()
        self.store.close()


def relpaths(events: list[Event]) -> list[str]:
    """The files that were reported."""
    found = [event for event in events if isinstance(event, FilesShared)]
    return [file.relpath for event in found for file in event.files]
