"""What a scenario shares, and what a search of it must find."""

from pathlib import Path
from random import Random

from deploy.content import Source, data_of, holders, lay_out, real_files, sources, varied
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


def test_holders_are_the_same_for_a_seed_and_each_leaf_holds_a_file_once() -> None:
    """Who holds what is a pure function of the scenario; first copies go round in turn."""
    asked = Scenario(super_peers=1, leaves=50, content=Content(copies=7))
    spread = holders(asked, 200)
    assert spread == holders(asked, 200)
    assert spread != holders(Scenario(super_peers=1, leaves=50, seed=2, content=asked.content), 200)
    assert [leaves[0] for leaves in spread[:60]] == [*range(50), *range(10)]
    assert {len({*leaves}) for leaves in spread} == {7}
    assert {leaf for leaves in spread for leaf in leaves} == {*range(50)}


def test_the_files_of_a_small_network_do_not_shift_those_of_a_longer_list() -> None:
    """The first files keep their leaves however many follow."""
    asked = Scenario(super_peers=1, leaves=9, content=Content(copies=3))
    assert holders(asked, 5) == holders(asked, 50)[:5]


def test_popular_files_have_more_copies() -> None:
    """With `zipf` the copies fall with the rank, down to one and never to none."""
    asked = Scenario(super_peers=1, leaves=200, content=Content(copies=100, zipf=1.0))
    counts = [len(leaves) for leaves in holders(asked, 300)]
    assert counts[:4] == [100, 50, 33, 25]
    assert counts[-1] == 1


def test_only_sharers_hold_anything() -> None:
    """`sharers` are the first leaves; copies beyond their number are not made."""
    asked = Scenario(super_peers=1, leaves=100, content=Content(copies=3, sharers=4))
    spread = holders(asked, 40)
    assert {leaf for leaves in spread for leaf in leaves} == {0, 1, 2, 3}
    crowded = Scenario(super_peers=1, leaves=5, content=Content(copies=9))
    assert [sorted(leaves) for leaves in holders(crowded, 2)] == [[0, 1, 2, 3, 4]] * 2


def test_bytes_without_a_disk_are_those_that_are_laid_out(tmp_path: Path) -> None:
    """A world without files has the same content, made or real."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "note.txt").write_bytes(b"real")
    asked = scenario(Content(files=5, folders=(str(tmp_path / "docs"),), size_max=500))
    chosen = sources(asked)
    lay_out(asked, chosen, [tmp_path / "share"], [(0,)] * len(chosen))
    assert contents(tmp_path / "share") == {each.path: data_of(asked, each) for each in chosen}


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
