"""Freed memory that is kept."""

import subprocess
import sys

import pytest

COUNT = """
import resource, sys
from common.shell.allocator import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit(77)
held = [bytearray(2**20) for _ in range(8)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for step in range(400):
    held[step % 8] = None
    held[step % 8] = bytearray(2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    """Page faults of a program that goes on taking and freeing megabytes."""
    argv = [sys.executable, "-c", COUNT, mode]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this allocator cannot be told")
    return int(done.stdout)


def test_a_megabyte_is_taken_again_without_page_faults() -> None:
    """What was freed is there already."""
    assert faults("kept") < 400  # less than one for each of 400 MiB, of 256 pages
