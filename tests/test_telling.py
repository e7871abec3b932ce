"""What a world's command line does with a report: standard output, files, errors."""

import argparse
from pathlib import Path

import msgspec
import pytest

from common.errors import Exit, UserError
from deploy import saved, telling
from deploy.report import Report
from deploy.series import Series
from tests.test_saved import KEYS, REPORT, changed


def asked(*arguments: str) -> argparse.Namespace:
    """The options that a command line gives."""
    parser = argparse.ArgumentParser()
    telling.add_arguments(parser)
    return parser.parse_args(arguments)


def test_a_report_is_printed_as_an_aligned_list(capsys: pytest.CaptureFixture[str]) -> None:
    """One key a line, all values in one column, null as a dash."""
    telling.tell(changed(events=None), Series(), asked())
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split()[0] for line in lines] == KEYS
    assert "events               -" in lines
    assert {line[20] for line in lines} == {" "}
    assert printed.err == ""


def test_with_json_standard_output_is_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever else is asked for: the comparison goes to standard error."""
    path = tmp_path / "run.json"
    saved.save(path, changed(recall=0.5), Series())
    telling.tell(changed(recall=1.0), Series(), asked("--json", "--baseline", str(path)))
    printed = capsys.readouterr()
    assert msgspec.json.decode(printed.out, type=Report) == changed(recall=1.0)
    assert "+100.0 %  better" in printed.err


def test_a_run_can_replace_the_baseline_that_it_is_compared_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old run is read before the new one is saved over it."""
    path = tmp_path / "last.json"
    saved.save(path, changed(leaves=4), Series())
    options = asked("--save", str(path), "--baseline", str(path))
    telling.tell(changed(leaves=5), Series(load=[1]), options)
    assert "+25.0 %" in capsys.readouterr().err
    assert saved.load(path) == (changed(leaves=5), Series(load=[1]))


def test_a_page_is_written_with_its_baseline(tmp_path: Path) -> None:
    """Both options together."""
    base, path = tmp_path / "base.json", tmp_path / "page.html"
    saved.save(base, changed(leaves=4), Series())
    options = asked("--html", str(path), "--baseline", str(base))
    telling.tell(changed(leaves=5, world="naïve"), Series(), options)
    assert "+25.0" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--html", "--save"])
def test_a_file_that_cannot_be_written_costs_no_report(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is on standard output before the error is raised."""
    with pytest.raises(UserError, match=f"cannot write {tmp_path}") as raised:
        telling.tell(REPORT, Series(), asked("--json", option, str(tmp_path)))
    assert raised.value.code == Exit.DISK
    assert msgspec.json.decode(capsys.readouterr().out, type=Report) == REPORT


def test_what_cannot_be_done_is_known_before_the_run(tmp_path: Path) -> None:
    """A foreign baseline and a missing folder are errors at once."""
    foreign = tmp_path / "foreign.json"
    foreign.write_text('{"name": "not a run"}')
    with pytest.raises(UserError, match=r"foreign\.json is no saved run") as raised:
        telling.check(asked("--baseline", str(foreign)))
    assert raised.value.code == Exit.USAGE
    for option in ("--html", "--save"):
        with pytest.raises(UserError, match="No such file or directory") as raised:
            telling.check(asked(option, str(tmp_path / "nowhere" / "file")))
        assert raised.value.code == Exit.DISK
    telling.check(asked("--html", str(tmp_path / "page.html"), "--save", str(tmp_path / "new")))
