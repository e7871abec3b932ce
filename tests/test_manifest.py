"""The manifest of a folder: one form, nothing that leads out, and two names that are one."""

import unicodedata
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.content import manifest
from common.content.manifest import (
    MAGIC,
    FolderFile,
    ManifestError,
    chooser,
    folder_name,
    is_manifest_name,
    manifest_name,
    manifest_of,
    parse_manifest,
    places,
)
from common.content.merkle import EMPTY_ROOT
from common.limits import (
    FILE_NAME_BYTES_MAX,
    FILE_SIZE_MAX,
    FOLDER_FILES_MAX,
    FOLDER_PATTERNS_MAX,
    PATH_DEPTH_MAX,
)
from common.names import safe_folder, safe_name

ROOT = sha256(b"a").digest()
HEX = ROOT.hex()


def file(path: str, size: int = 7) -> FolderFile:
    """Some file at this path."""
    return FolderFile(path, size, ROOT if size else EMPTY_ROOT)


def text(*lines: str) -> bytes:
    """A manifest of these lines."""
    return MAGIC + "".join(line + "\n" for line in lines).encode()


FILES = st.lists(
    st.builds(
        file,
        st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4).map("/".join),
        st.integers(0, FILE_SIZE_MAX),
    ),
    min_size=1,
    max_size=20,
)


@given(FILES)
def test_what_is_written_is_read_again_in_one_form(files: list[FolderFile]) -> None:
    """Any names in any order: as many files, safe paths, and the same bytes when written again."""
    data = manifest_of(files)
    read = parse_manifest(data)
    assert manifest_of(reversed(read)) == data == manifest_of(reversed(files))
    assert sorted(each.size for each in read) == sorted(each.size for each in files)
    for each in read:
        folder, _, name = each.path.rpartition("/")
        assert (safe_folder(folder), safe_name(name)) == (folder, name)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, magic: bool) -> None:
    """Nothing else happens, and what is read is in the one form."""
    data = MAGIC + data if magic else data
    try:
        files = parse_manifest(data)
    except ManifestError as error:
        assert str(error)
    else:
        assert manifest_of(files) == data


@given(st.data())
def test_one_changed_byte_is_seen_or_another_manifest(data: st.DataObject) -> None:
    """A manifest with one byte changed is refused, or says something else in the one form."""
    good = manifest_of([file("a/b.txt"), file("a/c.txt", 0), file("d")])
    at = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.integers(0, 255))
    changed = good[:at] + bytes([byte]) + good[at + 1 :]
    try:
        files = parse_manifest(changed)
    except ManifestError:
        return
    assert manifest_of(files) == changed


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "first line"),
        (b"superpeer folder 2\n", "first line"),
        (MAGIC, "no file"),
        (text(f"{HEX} 7 a")[:-1], "cut off"),
        (text(f"{HEX} 7 a") + b"\xff\n", "UTF-8"),
        (text(f"{HEX} 07 a"), "not a root"),
        (text(f"{HEX.upper()} 7 a"), "not a root"),
        (text(f"{HEX}  7 a"), "not a root"),
        (text(f"{HEX} 7 a\r"), "safe everywhere"),
        (text(f"{HEX} {FILE_SIZE_MAX + 1} a"), "larger"),
        (text(f"{HEX} 0 a"), "zeros"),
        (text(f"{EMPTY_ROOT.hex()} 1 a"), "zeros"),
        (text(f"{HEX} 7 ../a"), "leads out"),
        (text(f"{HEX} 7 a/../b"), "leads out"),
        (text(f"{HEX} 7 .."), "leads out"),
        (text(f"{HEX} 7 /etc/passwd"), "absolute"),
        (text(f"{HEX} 7 a//b"), "safe everywhere"),
        (text(f"{HEX} 7 a/"), "safe everywhere"),
        (text(f"{HEX} 7 ./a"), "safe everywhere"),
        (text(f"{HEX} 7 .bashrc"), "safe everywhere"),
        (text(f"{HEX} 7 c:\\a"), "safe everywhere"),
        (text(f"{HEX} 7 CON"), "safe everywhere"),
        (text(f"{HEX} 7 " + "n" * (FILE_NAME_BYTES_MAX + 1)), "safe everywhere"),
        (text(f"{HEX} 7 " + "a/" * (PATH_DEPTH_MAX + 1) + "b"), "folders"),
        (text(f"{HEX} 7 " + ("f" * 200 + "/") * 6 + "b"), "bytes"),
        (text(f"{HEX} 7 " + unicodedata.normalize("NFD", "é")), "safe everywhere"),
        (text(f"{HEX} 7 b", f"{HEX} 7 a"), "not in its place"),
        (text(f"{HEX} 7 a", f"{HEX} 7 a"), "twice"),
        (text(f"{HEX} 7 a", f"{HEX} 7 a!", f"{HEX} 7 a/b"), "folder of another"),
    ],
)
def test_what_is_no_manifest_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    """Each in one sentence."""
    with pytest.raises(ManifestError, match=reason):
        parse_manifest(data)


def test_a_hundred_thousand_files_fit_and_no_more() -> None:
    """The largest folder is written and read; one more file is refused, both ways."""
    many = [
        file(f"{number % 300:03}/some file with a usual name {number}.txt")
        for number in range(FOLDER_FILES_MAX)
    ]
    data = manifest_of(many)
    assert len(parse_manifest(data)) == len(places(many)) == FOLDER_FILES_MAX
    with pytest.raises(ManifestError, match="at most 100000"):
        manifest_of([*many, file("zz")])
    with pytest.raises(ManifestError, match="more than 100000"):
        parse_manifest(data + f"{HEX} 7 zz\n".encode())


def test_a_manifest_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are counted before anything is read, and before anything is written."""
    data = manifest_of([file("a"), file("b")])
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", len(data) - 1)
    with pytest.raises(ManifestError, match="bytes"):
        parse_manifest(data)
    with pytest.raises(ManifestError, match="bytes"):
        manifest_of([file("a"), file("b")])


def test_names_that_become_one_are_kept_apart_when_written() -> None:
    """What is not safe is replaced, and the second of two that become one gets a number."""
    paths = [
        each.path
        for each in parse_manifest(manifest_of([file("a:b.txt"), file("a_b.txt"), file("a?/x")]))
    ]
    assert paths == ["a?/x", "a_b (1).txt", "a_b.txt"]
    paths = [each.path for each in parse_manifest(manifest_of([file("e\u0301"), file("\u00e9")]))]
    assert paths == ["\u00e9", "\u00e9 (1)"]
    paths = [each.path for each in parse_manifest(manifest_of([file("a:"), file("a_/b")]))]
    assert paths == ["a_ (1)", "a_/b"]


def test_names_that_differ_only_in_case_are_kept_apart_on_disk() -> None:
    """In a manifest both are right; on every disk the second gets a number, also for a folder."""
    files = parse_manifest(
        manifest_of([file("README"), file("Readme (1)"), file("readme"), file("A/x"), file("a/X")])
    )
    by_path = dict(zip([each.path for each in files], places(files), strict=True))
    assert by_path == {
        "A/x": "A/x",
        "README": "README",
        "Readme (1)": "Readme (1)",
        "a/X": "a/X (1)",
        "readme": "readme (2)",
    }
    files = parse_manifest(manifest_of([file("Straße"), file("STRASSE/a.txt")]))
    assert places(files) == ["STRASSE/a.txt", "Straße (1)"]


@given(FILES)
def test_places_mean_one_thing_each_on_any_disk(files: list[FolderFile]) -> None:
    """No two places are the same without case, nor is one the folder of another."""
    read = parse_manifest(manifest_of(files))
    found = [place.casefold() for place in places(read)]
    assert len(dict.fromkeys(found)) == len(read)
    assert not any(other.startswith(place + "/") for place in found for other in found)


def test_ten_thousand_names_that_are_one_get_a_number_each() -> None:
    """Numbers go on where the last one ended: a test that takes long says that they do not."""
    paths = manifest.apart(["a:b"] * 10_000)
    assert len(dict.fromkeys(paths)) == 10_000


def test_a_manifest_is_called_after_its_folder() -> None:
    """Also the longest name and none leave room for the suffix."""
    for folder in ("music", "n" * 255, "", "\u00e9" * 200, "a.b"):
        name = manifest_name(folder)
        assert is_manifest_name(name)
        assert len(name.encode()) <= FILE_NAME_BYTES_MAX
        assert manifest_name(folder_name(name)) == name
    assert folder_name("music.folder") == "music"
    assert not is_manifest_name(".folder")
    assert not is_manifest_name("music.mp3")


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.txt", ["a.txt", "x/y/a.txt"], ["a.txt2", "a"]),
        ("x", ["x", "x/a", "y/x/a"], ["xa"]),
        ("x/", ["x/a", "x/y/a"], ["xa"]),
        ("x/*.txt", ["x/a.txt"], ["x/y/a.txt", "y/x/a.txt"]),
        ("x/**/a", ["x/a", "x/y/z/a"], ["x/ya"]),
        ("/x/?", ["x/a"], ["x/ab"]),
        ("[ab]?.c", ["a1.c"], ["c1.c", "a/.c"]),
        ("[!ab]", ["c"], ["a"]),
        ("a+b (1).*", ["a+b (1).txt"], ["aab (1).txt"]),
        ("[", ["["], ["a"]),
        ("e\u0301", ["\u00e9"], ["e"]),
    ],
)
def test_patterns_choose_files(pattern: str, yes: list[str], no: list[str]) -> None:
    """As a glob; a pattern without a '/' is for names, one of a folder for all in it."""
    wanted = chooser([pattern])
    assert ([path for path in yes if wanted(path)], [path for path in no if wanted(path)]) == (
        yes,
        [],
    )


def test_what_is_no_pattern_is_refused() -> None:
    """None chooses all; too many, too long ones, and ranges the wrong way round are an error."""
    assert chooser([])("a")
    for patterns in (["a"] * (FOLDER_PATTERNS_MAX + 1), ["a" * 2000], [""], ["/"], ["[z-a]"]):
        with pytest.raises(ManifestError):
            chooser(patterns)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_pattern_matches_or_is_refused(pattern: str, path: str) -> None:
    """No text at all makes the chooser fall over."""
    try:
        wanted = chooser([pattern])
    except ManifestError:
        return
    wanted(path)
