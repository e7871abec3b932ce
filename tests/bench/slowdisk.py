"""The program `leaf` on a disk that reads so many bytes a second: a source that can be watched.

    python -m tests.bench.slowdisk BYTES_PER_S leaf-arguments…

What is read for others waits in the worker threads, as it does on a slow disk; nothing else is
held up. 0 bytes a second: as fast as it goes.
"""

import sys
import threading
import time
from pathlib import Path
from typing import Any

from common.shell.disk.files import OpenFiles


def slow(bytes_per_s: float) -> None:
    """Have every read of a shared file take its time, one after another."""
    read_span = OpenFiles.read_span
    turn = threading.Lock()

    def slowly(files: OpenFiles, root: Path, relpath: str, *where: Any, **into: Any) -> memoryview:
        view = read_span(files, root, relpath, *where, **into)
        with turn:
            time.sleep(len(view) / bytes_per_s)
        return view

    setattr(OpenFiles, "read_span", slowly)  # noqa: B010 - its type is not for assigning


def main() -> None:
    """Run the leaf's own command line."""
    bytes_per_s = float(sys.argv[1])
    if bytes_per_s:
        slow(bytes_per_s)
    sys.argv = ["leaf", *sys.argv[2:]]
    from leaf.cli import main as leaf

    leaf()


if __name__ == "__main__":
    main()
