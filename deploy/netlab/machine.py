"""What this machine allows: running `ip` and `tc`, and whether a lab can be made here at all."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from common.errors import Exit, UserError
from deploy.netlab import wiring

COMMAND_S: Final = 30.0


class SkippedError(Exception):
    """No lab can be made here; the text says why."""


class Machine:
    """The commands of this machine."""

    def run_all(self, commands: Iterable[Sequence[str]]) -> None:
        """Run them in order; UserError at the first that fails."""
        for command in commands:
            error = self.attempt(command)
            if error:
                raise UserError(Exit.UNEXPECTED, f"`{' '.join(command)}` failed: {error}")

    def attempt(self, command: Sequence[str]) -> str:
        """Run a command; what it said where it failed, else nothing."""
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=COMMAND_S
        )
        return (run.stderr.strip() or f"exit code {run.returncode}") if run.returncode else ""

    def namespaces(self) -> list[str]:
        """The names of all namespaces, whosever they are."""
        listed = subprocess.run(
            ["ip", "netns", "list"], capture_output=True, text=True, check=False, timeout=COMMAND_S
        )
        return [line.split()[0] for line in listed.stdout.splitlines() if line.strip()]


def clean_leftovers(machine: Machine) -> list[str]:
    """Remove the labs of processes that are gone; the names of what was removed."""
    gone = [name for name in machine.namespaces() if not _may_live(wiring.maker(name))]
    for name in gone:
        machine.attempt(("ip", "netns", "del", name))
    return gone


def _may_live(process: int | None) -> bool:
    """Whether a namespace is in use, or no business of ours."""
    if process is None:
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def require(machine: Machine, *, shaped: bool, delayed: bool) -> bool:
    """Raise SkippedError where no lab can be made here; else whether the kernel delays packets."""
    if not sys.platform.startswith("linux"):
        raise SkippedError("only Linux has network namespaces")
    if os.geteuid() != 0:
        raise SkippedError("only root may make network namespaces")
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            raise SkippedError(f"there is no `{tool}` here")
    lab = wiring.lab_name(os.getpid())
    probe = f"{lab}-probe"
    if error := machine.attempt(("ip", "netns", "add", probe)):
        raise SkippedError(f"no namespace can be made: {error}")
    try:
        return _probe(machine, probe, shaped=shaped, delayed=delayed)
    finally:
        machine.attempt(("ip", "netns", "del", probe))


def _probe(machine: Machine, probe: str, *, shaped: bool, delayed: bool) -> bool:
    if error := machine.attempt(
        ("ip", "-n", probe, "link", "add", "name", "br0", "type", "bridge")
    ):
        raise SkippedError(f"no bridge can be made: {error}")
    (slow,) = wiring.shaped(probe, "lo", 1e6, 0.0)
    if shaped and (error := machine.attempt(slow)):
        raise SkippedError(f"the kernel cannot shape rates: {error}")
    (late,) = wiring.shaped(probe, "br0", 0.0, 0.001)
    if not delayed or not machine.attempt(late):
        return True
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as missing:
        reason = f"the kernel cannot delay packets, nor are there TAP devices: {missing.strerror}"
        raise SkippedError(reason) from missing
    return False
