"""What calls are given and what they answer with: plain, immutable values.

Words such as states and kinds are strings in lower case, as the command line shows them. What a
later server adds comes as it is: a word that this version does not know is no error, although the
types list those that it knows.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypedDict

__all__ = [
    "ABSENT",
    "Absent",
    "ApprovalPolicy",
    "AuditEntry",
    "AuditVerification",
    "Codex",
    "ConfigDrift",
    "ConfigLock",
    "ConfigLockVerification",
    "Controls",
    "ControlsChange",
    "ControlsDict",
    "ControlsState",
    "Elided",
    "Event",
    "FilesystemSandbox",
    "Message",
    "NetworkAccess",
    "Outcome",
    "Reconnect",
    "Scope",
    "ScopedControls",
    "ServerInfo",
    "Session",
    "SessionChange",
    "SessionLock",
    "SessionState",
    "SettingChange",
    "SettingsChange",
    "Step",
    "Turn",
    "Usage",
]

Scope: TypeAlias = Literal["session", "default"]
"""Whose settings and controls: those of the session, or those that new ones begin with."""

SessionState: TypeAlias = Literal[
    "pending", "queued", "running", "stopping", "completed", "failed", "interrupted", "killed"
]
"""What a session does; it is at rest in the last four."""

ApprovalPolicy: TypeAlias = Literal["untrusted", "on-failure", "on-request", "never"]
"""When an agent asks before it acts."""

NetworkAccess: TypeAlias = Literal["restricted", "enabled"]
"""Whether commands may use the network."""

FilesystemSandbox: TypeAlias = Literal["read-only", "workspace-write", "danger-full-access"]
"""What commands may write."""

Outcome: TypeAlias = str
"""`"ok"`, or `"unchanged"` where everything was so already."""

AT_REST: Final = frozenset({"completed", "failed", "interrupted", "killed"})


class Absent(enum.Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> Literal[False]:
        return False


ABSENT: Final = Absent.ABSENT
"""In place of a value that is not there; None is null, which is a value."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the agent counts them."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """The tokens of both."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_write_input_tokens + other.cache_write_input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_output_tokens + other.reasoning_output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt and what became of it."""

    number: int
    state: SessionState
    #: Why it failed, such as `"agent_error"`; empty in another state.
    state_reason: str
    #: What went wrong, in the agent's own words where it said any.
    error: str
    exit_code: int | None
    signal: int | None
    pid: int
    start_time: datetime | None
    end_time: datetime | None
    #: Tokens used in this turn.
    usage: Usage | None

    @property
    def at_rest(self) -> bool:
        """Whether it is over."""
        return self.state in AT_REST


@dataclass(frozen=True, slots=True, kw_only=True)
class Codex:
    """What codex is told in each turn beside model, directory, sandbox and network."""

    #: Settings of codex's configuration: dotted keys, values as TOML.
    config: Mapping[str, str] = field(default_factory=dict)
    #: A JSON Schema that the last message must fit.
    output_schema: str | Path = ""
    #: Further directories that commands may write in.
    add_directories: Sequence[str | Path] = ()
    #: The name of a profile in codex's home.
    profile: str = ""
    #: How codex searches the web: `"disabled"`, `"cached"` or `"live"`.
    web_search: str | None = None
    #: Variables for codex. They come back with empty values.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Runs commands without a sandbox and without approvals.
    full_danger: bool = False
    #: Whether a setting that codex does not know fails the turn.
    strict_config: bool = False


@dataclass(frozen=True, slots=True)
class SessionLock:
    """The config lock that each turn of a session is held to."""

    #: The SHA-256 of its text, in hexadecimal.
    sha256: str
    #: The version of codex that it was made with.
    codex_version: str
    #: Whether turns may run with another version.
    allow_codex_version_mismatch: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it was when the server answered."""

    id: str
    state: SessionState
    #: Why it failed, such as `"agent_error"`; empty in another state.
    state_reason: str
    agent: str
    source: str
    title: str
    labels: dict[str, str]
    working_directory: str
    #: None for the agent's own default.
    model: str | None
    #: None where nobody chose one, as for the two below.
    approval_policy: ApprovalPolicy | None
    network_access: NetworkAccess | None
    filesystem_sandbox: FilesystemSandbox | None
    thread_id: str
    codex_version: str
    codex: Codex
    first_prompt: str
    turn_count: int
    last_turn: Turn | None
    #: Tokens used by the whole session.
    usage: Usage | None
    create_time: datetime | None
    update_time: datetime | None
    archived: bool
    system_owned: bool
    forked_from: str
    #: Give it back with a change to change only what was seen.
    etag: str
    #: The place among the turns that wait; 0 where it is not `"queued"`.
    queue_position: int
    #: What its files take on the disk; only `get` asks for it.
    disk_bytes: int | None = None
    #: Whether what one needs to understand it later is kept.
    persist_session: bool = False
    #: None where its turns are held to none.
    config_lock: SessionLock | None = None

    @property
    def at_rest(self) -> bool:
        """Whether its last turn is over."""
        return self.state in AT_REST


@dataclass(frozen=True, slots=True)
class SessionChange:
    """One message of a watch of all sessions."""

    #: `"session"`: it is there, or was changed. `"deleted"`: it is gone. `"synced"`: all that
    #: were there have been told.
    kind: Literal["session", "deleted", "synced"]
    #: Where to go on after this message; good after a restart of the server too.
    cursor: str
    session_id: str = ""
    session: Session | None = None
    delete_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Elided:
    """Where the whole of an event is that was too large: give it to `output`."""

    size: int
    turn: int
    byte_offset: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line that an agent printed, or one thing that the server says about the session."""

    session_id: str
    #: Its place in the session: 1 for the first, without gaps.
    seq: int
    time: datetime
    #: What `time` means: `"live"`, `"adopted"` or `"rebuilt"`.
    time_source: str
    #: 0 for none.
    turn: int
    #: `"agent"` or `"server"`.
    origin: str
    #: Such as `"item_completed"` or `"state_changed"`; `"unrecognized"` for one that this version
    #: of the client does not know.
    kind: str
    #: What happened, with the names of the contract, such as
    #: `{"previous_state": "running", "state": "completed", …}`.
    data: dict[str, Any]
    #: The agent's line, verbatim; empty for the server's events.
    raw: bytes
    byte_offset: int
    #: Set where the event was too large: `raw` is empty and long texts are cut short.
    elided: Elided | None = None

    @property
    def json(self) -> Any:
        """The agent's line as the value that it is; None where it has none.

        That is so for the server's events, for an `invalid_line` and an `elided` event, and where
        `json.loads` does not read the line: it is nested too deep, or a number in it is too long.
        """
        if self.kind == "invalid_line" or not self.raw:
            return None
        try:
            return json.loads(self.raw)
        except (ValueError, RecursionError):
            return None

    @property
    def text(self) -> str | None:
        """What the agent says to the user; None for an event that is no such message."""
        if self.kind != "item_completed":
            return None
        message = self.data.get("item", {}).get("agent_message")
        return None if message is None else str(message["text"])


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The connection of a stream was lost, and is about to be made again."""

    #: Why, for people.
    why: str
    #: 1 for the first attempt since it was lost.
    attempt: int
    #: How long until then, in seconds.
    pause: float
    #: Where the stream goes on: the seq of an event, or the cursor of a watch of sessions.
    resume_at: int | str


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said in a session."""

    turn: int
    step: int
    seq: int
    time: datetime | None
    #: `"user"`, `"assistant"`, `"system"` or `"tool"`.
    role: str
    content: str
    #: What a tool was given; None where it was given nothing.
    input: str | None
    #: The tool, or the code of a warning or error of the server.
    name: str
    item_id: str
    item_type: str
    status: str
    exit_code: int | None
    #: Whether a text was too large to come whole.
    truncated: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened in a turn."""

    turn: int
    step: int
    seq: int
    time: datetime | None
    #: Such as `"prompt"`, `"message"` or `"command"`.
    kind: str
    #: What happened, with the names of the contract.
    data: dict[str, Any]
    item_id: str
    item_type: str
    status: str


@dataclass(frozen=True, slots=True)
class Controls:
    """What an agent may do."""

    #: None for the agent's own default.
    model: str | None = None
    approval_policy: ApprovalPolicy | None = None
    network_access: NetworkAccess | None = None
    filesystem_sandbox: FilesystemSandbox | None = None


class ControlsDict(TypedDict, total=False):
    """The same as a dictionary, with the names of the settings contract."""

    model: str | None
    approvalPolicy: ApprovalPolicy
    networkAccess: NetworkAccess
    filesystemSandbox: FilesystemSandbox


@dataclass(frozen=True, slots=True)
class ScopedControls:
    """The controls and settings of one scope."""

    controls: Controls
    settings: dict[str, Any]
    #: Names them as they are; give it back with a write to change only what was seen.
    etag: str


@dataclass(frozen=True, slots=True)
class ControlsState:
    """The controls and settings of a session and of new ones."""

    #: None where no session was named.
    session: ScopedControls | None
    defaults: ScopedControls
    defaults_editable: bool
    #: Why not; empty where they are.
    default_lock_reason: str


@dataclass(frozen=True, slots=True)
class ControlsChange:
    """What there is after a write of controls."""

    outcome: Outcome
    scope: Scope
    #: What the scope has now.
    applied: ScopedControls
    #: The same on one line.
    summary: str
    #: The entry of the audit; 0 where nothing was changed.
    audit_seq: int


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What there is after a write of settings."""

    outcome: Outcome
    scope: Scope
    #: All settings of the scope.
    settings: dict[str, Any]
    etag: str
    #: The entry of the audit; 0 where nothing was changed.
    audit_seq: int

    @property
    def changed(self) -> bool:
        """Whether anything was changed."""
        return self.outcome == "ok"


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting that a write changed."""

    key: str
    #: `ABSENT` where it was not there.
    previous: Any
    #: `ABSENT` where it is not there any more.
    value: Any


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what, when and with what."""

    seq: int
    time: datetime | None
    actor: str
    source: str
    transport: str
    scope: Scope
    session_id: str
    operation: str
    #: None where no control was changed.
    previous_controls: Controls | None
    controls: Controls | None
    settings: list[SettingChange]
    previous_summary: str
    summary: str
    state_hash: str
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """Whether the record was not altered."""

    valid: bool
    #: How many entries were followed.
    entries: int
    #: The first entry that does not hold; None where all do.
    break_seq: int | None
    #: What is wrong with it, for people.
    problem: str
    #: The last entry and its hash: keep both, and verify by them later.
    last_seq: int
    last_hash: str


@dataclass(frozen=True, slots=True)
class ConfigLock:
    """What a session runs with, written down."""

    #: The lock itself, as TOML.
    text: str
    #: The file on the server's machine that has it too.
    path: str
    #: The SHA-256 of the text, in hexadecimal.
    sha256: str
    #: What one should know about it, each a whole sentence.
    notes: list[str]


@dataclass(frozen=True, slots=True)
class ConfigDrift:
    """One value that is not as a config lock has it."""

    #: Dotted, such as `"config.model"`.
    key: str
    #: What the lock has, as TOML; empty for nothing.
    locked: str
    #: What would be used, as TOML; empty for nothing.
    actual: str
    #: Where that comes from, such as `"controls.model"`, or a file.
    origin: str


@dataclass(frozen=True, slots=True)
class ConfigLockVerification:
    """How what would run compares with a config lock."""

    matches: bool
    #: What differs, key by key.
    drift: list[ConfigDrift]
    #: The same as a unified diff; empty where nothing differs.
    diff: str
    #: What one should know about the comparison, each a whole sentence.
    notes: list[str]
    #: The version that the server starts.
    codex_version: str
    #: The version that the lock was made with.
    locked_codex_version: str
    #: The directory that was looked at.
    working_directory: str


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The server itself."""

    version: str
    pid: int
    start_time: datetime | None
    home: str
    addresses: list[str]
    codex_path: str
    codex_version: str
    #: Why codex cannot be started now; empty when it can.
    codex_problem: str
    running_turns: int
    open_watches: int
    limits: dict[str, Any]
