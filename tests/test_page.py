"""A report as a page: complete, alone, the same each time, and safe whatever a run is called."""

import os
import re
import subprocess
import sys
from html import escape, unescape
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import plots, saved
from deploy.page import page
from deploy.report import Report
from deploy.series import Series
from tests.source_code import ROOT
from tests.test_saved import REPORT, changed

SERIES = Series(
    search_s=[0.2, 0.5, 0.0],
    first_hit_s=[0.1, 0.0],
    costs=[(3, 4), (3, 4), (0, 0)],
    coverage=[1.0, 0.5],
    failover_s=[2.0],
    load=[100, 3, 0],
    leaves_per_super_peer=[4, 4],
    sizes=[(1000, 1500.0, 9e5), (10, 12.0, 7e3)],
)
VOID = ("meta", "br", "wbr")


class Reader(HTMLParser):
    """Reads a page strictly: every element that is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One is opened."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One is opened and closed."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """The one that was opened last is closed."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text that is not style."""
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def cells(text: str) -> dict[str, list[str]]:
    """The table's rows: of each key the cells behind it, as they are written."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', text)
    return {key: re.findall(r"(<td.*?</td>)", rest) for key, rest in rows}


def test_every_key_of_the_report_stands_in_the_page() -> None:
    """In the report's order, each with its figure; null is a dash."""
    report = changed(events=None, bytes_useful=1234567)
    rows = cells(page(report, Series(), None))
    assert [*rows] == [field.encode_name for field in msgspec.structs.fields(Report)]
    assert rows["events"] == ["<td>\N{EN DASH}</td>"]
    assert rows["bytes_useful"] == ["<td>1,234,567 B</td>"]


def test_the_baseline_stands_beside_with_a_coloured_difference() -> None:
    """Good, bad and neutral differ in class and in words."""
    now, then = changed(recall=1.0, done_p50_s=2.0, events=9), changed(recall=0.5, done_p50_s=1.0)
    text = page(now, SERIES, (then, Series()))
    rows = cells(text)
    space = "\N{NO-BREAK SPACE}"
    assert rows["recall"][1:] == ["<td>50 %</td>", f'<td class="good">+100.0{space}% better</td>']
    assert rows["done_p50_s"][2] == f'<td class="bad">+100.0{space}% worse</td>'
    assert rows["events"][2] == f'<td class="soft">+28.6{space}%</td>'
    assert rows["leaves"][2] == '<td class="soft">=</td>'


@pytest.mark.parametrize("baseline", [None, (REPORT, SERIES), (REPORT, Series())])
def test_a_page_is_well_formed_and_stands_alone(baseline: tuple[Report, Series] | None) -> None:
    """No script and no address of anything outside; every reference has its one target."""
    text = page(REPORT, SERIES, baseline)
    read = Reader(text)
    assert read.open == []
    assert not {"script", "link", "img", "iframe", "object", "image"} & {*read.tags}
    assert not re.search(r"https?:|//|@import|url\((?!#)|src=", text)
    names = [value for name, value in read.attributes if name == "id"]
    assert len(names) == len({*names})
    assert {*re.findall(r'(?:href="|url\()#([^")]+)', text)} <= {*names}


def test_plots_are_text_in_the_colours_of_the_page() -> None:
    """No glyph is drawn, no font asked for, and no stand-in colour is left."""
    text = page(REPORT, SERIES, (REPORT, SERIES))
    assert text.count("<svg") == text.count("<figure>") == 7
    assert ">100 ms</text>" in text
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "font-family" not in drawn
    assert not re.search(r"#0101", drawn)
    assert all(colour in drawn for colour in plots.COLOURS.values())


def test_a_plot_without_data_is_left_out_with_a_sentence() -> None:
    """A run that measured nothing says so, plot by plot."""
    text = page(REPORT, Series(), (REPORT, SERIES))
    assert "<svg" not in text
    missing = unescape(text[text.index("Not drawn.") :])
    assert all(plot.title in missing for plot in plots.draw(Series(), None))
    assert "Not drawn" not in page(REPORT, SERIES, None)


def test_the_same_run_is_the_same_page() -> None:
    """Byte by byte, so that a page can be kept under version control."""
    assert page(REPORT, SERIES, (REPORT, SERIES)) == page(REPORT, SERIES, (REPORT, SERIES))


def test_another_process_makes_the_same_page() -> None:
    """Neither the date nor the seed of hashes is in it."""
    program = (
        "from tests.test_page import *; import hashlib\n"
        "print(hashlib.sha256(page(REPORT, SERIES, None).encode()).hexdigest())"
    )
    command = [sys.executable, "-c", program]
    runs = [
        subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] != b""


@settings(max_examples=50)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")))
def test_what_a_scenario_is_called_is_never_markup(name: str) -> None:
    """`<script>` is a name like any other, in the run and in its baseline."""
    odd = f"<script>{name}</script>\"'&"
    read = Reader(page(changed(scenario=odd), Series(), (changed(world=odd), Series())))
    assert "script" not in read.tags
    assert read.open == []
    assert odd in read.text


def test_a_script_in_a_name_is_escaped() -> None:
    """As plain as it can be said."""
    text = page(changed(scenario="<script>alert(1)</script>"), Series(), None)
    assert "<script" not in text
    assert escape("<script>alert(1)</script>") in text


any_time = st.floats(0, 1e6)
count = st.integers(0, 10**9)


@pytest.mark.soak
@settings(max_examples=15)
@given(
    st.builds(
        Series,
        search_s=st.lists(any_time, max_size=4),
        first_hit_s=st.lists(any_time, max_size=4),
        costs=st.lists(st.tuples(count, count), max_size=4),
        coverage=st.lists(st.floats(0, 2), max_size=4),
        failover_s=st.lists(any_time, max_size=4),
        load=st.lists(count, max_size=4),
        leaves_per_super_peer=st.lists(count, max_size=4),
        sizes=st.lists(st.tuples(count, any_time, any_time), max_size=4),
    )
)
def test_whatever_was_measured_can_be_drawn(series: Series) -> None:
    """Zeros, single samples and enormous ones are no trouble, and warn of nothing."""
    assert Reader(page(REPORT, series, (REPORT, SERIES))).open == []


def test_many_samples_make_no_large_page() -> None:
    """A curve has no more points than a screen has."""
    times = [number / 1000 for number in range(20_000)]
    load = [*range(5_000)]
    costs = [(number, number * 2) for number in load]
    series = Series(search_s=times, failover_s=times, load=load, costs=costs)
    assert len(page(REPORT, series, None)) < 400_000


def test_matplotlib_is_imported_for_a_page_alone() -> None:
    """Who prints, saves and compares does not wait for it, nor need it."""
    program = (
        "import sys; from deploy import page, plots, saved, telling\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_without_matplotlib_the_error_says_what_to_install() -> None:
    """A clear sentence and one command, exit code 2."""
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from tests.test_page import *; from common.errors import UserError\n"
        "try: page(REPORT, Series(), None)\n"
        "except UserError as error: print(error.code.value, error.message, error.hint)"
    )
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert said.startswith("2 a page needs matplotlib")
    assert "pip install -e '.[report]'" in said


def test_the_figures_at_a_glance_are_those_that_are_known() -> None:
    """What a run cannot tell is not told large."""
    known = page(changed(recall=1.0), Series(), None)
    assert "<dt>recall</dt><dd>100 %</dd>" in known
    assert "<dt>recall</dt>" not in page(changed(recall=None), Series(), None)
    assert saved.NULL not in known
