"""Where the server is, and how it is reached."""

from __future__ import annotations

import asyncio
import math
import os
import re
import socket
import ssl
import subprocess
import tomllib
from pathlib import Path

import pytest
import trustme
from harness import BINARY, GIVE_UP, ROOT, Proxy, Server

from switchboard import (
    AsyncSwitchboard,
    Connection,
    ProfileError,
    Switchboard,
    SwitchboardError,
    Unauthenticated,
)
from switchboard.profiles import resolve

PROFILES = """
[tcp]
url = "http://127.0.0.1:7420"
token_file = "tcp.token"
[plain]
url = "http://127.0.0.1:1"
[remote]
url = "http://192.0.2.1:7420"
[socket]
unix = "~/s.sock"
[beside]
unix = "s.sock"
token = "t"
[tls]
url = "https://example.com:443"
tls_ca = "ca.pem"
"""


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with profiles and a home."""
    directory = tmp_path / "config" / "switchboard"
    directory.mkdir(parents=True)
    (directory / "profiles.toml").write_text(PROFILES)
    (directory / "tcp.token").write_text("the token of tcp\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / "token").write_text("the token of the home\n")
    return {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "SWITCHBOARD_HOME": str(home),
    }


def test_a_profile_says_where_a_server_is(user: dict[str, str], tmp_path: Path) -> None:
    def found(name: str) -> Connection:
        return resolve(name, environment=user)

    config = tmp_path / "config" / "switchboard"
    assert found("tcp") == Connection("http://127.0.0.1:7420", "the token of tcp")
    assert found("socket") == Connection(f"unix:{tmp_path}/s.sock")
    assert found("beside") == Connection(f"unix:{config}/s.sock", "t")
    assert found("tls") == Connection("https://example.com:443", None, config / "ca.pem")
    assert found("local") == Connection(f"unix:{tmp_path}/home/switchboard.sock")
    # The token of the home stays on this machine.
    assert found("plain").token == "the token of the home"
    assert found("remote").token is None
    assert "the token" not in repr(found("tcp"))


def test_arguments_beat_the_environment_which_beats_the_profile(user: dict[str, str]) -> None:
    def found(**more: str) -> Connection:
        return resolve(environment={**user, **more})

    local = Connection(f"unix:{user['SWITCHBOARD_HOME']}/switchboard.sock")
    assert found() == found(SWITCHBOARD_URL="", SWITCHBOARD_PROFILE="") == local
    assert found(SWITCHBOARD_PROFILE="beside").token == "t"
    assert resolve("tcp", environment={**user, "SWITCHBOARD_PROFILE": "beside"}).token == (
        "the token of tcp"
    )
    token = {"SWITCHBOARD_TOKEN": "of the environment"}
    assert found(SWITCHBOARD_PROFILE="tcp", **token) == Connection(
        "http://127.0.0.1:7420", "of the environment"
    )
    # The profile's token is for the profile's address alone.
    url = {"SWITCHBOARD_URL": "http://192.0.2.1:1"}
    assert found(SWITCHBOARD_PROFILE="tcp", **url) == Connection("http://192.0.2.1:1")
    given = resolve("tcp", url="unix:/s", token="given", environment={**user, **url, **token})
    assert given == Connection("unix:/s", "given")
    nowhere = {"HOME": user["HOME"], "XDG_STATE_HOME": "relative"}
    assert resolve(environment=nowhere).url == (
        f"unix:{user['HOME']}/.local/state/switchboard/switchboard.sock"
    )


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("x = ", "Invalid value"),
        ("x = 1", "expected a table"),
        ("[y]\nunix = 's'", "no profile 'x' .*there are: local, y"),
        ("[x]", "expected either url or unix"),
        ("[x]\nurl = 'http://h:1'\nunix = 's'", "expected either url or unix"),
        ("[x]\nurl = 'h:1'", "url: 'h:1': expected http://HOST:PORT"),
        ("[x]\nunix = ''", "unix: expected a string that is not empty"),
        ("[x]\nunix = 's'\ntokn = 't'", "unknown key 'tokn'"),
        ("[x]\nunix = 's'\ntoken = 't'\ntoken_file = 'f'", "either token or token_file"),
        ("[x]\nunix = 's'\ntoken_file = 'f'", "token_file: "),
        ("[x]\nunix = 's'\ntls_ca = 'f'", "tls_ca: it is for https"),
    ],
)
def test_a_profile_that_is_wrong_is_refused(
    user: dict[str, str], tmp_path: Path, file: str, problem: str
) -> None:
    (tmp_path / "config" / "switchboard" / "profiles.toml").write_text(file)
    with pytest.raises(ProfileError, match=problem) as raised:
        resolve("x", environment=user)
    assert raised.value.reason == "PROFILE_INVALID"
    assert "profiles.toml" in str(raised.value)


@pytest.mark.parametrize("url", ["", "h:1", "http://h", "http://h:1/path", "ftp://h:1", "unix:"])
def test_an_address_that_is_none_is_refused(user: dict[str, str], url: str) -> None:
    if url:
        with pytest.raises(ProfileError, match="SWITCHBOARD_URL"):
            resolve(environment={**user, "SWITCHBOARD_URL": url})
    with pytest.raises(ProfileError, match="neither HOME"):
        resolve(environment={})


def test_the_example_of_the_documentation_is_read_by_both(
    shared: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs/profiles.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.S)
    config = tmp_path / ".config" / "switchboard"
    config.mkdir(parents=True)
    # The server of the example is the one of the test.
    (config / "profiles.toml").write_text(
        example.replace("127.0.0.1:7420", shared.url.removeprefix("http://"))
    )
    (config / "build.token").write_text(shared.token)
    (config / "office.token").write_text("x" * 32)
    (tmp_path / ".local/state/switchboard").mkdir(parents=True)
    (tmp_path / ".local/state/switchboard/switchboard.sock").symlink_to(shared.socket)

    def command_line(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **more}
        command = [str(BINARY), *arguments, "--json", "server", "status"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    for name in tomllib.loads(example):
        if name == "office":
            assert resolve(name).tls_ca == config / "office-ca.pem"
            assert resolve(name).token == "x" * 32
            refused = command_line("--profile", name)
            assert (refused.returncode, "https" in refused.stderr) == (2, True)
            continue
        with Switchboard.from_profile(name) as sb:
            pid = sb.info().pid
        for found in (
            command_line("--profile", name),
            command_line(SWITCHBOARD_PROFILE=name),
            # Flags beat the environment.
            command_line("--profile", name, SWITCHBOARD_PROFILE="nothing"),
            command_line(f"--url=unix:{shared.socket}", SWITCHBOARD_PROFILE="nothing"),
            # And the environment beats a profile.
            command_line("--profile", "nothing", SWITCHBOARD_URL=f"unix:{shared.socket}"),
        ):
            assert found.returncode == 0, found.stderr
            assert f'"pid":{pid}' in found.stdout.replace(" ", "")
    # The profile's token is not for another address, in either.
    monkeypatch.setenv("SWITCHBOARD_URL", shared.url)
    with Switchboard.from_profile("build") as sb, pytest.raises(Unauthenticated):
        sb.info()
    refused = command_line("--profile", "build", SWITCHBOARD_URL=shared.url)
    assert refused.returncode != 0
    assert "token" in refused.stderr
    refused = command_line("--profile", "nothing")
    assert refused.returncode == 2
    assert "build, local, office" in refused.stderr


def test_a_unix_socket_needs_no_token_and_tcp_does(shared: Server, tmp_path: Path) -> None:
    for url, token in (
        (f"unix:{shared.socket}", None),
        (f"unix://{shared.socket}", None),
        (shared.url, shared.token),
        (f"http://localhost:{shared.address[1]}", shared.token),
    ):
        with Switchboard(url, token=token) as sb:
            assert sb.info().home == str(shared.home)

        async def info(url: str = url, token: str | None = token) -> str:
            async with AsyncSwitchboard(url, token=token) as sb:
                return (await sb.info()).home

        assert asyncio.run(info()) == str(shared.home)
    for name in ("a b", "a%41", "a?b#c", "ü:"):
        (tmp_path / name).symlink_to(shared.socket)
        with Switchboard(f"unix:{tmp_path / name}") as sb:
            assert sb.info().home == str(shared.home)
    with Switchboard(shared.url, home=shared.home) as sb:
        assert sb.info().home == str(shared.home)
    with Switchboard(home=shared.home) as sb:
        assert sb.url == f"unix:{shared.socket}"
        assert sb.info().home == str(shared.home)
    with pytest.raises(RuntimeError, match="closed"):
        sb.info()


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        # Before the time of the call is up, which would be another error.
        with Switchboard(url, timeout=GIVE_UP, connect_timeout=0.2) as sb:
            for call in (sb.info, lambda: next(sb.session("x").events())):
                with pytest.raises(SwitchboardError, match="no server answers") as raised:
                    call()
                assert raised.value.reason == ""


def test_a_call_may_take_for_ever(shared: Server) -> None:
    with Switchboard(f"unix:{shared.socket}", timeout=math.inf) as sb:
        assert sb.info().home == str(shared.home)


def test_a_client_that_another_thread_closes_says_so(
    shared: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sb = Switchboard(f"unix:{shared.socket}")
    channel = sb._driver._transport._open()
    sb.close()
    # As if it was closed just now.
    monkeypatch.setattr(sb._driver._transport, "_open", lambda: channel)
    for call in (sb.info, lambda: next(sb.session("x").events())):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_a_client_of_another_event_loop_says_so(shared: Server) -> None:
    sb = AsyncSwitchboard(f"unix:{shared.socket}")

    async def info(close: bool) -> str:
        found = await sb.info()
        if close:
            await sb.close()
        return found.home

    with asyncio.Runner() as runner:
        assert runner.run(info(False)) == str(shared.home)
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(info(False))
        assert runner.run(info(True)) == str(shared.home)


def test_an_encrypted_connection_is_trusted_by_its_certificates(
    shared: Server, tmp_path: Path
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.set_alpn_protocols(["h2"])
    authority.issue_cert("localhost").configure_cert(tls)
    certificates = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(certificates))
    proxy = Proxy(shared.address, tls)
    with Switchboard(proxy.url, token=shared.token, tls_ca=certificates) as sb:
        chat = sb.session(sb.sessions.create(shared.work, "go").id)
        assert [event.seq for event in chat.events(stop_at_end=True)][:3] == [1, 2, 3]

    async def info() -> str:
        async with AsyncSwitchboard(proxy.url, token=shared.token, tls_ca=certificates) as sb:
            return (await sb.info()).home

    assert asyncio.run(info()) == str(shared.home)
    others = tmp_path / "others.pem"
    trustme.CA().cert_pem.write_to_path(str(others))
    for trusted in (None, others):
        with (
            Switchboard(proxy.url, token=shared.token, tls_ca=trusted, connect_timeout=0.3) as sb,
            pytest.raises(SwitchboardError, match="is its certificate trusted") as raised,
        ):
            sb.info()
        assert "no server answers" in str(raised.value)
    with pytest.raises(ProfileError, match="tls_ca"):
        Switchboard(proxy.url, tls_ca=tmp_path / "nothing.pem")
    for text in ("", "no certificate", authority.private_key_pem.bytes().decode()):
        others.write_text(text)
        with pytest.raises(ProfileError, match=r"tls_ca: .*others\.pem: no certificates in PEM"):
            Switchboard(proxy.url, tls_ca=others)
    # What else the file says is nobody's business.
    certificates.write_text(f"# Größe\n{certificates.read_text()}# 終\n")
    with Switchboard(proxy.url, token=shared.token, tls_ca=certificates) as sb:
        assert sb.info().home == str(shared.home)
    with pytest.raises(ProfileError, match="not encrypted"):
        Switchboard(shared.url, tls_ca=certificates)
    with pytest.raises(ProfileError, match="ASCII"):
        Switchboard(shared.url, token="ü")
    proxy.close()
