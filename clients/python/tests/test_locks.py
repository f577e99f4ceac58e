"""Config locks, on the real codex: `cargo test --test it python_client` sets its server up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from harness import GIVE_UP

from switchboard import (
    AsyncSwitchboard,
    Codex,
    CodexVersionMismatch,
    ConfigLock,
    ConfigLockDrift,
    ConfigLockInvalid,
    InvalidArgument,
    Session,
    Switchboard,
    SwitchboardError,
    errors,
)

# Read before the tests take such variables away.
_SERVER = os.environ.get("SWITCHBOARD_TEST_SERVER", "")
_WORK = Path(os.environ.get("SWITCHBOARD_TEST_WORK", ""))

if not _SERVER:
    pytest.skip("it needs the real codex: cargo test --test it", allow_module_level=True)


@pytest.fixture(scope="module")
def sb() -> Iterator[Switchboard]:
    with Switchboard(_SERVER) as client:
        yield client


@pytest.fixture(scope="module")
def locked(sb: Switchboard) -> Session:
    """A session that ran a turn."""
    created = sb.sessions.create(_WORK, "Go.", filesystem_sandbox="danger-full-access")
    session = sb.session(created.id).wait(GIVE_UP)
    assert session.state == "completed"
    assert (session.config_lock, session.persist_session) == (None, False)
    return session


@pytest.fixture(scope="module")
def lock(sb: Switchboard, locked: Session) -> ConfigLock:
    return sb.lock.export(locked.id)


@pytest.fixture
def file(lock: ConfigLock, tmp_path: Path) -> Path:
    path = tmp_path / "run.lock.toml"
    path.write_text(lock.text)
    return path


def count(sb: Switchboard) -> int:
    return len(sb.sessions.list())


def test_what_a_session_runs_with_is_written_down(
    sb: Switchboard, locked: Session, lock: ConfigLock
) -> None:
    assert 'model = "gpt-5.5"' in lock.text.splitlines()
    assert Path(lock.path).read_text() == lock.text
    assert Path(lock.path).name == f"{locked.thread_id}.config.lock.toml"
    assert len(lock.sha256) == 64
    assert lock.notes == []
    of_chat = sb.session(locked.id).lock.export(save_fields_resolved_from_model_catalog=False)
    assert len(of_chat.text) < len(lock.text)
    with pytest.raises(errors.SessionNotFound):
        sb.lock.export("00000000-0000-4000-8000-000000000000")


def test_what_would_run_is_compared_with_a_lock(
    sb: Switchboard, locked: Session, lock: ConfigLock, file: Path
) -> None:
    before = count(sb)
    for given in (lock.text, file):
        same = sb.lock.verify(given)
        assert (same.matches, same.drift, same.diff) == (True, [], "")
        assert (same.codex_version, same.locked_codex_version) == ("0.169.0", "0.169.0")
        assert same.working_directory == locked.working_directory
    assert sb.lock.verify(file, session_id=locked.id).matches
    assert sb.session(locked.id).lock.verify(file).matches

    other = sb.lock.verify(file, model="gpt-5.4")
    (drift,) = other.drift
    assert not other.matches
    assert (drift.key, drift.origin) == ("config.model", "controls.model")
    assert (drift.locked, drift.actual) == ('"gpt-5.5"', '"gpt-5.4"')
    assert '-model = "gpt-5.5"' in other.diff
    assert '+model = "gpt-5.4"' in other.diff
    elsewhere = sb.lock.verify(file, cwd=Path(_WORK).parent)
    assert [each.key for each in elsewhere.drift] == ["working_directory"]
    assert count(sb) == before

    # What is chosen beside a session, and a session that has none.
    with pytest.raises(InvalidArgument):
        sb.lock.verify(file, session_id=locked.id, model="gpt-5.4")
    with pytest.raises(InvalidArgument) as none:
        sb.session(locked.id).lock.verify()
    assert none.value.field == "config_lock"


def test_a_session_is_held_to_its_lock(
    sb: Switchboard, locked: Session, lock: ConfigLock, file: Path
) -> None:
    # Its directory is the lock's, wherever this process is.
    created = sb.sessions.create(prompt="Go.", config_lock=file, persist_session=True)
    chat = sb.session(created.id)
    session = chat.wait(GIVE_UP)
    assert session.state == "completed"
    assert session.working_directory == locked.working_directory
    assert (session.model, session.filesystem_sandbox) == ("gpt-5.5", "danger-full-access")
    assert session.persist_session
    assert session.config_lock is not None
    assert session.config_lock.sha256 == lock.sha256
    assert session.config_lock.codex_version == "0.169.0"
    assert not session.config_lock.allow_codex_version_mismatch
    assert chat.lock.verify().matches
    fork = chat.fork()
    assert (fork.config_lock, fork.persist_session) == (session.config_lock, True)
    assert sb.session(locked.id).fork(persist_session=True).persist_session

    controls = chat.controls.get().session
    assert controls is not None
    changed = {"model": "gpt-5.4", "approvalPolicy": "never", "networkAccess": "enabled"}
    chat.controls.apply({**changed, "filesystemSandbox": "danger-full-access"})
    assert [each.origin for each in chat.lock.verify().drift] == ["controls.model"]
    with pytest.raises(ConfigLockDrift) as drifted:
        chat.send("Go on.")
    assert drifted.value.keys == ["config.model"]
    assert chat.get().turn_count == 1


def test_what_differs_from_a_lock_is_refused_before_a_turn_runs(
    sb: Switchboard, lock: ConfigLock
) -> None:
    before = count(sb)
    with pytest.raises(ConfigLockDrift) as raised:
        sb.sessions.create(prompt="Go.", config_lock=lock.text, model="gpt-5.4")
    error = raised.value
    assert (error.reason, error.code) == (
        "CONFIG_LOCK_DRIFT",
        grpc.StatusCode.FAILED_PRECONDITION,
    )
    assert (error.keys, error.is_truncated) == (["config.model"], False)
    assert '+model = "gpt-5.4"' in error.diff
    assert error.drift == sb.lock.verify(lock.text, model="gpt-5.4").drift
    assert count(sb) == before


def test_what_differs_is_told_whole_however_much_it_is(sb: Switchboard, lock: ConfigLock) -> None:
    servers = {f"mcp_servers.s{n}.command": f'"{"x" * 100}"' for n in range(60)}
    options = Codex(config=servers)
    whole = sb.lock.verify(lock.text, codex=options)
    # A status holds less than that.
    assert len(whole.diff) > 4_096
    with pytest.raises(ConfigLockDrift) as raised:
        sb.sessions.create(prompt="Go.", config_lock=lock.text, codex=options)
    error = raised.value
    assert (error.diff, error.drift) == (whole.diff, whole.drift)
    assert error.keys == [each.key for each in whole.drift]
    assert not error.is_truncated


def test_a_lock_of_another_version_is_refused_unless_that_is_allowed(
    sb: Switchboard, lock: ConfigLock
) -> None:
    other = lock.text.replace('codex_version = "0.169.0"', 'codex_version = "0.168.0"')
    with pytest.raises(CodexVersionMismatch) as raised:
        sb.sessions.create(config_lock=other)
    assert raised.value.reason == "CODEX_VERSION_MISMATCH"
    assert (raised.value.locked, raised.value.actual) == ("0.168.0", "0.169.0")
    compared = sb.lock.verify(other)
    assert [each.key for each in compared.drift] == ["codex_version"]
    assert compared.locked_codex_version == "0.168.0"
    assert sb.lock.verify(other, allow_codex_version_mismatch=True).matches
    session = sb.sessions.create(config_lock=other, allow_codex_version_mismatch=True)
    assert session.config_lock is not None
    assert session.config_lock.allow_codex_version_mismatch
    with pytest.raises(InvalidArgument) as alone:
        sb.sessions.create(_WORK, allow_codex_version_mismatch=True)
    assert alone.value.field == "allow_codex_version_mismatch"


def test_a_lock_that_is_none_is_refused(sb: Switchboard, lock: ConfigLock, tmp_path: Path) -> None:
    before = count(sb)
    empty = tmp_path / "empty.toml"
    empty.write_text("\n")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for given, rule in (
        ("version = ", "toml"),
        ("run.lock.toml", "toml"),
        (lock.text.replace("version = 1", "version = 2", 1), "version"),
        # An empty one must not mean that there is none.
        ("", "version"),
        (empty, "version"),
        (binary, "file"),
        (tmp_path / "nowhere", "file"),
    ):
        for ask in (
            lambda given=given: sb.sessions.create(_WORK, config_lock=given),
            lambda given=given: sb.lock.verify(given),
        ):
            with pytest.raises(ConfigLockInvalid) as raised:
                ask()
            error = raised.value
            assert isinstance(error, SwitchboardError)
            assert (error.reason, error.rule) == ("CONFIG_LOCK_INVALID", rule)
            assert (error.field, error.code) == ("config_lock", grpc.StatusCode.INVALID_ARGUMENT)
    assert count(sb) == before


def test_the_same_with_asyncio(locked: Session, lock: ConfigLock, file: Path) -> None:
    async def both() -> None:
        async with AsyncSwitchboard(_SERVER) as sb:
            exported = await sb.session(locked.id).lock.export()
            assert exported.text.splitlines()[-1] == lock.text.splitlines()[-1]
            assert (await sb.lock.verify(file)).matches
            with pytest.raises(ConfigLockDrift) as raised:
                await sb.sessions.create(config_lock=file, model="gpt-5.4")
            assert raised.value.keys == ["config.model"]

    asyncio.run(both())
