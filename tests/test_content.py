"""What a scenario shares, and what a search of it must find."""

from pathlib import Path
from random import Random

from deploy.content import Source, holders, lay_out, real_files, sources, varied
from deploy.oracle import Held, Oracle
from deploy.scenario import Content, Scenario


def scenario(content: Content) -> Scenario:
    """Four leaves that share this."""
    return Scenario(super_peers=1, leaves=4, content=content)


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_made_files_are_the_same_for_a_seed(tmp_path: Path) -> None:
    """Names, sizes, bytes and holders are drawn from the seed alone."""
    asked = scenario(Content(files=20, copies=2, size_max=1000))
    for run in ("a", "b"):
        lay_out(
            asked,
            sources(asked),
            [tmp_path / run / str(n) for n in range(4)],
            holders(asked, len(sources(asked))),
        )
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(contents(tmp_path / "a")) == 40


def test_every_leaf_has_its_part(tmp_path: Path) -> None:
    """First copies go round in turn; sizes stay within the bounds."""
    asked = scenario(Content(files=8, size_min=10, size_max=50))
    shares = [tmp_path / str(n) for n in range(4)]
    lay_out(asked, sources(asked), shares, holders(asked, len(sources(asked))))
    held = [contents(share) for share in shares]
    assert [len(files) for files in held] == [2, 2, 2, 2]
    assert all(10 <= len(data) <= 50 for files in held for data in files.values())


def test_real_files_come_first_and_keep_their_folders(tmp_path: Path) -> None:
    """What is found is copied under its own path; what is missing is made."""
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "deep" / "note.txt").write_bytes(b"real")
    asked = scenario(Content(files=3, folders=(str(tmp_path / "docs"),), size_max=100))
    chosen = sources(asked)
    assert [source.path for source in chosen if source.real] == ["docs/deep/note.txt"]
    assert len(chosen) == 3
    lay_out(asked, chosen, [tmp_path / "share"], [(0,)] * len(chosen))
    assert contents(tmp_path / "share")["docs/deep/note.txt"] == b"real"


def test_only_plain_files_are_taken(tmp_path: Path) -> None:
    """Hidden, empty, large, linked and oddly named files are left alone."""
    for name, size in [("good.txt", 5), (".hidden", 5), ("empty", 0), ("large", 99), ("- .", 5)]:
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to("good.txt")
    found = [source.path for source in real_files([tmp_path], 1, 50)]
    assert found == [f"{tmp_path.name}/good.txt"]


def test_names_are_varied_first() -> None:
    """One file of each name comes before a second of any."""
    found = [Source(f"{folder}/{name}", None, 1) for folder in "abc" for name in ("x", "y")]
    names = [source.path[-1] for source in varied(iter(found), Random(1))]
    assert [{*names[:2]}, {*names[2:4]}, {*names[4:]}] == [{"x", "y"}] * 3


def test_the_oracle_wants_all_words_of_name_or_folder() -> None:
    """A file is expected when its name and folder together have every word."""
    oracle = Oracle([Held(0, "i", "blue-note.txt", "jazz/1959"), Held(1, "j", "blue.txt", "")])
    assert oracle.expected(["blue", "jazz"], [0, 1]) == {"i": [0]}
    assert oracle.expected(["blue", "txt"], [0, 1]) == {"i": [0], "j": [1]}
    assert oracle.expected(["blue", "red"], [0, 1]) == {}


def test_the_oracle_counts_a_leaf_once() -> None:
    """Two names of one content in one leaf are one source; leaves out of reach are none."""
    held = [Held(0, "i", "a.txt", "x"), Held(0, "i", "a.txt", "y"), Held(1, "i", "a.txt", "")]
    oracle = Oracle(held)
    assert oracle.expected(["a"], [0, 1]) == {"i": [0, 1]}
    assert oracle.expected(["a"], [1]) == {"i": [1]}
