"""The files of one folder: which may begin, whatever the folder is made of."""

from hypothesis import given
from hypothesis import strategies as st

from common.content.manifest import FolderFile
from common.errors import Exit
from common.limits import FOLDER_FILES_MAX
from common.storage import FolderRecord
from leaf.downloads.fetchedfolder import FILES_ACTIVE_MAX, MANIFEST, FetchedFolder

MANIFEST_ROOT = b"m" * 32
RECORD = FolderRecord(1, MANIFEST_ROOT, 9, "a.folder", "/a", "rename", (), "fetching")


def loaded(contents: list[int]) -> FetchedFolder:
    """A folder with a file for each of these, equal numbers with equal content."""
    folder = FetchedFolder(RECORD, ())
    assert folder.take() == MANIFEST
    assert folder.take() is None
    folder.ended(MANIFEST_ROOT, None)
    assert folder.take() is None  # it is not read yet
    files = [FolderFile(f"{n}", 1, bytes([c]) * 32) for n, c in enumerate(contents)]
    folder.load(tuple(files), 0)
    return folder


@given(st.lists(st.integers(0, 200), min_size=1, max_size=80), st.data())
def test_every_file_has_its_turn_once(contents: list[int], data: st.DataObject) -> None:
    """In any order of ends, failures and delays: no two with one content at once, never too many
    at once, and the folder is over when all have ended."""
    folder = loaded(contents)
    ended: list[int] = []
    delays = 50
    while not folder.is_over:
        while folder.take() is not None:
            pass
        assert len(folder.active) <= FILES_ACTIVE_MAX
        if not folder.active:
            folder.release()
            continue
        root = data.draw(st.sampled_from(list(folder.active)))
        what = data.draw(st.sampled_from(["ends", "fails", "waits"]))
        if what == "waits" and delays:
            delays -= 1
            folder.put_off(root)
            continue
        ended.append(folder.active[root])
        if what == "fails":
            folder.failed(root, Exit.DISK, "no")
        else:
            folder.ended(root, None)
    assert sorted(ended) == list(range(len(contents)))
    assert folder.done_files + folder.missing == len(contents)


def test_a_hundred_thousand_files_of_one_content_follow_one_another() -> None:
    """Each waits for the one before it, and costs a few steps: if not, this takes hours."""
    folder = loaded([7] * FOLDER_FILES_MAX)
    while not folder.is_over:
        assert folder.take() is not None
        assert folder.take() is None
        folder.ended(bytes([7]) * 32, None)
    assert folder.done_files == FOLDER_FILES_MAX
