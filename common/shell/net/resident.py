"""The memory that this process holds now."""

import os
import resource
import sys
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGESIZE")


_statm: dict[int, int] = {}  # process -> descriptor: opening it anew costs three times as much


def rss_bytes() -> int:
    """Resident memory; its peak where the system tells only that."""
    process = os.getpid()
    try:
        if process not in _statm:
            _statm[process] = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        return int(os.pread(_statm[process], 256, 0).split()[1]) * _PAGE_BYTES
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
