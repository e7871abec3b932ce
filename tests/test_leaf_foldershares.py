"""Shares that are one thing too: when their manifests are made, and what becomes of the old."""

from common.core import Answer, Asked, Effect, Fail, Notify, Woke
from common.errors import Exit
from common.folders import DropManifest, MakeManifest, ManifestFailed, ManifestMade
from common.storage import (
    FilesShared,
    FilesUnshared,
    RememberShare,
    Restored,
    SharedFile,
    ShareSettled,
)
from leaf.library.foldershares import GATHER_S
from leaf.library.library import Library
from leaf.methods import Share, SharedRow, Unshare
from leaf.signals import Acknowledged, Offered, Withdrawn
from tests.memory_disk import shared

A, B = shared("one.txt", b"1", "/s"), shared("two.txt", b"2", "/s")


def manifest(content: bytes, folder: str = "x") -> SharedFile:
    """A manifest as the shell reports it."""
    return shared("s.folder", content, f"/manifests/{folder}/s.folder")


def library(*, wait: bool = False) -> Library:
    """A leaf that shares `/s` as a folder, with call 1 waiting for it."""
    core = Library(())
    core.handle(Restored(), 0.0)
    effects = core.handle(Asked(1, "leaf.share", Share(["/s"], wait=wait, as_folder=True)), 0.0)
    assert RememberShare("/s", as_folder=True) in effects
    return core


def settled(core: Library, now: float, *files: SharedFile) -> list[Effect]:
    """A scan that found these is over; what is ordered then."""
    effects = core.handle(FilesShared(files), now) if files else []
    return effects + core.handle(ShareSettled("/s"), now)


def made_of(effects: list[Effect]) -> list[str]:
    """The files of the manifests that are ordered."""
    makes = [effect for effect in effects if isinstance(effect, MakeManifest)]
    return [file.relpath for effect in makes for file in effect.files]


def test_the_first_manifest_is_made_when_all_is_hashed() -> None:
    """At once; it is offered by its name, listed among the files and found by its root."""
    core = library()
    assert made_of(core.handle(FilesShared((A,)), 0.0)) == []
    assert MakeManifest("/s", "/manifests", (A, B)) in settled(core, 1.0, B)
    file = manifest(b"v1")
    (offer,) = core.handle(ManifestMade("/s", file), 2.0)
    assert isinstance(offer, Offered)
    assert [(key, entry.name) for key, entry in offer.puts] == [(file.share, "s.folder")]
    assert core.find(file.root, file.size) == file
    (answer,) = core.handle(Asked(2, "leaf.ls", Share([])), 2.0)
    assert isinstance(answer, Answer)
    assert isinstance(answer.result, list)
    assert [row.name for row in answer.result] == ["one.txt", "two.txt", "s.folder"]
    assert (core.files, core.wakeup()) == (3, None)


def test_a_plain_share_has_none() -> None:
    """Also beside one that is a folder."""
    core = library()
    core.handle(Asked(2, "leaf.share", Share(["/t"])), 0.0)
    effects = core.handle(FilesShared((shared("a", b"a", "/t"),)), 0.0)
    assert made_of(effects + core.handle(ShareSettled("/t"), 0.0)) == []


def test_a_share_may_become_a_folder_later() -> None:
    """By the scan that this asks for; and it is remembered."""
    core = Library(())
    core.handle(Restored(shares=("/s",)), 0.0)
    assert made_of(settled(core, 0.0, A)) == []
    effects = core.handle(Asked(1, "leaf.share", Share(["/s"], as_folder=True)), 1.0)
    assert RememberShare("/s", as_folder=True) in effects
    assert made_of(settled(core, 2.0)) == ["one.txt"]
    again = core.handle(Asked(2, "leaf.share", Share(["/s"], as_folder=True)), 3.0)
    assert not [effect for effect in again if isinstance(effect, RememberShare)]


def test_a_folder_is_one_after_a_restart() -> None:
    """What was remembered as a folder gets its manifest when it is scanned."""
    core = Library(())
    core.handle(Restored(shares=("/s",), folder_shares=("/s",)), 0.0)
    assert made_of(settled(core, 0.0, A)) == ["one.txt"]


def test_many_changes_make_one_new_version() -> None:
    """GATHER_S after the first, and not while a scan is going on; nothing changed makes none."""
    core = library()
    settled(core, 0.0, A)
    core.handle(ManifestMade("/s", manifest(b"v1")), 0.0)
    assert made_of(settled(core, 5.0)) == []
    assert core.wakeup() is None
    assert made_of(settled(core, 10.0, B)) == []
    assert core.wakeup() == 10.0 + GATHER_S
    core.handle(FilesUnshared("/s", ("one.txt",)), 11.0)
    assert core.wakeup() is None  # the scan that says so is not over
    assert core.handle(Woke(), 12.5) == []
    assert made_of(core.handle(ShareSettled("/s"), 13.0)) == ["two.txt"]


def test_a_new_version_takes_the_place_of_the_old() -> None:
    """The old one is offered and served until then, and withdrawn when the new one is there."""
    core = library()
    settled(core, 0.0, A)
    old, new = manifest(b"v1", "1"), manifest(b"v2", "2")
    core.handle(ManifestMade("/s", old), 0.0)
    settled(core, 10.0, B)
    assert core.find(old.root, old.size) == old
    assert made_of(core.handle(Woke(), 10.0 + GATHER_S)) == ["one.txt", "two.txt"]
    effects = core.handle(ManifestMade("/s", new), 13.0)
    offers = [effect for effect in effects if isinstance(effect, Offered)]
    assert [key for offer in offers for key in offer.drops] == [old.share]
    assert [key for offer in offers for key, _ in offer.puts] == [new.share]
    assert Withdrawn(old.root) in effects
    assert core.find(old.root, old.size) is None


def test_what_changes_while_a_manifest_is_made_makes_the_next() -> None:
    """One at a time."""
    core = library()
    settled(core, 0.0, A)
    assert made_of(settled(core, 1.0, B)) == []
    core.handle(ManifestMade("/s", manifest(b"v1")), 2.0)
    assert core.wakeup() == 2.0 + GATHER_S
    assert made_of(core.handle(Woke(), 2.0 + GATHER_S)) == ["one.txt", "two.txt"]


def test_share_and_wait_waits_for_the_manifest() -> None:
    """Until the parent has it; its row is among those told."""
    core = library(wait=True)
    effects = settled(core, 0.0, A) + core.handle(Acknowledged(1), 0.0)
    assert not [effect for effect in effects if isinstance(effect, Answer)]
    (offer,) = core.handle(ManifestMade("/s", manifest(b"v1")), 1.0)
    assert isinstance(offer, Offered)
    (answer,) = core.handle(Acknowledged(offer.revision), 2.0)
    assert isinstance(answer, Answer)
    assert isinstance(answer.result, list)
    assert all(isinstance(row, SharedRow) and row.id for row in answer.result)
    assert [row.name for row in answer.result] == ["one.txt", "s.folder"]
    assert [row.path for row in answer.result] == ["/s/one.txt", "/s"]  # not where we keep it


def test_what_cannot_be_a_folder_is_told_to_who_waits() -> None:
    """And a share that came with the call goes with it; one that was there goes on as files."""
    core = library(wait=True)
    settled(core, 0.0, A)
    effects = core.handle(ManifestFailed("/s", "It is too much.", "", Exit.REFUSED), 1.0)
    fails = [effect for effect in effects if isinstance(effect, Fail)]
    assert [(fail.call, fail.code) for fail in fails] == [(1, Exit.REFUSED)]
    assert core.files == 0
    core = library()
    settled(core, 0.0, A)
    core.handle(ManifestMade("/s", manifest(b"v1")), 0.0)
    settled(core, 10.0, B)
    core.handle(Woke(), 10.0 + GATHER_S)
    effects = core.handle(ManifestFailed("/s", "It is too much.", "", Exit.REFUSED), 13.0)
    assert DropManifest(manifest(b"v1").share) in effects
    assert [each.name for each in effects if isinstance(each, Notify)] == ["folder_failed"]
    assert core.files == 2


def test_unsharing_takes_the_manifest_back() -> None:
    """Its file goes, and one that comes too late goes too."""
    core = library()
    settled(core, 0.0, A)
    file = manifest(b"v1")
    core.handle(ManifestMade("/s", file), 0.0)
    effects = core.handle(Asked(2, "leaf.unshare", Unshare("/s")), 1.0)
    assert DropManifest(file.share) in effects
    assert (core.files, core.size_bytes) == (0, 0)
    assert core.handle(ManifestMade("/s", file), 2.0) == [DropManifest(file.share)]
