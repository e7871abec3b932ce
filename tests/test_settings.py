"""Settings: what goes before what, and what is refused."""

from pathlib import Path

import pytest

from common.errors import Exit, UserError
from common.shell.desk.settings import NodeOptions, Settings, merge, network_of
from leaf.settings import LeafOptions


def settings(
    tmp_path: Path,
    text: str = "",
    environ: dict[str, str] | None = None,
    flags: dict[str, object] | None = None,
) -> Settings[LeafOptions]:
    """A leaf's settings from these sources."""
    file = tmp_path / "config.toml"
    file.write_text(text)
    return merge(
        LeafOptions,
        prefix="LEAF_",
        file=file,
        file_asked=True,
        environ=environ or {},
        flags=flags or {},
    )


def origin(found: Settings[LeafOptions], key: str) -> str:
    """Where the value of `key` came from."""
    return next(each.origin for each in found.origins if each.key == key)


def refused(tmp_path: Path, **sources: object) -> str:
    """The sentence that these sources are refused with."""
    with pytest.raises(UserError) as error:
        settings(tmp_path, **sources)  # type: ignore[arg-type]
    assert error.value.code is Exit.USAGE
    assert error.value.hint
    return error.value.message


def test_flags_go_before_environment_before_file(tmp_path: Path) -> None:
    """Each value says where it came from."""
    found = settings(
        tmp_path,
        'network = "file"\ntime_scale = 0.5\n[link]\necho_s = 9\n',
        {"LEAF_NETWORK": "environ", "LEAF_TIME_SCALE": "0.25"},
        {"network": "flag", "listen": None},
    )
    assert found.config.network == "flag"
    assert found.config.time_scale == 0.25
    assert found.config.link.echo_s == 9
    assert origin(found, "network") == "flag"
    assert origin(found, "time_scale") == "LEAF_TIME_SCALE"
    assert origin(found, "link.echo_s") == str(tmp_path / "config.toml")
    assert origin(found, "listen") == "default"


def test_lists_and_slices_come_from_the_environment(tmp_path: Path) -> None:
    """Commas between items, two underscores for the dot."""
    environ = {"LEAF_SUPER": "a, b:1", "LEAF_LINK__DEAD_S": "7", "LEAF_PROMOTE": "false"}
    found = settings(tmp_path, environ=environ)
    assert found.own.supers == ("a", "b:1")
    assert found.config.link.dead_s == 7
    assert found.own.promote is False


def test_where_the_settings_are_is_no_setting(tmp_path: Path) -> None:
    """LEAF_HOME and LEAF_CONFIG and other programs' variables are passed over."""
    settings(tmp_path, environ={"LEAF_HOME": "/x", "LEAF_CONFIG": "/y", "SUPERPEER_JOIN": "z"})


@pytest.mark.parametrize("rate", ["20mbit", "2500k", 2_500_000, "2.5M"])
def test_rates_have_units(tmp_path: Path, rate: object) -> None:
    """A rate is bytes a second in all its forms."""
    assert settings(tmp_path, flags={"up": rate}).own.up == 2_500_000


@pytest.mark.parametrize("rate", ["none", "None "])
def test_no_cap_can_be_said(tmp_path: Path, rate: object) -> None:
    """Which is something else than to say nothing."""
    assert settings(tmp_path, flags={"up": rate}).own.up == 0
    assert settings(tmp_path).own.up is None


@pytest.mark.parametrize(
    ("sources", "named"),
    [
        ({"text": "lisen = 1"}, ("lisen", "config.toml")),
        ({"text": "[link]\nech = 1"}, ("link.ech", "config.toml")),
        ({"text": "[nothing.at]\nall = 1"}, ("nothing.at.all",)),
        ({"environ": {"LEAF_LISEN": "1"}}, ("lisen", "LEAF_LISEN")),
        ({"text": "time_scale = 'x'"}, ("time_scale", "config.toml")),
        ({"text": "time_scale = 0"}, ("time_scale", "above 0")),
        ({"text": "time_scale = nan"}, ("time_scale",)),
        ({"text": "[link]\necho_s = 0"}, ("link.echo_s", "above 0")),
        ({"text": "[overlay]\nredial_max_s = 0"}, ("overlay.redial_max_s", "above 0")),
        ({"text": "[parent]\nredial_s = 0"}, ("parent.redial_s", "above 0")),
        ({"text": "[swarm]\nlocate_s = 0"}, ("swarm.locate_s", "above 0")),
        ({"text": "[link]\necho_s = -1"}, ("link.echo_s", "negative")),
        ({"environ": {"LEAF_UP": "fast"}}, ("up", "LEAF_UP", "fast")),
        ({"text": "up = true"}, ("up",)),
        ({"text": "up = 999"}, ("up", "1k is the least")),
        ({"flags": {"super": 3}}, ("super", "flag")),
        ({"text": "= 1"}, ("config.toml", "TOML")),
        ({"text": "a = " + "[" * 5000}, ("TOML",)),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, sources: dict[str, object], named: tuple[str, ...]
) -> None:
    """An unknown key or a value of the wrong type is an error that says which and where."""
    message = refused(tmp_path, **sources)
    assert all(part in message for part in named)


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    """The usual one may be missing, the one of --config may not."""
    sources = {"prefix": "LEAF_", "file": tmp_path / "none", "environ": {}, "flags": {}}
    assert merge(LeafOptions, file_asked=False, **sources).own == LeafOptions()  # type: ignore[arg-type]
    with pytest.raises(UserError) as error:
        merge(LeafOptions, file_asked=True, **sources)  # type: ignore[arg-type]
    assert error.value.code is Exit.USAGE
    with pytest.raises(UserError) as error:
        network_of(NodeOptions(network_key=str(tmp_path / "none")))
    assert error.value.code is Exit.USAGE


def test_flags_that_are_no_keys_are_names_of_their_settings(tmp_path: Path) -> None:
    """In the file and in the environment: `--slots` is `slots` and LEAF_SLOTS."""
    found = settings(tmp_path, "slots = 7", {"LEAF_MAX_LEAVES": "3"})
    assert (found.config.swarm.upload_slots, found.config.cluster.leaves_max) == (7, 3)
    assert origin(found, "swarm.upload_slots") == str(tmp_path / "config.toml")


def test_what_is_wrong_can_be_passed_over(tmp_path: Path) -> None:
    """So that a list of all settings is there when one of them is wrong."""
    wrong: list[UserError] = []
    found = merge(
        LeafOptions,
        prefix="LEAF_",
        file=tmp_path / "none",
        file_asked=False,
        environ={"LEAF_SLOTS": "many", "LEAF_NOTHING": "1", "LEAF_TIME_SCALE": "0.5"},
        flags={},
        passed_over=wrong,
    )
    assert (found.config.time_scale, len(wrong)) == (0.5, 2)


def test_a_network_key_comes_from_its_file(tmp_path: Path) -> None:
    """White space around it does not count: editors add a line end."""
    (tmp_path / "key").write_text(" 0123456789abcdef\n")
    network = network_of(NodeOptions(network_key=str(tmp_path / "key")), "lab")
    assert (network.name, network.key) == ("lab", b"0123456789abcdef")
    assert network_of(NodeOptions(), "lab").key == b""


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 5000])
def test_a_network_key_has_a_length_to_trust(tmp_path: Path, key: bytes) -> None:
    """A short key can be guessed, a huge one is the wrong file."""
    (tmp_path / "key").write_bytes(key)
    with pytest.raises(UserError) as error:
        network_of(NodeOptions(network_key=str(tmp_path / "key")))
    assert error.value.code is Exit.USAGE


@pytest.mark.parametrize("rate", [0, "0"])
def test_nothing_at_all_is_no_cap_to_say(tmp_path: Path, rate: object) -> None:
    """Who means to send nothing must not send everything."""
    with pytest.raises(UserError, match="none is no cap"):
        settings(tmp_path, flags={"up": rate})
