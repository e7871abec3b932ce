"""`leaf export`, from the command line to the artefact."""

import base64
import io
import json
import sys
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import pytest

from common.content.merkle import FileHasher, FileTree
from common.content.metainfo import torrent_file
from common.content.torrent import info_hash, magnet, parse_magnet
from common.content.webseeds import URL_CHARS_MAX
from common.shell.desk.options import run
from leaf.cli import cli as leaf_cli
from tests.commandline import Program, runner

URL = "http://127.0.0.1:8080/f/"
SIZES = {"nothing": 0, "one": 1, "Ärger & Söhne 日本.bin": 16384, "many": 100_000}


@pytest.fixture
def leaf(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program `leaf`, without a daemon."""
    return runner(leaf_cli, "leaf", tmp_path / "home", capsys)


@pytest.fixture(params=SIZES)
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Files of nothing, a byte, exactly one piece, and many."""
    path = tmp_path / str(request.param)
    path.write_bytes(bytes(range(251)) * (SIZES[request.param] // 251 + 1))
    with path.open("rb+") as opened:
        opened.truncate(SIZES[request.param])
    return path


def tree_of(path: Path) -> FileTree:
    """Its tree."""
    hasher = FileHasher(path.stat().st_size)
    hasher.update(path.read_bytes())
    return hasher.finish()


def test_a_magnet_link_is_a_line(leaf: Program, file: Path) -> None:
    """The one that `leaf id` prints, and with a URL its web seed too; it can still be read."""
    tree = tree_of(file)
    code, out, err = leaf("export", str(file), "--magnet")
    assert (code, out, err) == (0, magnet(file.name, tree.root, tree.size) + "\n", "")
    out = leaf("export", "--magnet", str(file), "--url", "http://a/b?c=d&e")[1]
    assert out.endswith("&ws=http://a/b%3Fc%3Dd%26e\n")
    assert parse_magnet(out.strip()).root == tree.root


def test_a_torrent_is_the_bytes_of_stdout(
    file: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Where that is no terminal, and nothing else; a folder's URL becomes the file's."""
    code = run(leaf_cli, "leaf", ["export", str(file), "--torrent", "--url", URL])
    out, err = capfdbinary.readouterr()
    (seed,) = json_of(["export", str(file), "--torrent", "--url", URL, "--json"], capfdbinary)[
        "urls"
    ]
    assert code == 0
    assert out == torrent_file(file.name, tree_of(file), [seed])
    assert seed.startswith(URL)
    assert bool(err) == (file.name == "nothing")  # a remark: others load no torrent of nothing


def json_of(arguments: list[str], captured: pytest.CaptureFixture[bytes]) -> dict[str, list[str]]:
    """The document of a command."""
    assert run(leaf_cli, "leaf", arguments) == 0
    found: dict[str, list[str]] = json.loads(captured.readouterr()[0])
    return found


def test_a_metalink_is_text(leaf: Program, file: Path) -> None:
    """Of the whole file's hash; without a URL a remark on stderr says what it names."""
    code, out, err = leaf("export", str(file), "--metalink")
    assert (code, err) == (0, "No --url was given: this Metalink names only the magnet link.\n")
    assert sha256(file.read_bytes()).hexdigest() in out
    root = ElementTree.fromstring(leaf("export", str(file), "--metalink", "--url", URL)[1].encode())
    assert root[0].get("name") == file.name


@pytest.mark.parametrize("kind", ["torrent", "magnet", "metalink"])
def test_json_is_one_document(leaf: Program, file: Path, kind: str) -> None:
    """With the artefact in it, or with where it was written."""
    code, out, _ = leaf("export", str(file), f"--{kind}", "--url", "http://a/b", "--json")
    document = json.loads(out)
    tree = tree_of(file)
    assert code == 0
    assert (document["root"], document["size"]) == (tree.root.hex(), tree.size)
    assert (document["kind"], document["name"], document["written"]) == (kind, file.name, None)
    content = document["content"]
    if kind == "torrent":
        assert base64.b64decode(content) == torrent_file(file.name, tree, ["http://a/b"])
    elif kind == "magnet":
        assert content == document["link"]
    else:
        assert content.startswith("<?xml")
    assert info_hash(file.name, tree.size, tree.root).hex() in document["link"]


def test_an_artefact_goes_where_it_is_told(leaf: Program, file: Path, tmp_path: Path) -> None:
    """A folder, or a path; the same again is fine, and nothing else is ever replaced."""
    code, out, _ = leaf("export", str(file), "--torrent", "-o", str(tmp_path))
    target = tmp_path / f"{file.name}.torrent"
    assert (code, out) == (0, f"{target}\n")
    assert target.read_bytes() == torrent_file(file.name, tree_of(file))
    document = json.loads(leaf("export", str(file), "--torrent", "-o", str(target), "--json")[1])
    assert (document["written"], document["content"]) == (str(target), None)
    code, _, err = leaf("export", str(file), "--metalink", "-o", str(target))
    assert code == 8
    assert "is there already" in err
    assert target.read_bytes() == torrent_file(file.name, tree_of(file))
    assert leaf("export", str(file), "--metalink", "-o", f"{tmp_path}/")[0] == 0
    assert (tmp_path / f"{file.name}.meta4").exists()


def test_a_folder_that_is_not_there(leaf: Program, tmp_path: Path) -> None:
    """Exit 8, and nothing is made; but a path that ends in `/` is meant to be one."""
    (tmp_path / "a").write_bytes(b"x")
    assert leaf("export", str(tmp_path / "a"), "--magnet", "-o", str(tmp_path / "b" / "c"))[0] == 8
    assert leaf("export", str(tmp_path / "a"), "--magnet", "-o", f"{tmp_path}/a/")[0] == 8
    assert not (tmp_path / "b").exists()
    assert leaf("export", str(tmp_path / "a"), "--magnet", "-o", f"{tmp_path}/b/c/")[0] == 0
    assert (tmp_path / "b" / "c" / "a.magnet").exists()


def test_a_terminal_gets_no_torrent(
    leaf: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, one fix; the other two are text."""
    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert run(leaf_cli, "leaf", ["export", str(tmp_path / "a"), "--torrent"]) == 2
    assert run(leaf_cli, "leaf", ["export", str(tmp_path / "a"), "--magnet"]) == 0
    arguments = ["export", str(tmp_path / "a"), "--torrent", "-o", str(tmp_path)]
    assert run(leaf_cli, "leaf", arguments) == 0


class Terminal(io.TextIOWrapper):
    """A stdout that eyes look at."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ((), 2, "--torrent, --magnet or --metalink"),
        (("--torrent", "--magnet"), 2, "several"),
        (("--magnet", "--url", "gopher://a"), 2, "http://"),
        (("--magnet", "--timeout", "0"), 124, "0 s"),
        (
            ("--magnet", *(f"--url=http://a/{at}" + "?" * (URL_CHARS_MAX // 2) for at in range(9))),
            2,
            "fewer or shorter",
        ),
    ],
)
def test_what_cannot_be_exported(
    leaf: Program, tmp_path: Path, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """One sentence and one fix."""
    (tmp_path / "a").write_bytes(b"x")
    found, out, err = leaf("export", str(tmp_path / "a"), *arguments)
    assert (found, out) == (code, "")
    assert why in err
    assert len(err.splitlines()) == 1


def test_what_is_no_file(leaf: Program, tmp_path: Path) -> None:
    """A folder, or nothing: exit 8, and with --json the error is on stdout."""
    assert leaf("export", str(tmp_path), "--magnet")[0] == 8
    code, out, _ = leaf("export", str(tmp_path / "none"), "--magnet", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (8, 8)
