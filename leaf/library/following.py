"""What is known of a share that is followed, and of those who wait for shares."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from common.storage import SharedFile
from leaf.methods import HashProgress


@dataclass(slots=True)
class Followed:
    """One followed file or folder."""

    files: dict[str, SharedFile] = field(default_factory=dict)  # by relpath
    keep: bool = False
    heard: bool = False  # the shell said something of it
    settled: bool = False  # a scan is over, and it did not fail since
    ordered: bool = False  # a scan was ordered and is not over
    scans: int = 0  # ordered ones that are over
    progress: HashProgress = field(default_factory=lambda: HashProgress(0, 0, 0, 0))
    trouble: str = ""  # why the last scan failed, and so nothing of it is shared
    left_out: tuple[tuple[str, int], ...] = ()  # by the last scan: why, and how many

    @property
    def is_found(self) -> bool:
        """Whether all that is in it was found, or why it was not."""
        known = self.settled or bool(self.pending) or bool(self.trouble)
        return self.heard and known

    @property
    def pending(self) -> int:
        """How many files are found and not yet hashed."""
        return max(self.progress.files_total - self.progress.files_done, 0)


@dataclass(slots=True)
class Waiting:
    """A `share` that is not answered yet."""

    shares: list[str]
    new: list[str]  # those that it brought: taken back if they cannot be shared
    wait: bool
    as_folder: bool
    due: dict[str, int] = field(default_factory=dict)  # with `wait`: how many scans must be over
    revision: int = -1  # what those scans brought


def summed(shares: Iterable[Followed]) -> HashProgress:
    """How far the hashing of all these is."""
    shown = [share.progress for share in shares]
    return HashProgress(
        sum(each.files_done for each in shown),
        sum(each.files_total for each in shown),
        sum(each.bytes_done for each in shown),
        sum(each.bytes_total for each in shown),
    )


def left_out_of(shares: Iterable[Followed]) -> dict[str, int]:
    """What all these leave out: why, and how many; a share that cannot be scanned counts as one."""
    found: dict[str, int] = {}
    for share in shares:
        for reason, count in () if share.trouble else share.left_out:
            found[reason] = found.get(reason, 0) + count
        if share.trouble:
            found[share.trouble] = found.get(share.trouble, 0) + 1
    return found
