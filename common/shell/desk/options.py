"""What all commands of both programs share: global flags, and how a command ends.

A global flag may stand before or after the subcommand; the last one wins. The invariant of `run`:
whatever happens, the process ends with an exit code of CLI.md, and an error is one sentence and
one fix. Modules that take long to import are imported where they are used: a thin command starts
in little more than the time of the interpreter.
"""

import errno
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from common.errors import Exit, UserError
from common.shell.desk.home import Home, home_at
from common.shell.desk.output import Output, unwritten
from common.shell.disk.diskcalls import denied

DISTRIBUTION: Final = "superpeer"
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

F = TypeVar("F", bound=Callable[..., Any] | click.Command)


@dataclass(slots=True)
class Invocation:
    """The global flags of one command line."""

    home: str | None = None
    config: str | None = None
    json: bool = False
    jsonl: bool = False
    quiet: bool = False
    verbose: bool = False
    log_format: str | None = None
    no_color: bool = False
    timeout: float | None = None

    def output(self) -> Output:
        """Where this command prints."""
        return Output(json=self.json, jsonl=self.jsonl, quiet=self.quiet, color=not self.no_color)

    def home_of(self, program: str, environ: Mapping[str, str] = os.environ) -> Home:
        """The home meant: --home, else the program's variable, else the platform's folders.

        Raises UserError for a --config that is not there or is no TOML.
        """
        home = self.home or environ.get(f"{program.upper()}_HOME")
        config = self.config or environ.get(f"{program.upper()}_CONFIG")
        if self.config:  # only `run` and `config show` use what it says, and only they check that
            from common.shell.desk.settings import read_settings

            read_settings(Path(self.config).expanduser())
        return home_at(program, Path(home) if home else None, Path(config) if config else None)


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


class Whole(click.IntRange):
    """A whole number; what is none is called so, and not `no valid integer range`."""

    name = "whole number"


class Number(click.FloatRange):
    """As `Whole`, with a point."""

    name = "number"


def global_options(command: F) -> F:
    """Add the flags that every command has."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    invocation = context.ensure_object(Invocation)
    given = value is not None and value is not False  # `--timeout 0` is given
    if given and parameter.name is not None:
        setattr(invocation, parameter.name, value)
    return value


def _print_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"{context.find_root().info_name} {version()}")
        context.exit()


def _flag(*names: str, **settings: Any) -> Callable[[F], F]:
    return click.option(*names, expose_value=False, callback=_keep, **settings)


_OPTIONS: Final[Sequence[Callable[[Any], Any]]] = (
    _flag("--home", metavar="DIR", help="Where everything of this node lies."),
    _flag("--config", metavar="FILE", help="Settings (TOML); flags and environment go before."),
    _flag("--json", is_flag=True, help="One JSON document on stdout."),
    _flag("--jsonl", is_flag=True, help="A stream of JSON objects, one a line."),
    _flag("-q", "--quiet", is_flag=True, help="No remarks and no progress."),
    _flag("-v", "--verbose", is_flag=True, help="More in the log; traces of unexpected errors."),
    _flag("--log-format", type=click.Choice(["auto", "console", "json"]), help="Of a daemon."),
    _flag("--no-color", is_flag=True, help="As NO_COLOR in the environment."),
    _flag(
        "--timeout",
        type=Number(min=0),
        metavar="S",
        help="Give up after so long (exit 124).",
    ),
    click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Print the version.",
    ),
)


def node_options(command: F) -> F:
    """Add the flags that `run` has in both programs; their names are keys of settings."""
    for option in reversed(_NODE_OPTIONS):
        command = option(command)
    return command


def _off(_context: click.Context, _parameter: click.Parameter, value: bool) -> bool | None:
    return False if value else None


_NODE_OPTIONS: Final[Sequence[Callable[[Any], Any]]] = (
    click.option(
        "--listen",
        metavar="HOST:PORT",
        help="TCP and UDP; port 0 takes a free one. A leaf takes the next port too, for files.",
    ),
    click.option("--advertise", metavar="HOST:PORT", help="Kept; not told to others yet."),
    click.option(
        "--no-lan", "lan", is_flag=True, callback=_off, help="Neither look nor show (mDNS)."
    ),
    click.option("--tracker-site", metavar="URL|FILE", help="A list of HOST[:PORT][/KEY]."),
    click.option("--srv", metavar="DOMAIN", help="Super-peers that its SRV records name."),
    click.option("--network", metavar="NAME", help="Nodes of other networks never link."),
    click.option("--network-key", metavar="FILE", help="Only those who have it are let in."),
)


def version() -> str:
    """The installed version; `0` where the program runs uninstalled."""
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0"


def run(group: click.Group, program: str, arguments: Sequence[str]) -> int:
    """Run a command line; returns its exit code. Nothing is raised."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before we began
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - to the end
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):  # what its encoding lacks ends no command
            stream.reconfigure(errors="backslashreplace")
    plain = list(arguments)
    options = plain[: plain.index("--")] if "--" in plain else plain
    json, verbose = not {"--json", "--jsonl"}.isdisjoint(options), "-v" in options
    try:
        code = group.main(plain, prog_name=program, standalone_mode=False)
        _flush()
    except UserError as error:
        return _failed(error, json)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return Exit.USAGE
    except click.UsageError as error:
        return _failed(_usage(error, program), json)
    except (KeyboardInterrupt, click.Abort):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _close_stdout()
        return Exit.UNEXPECTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and not error.filename:
            return _failed(unwritten(error), json)  # click's own, for help and version
        if refusal := denied(error):  # of a path that a person gave, whoever looked at it first
            return _failed(refusal, json)
        if verbose:
            raise
        text = f"Something unexpected happened: {type(error).__name__}: {error}."
        return _failed(UserError(Exit.UNEXPECTED, text, "Run it again with -v to see where."), json)
    return code if isinstance(code, int) else Exit.DONE


def _usage(error: click.UsageError, program: str) -> UserError:
    path = error.ctx.command_path if error.ctx else program
    message = error.format_message().rstrip(".")
    return UserError(Exit.USAGE, message, f"`{path} -h` lists what there is.")


def _failed(error: UserError, json: bool) -> int:
    try:
        Output(json=json).error(error)
        _flush()
    except (OSError, UserError):  # nobody reads any more, or nothing more fits in
        _close_stdout()
    return int(error.code)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritten(error) from error


def _close_stdout() -> None:
    """The flush at exit must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
