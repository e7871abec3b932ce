"""A run as a file, and two runs held against each other."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Exit, UserError
from deploy import saved
from deploy.report import Report
from deploy.series import Series

KEYS = [field.encode_name for field in msgspec.structs.fields(Report)]
numbers = st.integers(0, 10**15)
times = st.floats(0, 1e9)
REPORT = Report(
    **{
        key: {"scenario": "small", "world": "simulator", "trace_sha256": "ab" * 32}.get(key, 7)
        for key in KEYS
    }  # type: ignore[arg-type]
)


def changed(**figures: object) -> Report:
    """The same run with other figures."""
    return msgspec.structs.replace(REPORT, **figures)


def row(key: str, now: object, then: object) -> saved.Row:
    """One figure of two runs."""
    rows = saved.rows(changed(**{key: now}), changed(**{key: then}))
    return next(each for each in rows if each.key == key)


# --- the file -----------------------------------------------------------------------------------


@given(
    st.builds(
        Series,
        search_s=st.lists(times),
        costs=st.lists(st.tuples(numbers, numbers)),
        sizes=st.lists(st.tuples(numbers, times, times)),
    ),
    st.none() | times,
    st.text(),
)
def test_what_was_saved_is_what_is_loaded(series: Series, figure: float | None, name: str) -> None:
    """Nothing is lost or rounded on the way."""
    run = saved.Run(changed(scenario=name, first_hit_p50_s=figure), series)
    assert msgspec.json.decode(msgspec.json.encode(run), type=saved.Run) == run


def test_a_run_is_one_document_with_report_and_series(tmp_path: Path) -> None:
    """Other programs read the file too."""
    path = tmp_path / "run.json"
    series = Series(costs=[(3, 4)], load=[1, 2])
    saved.save(path, REPORT, series)
    assert saved.load(path) == (REPORT, series)
    assert set(msgspec.json.decode(path.read_bytes())) == {"report", "series"}


def test_a_file_from_before_a_key_was_there_is_read(tmp_path: Path) -> None:
    """Figures that may be null are null then, samples none; unknown keys do no harm."""
    held = msgspec.to_builtins(REPORT)
    del held["failover_p99_s"], held["trace_sha256"]
    path = tmp_path / "old.json"
    path.write_bytes(msgspec.json.encode({"report": {**held, "of_old": 1}}))
    assert saved.load(path) == (changed(failover_p99_s=None, trace_sha256=None), Series())


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "holds no report"),
        (b'{"report": 1}', "holds no report"),
        (b'{"scenario": "small"}', "holds no report"),
        (b'{"report": {}}', "missing required field"),
        (b'{"report": {"scenario": 4}}', r"expected `str`, got `int` - at `\$.report.scenario`"),
    ],
)
def test_a_file_that_is_no_run_is_named_and_told_why(
    tmp_path: Path, held: bytes, sentence: str
) -> None:
    """Exit code 2, the file's name and what is wrong with it."""
    path = tmp_path / "odd.json"
    path.write_bytes(held)
    with pytest.raises(UserError, match=sentence) as raised:
        saved.load(path)
    assert (raised.value.code, str(path) in raised.value.message) == (Exit.USAGE, True)


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    """A folder can be neither, and a missing file is not there."""
    for path in (tmp_path, tmp_path / "missing.json"):
        with pytest.raises(UserError, match=str(path)) as raised:
            saved.load(path)
        assert raised.value.code == Exit.USAGE
    with pytest.raises(UserError, match=str(tmp_path)) as raised:
        saved.save(tmp_path, REPORT, Series())
    assert raised.value.code == Exit.DISK


# --- the comparison -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "then", "now", "change", "verdict"),
    [
        ("first_hit_p50_s", 0.2, 0.1, "-50.0 %", "better"),
        ("failover_p99_s", 1.0, 1.5, "+50.0 %", "worse"),
        ("recall", 0.5, 1.0, "+100.0 %", "better"),
        ("coverage", 1.0, 0.9, "-10.0 %", "worse"),
        ("messages_per_query", 10.0, 11.0, "+10.0 %", "worse"),
        ("violations", 0, 2, "from 0", "worse"),
        ("violations", 2, 0, "-100.0 %", "better"),
        ("bytes_wasted", 10, 5, "-50.0 %", "better"),
        ("downloads_complete", 4, 3, "-25.0 %", "worse"),
        ("virtual_s", 10.0, 20.0, "+100.0 %", ""),
        ("echo_s", 10.0, 20.0, "+100.0 %", ""),
        ("promotions", 1, 2, "+100.0 %", ""),
        ("first_hit_p50_s", 1.0, 1.0001, "0.0 %", ""),
        ("searches", 5, 5, "=", ""),
        ("seed", 1, 2, "differs", ""),
        ("world", "simulator", "processes", "differs", ""),
        ("events", None, 5, "differs", ""),
        ("events", None, None, saved.NULL, ""),
    ],
)
def test_a_change_is_a_percentage_with_a_side(
    key: str, then: object, now: object, change: str, verdict: str
) -> None:
    """Which way is better follows from the key; what cannot be subtracted differs or not."""
    assert row(key, now, then)[3:] == (change, verdict)


@pytest.mark.parametrize(
    ("key", "way"),
    [("queued_s", -1), ("found_per_s", 1), ("bytes_per_query", -1), ("something_new", 0)],
)
def test_keys_that_are_not_there_yet_have_a_side_by_their_name(key: str, way: int) -> None:
    """A report may grow without a rule for each key."""
    assert saved.direction(key) == way


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("events", None, saved.NULL),
        ("events", 1234567, "1,234,567"),
        ("seed", 1234567, "1234567"),
        ("bytes_useful", 1234567, "1,234,567 B"),
        ("peak_bytes", 10, "10 B"),
        ("events_per_s", 12345.6, "12,346/s"),
        ("bytes_up_per_s", 5000, "5,000 B/s"),
        ("virtual_s", 3600.25, "3,600 s"),
        ("echo_s", 0.01234, "12.3 ms"),
        ("echo_s", 0.0000012, "1.2 µs"),
        ("echo_s", 0.0, "0 s"),
        ("recall", 1.0, "100 %"),
        ("recall", 0.9999999, "99.999 %"),
        ("coverage", 0.29, "29 %"),
        ("messages_per_query", 12.34567, "12.35"),
        ("messages_per_query", 0.0, "0"),
        ("world", "processes", "processes"),
    ],
)
def test_a_figure_is_told_with_the_unit_of_its_key(key: str, value: object, words: str) -> None:
    """Seconds, bytes, shares, rates and bare numbers, all with thousands separators."""
    assert saved.in_words(key, value) == words


@given(st.sampled_from(["recall", "echo_s", "bytes_up", "up_per_s", "else"]), st.floats(0, 1e15))
def test_no_figure_is_told_with_an_exponent(key: str, value: float) -> None:
    """Whatever it is, a person can read it."""
    assert "e" not in saved.in_words(key, value).lower()


def test_a_comparison_is_a_table_of_all_keys() -> None:
    """Key, baseline, now and change, one row each, whatever a scenario calls itself."""
    lines = saved.compare(changed(recall=1.0), changed(recall=0.5, scenario="a\nb\x1b[2J")).split(
        "\n"
    )
    assert [line.split()[0] for line in lines] == ["key", *KEYS]
    assert lines[0].split() == ["key", "baseline", "now", "change"]
    told = next(line for line in lines if line.startswith("recall"))
    assert told.split() == ["recall", "50", "%", "100", "%", "+100.0", "%", "better"]
    assert "\x1b" not in "".join(lines)
