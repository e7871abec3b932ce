"""Shares and the files in them."""

import pytest

from common.addresses import Address
from common.content.torrent import parse_magnet
from common.core import Answer, Asked, AskerLeft, Effect, Fail, Notify, Tell
from common.errors import Exit, UserError
from common.storage import (
    FilesShared,
    FilesUnshared,
    FollowShare,
    RememberShare,
    Restored,
    ShareFailed,
    ShareProgressed,
    ShareSettled,
    UnfollowShare,
)
from leaf.library.library import SHARES_MAX, Library
from leaf.library.shared import entry_of, path_of
from leaf.methods import HashProgress, Nothing, Share, SharedRow, Unshare
from leaf.signals import Acknowledged, Joined, Offered, Orphaned, Withdrawn
from tests.memory_disk import shared

PARENT = bytes(32)
WHERE = Address.of("10.0.0.1", 1214)


def library(*shares: str) -> Library:
    """A library that follows these for this run."""
    core = Library(shares)
    core.handle(Restored(), 0.0)
    return core


def offers(effects: list[Effect]) -> list[Offered]:
    """What is offered for publishing."""
    return [effect for effect in effects if isinstance(effect, Offered)]


def answered(effects: list[Effect]) -> list[int]:
    """Which calls are answered."""
    return [effect.call for effect in effects if isinstance(effect, Answer)]


def listed(core: Library) -> list[SharedRow]:
    """What `ls` shows."""
    (answer,) = core.handle(Asked(9, "leaf.ls", Nothing()), 0.0)
    assert isinstance(answer, Answer)
    assert isinstance(answer.result, list)
    return answer.result


def test_what_a_share_leaves_out_is_said_once() -> None:
    """How many, and why; a scan that finds the same says nothing."""
    core = Library(("/a",))
    core.handle(Restored(), 0.0)
    settled = ShareSettled("/a", 2, (("too deep", 2),))
    (said,) = core.handle(settled, 0.0)
    assert said == Notify("left_out_of_share", {"share": "/a", "left_out": {"too deep": 2}})
    assert core.left_out == {"too deep": 2}
    assert core.handle(settled, 1.0) == []
    assert core.handle(ShareSettled("/a"), 2.0) == []
    assert core.left_out == {}


def test_a_share_is_answered_when_all_in_it_is_found() -> None:
    """Hashed or not."""
    core = library()
    core.handle(Asked(1, "leaf.share", Share(["/a"])), 0.0)
    core.handle(Asked(2, "leaf.share", Share(["/b"])), 0.0)
    assert answered(core.handle(FilesShared((shared("x", b"1", "/a"),)), 0.0)) == []
    assert answered(core.handle(ShareProgressed("/b", 0, 1, 0, 9), 0.0)) == [2]
    assert answered(core.handle(ShareSettled("/a", 1, (("too deep", 1),)), 0.0)) == [1]
    assert core.left_out == {"too deep": 1}


def test_follows_what_was_kept_and_what_this_run_shares() -> None:
    """Each path once, whether it survived a restart or was given on the command line."""
    core = Library(("/a", "/b"))
    effects = core.handle(Restored(shares=("/b", "/c")), 0.0)
    assert effects == [FollowShare("/b"), FollowShare("/c"), FollowShare("/a")]
    assert core.handle(Restored(), 1.0) == []


def test_a_found_file_is_offered_listed_and_served() -> None:
    """By its sanitised name and its folder inside the share; found by its root."""
    core = library("/music")
    file = shared("jazz/a/blue.mp3", b"notes", "/music")
    (offer,) = core.handle(FilesShared((file,)), 0.0)
    assert isinstance(offer, Offered)
    ((key, entry),) = offer.puts
    assert (key, entry.name, entry.folder) == ("/music/jazz/a/blue.mp3", "blue.mp3", "jazz/a")
    assert core.find(file.root, 5) == file
    assert core.find(file.root, 6) is None
    assert (core.files, core.size_bytes) == (1, 5)
    core.handle(Joined(PARENT, WHERE, 0, 10), 0.0)
    (row,) = listed(core)
    assert (row.path, row.name, row.size) == (key, "blue.mp3", 5)
    assert row.link is not None
    link = parse_magnet(row.link)
    assert (link.root, link.supers[0].partition("/")[0]) == (file.root, "10.0.0.1:1214")


def test_a_share_may_be_a_file() -> None:
    """Its path is the share's own."""
    file = shared("one.txt", b"1", "/docs/one.txt")
    assert path_of(file) == "/docs/one.txt"
    assert entry_of(file).folder == ""


def test_overlapping_shares_offer_a_path_once() -> None:
    """The second share of the same path adds nothing; it takes over when the first goes."""
    core = library("/a", "/a/b")
    assert len(offers(core.handle(FilesShared((shared("b/x.txt", b"x", "/a"),)), 0.0))) == 1
    assert offers(core.handle(FilesShared((shared("x.txt", b"x", "/a/b"),)), 0.0)) == []
    assert (core.files, len(listed(core))) == (1, 1)
    (again,) = core.handle(FilesUnshared("/a", ("b/x.txt",)), 0.0)
    assert isinstance(again, Offered)
    assert [entry.folder for _, entry in again.puts] == [""]
    gone = core.handle(FilesUnshared("/a/b", ("x.txt",)), 0.0)
    assert offers(gone)[0].drops == ("/a/b/x.txt",)
    assert any(isinstance(effect, Withdrawn) for effect in gone)
    assert (core.files, core.size_bytes) == (0, 0)


def test_share_answers_when_it_is_heard_of() -> None:
    """Without `wait` the answer comes with the first word of the shell, and is kept."""
    core = library()
    asked = core.handle(Asked(1, "leaf.share", Share(["/a"])), 0.0)
    assert asked == [FollowShare("/a"), RememberShare("/a")]
    (told, answer) = core.handle(ShareProgressed("/a", 0, 3, 0, 30), 0.0)
    assert told == Tell(1, HashProgress(0, 3, 0, 30))
    assert answer == Answer(1, [SharedRow("/a", "a", 0, None, None)])
    assert core.pending == 3


def test_wait_needs_hashing_and_the_parent() -> None:
    """Settled and acknowledged, in any order of words; a lost parent starts the wait anew."""
    core = library()
    core.handle(Asked(1, "leaf.share", Share(["/a"], wait=True)), 0.0)
    core.handle(Acknowledged(0), 0.0)
    (offer,) = offers(core.handle(FilesShared((shared("x", b"x", "/a"),)), 0.0))
    assert core.handle(ShareSettled("/a"), 0.0) == []
    core.handle(Orphaned(), 0.0)
    assert core.handle(Acknowledged(offer.revision - 1), 0.0) == []
    (answer,) = core.handle(Acknowledged(offer.revision), 0.0)
    assert isinstance(answer, Answer)


def test_wait_needs_a_scan_that_began_after_it() -> None:
    """A share that is known is scanned once more, and its files are waited for."""
    core = library("/a", "/b")
    core.handle(ShareSettled("/a"), 0.0)
    core.handle(ShareSettled("/b"), 0.0)
    core.handle(Acknowledged(0), 0.0)
    asked = core.handle(Asked(1, "leaf.share", Share(["/a"], wait=True)), 0.0)
    assert asked == [FollowShare("/a"), RememberShare("/a")]
    (offer,) = offers(core.handle(FilesShared((shared("x", b"x", "/a"),)), 0.0))
    assert core.handle(ShareSettled("/a"), 0.0) == []
    assert len(core.handle(Acknowledged(offer.revision), 0.0)) == 1
    all_of_them = core.handle(Asked(2, "leaf.share", Share([], wait=True)), 0.0)
    assert all_of_them == [FollowShare("/a"), FollowShare("/b")]
    assert core.handle(ShareSettled("/a"), 0.0) == []
    (answer,) = core.handle(ShareSettled("/b"), 0.0)
    assert isinstance(answer, Answer)


def test_a_scan_under_way_is_followed_by_another() -> None:
    """Who asks during a scan waits for the next; many who ask share that one."""
    core = library("/a")
    core.handle(Acknowledged(0), 0.0)
    for call in (1, 2):
        asked = core.handle(Asked(call, "leaf.share", Share([], wait=True)), 0.0)
        assert asked == []
    assert core.handle(ShareSettled("/a"), 0.0) == [FollowShare("/a")]
    answers = core.handle(ShareSettled("/a"), 0.0)
    assert [type(effect) for effect in answers] == [Answer, Answer]
    assert core.handle(ShareSettled("/a"), 0.0) == []


def test_nothing_to_wait_for_is_answered_at_once() -> None:
    """No share, no scan."""
    (answer,) = library().handle(Asked(1, "leaf.share", Share([], wait=True)), 0.0)
    assert answer == Answer(1, [])


def test_a_failed_share_holds_nobody_up() -> None:
    """It counts as heard and has nothing pending; who names it hears anew why it failed."""
    core = library("/a")
    core.handle(Asked(1, "leaf.share", Share([])), 0.0)
    core.handle(ShareProgressed("/a", 0, 3, 0, 30), 0.0)
    assert core.pending == 3
    core.handle(ShareFailed("/a", "It is missing."), 0.0)
    assert core.pending == 0
    (answer,) = core.handle(Asked(2, "leaf.share", Share([])), 0.0)
    assert isinstance(answer, Answer)
    asked = core.handle(Asked(3, "leaf.share", Share(["/a"], keep=False)), 0.0)
    assert asked == [FollowShare("/a")]
    effects = core.handle(ShareFailed("/a", "It is missing.", "Look."), 0.0)
    assert Fail(3, Exit.DISK, "It is missing.", "Look.") in effects


def test_a_share_that_is_missing_is_shown_as_that() -> None:
    """Not as being hashed: `ls` and `status` say why it is left out, until it is there again."""

    def shown() -> tuple[list[str], dict[str, int]]:
        return [row.reason for row in listed(core)], core.left_out

    core = library("/a", "/b")
    assert shown() == (["", ""], {})
    core.handle(ShareSettled("/b", 2, (("is hidden", 2),)), 0.0)
    core.handle(ShareFailed("/a", "/a is missing."), 0.0)
    assert shown() == (["/a is missing"], {"/a is missing": 1, "is hidden": 2})
    core.handle(ShareProgressed("/a", 0, 1, 0, 10), 0.0)
    assert shown() == ([""], {"is hidden": 2})
    core.handle(ShareFailed("/a", "/a is missing."), 0.0)
    core.handle(ShareSettled("/a"), 0.0)
    assert shown() == ([], {"is hidden": 2})


def test_what_cannot_be_shared_is_taken_back() -> None:
    """A new share that fails is told and forgotten; an old one is tried again by the shell."""
    core = library("/old")
    core.handle(Asked(1, "leaf.share", Share(["/new", "/old"])), 0.0)
    effects = core.handle(ShareFailed("/new", "It is missing.", "Check the path."), 0.0)
    assert Fail(1, Exit.DISK, "It is missing.", "Check the path.") in effects
    assert UnfollowShare("/new") in effects
    assert RememberShare("/new", forget=True) in effects
    (notify,) = core.handle(ShareFailed("/old", "It is missing."), 0.0)
    assert not isinstance(notify, UnfollowShare)


def test_unshare_forgets() -> None:
    """Its files are withdrawn; late words of the shell about it change nothing."""
    core = library("/a")
    core.handle(FilesShared((shared("x", b"x", "/a"),)), 0.0)
    effects = core.handle(Asked(1, "leaf.unshare", Unshare("/a")), 0.0)
    assert effects[0] == UnfollowShare("/a")
    assert offers(effects)[0].drops == ("/a/x",)
    assert isinstance(effects[-1], Answer)
    assert core.handle(FilesShared((shared("y", b"y", "/a"),)), 0.0) == []
    assert core.handle(ShareSettled("/a"), 0.0) == []
    with pytest.raises(UserError):
        core.handle(Asked(2, "leaf.unshare", Unshare("/a")), 0.0)


@pytest.mark.parametrize("wait", [True, False])
def test_who_waits_for_a_share_is_answered_when_it_is_no_more(wait: bool) -> None:
    """Another shell unshared it while it was looked through."""
    core = library()
    core.handle(Asked(1, "leaf.share", Share(["/a"], wait=wait)), 0.0)
    assert answered(core.handle(Asked(2, "leaf.unshare", Unshare("/a")), 1.0)) == [2, 1]


def test_who_left_is_not_answered() -> None:
    """An asker that is gone hears nothing; the share stays."""
    core = library()
    core.handle(Asked(1, "leaf.share", Share(["/a"])), 0.0)
    core.handle(AskerLeft(1), 0.0)
    assert core.handle(ShareSettled("/a"), 0.0) == []


def test_shares_are_bounded() -> None:
    """More shares than the limit are refused."""
    core = library()
    paths = [f"/{number}" for number in range(SHARES_MAX + 1)]
    with pytest.raises(UserError):
        core.handle(Asked(1, "leaf.share", Share(paths)), 0.0)


def test_bars_begin_anew_after_each_scan() -> None:
    """What was hashed, or failed, before counts no more for who waits now."""
    core = library("/a")
    core.handle(Asked(1, "leaf.share", Share(["/a", "/b"], wait=True)), 0.0)
    for ends in (ShareSettled("/a"), ShareFailed("/a", "It is missing.")):
        core.handle(ShareProgressed("/a", 1, 3, 10, 30), 0.0)
        core.handle(ends, 0.0)
        core.handle(Asked(2, "leaf.share", Share(["/a", "/b"], wait=True)), 0.0)
        told = core.handle(ShareProgressed("/b", 0, 2, 0, 20), 0.0)
        assert Tell(2, HashProgress(0, 2, 0, 20)) in told
