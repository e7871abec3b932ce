"""The simulated file system: what a power cut leaves, and what people do."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.shell.disk.files import FileChangedError, FileStamp, OpenFiles
from deploy.sim.diskfaults import PowerCutError
from deploy.sim.filecalls import ProcessCalls
from deploy.sim.filenodes import BLOCK, SECTOR
from tests.simulated_files import NEW, OLD, STEP, Machine, durable_file, made, refused

SEEDS = range(200)


# --- power ----------------------------------------------------------------------------------


def after_cuts(change: Callable[[ProcessCalls, int, int], object]) -> list[bytes]:
    """The contents of `a` that power cuts may leave after a change of a durable file."""
    found: dict[bytes, None] = {}
    for seed in SEEDS:
        files, process, folder = made(seed)
        change(process, durable_file(process, folder), folder)
        files.power_loss()
        found[files.read("/d/a")] = None
    return list(found)


def test_what_is_synced_stays() -> None:
    """Neither bytes nor size nor name are lost."""

    def change(process: ProcessCalls, fd: int, _folder: int) -> None:
        process.write(fd, NEW + NEW, 0)
        process.sync(fd)

    assert after_cuts(change) == [NEW + NEW]


def test_any_sector_of_a_write_may_be_lost_or_torn() -> None:
    """All, none, any of them, and parts of one; never what was neither old nor new."""
    found = after_cuts(lambda process, fd, _folder: process.write(fd, NEW, 0))
    assert OLD in found
    assert NEW in found
    assert len(found) > 50
    assert all(set(content) <= set(OLD + NEW) and len(content) == len(OLD) for content in found)
    sectors = [c[at : at + SECTOR] for c in found for at in range(0, len(c), SECTOR)]
    assert any(sector not in (OLD[:SECTOR], NEW[:SECTOR]) for sector in sectors)


def test_writes_reach_the_disk_in_any_order() -> None:
    """A later write may be there without an earlier one elsewhere, and an earlier one instead of
    a later one of the same place."""

    def change(process: ProcessCalls, fd: int, _folder: int) -> None:
        process.write(fd, b"1" * SECTOR, 0)
        process.write(fd, b"2" * SECTOR, SECTOR)
        process.write(fd, b"3" * SECTOR, 0)

    found = {(content[0:1], content[SECTOR : SECTOR + 1]) for content in after_cuts(change)}
    assert found == {(first, second) for first in (b"o", b"1", b"3") for second in (b"o", b"2")}


def test_a_size_may_be_lost() -> None:
    """A file that grew or shrank may have any size that it had since the sync."""
    grown = after_cuts(lambda process, fd, _folder: process.write(fd, NEW, len(OLD)))
    assert {len(content) for content in grown} == {len(OLD), 2 * len(OLD)}
    assert {content[: len(OLD)] for content in grown} == {OLD}
    shrunk = after_cuts(lambda process, fd, _folder: process.extend(fd, SECTOR))
    assert {len(content) for content in shrunk} == {len(OLD), SECTOR}
    assert {content[:SECTOR] for content in shrunk} == {OLD[:SECTOR]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p, d: p.create("b", d), {"a", "a b"}),
        (lambda p, d: p.unlink("a", d), {"", "a"}),
        (lambda p, d: p.link("a", "b", d), {"a", "a b"}),
        (lambda p, d: p.exclusive_rename("a", "b", d), {"a", "b"}),
        (lambda p, d: (p.link("a", "b", d), p.unlink("a", d)), {"", "a", "b", "a b"}),
        (lambda p, d: p.rename_new("a", "b", d), {"b", "a b"}),
        (lambda p, d: p.make_folder(Path("/d/b")), {"a", "a b"}),
    ],
)
def test_names_may_be_lost_until_their_folder_is_synced(
    change: Callable[[ProcessCalls, int], object], expected: set[str]
) -> None:
    """Each change of a folder may or may not have happened; after its sync it has."""
    found: set[str] = set()
    synced: set[str] = set()
    for seed in SEEDS:
        for keep, is_synced in ((found, False), (synced, True)):
            files, process, folder = made(seed)
            durable_file(process, folder)
            change(process, folder)
            if is_synced:
                process.sync_folder(folder)
            files.power_loss()
            keep.add(" ".join(files.names("/d")))
    assert found == expected
    assert len(synced) == 1


def test_a_failed_sync_drops_what_it_should_keep() -> None:
    """The next sync says yes and means nothing: programs may still see what is not on the disk,
    until the power goes. What is written after it can be synced."""
    seen = set()
    for seed in SEEDS:
        files, process, folder = made(seed)
        fd = durable_file(process, folder)
        process.write(fd, NEW, 0)
        files.fail("sync", nth=1)
        refused(errno.EIO, process.sync, fd)
        process.sync(fd)
        seen.add(process.contents(fd))
        process.write(fd, b"x", 0)
        process.sync(fd)
        files.power_loss()
        left = files.read("/d/a")
        assert left[:1] == b"x"
        assert left[SECTOR:] == OLD[SECTOR:]
    assert seen == {OLD, NEW}


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=20), seed=st.integers(0, 2**32))
def test_a_power_cut_leaves_a_sound_disk(steps: list[tuple[str, ...]], seed: int) -> None:
    """Whatever was under way, names mean files, counts are right and a second cut costs nothing."""
    files, process, folder = made(seed)
    machine = Machine(process, folder)
    for step in steps:
        machine.do(step)
    files.power_loss()
    left = {name: files.read("/d/" + name) for name in files.names("/d")}
    process = files.process()
    inside = process.open_folder(Path("/d"))
    nodes = {}
    for name in left:
        status = process.stat_in(name, inside)
        nodes[status.st_ino] = (status.st_blocks * 512, status.st_nlink)
    assert files.used_bytes == sum(size for size, _ in nodes.values())
    assert sum(links for _, links in nodes.values()) == len(left)
    files.power_loss()
    assert {name: files.read("/d/" + name) for name in files.names("/d")} == left


def test_power_goes_in_the_middle_of_a_call() -> None:
    """The call does not come back, the process is gone, and half of what it did may be there."""
    files, process, folder = made()
    fd = durable_file(process, folder)
    files.cut_after(2)
    process.write(fd, NEW, 0)
    with pytest.raises(PowerCutError):
        process.write(fd, NEW, len(OLD))
    with pytest.raises(PowerCutError):
        process.fstat(fd)
    process.close(fd)  # what a dying program still calls does nothing
    assert files.read("/d/a") == NEW + NEW


# --- people ---------------------------------------------------------------------------------


def test_what_a_person_does_is_seen_by_a_stamp() -> None:
    """Every way to change a file's content changes its stamp, within one instant too."""
    files, process, _ = made()
    changes: list[Callable[[], None]] = [
        lambda: files.put("/s/a", OLD),
        lambda: files.edit("/s/a", 3, b"x"),
        lambda: files.truncate("/s/a", len(OLD) - 1),
        lambda: files.put("/s/a", NEW),
        lambda: files.replace("/s/a", NEW),
        lambda: files.edit("/s/a", len(NEW) + 5, b"end"),
    ]
    stamps = []
    for change in changes:
        change()
        stamps.append(FileStamp.of(process.lstat(Path("/s/a"))))
    assert len(set(stamps)) == len(stamps)
    assert files.read("/s/a") == NEW + bytes(5) + b"end"
    files.rename("/s/a", "/t/b")
    assert FileStamp.of(process.lstat(Path("/t/b"))) == stamps[-1]
    files.power_loss()
    assert files.names("/t") == ["b"]
    files.delete("/t")
    assert not files.exists("/t/b")
    assert files.used_bytes == 0


def test_an_open_file_is_read_as_what_it_was() -> None:
    """A shared file that is edited or removed under its reader is never sent as what it was."""
    files, process, _ = made()
    files.put("/s/a", OLD)
    stamp = FileStamp.of(process.lstat(Path("/s/a")))
    opened = OpenFiles(disk=process)
    assert opened.read_span(Path("/s"), "a", stamp, 1, 10) == OLD[1:11]
    files.edit("/s/a", 0, b"x")
    with pytest.raises(FileChangedError):
        opened.read_span(Path("/s"), "a", stamp, 1, 10)
    stamp = FileStamp.of(process.lstat(Path("/s/a")))
    opened.read_span(Path("/s"), "a", stamp, 1, 10)
    files.delete("/s/a")
    with pytest.raises(FileChangedError):
        opened.read_span(Path("/s"), "a", stamp, 1, 10)


def test_a_flipped_bit_leaves_no_trace() -> None:
    """The content is another and the stamp is not; the other hosts' content stays."""
    files, process, _ = made()
    files.put("/s/a", OLD)
    before = process.lstat(Path("/s/a"))
    files.flip_bit("/s/a", 7)
    assert process.lstat(Path("/s/a")) == before
    assert files.read("/s/a") != OLD == b"o" * len(OLD)


def test_a_worn_block_cannot_be_read_until_it_is_written() -> None:
    """A read that meets it fails, one beside it does not; what is written anew can be read."""
    files, process, folder = made()
    fd = durable_file(process, folder)
    process.write(fd, NEW * 16, 0)
    files.wear_out("/d/a", BLOCK + 1)
    refused(errno.EIO, process.pread, fd, 2, BLOCK)
    refused(errno.EIO, process.preadv, fd, [memoryview(bytearray(BLOCK + 1))], 0)
    assert process.pread(fd, BLOCK, 0) == (NEW * 16)[:BLOCK]
    process.write(fd, NEW * 16, 0)
    assert process.pread(fd, len(NEW) * 16, 0) == NEW * 16


@given(at=st.integers(0, len(OLD)), synced=st.booleans(), seed=st.integers(0, 99))
def test_durable_is_the_worst_that_a_power_cut_leaves(at: int, synced: bool, seed: int) -> None:
    """Each of its bytes is what was synced last, and a power cut leaves it or what was written."""
    files, process, folder = made(seed)
    fd = durable_file(process, folder)
    process.write(fd, NEW, at)
    if synced:
        process.sync(fd)
    sure, written = files.durable("/d/a"), process.contents(fd)
    assert sure[: len(OLD)] == (written if synced else OLD)[: len(OLD)]
    files.power_loss()
    for byte, worst, best in zip(files.read("/d/a"), sure, written, strict=False):
        assert byte in (worst, best)


def test_content_is_held_once() -> None:
    """Files of many hosts share their bytes until one writes."""
    one, two = made()[0], made()[0]
    for files in (one, two):
        files.put("/s/a", OLD)
    process = one.process()
    fd = process.reopen("a", process.open_folder(Path("/s")))
    assert process.contents(fd) is OLD
    process.write(fd, b"x", 0)
    assert two.read("/s/a") == OLD
    process.sync(fd)
    process.write(fd, b"o", 0)
    process.sync(fd)
    one.fold("/s/a", lambda content: OLD if content == OLD else None)
    assert process.contents(fd) is OLD


def test_watchers_hear_of_names_and_contents() -> None:
    """What a person changes, and the names that programs make."""
    files, process, folder = made()
    heard: list[str] = []
    files.watchers.append(heard.append)
    files.put("/d/a", b"a")
    files.edit("/d/a", 0, b"b")
    process.rename_new("a", "b", folder)
    files.rename("/d", "/e")
    files.put("/e/c", b"c")
    assert heard == ["/d/a", "/d/a", "/d/b", "/d/a", "/e", "/d", "/e/c"]
