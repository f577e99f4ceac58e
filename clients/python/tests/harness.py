"""The real server on a home of its own, and a proxy in front of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("SWITCHBOARD_BINARY", ROOT / "target" / "debug" / "switchboard"))
FAKE_AGENT = ROOT / "tests" / "fixtures" / "agents" / "fake_agent.py"

# Marks every process of a server, agents included; its value is the server's folder.
MARK = "SWITCHBOARD_TEST_BASE"

# When a test gives up: no measure of anything, only so that it ends.
GIVE_UP = 120.0


# Read before the tests take such variables away.
_SEED = os.environ.get("SWITCHBOARD_TEST_SEED")


def seeded() -> random.Random:
    """Chance that can be had again: its seed is shown where a test fails."""
    seed = int(_SEED) if _SEED else random.randrange(2**32)
    print(f"SWITCHBOARD_TEST_SEED={seed}")
    return random.Random(seed)


def until(what: str, is_so: Callable[[], bool]) -> None:
    """Wait for what nobody tells of."""
    end = time.monotonic() + GIVE_UP
    while not is_so():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.002)


def lasting_port() -> int:
    """A port that is free, and that nobody is given who asks for any.

    A server that is started again has the same one, which is not to be somebody else's meanwhile:
    not even that of a client that calls it.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    first, last = (int(each) for each in given)
    others: list[int] = [*range(10_000, first), *range(max(last, 10_000) + 1, 65_536)]
    while others:
        port = random.choice(others)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    return 0


class Server:
    """A server whose codex is the scripted agent."""

    def __init__(self, *arguments: str | Path, config: str = "", codex: Path = FAKE_AGENT) -> None:
        # Short, because a socket's path has at most 107 bytes.
        self._base = tempfile.TemporaryDirectory(prefix="sb-")
        self.base = Path(self._base.name)
        self.home, self.work = self.base / "home", self.base / "work"
        self.work.mkdir()
        (self.base / "config.toml").write_text(config)
        self._arguments: list[str | Path] = ["--codex", codex, *arguments]
        self._listen = f"127.0.0.1:{lasting_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://{self._listen}"

    @property
    def socket(self) -> Path:
        return self.home / "switchboard.sock"

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listen.split(":")
        return host, int(port)

    def environment(self, **more: str) -> dict[str, str]:
        """What a program sees that is to find this server, and nothing of the user's own."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "HOME": str(self.base), "SWITCHBOARD_HOME": str(self.home), **more}

    def start(self) -> None:
        ready = self.base / "ready.json"
        ready.unlink(missing_ok=True)
        command: list[str | Path] = [BINARY, "serve", "--listen", self._listen]
        command += ["--home", self.home, "--ready-file", ready]
        command += ["--config", self.base / "config.toml"]
        with (self.base / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._arguments],
                env={**self.environment(), MARK: str(self.base)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        process = self._process
        until("the server", lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, (self.base / "log").read_text()
        addresses = json.loads(ready.read_text())["addresses"]
        # The same from now on, so that clients find it again.
        self._listen = next(a for a in addresses if a.startswith("http://"))[7:]

    def kill(self) -> None:
        """End it by SIGKILL. Agents go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Let it hang, with its connections as they are."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after that."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        assert self._process is not None
        self._process.terminate()

    def stopped(self) -> None:
        assert self._process is not None
        self._process.wait(GIVE_UP)

    def close(self) -> None:
        self.kill()
        while found := list(self._marked()):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self._base.cleanup()

    def _marked(self) -> Iterator[int]:
        mark = f"{MARK}={self.base}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z" and mark in (entry / "environ").read_bytes().split(b"\0"):
                        yield int(entry.name)


class Proxy:
    """A proxy that cuts its connections off: what it is told, and with TLS where it has some."""

    def __init__(self, target: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._target, self._tls = target, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._budget: int | None = None
        self._open: list[socket.socket] = []
        self._refills: Callable[[], int] | None = None
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        # A certificate is for a name, which may have more than one address.
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    def cut_after(self, budget: Callable[[], int] | None) -> None:
        """Cut everything after so many bytes to clients, and again and again."""
        with self._lock:
            self._refills = budget
            self._budget = None if budget is None else budget()

    def cut(self) -> None:
        """Cut everything now."""
        with self._lock:
            self._cut()

    def close(self) -> None:
        # Whoever waits for the next connection would take that one yet.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _cut(self) -> None:
        self.cuts += 1
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()
        self._budget = None if self._refills is None else self._refills()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        with client, server:
            with self._lock:
                self._open += [client, server]
            with contextlib.suppress(OSError):
                self._pump(client, server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            pending = isinstance(client, ssl.SSLSocket) and client.pending()
            readable = [client] if pending else select.select([client, server], [], [])[0]
            if client in readable:
                data = client.recv(65536)
                if not data:
                    return
                server.sendall(data)
            if server in readable:
                data = server.recv(65536)
                if not data:
                    return
                with self._lock:
                    budget = self._budget
                    if budget is not None:
                        self._budget = budget - len(data)
                client.sendall(data if budget is None else data[: max(budget, 0)])
                if budget is not None and budget <= len(data):
                    self.cut()
                    return
