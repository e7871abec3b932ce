"""HOST[:PORT][/KEY] as people type it."""

import pytest

from common.addresses import Address
from common.config import Config
from common.errors import Exit, UserError
from common.ids import Identity, node_text
from common.meeting import Seed
from common.shell.desk.logs import Log
from common.shell.desk.resolve import (
    any_port,
    listen_address,
    of_another_family,
    place_of,
    seeds,
    web_address,
)
from common.shell.desk.settings import NodeOptions, Settings
from common.shell.desk.starting import given
from leaf.settings import LeafOptions

NODE = Identity(bytes(32)).node


def test_literals_become_seeds() -> None:
    """The place is what pins know, the port is 1214 where none is given."""
    found = seeds(["127.0.0.1", f"[::1]:7/{node_text(NODE)}"])
    assert found == (
        Seed("127.0.0.1:1214", Address.of("127.0.0.1", 1214)),
        Seed("[::1]:7", Address.of("::1", 7), NODE),
    )


def test_a_name_gives_each_of_its_addresses_once() -> None:
    """All under one place."""
    found = seeds(["LocalHost:9"])
    assert {seed.place for seed in found} == {"localhost:9"}
    assert len({seed.address for seed in found}) == len(found) >= 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no-such-host.invalid", Exit.UNREACHABLE),
        ("x" * 70 + ".example", Exit.UNREACHABLE),
        ("127.0.0.1:99999", Exit.USAGE),
        ("", Exit.USAGE),
        ("[::1", Exit.USAGE),
        ("127.0.0.1:1/abc", Exit.USAGE),
    ],
)
def test_what_cannot_be_resolved(text: str, code: Exit) -> None:
    """An unknown host is out of reach, a malformed one a usage error; both have a fix."""
    with pytest.raises(UserError) as error:
        seeds([text])
    assert error.value.code is code
    assert error.value.hint


def test_places_have_one_form() -> None:
    """As the pins of a node are kept."""
    places = [place_of(text) for text in ("Host", "host:1214", "::1", "[::1]:1214")]
    assert places == ["host:1214", "host:1214", "[::1]:1214", "[::1]:1214"]


def test_listening() -> None:
    """A port that was asked for is told apart from the default and from any."""
    assert listen_address("127.0.0.1:0") == (("127.0.0.1", 0), False)
    assert listen_address("127.0.0.1:5") == (("127.0.0.1", 5), True)
    assert listen_address("[::1]") == (("::1", 1214), True)
    for door in (listen_address, web_address):
        with pytest.raises(UserError) as error:  # as for other settings that are wrong
            door("no-such-host.invalid:1")
        assert error.value.code is Exit.USAGE
    (host, port), asked = listen_address("")
    assert host in ("::", "0.0.0.0")
    assert (port, asked) == (1214, False)
    assert listen_address(any_port()) == ((host, 0), False)


def test_serving_http_needs_a_port() -> None:
    """There is none that others would try; nothing is no wish."""
    assert web_address("") is None
    assert web_address("127.0.0.1:0") == ("127.0.0.1", 0)
    assert web_address("[::1]:8080") == ("::1", 8080)
    for text in ("127.0.0.1", "::1", "[::1]", "127.0.0.1:", "127.0.0.1:x", ":80"):
        with pytest.raises(UserError) as caught:
            web_address(text)
        assert caught.value.code is Exit.USAGE


def test_an_unknown_host_does_not_keep_from_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """It is told of; only where no other is left it is an error."""
    settings = Settings(NodeOptions(), LeafOptions(), Config(), ())
    found = given(settings, "super", ["no-such-host.invalid", "127.0.0.1"], "::", Log("json"))
    assert [seed.place for seed in found] == ["127.0.0.1:1214"]
    assert "no-such-host.invalid" in capsys.readouterr().err
    with pytest.raises(UserError) as error:
        given(settings, "super", ["no-such-host.invalid"], "::", Log("json"))
    assert error.value.code is Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("host", "places"),
    [("::1", ("127.0.0.1:1",)), ("127.0.0.1", ("[::1]:1",)), ("::", ()), ("0.0.0.0", ())],
)
def test_one_address_reaches_its_own_kind_of_ip(host: str, places: tuple[str, ...]) -> None:
    """A name that has both is reached by one of them."""
    both = [Seed("both:1", Address.of(each, 1)) for each in ("::1", "127.0.0.1")]
    found = (*both, *seeds(["127.0.0.1:1", "[::1]:1"]))
    assert of_another_family(found, host) == places


def test_a_key_that_no_node_could_have() -> None:
    """Is a matter of usage, wherever it is typed: nobody would be dialled with it."""
    with pytest.raises(UserError, match="no key that a node could have") as refused:
        seeds([f"127.0.0.1:7/{'a' * 52}"])
    assert refused.value.code is Exit.USAGE
