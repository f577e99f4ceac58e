"""Settings and controls."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import GIVE_UP, Server

from switchboard import (
    ABSENT,
    Chat,
    Controls,
    EtagMismatch,
    InvalidArgument,
    SettingNotFound,
    Switchboard,
)


def test_a_value_is_written_read_and_removed(chat: Chat) -> None:
    written = chat.settings.set(
        key="team", value={"definitionOfDone": "tests green + docs updated"}, source="python-script"
    )
    assert (written.outcome, written.scope, written.changed) == ("ok", "session", True)
    assert chat.settings.get(key="team") == {"definitionOfDone": "tests green + docs updated"}
    assert chat.settings.get() == written.settings == {"team": chat.settings.get("team")}
    again = chat.settings.set("team", chat.settings.get("team"))
    assert (again.outcome, again.audit_seq) == ("unchanged", 0)
    assert chat.settings.unset("team").settings == {}
    assert chat.settings.unset("team").outcome == "unchanged"


def test_a_key_that_is_not_there_raises_or_gives_the_default(chat: Chat) -> None:
    with pytest.raises(SettingNotFound) as raised:
        chat.settings.get(key="team")
    assert (raised.value.reason, raised.value.key) == ("SETTING_NOT_FOUND", "team")
    assert "team" in str(raised.value)
    assert chat.settings.get("team", default=None) is None
    chat.settings.set("team", None)
    assert chat.settings.get("team", default="other") is None
    policy = chat.settings.namespace("team.review")
    with pytest.raises(KeyError, match=r"team\.review"):
        policy.get()
    assert policy.get(default=3) == 3


def test_several_settings_are_merged_or_replaced(chat: Chat) -> None:
    chat.settings.set(settings={"a": {"x": 1}, "b": 2})
    assert chat.settings.set(settings={"a": {"y": 1}}).settings == {"a": {"y": 1}, "b": 2}
    chat.settings.set(settings={"team": {"size": 4}}, mode="replace", source="python-script")
    assert chat.settings.get() == {"team": {"size": 4}}
    wrong: list[dict[str, Any]] = [{}, {"key": "a"}, {"value": 1}]
    for arguments in [*wrong, {"key": "a", "value": 1, "settings": {}}]:
        with pytest.raises(InvalidArgument):
            chat.settings.set(**arguments)


def test_a_namespace_is_merged_to_any_depth(chat: Chat) -> None:
    policy = chat.settings.namespace("team.review")
    policy.merge({"autoApprove": {"enabled": True, "threshold": "low"}, "who": ["ann", "bob"]})
    policy.merge({"autoApprove": {"threshold": "high", "since": None}, "who": ["cleo"]})
    assert chat.settings.get("team") == {
        "review": {
            "autoApprove": {"enabled": True, "threshold": "high", "since": None},
            "who": ["cleo"],
        }
    }
    assert policy.merge({"who": ["cleo"]}).outcome == "unchanged"
    assert policy.namespace("autoApprove.enabled").get() is True
    policy.namespace("who.0").set("dora")
    assert policy.get() == chat.settings.namespace("team").get()["review"]
    assert policy.namespace("who").get() == ["dora"]


def test_unset_removes_the_leaf_and_prunes_nothing_above_it(chat: Chat) -> None:
    leaf = chat.settings.namespace("team.review.autoApprove")
    leaf.set({"enabled": True})
    assert leaf.namespace("enabled").unset().changed
    assert chat.settings.get() == {"team": {"review": {"autoApprove": {}}}}
    assert leaf.unset().settings == {"team": {"review": {}}}
    assert leaf.unset().outcome == "unchanged"
    assert chat.settings.namespace("nothing.here").unset().settings == {"team": {"review": {}}}
    assert chat.settings.namespace("team").unset().settings == {}


def test_what_is_in_the_way_of_a_namespace_is_named(chat: Chat) -> None:
    chat.settings.set("team", {"review": "strict", "a.b": 1})
    changes: list[Callable[[], Any]] = [
        lambda: chat.settings.namespace("team.review.level").set(1),
        lambda: chat.settings.namespace("team.review").merge({"level": 1}),
    ]
    for change in changes:
        with pytest.raises(InvalidArgument, match=r"team\.review is a string"):
            change()
    assert chat.settings.namespace('team."a.b"').get() == 1
    for path in ("", "a..b", "a.", '"a', '"a"b'):
        with pytest.raises(InvalidArgument):
            chat.settings.namespace(path)
    chat.settings.set("list", [1, 2])
    assert chat.settings.namespace("list.1").get() == 2
    for index in ("2", "01", "-1", "9" * 5_000):
        element = chat.settings.namespace(f"list.{index}")
        assert element.get(default=None) is None
        assert not element.unset().changed
        with pytest.raises(InvalidArgument, match="list is an array"):
            element.set(1)
    # Nothing was written.
    assert chat.settings.get("list") == [1, 2]
    assert chat.settings.get("team") == {"review": "strict", "a.b": 1}


def test_numbers_beside_what_is_merged_keep_their_text(chat: Chat, sb: Switchboard) -> None:
    from switchboard import _json

    text = '{"a":1.00,"b":[1e2,-0,123456789012345678901234567890],"c":1e300}'
    chat.settings.set("n", _json.loads(text))
    chat.settings.namespace("n.d").set(0.5)
    assert _json.dumps(chat.settings.get("n"), "n") == text[:-1] + ',"d":0.5}'
    assert chat.settings.get("n")["a"] == 1.0
    entry = sb.audit.list(session_id=chat.id)[-1]
    assert entry.settings[0].value["b"][2] == 123456789012345678901234567890
    with pytest.raises(InvalidArgument, match="value") as raised:
        chat.settings.set("n", float("nan"))
    assert raised.value.field == "value"
    # One that no double can hold is for few to read.
    with pytest.raises(InvalidArgument, match="number"):
        chat.settings.set("n", _json.loads("1e400"))


def test_two_that_merge_at_once_lose_nothing(shared: Server, chat: Chat) -> None:
    rounds = 25

    def merge(name: str) -> None:
        with Switchboard(f"unix:{shared.socket}", timeout=GIVE_UP) as client:
            policy = client.session(chat.id).settings.namespace("team.counts")
            for number in range(rounds):
                policy.merge({f"{name}{number}": number})

    with ThreadPoolExecutor() as threads:
        assert list(threads.map(merge, "ab")) == [None, None]
    expected = {f"{name}{number}": number for name in "ab" for number in range(rounds)}
    assert chat.settings.namespace("team.counts").get() == expected


def test_an_etag_keeps_what_somebody_else_wrote(chat: Chat) -> None:
    seen = chat.settings.set("a", 1).etag
    chat.settings.set("a", 2)
    with pytest.raises(EtagMismatch) as raised:
        chat.settings.set("a", 3, etag=seen)
    current = chat.controls.get().session
    assert current is not None
    assert raised.value.etag == current.etag
    assert chat.settings.set("a", 3, etag=raised.value.etag).changed


def test_controls_are_applied_and_settings_kept(chat: Chat) -> None:
    chat.settings.set("team", {"size": 4})
    change = chat.controls.apply(
        controls={
            "model": None,
            "approvalPolicy": "on-request",
            "networkAccess": "restricted",
            "filesystemSandbox": "workspace-write",
        },
        scope="session",
        source="policy-update",
    )
    expected = Controls(None, "on-request", "restricted", "workspace-write")
    assert (change.outcome, change.applied.controls) == ("ok", expected)
    assert change.applied.settings == {"team": {"size": 4}}
    assert chat.controls.apply(expected).outcome == "unchanged"
    state = chat.controls.get()
    assert state.session is not None
    assert state.session.controls == expected
    assert state.defaults_editable
    session = chat.get()
    assert (session.approval_policy, session.filesystem_sandbox) == (
        "on-request",
        "workspace-write",
    )


@pytest.mark.parametrize(
    ("controls", "field"),
    [
        ({"model": None}, "controls.approval_policy"),
        ({"sandbox": "read-only"}, "controls"),
        ({"approvalPolicy": "sometimes"}, "controls.approval_policy"),
    ],
)
def test_controls_that_are_none_are_refused_by_their_names(
    chat: Chat, controls: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgument) as raised:
        chat.controls.apply(controls)
    assert raised.value.field == field


def test_new_sessions_begin_with_the_defaults() -> None:
    server = Server()
    try:
        with Switchboard(f"unix:{server.socket}") as sb:
            sb.defaults.settings.namespace("team.review").merge({"strict": True}, actor="ann")
            controls = Controls("gpt-5.4", "never", "enabled", "workspace-write")
            sb.defaults.controls.apply(controls)
            chat = sb.session(sb.sessions.create(server.work).id)
            assert chat.settings.get() == {"team": {"review": {"strict": True}}}
            assert chat.settings.get(scope="default") == chat.settings.get()
            found = chat.controls.get()
            assert found.session is not None
            assert found.session.controls == found.defaults.controls == controls
            assert sb.defaults.controls.get().session is None
            first, second = sb.audit.list()
            assert (first.actor, first.scope, first.operation) == (
                "ann",
                "default",
                "update_settings",
            )
            assert first.settings[0].previous is ABSENT
            assert (second.controls, second.settings) == (controls, [])
            assert [e.seq for e in sb.audit.list(newest_first=True, limit=1)] == [second.seq]
            verified = sb.audit.verify()
            assert (verified.valid, verified.entries, verified.last_seq) == (True, 2, 2)
            assert sb.audit.verify(verified.last_seq, verified.last_hash).valid
            wrong = sb.audit.verify(verified.last_seq, "0" * 64)
            assert (wrong.valid, wrong.break_seq) == (False, 2)
    finally:
        server.close()
