"""The package as its users have it: the wheel, the README and the example."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import script
from harness import GIVE_UP, ROOT, Server

from switchboard import Switchboard

HERE = Path(__file__).resolve().parents[1]
WHEELS = ROOT / "tests" / "generated" / "wheels"


def run(
    *command: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of a clean environment with the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("package")
    # What builds it is what tests/requirements.txt pins.
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    built = run(*build, HERE)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("switchboard_client-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "switchboard/py.typed" in names
    assert "switchboard/_proto/v1/event_pb2.pyi" in names
    assert all(name.startswith(("switchboard/", "switchboard_client-")) for name in names)

    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    install = [*pip, "--python", str(python), "install", "--no-index", "--find-links", str(WHEELS)]
    done = run(*install, wheel)
    assert done.returncode == 0, done.stderr
    yield python


def blocks(file: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", file.read_text(), re.S)


def test_the_readme_runs_as_it_stands(installed: Path, own: Server, tmp_path: Path) -> None:
    taught = blocks(HERE / "README.md")
    assert len(taught) == 2
    shown = blocks(ROOT / "README.md")[0]
    assert "Switchboard.from_profile" in shown
    for block in [*taught, shown]:
        program = tmp_path / "readme.py"
        program.write_text(block)
        done = run(installed, program, env=own.environment(), cwd=own.work)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "input_tokens=100" in done.stdout
    with Switchboard(f"unix:{own.socket}") as sb:
        left = sb.sessions.list()
        assert [each.first_prompt for each in left] == ["list the TODOs", "explain this project"]
        assert {each.working_directory for each in left} == {str(own.work)}


def test_what_is_installed_has_types(installed: Path, tmp_path: Path) -> None:
    program = tmp_path / "typed.py"
    program.write_text(
        "from switchboard import AsyncSwitchboard, Event, Switchboard\n"
        "sb = Switchboard()\n"
        "reveal_type(sb.sessions.create().id)\n"
        "reveal_type(next(sb.session('x').events()))\n"
        "async def main() -> None:\n"
        "    reveal_type(await AsyncSwitchboard().session('x').wait())\n"
        "sb.session('x').settings.set(settings={}, mode='other')\n"
        # A session like another, and others in its state.
        "one = sb.sessions.get('x')\n"
        "sb.sessions.create(\n"
        "    one.working_directory,\n"
        "    model=one.model,\n"
        "    approval_policy=one.approval_policy,\n"
        "    network_access=one.network_access,\n"
        "    filesystem_sandbox=one.filesystem_sandbox,\n"
        "    codex=one.codex,\n"
        ")\n"
        "sb.sessions.list(states=[one.state])\n"
        "change = sb.session('x').controls.apply({'model': None})\n"
        "sb.session('x').settings.get(scope=change.scope)\n"
        "class Mine(Switchboard):\n"
        "    pass\n"
        "class AsyncMine(AsyncSwitchboard):\n"
        "    pass\n"
        "reveal_type(Mine.from_profile())\n"
        "with Mine() as mine:\n"
        "    reveal_type(mine)\n"
        "async def entered() -> None:\n"
        "    async with AsyncMine.from_profile() as mine:\n"
        "        reveal_type(mine)\n"
    )
    # Its own: it is a database, and the one of the sources may be in use.
    cache = ROOT / "tests" / "generated" / "mypy-installed"
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache)]
    checked = run(*command, "--python-executable", installed, program, cwd=tmp_path)
    assert 'type is "str"' in checked.stdout
    assert 'type is "switchboard.types.Event"' in checked.stdout
    assert 'type is "switchboard.types.Session"' in checked.stdout
    assert checked.stdout.count('type is "typed.Mine"') == 2
    assert checked.stdout.count('type is "typed.AsyncMine"') == 1
    assert "incompatible type \"Literal['other']\"" in checked.stdout
    assert checked.stdout.count("error:") == 1, checked.stdout


def test_the_example_runs_many_and_fails_where_one_failed(
    installed: Path, own: Server, tmp_path: Path
) -> None:
    example = HERE / "examples" / "run_many.py"
    good = [script("thread", "turn", f"message:answer {n}", "completed") for n in range(5)]
    done = run(installed, example, "--cwd", own.work, *good, env=own.environment())
    assert done.returncode == 0, done.stderr
    assert [f"answer {n}" in done.stdout for n in range(5)] == [True] * 5
    assert "== 5 of 5 completed, 500 tokens in (50 cached), 100 out" in done.stdout
    assert done.stderr.count(" completed\n") == 5

    # A prompt has lines and tabs, and a title has none.
    long = f"list:\n\tthe TODOs\n{good[0]}"
    assert run(installed, example, "--cwd", own.work, long, env=own.environment()).returncode == 0
    with Switchboard(f"unix:{own.socket}") as sb:
        assert sb.sessions.list(limit=1)[0].title.startswith("list: the TODOs FAKE_AGENT=")

    bad = script("thread", "turn", "failed:the model said no")
    failed = run(
        installed, example, "--cwd", own.work, "--at-once", "1", good[0], bad, env=own.environment()
    )
    assert failed.returncode == 1
    assert "the model said no" in failed.stdout
    assert "== 1 of 2 completed, 100 tokens in (10 cached), 20 out" in failed.stdout

    # Recorded transcripts, and prompts from standard input.
    transcript = own.work / "transcript.jsonl"
    transcript.write_bytes((ROOT / "src/cli/demo/transcript.jsonl").read_bytes())
    replayed = subprocess.run(
        [installed, example, "--agent", f"replay:{os.path.relpath(transcript, own.work)}"],
        env=own.environment(),
        cwd=own.work,
        input="one\n\ntwo\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert replayed.returncode == 0, replayed.stderr
    assert "== 2 of 2 completed" in replayed.stdout

    for wrong in (["--at-once", "0", "x"], ["", "  "]):
        assert run(installed, example, *wrong, env=own.environment()).returncode == 2
    refused = run(installed, example, "--cwd", "/nowhere", "x", env=own.environment())
    assert refused.returncode == 1
    assert "not started" in refused.stdout


def test_ctrl_c_ends_the_example_and_not_the_turns(installed: Path, own: Server) -> None:
    example = HERE / "examples" / "run_many.py"
    command = [str(installed), str(example), "--cwd", str(own.work), "--at-once", "1"]
    command += [script("thread", "turn", "sleep"), "this one is never started"]
    with (
        Switchboard(f"unix:{own.socket}") as sb,
        subprocess.Popen(
            command,
            env=own.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        assert running.stderr is not None
        # It follows the turn.
        while not running.stderr.readline().endswith(" running\n"):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        printed, said = running.communicate(timeout=GIVE_UP)
        assert running.returncode == 130
        assert printed == ""
        assert said.splitlines()[-1].startswith("interrupted; what runs goes on: switchboard ")
        assert "Traceback" not in said
        (left,) = sb.sessions.list(labels={"run": "run_many"})
        assert left.state == "running"
