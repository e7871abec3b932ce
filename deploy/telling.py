"""What every world does with a report on the command line: print, save, compare, make a page.

Standard output holds the report and nothing else, so that `--json` is one document; a comparison
goes to standard error. The report is printed before anything is written: a full disk costs the
file, not the run. `check` finds before a run what would fail after it.
"""

import argparse
import errno
import os
from pathlib import Path

import click
import msgspec

from deploy import page, plots, saved
from deploy.report import Report
from deploy.series import Series

KEY_WIDTH = 20  # of the printed list, unless a key is longer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `check` and `tell` read."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write the report and its plots as one page"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="keep the run as a baseline for later ones"
    )
    parser.add_argument(
        "--baseline", type=Path, metavar="FILE", help="compare with a run that --save kept"
    )


def check(options: argparse.Namespace) -> None:
    """Whether `tell` will be able to do what is asked, as far as can be known. Raises UserError."""
    if options.baseline is not None:
        saved.load(options.baseline)
    if options.html is not None:
        plots.require()
    for path in (options.html, options.save):
        if path is not None and not path.parent.is_dir():
            missing = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            raise saved.cannot_write(path, missing)


def tell(report: Report, series: Series, options: argparse.Namespace) -> None:
    """Print the report, then save it, compare it and make its page, as asked. Raises UserError.

    Standard output is complete when an error is raised, so the error belongs on standard error.
    The baseline is read before anything is saved: both may be the same file.
    """
    _print(report, as_json=options.json)
    baseline = None if options.baseline is None else saved.load(options.baseline)
    if options.save is not None:
        saved.save(options.save, report, series)
    if baseline is not None:
        click.echo(saved.compare(report, baseline[0]), err=True)
    if options.html is not None:
        _write(options.html, page.page(report, series, baseline))


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    figures = msgspec.to_builtins(report)
    width = max(KEY_WIDTH, *map(len, figures))
    for key, value in figures.items():
        click.echo(f"{key:{width}} {'-' if value is None else value}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode("utf-8", "replace"))
    except OSError as error:
        raise saved.cannot_write(path, error) from error
