"""Where a node lives: its key, settings, state, lock, control socket and downloads.

With `--home DIR` all of it lies in DIR; else in the platform's folders, one set per program. The
invariant: the key file is whole or absent, 0600 and never replaced, and at most one daemon holds
the lock. A path too long for a Unix socket gets its socket in the runtime folder, under a hash of
the home. Nothing here reads settings or opens sockets.
"""

import fcntl
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.errors import Exit, UserError
from common.shell.disk.diskcalls import naming

KEY_BYTES: Final = 32
LOCK_WAITS_S: Final = (0.02, 0.05, 0.0)  # `holder` takes it too, for a moment
LOCK_BYTES_MAX: Final = 64  # a process id and the name of a program
SOCKET_PATH_BYTES_MAX: Final = 100  # sun_path holds 104 bytes on macOS and 108 on Linux
PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
_APP: Final = "superpeer"
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Home:
    """The places of one node. Nothing is made before `prepare`."""

    program: str  # leaf or superpeer
    folder: Path
    config_file: Path
    downloads: Path

    @property
    def key_file(self) -> Path:
        """The 32 bytes that are this node."""
        return self.folder / "key"

    @property
    def state_file(self) -> Path:
        """What is remembered over restarts."""
        return self.folder / "state.db"

    @property
    def lock_file(self) -> Path:
        """Locked by the daemon that runs here; holds its process id."""
        return self.folder / "lock"

    @property
    def hits_file(self) -> Path:
        """The links of the last search, for `get NUMBER`."""
        return self.folder / "hits.json"

    @property
    def manifests(self) -> Path:
        """Where manifests of folders are, made or fetched."""
        return self.folder / "manifests"

    @property
    def private(self) -> tuple[Path, ...]:
        """What must never be shared, nor a folder that holds it."""
        return (
            self.folder,
            self.key_file,
            self.state_file,
            self.lock_file,
            self.hits_file,
            self.config_file,
        )

    @property
    def socket(self) -> Path:
        """Where commands reach the daemon; always short enough for a Unix socket."""
        path = self.folder / "control.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            return path
        import hashlib

        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:24]
        return runtime_folder() / f"{name}.sock"

    def is_closed(self) -> bool:
        """Whether this user is kept from it, and from asking a daemon that may run there."""
        try:
            self.lock_file.open("rb").close()
            self.socket.lstat()
        except PermissionError:
            return True
        except OSError:  # nothing is there
            return False
        return not os.access(self.socket, os.W_OK)

    def prepare(self) -> None:
        """Make the folders; a home made here is open to its user alone. Raises DiskError."""
        with naming("make", self.folder):
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        runtime = self.socket.parent
        if runtime != self.folder:
            _check_private(runtime)

    def key(self) -> bytes:
        """The node's key, made on first use by the one who holds the lock.

        Raises UserError where the file is damaged or belongs to another user.
        """
        try:
            return self._read_key()
        except FileNotFoundError:
            self._make_key()
            return self._read_key()
        except OSError as error:
            raise UserError(
                Exit.DISK,
                f"Cannot read the key {self.key_file}: {error.strerror}.",
                "Make it readable for this user alone, or use another --home.",
            ) from error

    def _read_key(self) -> bytes:
        with os.fdopen(os.open(self.key_file, _READ), "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o077:
                os.fchmod(file.fileno(), PRIVATE_FILE)
            key = file.read(KEY_BYTES + 1)
        if len(key) != KEY_BYTES:
            raise UserError(
                Exit.DISK,
                f"The key {self.key_file} is damaged: it holds {len(key)} bytes, not {KEY_BYTES}.",
                "Restore it from a backup; or move it away, and this node gets a new name.",
            )
        return key

    def _make_key(self) -> None:
        """Under another name first, so that a crash leaves a whole key or none."""
        import secrets

        part = self.key_file.with_suffix(".new")
        with naming("make", self.key_file):
            part.unlink(missing_ok=True)  # of a run that died right here
            with os.fdopen(os.open(part, _CREATE, PRIVATE_FILE), "wb") as file:
                os.fchmod(file.fileno(), PRIVATE_FILE)
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            os.link(part, self.key_file)
            part.unlink()
            _sync_folder(self.folder)


def home_at(program: str, folder: Path | None = None, config_file: Path | None = None) -> Home:
    """The home in `folder`, or in the platform's places; `config_file` may lie elsewhere."""
    if folder is not None:
        # A place has one name: the lock and the hash of a long path must not depend on links.
        real = Path(os.path.realpath(folder.expanduser()))
        return Home(program, real, config_file or real / "config.toml", real / "downloads")
    import platformdirs

    data = Path(os.path.realpath(platformdirs.user_data_path(_APP) / program))
    config = config_file or platformdirs.user_config_path(_APP) / f"{program}.toml"
    return Home(program, data, config, platformdirs.user_downloads_path())


def runtime_folder() -> Path:
    """A folder of this user's own with a short path, for sockets."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and len(os.fsencode(base)) < SOCKET_PATH_BYTES_MAX // 2:
        return Path(base) / _APP
    import tempfile

    return Path(tempfile.gettempdir()) / f"{_APP}-{os.getuid()}"


class Lock:
    """The lock of a home, held until `release` or the end of the process, however it ends.

    Nothing lets go of it but those two: forgetting the object does not.
    """

    def __init__(self, home: Home) -> None:
        """Take it; raises UserError (exit 10) naming the holder."""
        with naming("open", home.lock_file):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(home.lock_file, flags, PRIVATE_FILE)
        if not self._take():
            pid, program = _named(os.pread(self._fd, LOCK_BYTES_MAX, 0))
            program = program or home.program
            os.close(self._fd)
            raise UserError(
                Exit.BUSY,
                f"A {program} already runs in {home.folder} (process {pid or '?'}).",
                f"Stop it with `{program} stop`, or give another --home.",
            )
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()} {home.program}\n".encode(), 0)

    def release(self) -> None:
        """Let the next daemon in. The file stays: removing it would let two in at once."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)

    def _take(self) -> bool:
        for wait_s in LOCK_WAITS_S:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                time.sleep(wait_s)
        return False


def holder(home: Home) -> int | None:
    """The process id of the daemon that runs in this home, or None where none does."""
    try:
        with home.lock_file.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _named(file.read(LOCK_BYTES_MAX))[0]
    except OSError:
        pass  # no home, no lock, or not ours to look at: nobody whom we could ask
    return None


def _named(lock: bytes) -> tuple[int, str]:
    """The process and the program that a lock file names; 0 and "" where it does not (yet).

    `--home DIR` may be a leaf's or a super-peer's: who is in the way is not always our like.
    """
    pid, _, program = lock.decode(errors="replace").strip().partition(" ")
    return (int(pid), program) if pid.isascii() and pid.isdigit() else (0, "")


def _check_private(folder: Path) -> None:
    """Others must not be able to put their socket in the place of ours."""
    with naming("make", folder):
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        status = folder.lstat()
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not ours or stat.S_IMODE(status.st_mode) & 0o077:
        raise UserError(
            Exit.DISK,
            f"The folder {folder} is not this user's alone, so no control socket is put there.",
            f"Remove it or run `chmod 700 {folder}`; or use a --home with a shorter path.",
        )


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
