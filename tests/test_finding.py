"""`leaf search` and `leaf get`, from the command line to the carrier and back."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from common.content.torrent import parse_magnet
from common.shell.desk.control import ControlServer
from common.shell.desk.home import home_at
from common.shell.desk.numbers import link_of
from common.shell.desk.options import Invocation
from leaf import methods as leaf_methods
from leaf.cli import cli as leaf_cli
from leaf.commands.patience import Patience
from leaf.methods import (
    Get,
    GetProgress,
    GetResult,
    Search,
    SearchResult,
    TraceOf,
    WishAdd,
    WishChosen,
)
from tests.commandline import COVERAGE, HIT, ID, Program, daemon, runner
from tests.toydaemon import ToyDaemon


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the node of the test lives."""
    return tmp_path / "home"


@pytest.fixture
def toy(folder: Path) -> Iterator[ToyDaemon]:
    """A leaf's daemon."""
    yield from daemon("leaf", folder, leaf_methods.METHODS)


@pytest.fixture
def leaf(folder: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program `leaf`."""
    return runner(leaf_cli, "leaf", folder, capsys)


def test_a_search_in_its_three_forms(leaf: Program, toy: ToyDaemon) -> None:
    """A numbered table, a document, a stream that ends with the document without hits."""
    code, out, err = leaf("search", "blue", "note")
    assert (code, out.splitlines()[1].split()[:2]) == (0, ["1", "7"])
    assert "complete" in err
    document = json.loads(leaf("search", "blue", "note", "--json")[1])
    assert (document["query"], document["hits"][0]["id"]) == ("blue note", ID)
    assert document["coverage"]["reached"] == 3
    hit, result = map(json.loads, leaf("search", "blue", "note", "--jsonl")[1].splitlines())
    assert hit["hit"]["sources"] == 2
    assert list(result["result"]) == ["query", "coverage", "id", "trace"]


def test_a_search_says_what_was_cut(leaf: Program, toy: ToyDaemon) -> None:
    """By `--limit`, and by `--ttl`."""
    assert "Only the best 1 are shown" not in leaf("search", "blue")[2]
    assert "Only the best 1 are shown; --limit" in leaf("search", "blue", "--limit", "1")[2]
    assert "(all within --ttl 0, the parent alone;" in leaf("search", "blue", "--ttl", "0")[2]


def test_hits_of_one_name_are_told_apart(
    leaf: Program, toy: ToyDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By when each was changed, as versions of a folder; its size is that of its list of files."""
    old = msgspec.structs.replace(HIT, name="m.folder", modified="2026-01-02T03:04:05Z")
    new = msgspec.structs.replace(old, id=f"{ID}1", modified="2026-01-02T03:04:06Z")
    other = msgspec.structs.replace(old, id=f"{ID}2", modified=None)
    result = SearchResult("m", [old, new, other], COVERAGE, "ab12", [])
    monkeypatch.setattr("tests.commandline.SearchResult", lambda *_: result)
    _, out, err = leaf("search", "m")
    assert [line.split()[-2] for line in out.splitlines()] == [
        "changed",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:06Z",
        "m.folder",
    ]
    assert "Of a .folder the size is that of its list of files" in err
    result = SearchResult("a", [HIT, HIT], COVERAGE, "ab12", [])  # of which nobody tells when
    _, out, err = leaf("search", "a")
    assert ("changed" in out, ".folder" in err) == (False, False)


def test_a_stream_corrects_what_changed(
    leaf: Program, toy: ToyDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hit that has more sources at the end than when it came is told of once more."""
    at_last = msgspec.structs.replace(HIT, sources=3, names=["a", "b"])
    result = SearchResult("blue", [at_last], COVERAGE, "ab12", [])
    monkeypatch.setattr("tests.commandline.SearchResult", lambda *_: result)
    lines = [json.loads(line) for line in leaf("search", "blue", "--jsonl")[1].splitlines()]
    assert [list(line) for line in lines] == [["hit"], ["update"], ["result"]]
    assert lines[1]["update"]["sources"] == 3


def test_a_search_without_a_hit_is_exit_3(leaf: Program, toy: ToyDaemon) -> None:
    """With the normal document."""
    code, out, _ = leaf("search", "nothing", "--json")
    assert (code, json.loads(out)["hits"]) == (3, [])


def test_words_travel_as_they_are_typed(leaf: Program, toy: ToyDaemon) -> None:
    """Stars and quotes are for the leaf to read; what is no UTF-8 is refused with a sentence."""
    leaf("search", "lin*", '"two towers"', '-"two rings"', "京")
    asked = toy.calls[-1][1]
    assert isinstance(asked, Search)
    assert asked.words == ["lin*", '"two towers"', "京", '-"two rings"']
    code, _, err = leaf("search", "caf\udce9")
    assert code == 2
    assert "UTF-8" in err


def test_filters_travel(leaf: Program, toy: ToyDaemon) -> None:
    """Sizes with units; extensions without their dot; words that begin with `-` behind `--`."""
    filters = "--type audio --ext .MP3 --min-size 1k --max-size 1GiB --limit 5 --ttl 2 --wait 1"
    leaf("search", *filters.split(), "--strategy", "flood", "--", "blue", "-note")
    assert toy.calls[-1][1] == Search(
        ["blue", "-note"], "audio", ["mp3"], 1000, 2**30, 5, 1.0, 2, "flood"
    )


@pytest.mark.parametrize(
    "words", [("blue", "-live"), ("-live", "blue"), ("blue", "-q", "--", "-live")]
)
def test_a_word_behind_a_dash_is_excluded(
    leaf: Program, toy: ToyDaemon, words: tuple[str, ...]
) -> None:
    """`-live` is a word and `-q` is an option, wherever they stand."""
    leaf("search", *words)
    asked = toy.calls[-1][1]
    assert isinstance(asked, Search)
    assert sorted(asked.words) == ["-live", "blue"]


def test_two_dashes_are_an_option(leaf: Program, toy: ToyDaemon) -> None:
    """One that we do not have is a usage error."""
    assert leaf("search", "blue", "--live")[0] == 2


@pytest.mark.parametrize(
    "wrong",
    ["--limit 5001", "--limit 0", "--ttl 11", "--type music", "--min-size big", "--strategy x"],
)
def test_filters_out_of_range_are_usage_errors(leaf: Program, wrong: str) -> None:
    """Before anybody is asked."""
    assert leaf("search", "blue", *wrong.split())[0] == 2


@pytest.mark.parametrize("strategy", ["ring", "flood", "dynamic"])
def test_a_search_goes_as_it_is_told_to(leaf: Program, toy: ToyDaemon, strategy: str) -> None:
    """The daemon hears of the strategy."""
    assert leaf("search", "blue", "--strategy", strategy)[0] == 0
    assert toy.calls[-1][1] == Search(["blue"], strategy=strategy)


def test_no_rate_is_proposed_for_a_size(leaf: Program) -> None:
    """Nor taken for one."""
    code, _, err = leaf("search", "blue", "--min-size", "big")
    assert (code, "mbit" in err) == (2, False)
    assert leaf("search", "blue", "--min-size", "20mbit")[0] == 2


def test_super_is_ignored_where_a_leaf_runs(leaf: Program, toy: ToyDaemon) -> None:
    """With a warning."""
    code, _, err = leaf("search", "blue", "--super", "127.0.0.1:1")
    assert code == 0
    assert "ignored" in err


# --- fetching -------------------------------------------------------------------------------


def test_a_number_is_a_hit_of_the_last_search(leaf: Program, toy: ToyDaemon, folder: Path) -> None:
    """Kept in the home, for its owner alone; a number that it has not is no file."""
    leaf("get", "1")
    assert toy.calls[-1][1] == Get("1")  # the daemon knows what searches in Python found
    leaf("search", "blue")
    home = home_at("leaf", folder)
    assert stat.S_IMODE(home.hits_file.stat().st_mode) == 0o600
    leaf("get", "1")
    asked = toy.calls[-1][1]
    assert isinstance(asked, Get)
    assert parse_magnet(asked.what).size == 7
    assert leaf("get", "2")[0] == 2
    leaf("search", "nothing")
    assert leaf("get", "1")[0] == 2
    assert not list(folder.glob("hits-*"))


def test_a_home_that_cannot_keep_the_numbers_loses_only_them(
    leaf: Program, toy: ToyDaemon, folder: Path
) -> None:
    """The hits are printed all the same; a file that is no list of links is none."""
    hits = home_at("leaf", folder).hits_file
    hits.write_bytes(b"{")
    assert link_of(home_at("leaf", folder), 1) is None
    hits.unlink()
    hits.mkdir()
    code, out, err = leaf("search", "blue")
    assert (code, ID in out, "will not know" in err) == (0, True, True)


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (GetResult("/d/a", ID, 7, 0.5, 0, 0, verified=True), "Already there"),
        (
            GetResult("/d/a", ID, 7, 0.5, 0, 0, verified=True, copied=1),
            "Copied from a file with this content on this machine: 7 B, verified.",
        ),
        (
            GetResult("/d/a", ID, 7, 0.5, 0, 0, True, 3, copied=3),
            "3 files, 7 B, verified: 3 copied from files of this machine.",
        ),
        (
            GetResult("/d/a", ID, 7, 0.5, 0, 0, True, 3, copied=2),
            "2 copied from files of this machine, the others were there or are empty.",
        ),
        (GetResult("/d/a", ID, 7, 0.5, 9, 2, True, 3, copied=1), "1 copied from files of this"),
        (GetResult("/d/a", ID, 7, 0.5, 0, 0, verified=False), "Skipped, a file is there"),
        (GetResult("/d/a", ID, 7, 0.5, 7, 1, verified=True), "from 1 source, verified"),
        (GetResult("/d/a", ID, 7, 0.5, 9, 2, verified=True, files=3), "3 files, 7 B: 9 B received"),
        (GetResult("/d/a", ID, 7, 0.5, 9, 2, True, 3, 1), "1 got a number"),
        (GetResult("/d/a", ID, 7, 0.5, 0, 0, verified=True, files=3), "Already there"),
        (
            GetResult("/d/a", ID, 7, 0.5, 9, 2, True, 3, beside=1, first_beside="/d/a/x (1)"),
            "1 file was there with other content and stays; the one of this folder is beside it: "
            "/d/a/x (1).",
        ),
        (
            GetResult("/d/a", ID, 7, 0.5, 0, 0, True, 3, beside=2, first_beside="/d/a/x (1)"),
            "verified. 2 files were there with other content and stay; those of this folder are "
            "beside them, the first is /d/a/x (1).",
        ),
    ],
)
def test_what_became_of_a_file(folder: Path, leaf: Program, got: GetResult, words: str) -> None:
    """What was not fetched is not told like a fetch."""
    home = home_at("leaf", folder)
    home.prepare()
    toy = ToyDaemon(home, leaf_methods.METHODS, lambda server, call, *_: server.answer(call, got))
    err = leaf("get", ID)[2]
    toy.stop()
    assert words in err


@pytest.mark.parametrize("how", ["device", "fifo", "link"])
def test_what_is_no_file_is_no_target(leaf: Program, tmp_path: Path, how: str) -> None:
    """Nothing appears beside a device; what is there is named."""
    path = tmp_path / "x" if how != "device" else Path("/dev/full")
    if how == "fifo":
        os.mkfifo(path)
    elif how == "link":
        path.symlink_to("/dev/null")
    code, _, err = leaf("get", ID, "-o", str(path))
    assert code == 2
    assert f"{path} is no file" in err


@pytest.mark.parametrize("late", [False, True])
def test_who_waits_is_told_why_once(
    toy: ToyDaemon, folder: Path, capsys: pytest.CaptureFixture[str], late: bool
) -> None:
    """Not where a source came first."""
    invocation = Invocation(home=str(folder))
    progress = GetProgress(ID, "/d/a", 7, 0, 0.0, None, 0, "fetching", "no source yet")
    with Patience(invocation, shown=True, after_s=0.0 if late else 30.0) as waiting:
        waiting.follow(progress)
        waiting.follow(progress)
        if late:
            for asking in [one for one in threading.enumerate() if type(one) is threading.Timer]:
                asking.join(30)
        waiting.follow(msgspec.structs.replace(progress, sources=1 if not late else 0))
    assert capsys.readouterr().err == ("Waiting: nobody can be asked.\n" if late else "")
    assert [method for method, _ in toy.calls] == (["leaf.why"] if late else [])


def test_the_time_given_is_over_though_bytes_come(folder: Path, leaf: Program) -> None:
    """Exit 124 and what goes on; the daemon hears that nobody waits any more."""

    def never(server: ControlServer, call: int, *_: object) -> None:
        server.tell(call, GetProgress(ID, "/d/a", 7, 3, 1.5, None, 1, "fetching", ""))

    home = home_at("leaf", folder)
    home.prepare()
    toy = ToyDaemon(home, leaf_methods.METHODS, never)
    code, out, err = leaf("get", ID, "--timeout", "0.1")
    assert toy.gone.wait(30)
    toy.stop()
    assert (code, out) == (124, "")
    assert err == (
        "Error: get was not done within 0.1 s. "
        "The download goes on; `leaf downloads` shows how far it is.\n"
    )


def test_the_files_of_a_folder_may_be_chosen(leaf: Program, toy: ToyDaemon) -> None:
    """Patterns travel as they are typed; the document of a file says nothing of files."""
    code, out, _ = leaf("get", ID, "--only", "*.txt", "--only", "a/**", "--json")
    assert toy.calls[-1][1] == Get(ID, only=["*.txt", "a/**"])
    assert (code, "files" in json.loads(out)) == (0, False)


def test_get_says_where_the_file_is(leaf: Program, toy: ToyDaemon) -> None:
    """The path on stdout, the rest on stderr; as a stream with progress."""
    code, out, err = leaf("get", ID)
    assert (code, out) == (0, "/d/a\n")
    assert "verified" in err
    assert toy.calls[-1][1] == Get(ID)
    progress, result = map(json.loads, leaf("get", ID, "--jsonl")[1].splitlines())
    assert progress["progress"]["done_bytes"] == 3
    assert result["result"]["bytes_received"] == 7


def test_where_to(
    leaf: Program, toy: ToyDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that exists or ends in `/`, else the file; always absolute."""
    monkeypatch.chdir(tmp_path)
    orders = []
    for target in (".", "new/", "new"):
        leaf("get", ID, "-o", target, "--exists", "fail", "--timeout", "5", "--detach")
        orders.append(toy.calls[-1][1])
    assert orders == [
        Get(ID, str(tmp_path), True, "fail", True, 5.0),
        Get(ID, str(tmp_path / "new"), True, "fail", True, 5.0),
        Get(ID, str(tmp_path / "new"), False, "fail", True, 5.0),
    ]


def test_a_failure_of_the_daemon_is_the_commands(leaf: Program, toy: ToyDaemon) -> None:
    """Its exit code, its sentence, its fix; for scripts on stdout as well."""
    code, out, err = leaf("get", "missing", "--json")
    assert (code, err) == (6, "Error: Nobody has it. Try later.\n")
    error = {"code": 6, "message": "Nobody has it.", "hint": "Try later."}
    assert json.loads(out) == {"error": error}


# --- standing searches, and the way of one ------------------------------------------------------


def test_a_wish_is_added_with_its_filters(leaf: Program, toy: ToyDaemon) -> None:
    """As those of a search; what it may fetch has bounds of its own."""
    more = "--type audio --ext .MP3 --min-size 1k --auto-get --max-files 3 --max-bytes 1G"
    code, out, _ = leaf("wish", "add", "blue", "-live", *more.split(), "--json")
    assert (code, json.loads(out)["words"]) == (0, ["blue", "note"])
    asked = WishAdd(["blue", "-live"], "audio", ["mp3"], 1000, None, True, 3, 10**9)
    assert toy.calls[-1] == ("leaf.wish_add", asked)
    assert "--watch" in leaf("wish", "add", "blue")[2]


def test_wishes_are_listed_watched_and_removed(leaf: Program, toy: ToyDaemon) -> None:
    """A table, what one has found, a document; a stream while somebody watches."""
    _, out, _ = leaf("wish", "ls")
    assert out.splitlines()[1].split()[:4] == ["1", "1", "1", "of"]
    assert out.splitlines()[1].endswith("blue note  2026-01-01T00:00:00Z")
    assert leaf("wish", "ls", "1")[1].splitlines()[1].endswith(ID)
    (row,) = json.loads(leaf("wish", "ls", "--json")[1])
    assert {"id", "words", "hits", "since", "auto_get", "files"} <= row.keys()
    (line,) = leaf("wish", "ls", "--watch", "--jsonl")[1].splitlines()
    assert json.loads(line)["hit"]["id"] == ID
    assert leaf("wish", "ls", "--watch")[1].endswith(f"{ID}\n")
    assert leaf("wish", "ls", "--watch", "--json")[0] == 2
    assert json.loads(leaf("wish", "rm", "1", "--json")[1]) == []
    assert toy.calls[-1] == ("leaf.wish_rm", WishChosen(1))


def test_the_way_of_a_search_is_a_tree(leaf: Program, toy: ToyDaemon) -> None:
    """With the search, and later by its id; it counts copies, and says so."""
    _, out, err = leaf("trace")
    assert "each leaf's copy counts" in err
    lines = out.splitlines()
    assert lines[0] == "n1  2 copies, 2 messages, 0.01 s, 3 more behind it"
    assert lines[1:] == ["  n2  ruled out by its digest", "  n3  lost, 0 copies, 1 message, 2.5 s"]
    assert leaf("search", "blue", "--trace")[1].endswith(out)
    assert len(json.loads(leaf("search", "blue", "--trace", "--json")[1])["trace"]) == 3
    document = json.loads(leaf("trace", "ab12", "--json")[1])
    assert (document["id"], document["hops"][2]["outcome"]) == ("ab12", "lost")
    assert toy.calls[-1] == ("leaf.trace", TraceOf("ab12"))


@pytest.mark.parametrize("command", [("search",), ("wish", "add")])
@pytest.mark.parametrize("words", [("\udcff\udcfe",), ("blue", "\udcffnote"), ()])
def test_what_is_no_text_is_a_usage_error(
    leaf: Program, toy: ToyDaemon, command: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Bytes that are not UTF-8, and nothing at all: exit 2, and nobody is asked."""
    assert leaf(*command, *words)[0] == 2
    assert toy.calls == []
