"""The memory that this process holds now."""

import os
import resource
import sys
from pathlib import Path


def rss_bytes() -> int:
    """Resident memory; its peak where the system tells only that. 10 us."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
