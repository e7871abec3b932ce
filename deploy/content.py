"""Which leaf shares which files, and putting them there.

Real files of the machine come first, as many different names as there are, then files made from
the scenario's seed. A real file keeps its folders, because folders are searched too. What is laid
into a share is a copy: nobody's own file is ever opened for writing.
"""

import math
import shutil
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from common.names import safe_folder, safe_name, words
from deploy.scenario import Content, Scenario

_SYLLABLES = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu", "ra", "se", "lan", "tor")
_ENDINGS = ("txt", "md", "dat", "ogg", "png")


class Source(NamedTuple):
    """A file to share: its path in a share, and the real file, or the size of a made one."""

    path: str
    real: Path | None
    size: int


def sources(scenario: Scenario) -> list[Source]:
    """The files of the network, each once; the same on the same machine for the same seed."""
    content, rng = scenario.content, scenario.random("content")
    found = varied(real_files(folders(content.folders), content.size_min, content.size_max), rng)
    chosen = found[: content.files]
    return chosen + list(_made(content, content.files - len(chosen), rng))


def holders(scenario: Scenario, count: int) -> list[tuple[int, ...]]:
    """Of each of `count` files, in the order of `sources`, the leaves that hold it."""
    content, rng = scenario.content, scenario.random("holders")
    leaves = content.sharers or scenario.leaves
    spread: list[tuple[int, ...]] = []
    for rank in range(count):
        # In turn first, so that every leaf has its part; the other copies anywhere.
        first, copies = rank % leaves, copies_of(content, rank)
        others = rng.sample(range(leaves - 1), min(copies, leaves) - 1)
        spread.append((first, *[other + (other >= first) for other in others]))
    return spread


def copies_of(content: Content, rank: int) -> int:
    """How many leaves hold the file of this rank, counted from 0."""
    return max(round(content.copies * math.pow(rank + 1, -content.zipf)), 1)


def data_of(scenario: Scenario, source: Source) -> bytes:
    """What is in a file."""
    if source.real is not None:
        return source.real.read_bytes()
    return scenario.random(source.path).randbytes(source.size)


def lay_out(
    scenario: Scenario,
    chosen: Sequence[Source],
    shares: Sequence[Path],
    spread: Sequence[Sequence[int]],
) -> None:
    """Put each file into the shares of its leaves."""
    for source, leaves in zip(chosen, spread, strict=True):
        data = b"" if source.real else data_of(scenario, source)
        for leaf in leaves:
            _put(source, data, shares[leaf] / source.path)


def folders(names: Sequence[str]) -> list[Path]:
    """Those of the folders that are here; "python" is the standard library of this Python."""
    library = sysconfig.get_paths()["stdlib"]
    paths = [Path(library if name == "python" else name) for name in names]
    return [path for path in paths if path.is_dir()]


def real_files(roots: Sequence[Path], size_min: int, size_max: int) -> Iterator[Source]:
    """Plain readable files of fitting size whose names need no mending, in a stable order."""
    for root in roots:
        for path in sorted(root.rglob("*")):
            below = path.relative_to(root.parent).as_posix()
            if _is_foreign(below) or not _is_plain(below) or path.is_symlink():
                continue
            try:
                if path.is_file() and size_min <= (size := path.stat().st_size) <= size_max:
                    path.open("rb").close()
                    yield Source(below, path, size)
            except OSError:
                continue  # not ours to read, or gone


def _is_foreign(below: str) -> bool:
    """Whether this is no part of Python's own library, though it lies there."""
    return any(part in ("__pycache__", "site-packages") for part in below.split("/"))


def _is_plain(below: str) -> bool:
    """Whether this path is shared under exactly its own name, and can be searched for."""
    folder, _, name = below.rpartition("/")
    usable = safe_name(name) == name and safe_folder(folder) == folder
    return usable and bool(words(name)) and not name.endswith((".part", ".part.journal"))


def varied(found: Iterator[Source], rng: Random) -> list[Source]:
    """One file of each name, then a second of each, and so on: not 700 times "copyright"."""
    ranks: dict[str, int] = {}
    ranked: list[tuple[int, float, Source]] = []
    for source in found:
        name = source.path.rpartition("/")[2]
        ranks[name] = ranks.get(name, -1) + 1
        ranked.append((ranks[name], rng.random(), source))
    return [source for _, _, source in sorted(ranked)]


def _made(content: Content, count: int, rng: Random) -> Iterator[Source]:
    """Files with names of made words; sizes are spread evenly over the orders of magnitude."""
    low, high = math.log(max(content.size_min, 1)), math.log(content.size_max)
    for number in range(count):
        name = "-".join(_word(rng) for _ in range(content.words))
        folder = f"{_word(rng)}/{_word(rng)}"
        size = round(math.exp(rng.uniform(low, high)))
        yield Source(f"{folder}/{name}-{number}.{rng.choice(_ENDINGS)}", None, size)


def _word(rng: Random) -> str:
    return "".join(rng.choices(_SYLLABLES, k=3))


def _put(source: Source, data: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if source.real is None:
        path.write_bytes(data)
    else:
        shutil.copyfile(source.real, path)
