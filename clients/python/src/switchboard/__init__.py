"""The client of Switchboard, one server for every codex session on a machine.

    from switchboard import Switchboard

    with Switchboard.from_profile("local") as sb:
        session = sb.sessions.create(cwd=".", prompt="list the TODOs")
        for event in sb.session(session.id).events(stop_at_end=True):
            print(event.seq, event.kind, event.text or "")

`AsyncSwitchboard` is the same for asyncio.
"""

from switchboard import errors, types
from switchboard._async.audit import AsyncAudit
from switchboard._async.chat import AsyncChat
from switchboard._async.client import AsyncDefaults, AsyncSwitchboard
from switchboard._async.controls import AsyncControls
from switchboard._async.locks import AsyncChatLock, AsyncConfigLocks
from switchboard._async.sessions import AsyncSessions
from switchboard._async.settings import AsyncNamespace, AsyncSettings
from switchboard._sync.audit import Audit
from switchboard._sync.chat import Chat
from switchboard._sync.client import Defaults, Switchboard
from switchboard._sync.controls import SessionControls
from switchboard._sync.locks import ChatLock, ConfigLocks
from switchboard._sync.sessions import Sessions
from switchboard._sync.settings import Namespace, Settings
from switchboard.errors import *  # noqa: F403
from switchboard.profiles import Connection
from switchboard.types import *  # noqa: F403

__all__ = [
    "AsyncAudit",
    "AsyncChat",
    "AsyncChatLock",
    "AsyncConfigLocks",
    "AsyncControls",
    "AsyncDefaults",
    "AsyncNamespace",
    "AsyncSessions",
    "AsyncSettings",
    "AsyncSwitchboard",
    "Audit",
    "Chat",
    "ChatLock",
    "ConfigLocks",
    "Connection",
    "Defaults",
    "Namespace",
    "SessionControls",
    "Sessions",
    "Settings",
    "Switchboard",
    "errors",
    "types",
    *errors.__all__,
    *types.__all__,
]
