"""The two clients have the same surface, and what is checked in is as it should be."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT

import switchboard

HERE = Path(__file__).resolve().parents[1]

PAIRS = [
    (switchboard.AsyncSwitchboard, switchboard.Switchboard),
    (switchboard.AsyncDefaults, switchboard.Defaults),
    (switchboard.AsyncSessions, switchboard.Sessions),
    (switchboard.AsyncChat, switchboard.Chat),
    (switchboard.AsyncSettings, switchboard.Settings),
    (switchboard.AsyncNamespace, switchboard.Namespace),
    (switchboard.AsyncControls, switchboard.SessionControls),
    (switchboard.AsyncAudit, switchboard.Audit),
    (switchboard.AsyncConfigLocks, switchboard.ConfigLocks),
    (switchboard.AsyncChatLock, switchboard.ChatLock),
]


def public(kind: type) -> dict[str, Any]:
    names = {name for name in vars(kind) if not name.startswith("_")} | {"__init__"}
    return {name: inspect.getattr_static(kind, name) for name in names}


def as_sync(annotation: str) -> str:
    annotation = re.sub(r"AsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]", annotation)
    annotation = annotation.replace("AsyncControls", "SessionControls")
    return re.sub(r"\bAsync", "", annotation)


@pytest.mark.parametrize(("asynchronous", "synchronous"), PAIRS)
def test_each_method_of_one_client_is_one_of_the_other(
    asynchronous: type, synchronous: type
) -> None:
    ours, theirs = public(asynchronous), public(synchronous)
    assert set(ours) == set(theirs)
    for name, member in ours.items():
        other = theirs[name]
        assert type(member) is type(other), name
        if isinstance(member, property):
            continue
        if isinstance(member, classmethod):
            member, other = member.__func__, other.__func__
        one, two = inspect.signature(member), inspect.signature(other)
        assert str(two) == as_sync(str(one)), name
        assert inspect.getdoc(member) == inspect.getdoc(other), name
        assert not inspect.iscoroutinefunction(other), name
        returns = str(one.return_annotation)
        lazily = returns.startswith(("AsyncGenerator", "Async")) or name == "session"
        is_awaited = inspect.iscoroutinefunction(member)
        assert is_awaited or lazily or name in ("__init__", "from_profile"), name


def test_every_pair_is_compared() -> None:
    compared = {kind for pair in PAIRS for kind in pair}
    for name in switchboard.__all__:
        found = getattr(switchboard, name)
        if inspect.isclass(found) and found.__module__.startswith(
            ("switchboard._async", "switchboard._sync")
        ):
            assert found in compared, name


def test_every_public_name_says_what_it_is() -> None:
    for name in switchboard.__all__:
        found = getattr(switchboard, name)
        if not inspect.isclass(found):
            continue
        assert found.__doc__, name
        for member in vars(found):
            value = inspect.getattr_static(found, member)
            if member.startswith("_") or not callable(value) or isinstance(value, type):
                continue
            assert value.__doc__, f"{name}.{member}"


def run(*command: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_generated_is_what_would_be_generated() -> None:
    run("generate", "--check")


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_mypy_finds_nothing_in_strict_mode(version: str) -> None:
    cache = ROOT / "tests" / "generated" / "mypy"
    run("-m", "mypy", "--python-version", version, "--cache-dir", cache)


def test_ruff_finds_nothing() -> None:
    run("-m", "ruff", "check", "--no-cache", ".")
    run("-m", "ruff", "format", "--no-cache", "--check", ".")
