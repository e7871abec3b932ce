"""A million names for the index bench, made from what the machine has, recombined with a seed.

`paths` are paths of a file tree: folders and names of real files, each name below another's folder.
`titles` are names as of recordings and books: four to nine words, drawn as often as the texts of
the machine use them, one of them from the long tail, so that most words stand in few names.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

ROOTS: Final = ("/usr", "/etc", "/opt", "/var/lib")
DEPTH: Final = 3  # folders of a path that are kept
TEXTS: Final = (".txt", ".py", ".md", ".rst", ".html", ".h", ".po", ".xml")
TEXT_BYTES_MAX: Final = 200_000  # of one file, so that no big one decides
TEXTS_BYTES_MAX: Final = 60_000_000
VOCABULARY_MAX: Final = 400_000
ENDINGS: Final = ("mp3", "flac", "epub", "pdf", "mkv", "ogg", "txt")

_WORD = re.compile(r"[A-Za-zÀ-ɏ]{3,20}")

Name = tuple[str, str]  # folder, name


def paths(count: int, seed: int) -> list[Name]:
    """So many paths; ever the same for one machine and seed."""
    rng, found = Random(f"{seed}/paths"), _files()
    names: dict[Name, None] = {}
    while len(names) < count:
        folder, name = rng.choice(found)[0], rng.choice(found)[1]
        names[folder, name] = None
    return list(names)


def titles(count: int, seed: int) -> list[Name]:
    """So many titles; ever the same for one machine and seed."""
    rng, (words, uses) = Random(f"{seed}/titles"), _vocabulary()
    names: dict[Name, None] = {}
    while len(names) < count:
        drawn = rng.choices(words, cum_weights=uses, k=rng.randint(3, 8))
        drawn.insert(rng.randrange(len(drawn)), rng.choice(words))
        names["", f"{' '.join(drawn).title()}.{rng.choice(ENDINGS)}"] = None
    return list(names)


@cache
def _files() -> list[Name]:
    found: list[Name] = []
    for folder, name in _walk():
        parts = [part for part in folder.split("/") if part][-DEPTH:]
        found.append(("/".join(parts), name))
    return found


@cache
def _vocabulary() -> tuple[list[str], list[int]]:
    """Words, and the sums of how often they and those before them are used."""
    counts: Counter[str] = Counter()
    read = 0
    for folder, name in _walk():
        if name.endswith(TEXTS):
            text = _text(Path(folder) / name)
            counts.update(_WORD.findall(text.lower()))
            read += len(text)
            if read > TEXTS_BYTES_MAX:
                break
    words, sums, total = [], [], 0
    for word, uses in islice(sorted(counts.items()), VOCABULARY_MAX):
        total += uses
        words.append(word)
        sums.append(total)
    return words, sums


def _walk() -> Iterator[Name]:
    for root in ROOTS:
        for folder, below, names in os.walk(root):
            below.sort()
            for name in sorted(names):
                if name.isprintable():
                    yield folder, name


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(TEXT_BYTES_MAX).decode(errors="ignore")
    except OSError:
        return ""
