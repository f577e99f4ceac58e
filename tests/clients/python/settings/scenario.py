"""What the services promise, whatever they are called over."""

import contextlib
import json
import typing

from client import refusal
from google.protobuf import json_format
from switchboard.v1 import audit_pb2, controls_pb2, event_pb2, session_pb2, settings_pb2

SESSION, DEFAULT = controls_pb2.SCOPE_SESSION, controls_pb2.SCOPE_DEFAULT
OK, UNCHANGED = controls_pb2.OUTCOME_OK, controls_pb2.OUTCOME_UNCHANGED
MERGE, REPLACE = settings_pb2.UPDATE_MODE_MERGE, settings_pb2.UPDATE_MODE_REPLACE
UNKNOWN = "00000000-0000-4000-8000-000000000000"


# More than the metadata of a gRPC status has room for.
LONG = json.dumps("x" * 2000)


class Differences(typing.NamedTuple):
    """All in which the transports differ."""

    # The name in the entries of the audit, also as the source of a write that names none.
    name: str
    # Trailers have less room than bodies, so that gRPC cuts metadata and says so.
    cuts_metadata: bool


DIFFERENCES = {
    "grpc": Differences("grpc", cuts_metadata=True),
    "rest": Differences("rest", cuts_metadata=False),
}


def controls(model=""):
    return controls_pb2.Controls(
        model=model,
        approval_policy=session_pb2.APPROVAL_POLICY_NEVER,
        network_access=session_pb2.NETWORK_ACCESS_ENABLED,
        filesystem_sandbox=session_pb2.FILESYSTEM_SANDBOX_WORKSPACE_WRITE,
    )


def settings(client, cwd):
    """Both write styles, removal, scopes and the snapshot of the defaults."""
    own = client.create(cwd).session_id
    at = {"session_id": own, "scope": SESSION}
    written = client.update(**at, settings_json='{"a": 1.0, "b": {"x": null}}')
    assert (written.outcome, written.audit_seq) == (OK, 1)
    assert written.settings_json == '{"a":1.0,"b":{"x":null}}'
    assert client.update(**at, settings_json='{"a":1}', mode=MERGE).outcome == UNCHANGED
    merged = client.update(**at, settings_json='{"b":{"y":1}}', mode=MERGE)
    assert json.loads(merged.settings_json) == {"a": 1.0, "b": {"y": 1}}
    replaced = client.update(**at, settings_json='{"c":9007199254740993}', mode=REPLACE)
    assert json.loads(replaced.settings_json) == {"c": 9007199254740993}
    one = client.update(**at, key=" team.review ", value_json="null")
    assert one.key == "team.review"
    found = client.get(session_id=own, key="team.review")
    assert found.found and found.value_json == "null" and not found.HasField("settings_json")
    missing = client.get(session_id=own, key="team")
    assert not missing.found and not missing.HasField("value_json")
    removed = client.delete(session_id=own, key="team.review")
    assert removed.removed and removed.outcome == OK
    again = client.delete(session_id=own, key="team.review")
    assert not again.removed and again.outcome == UNCHANGED and again.audit_seq == 0
    client.update(**at, settings_json='{"":1}')
    unnamed = client.delete(session_id=own, key="")
    assert unnamed.removed and unnamed.settings_json == '{"c":9007199254740993}'

    both = refusal(client.update, **at, settings_json="{}", key="a", value_json="1")
    assert both[0] == "INVALID_ARGUMENT", both
    for value in ('{"a":1,"a":2}', '"\\ud800"', "[" * 65 + "]" * 65, "NaN"):
        assert refusal(client.update, **at, key="k", value_json=value)[0] == "INVALID_ARGUMENT"
    large = json.dumps("x" * (1 << 20))
    assert refusal(client.update, **at, key="k", value_json=large)[0] == "PAYLOAD_TOO_LARGE"
    assert client.get(session_id=own).settings_json == '{"c":9007199254740993}'

    stale = client.get(session_id=own).etag
    client.update(**at, key="e", value_json="1", etag=stale)
    reason, told = refusal(client.update, **at, key="e", value_json="2", etag=stale)
    assert reason == "ETAG_MISMATCH" and told["etag"] == client.get(session_id=own).etag
    request = {**at, "key": "r", "value_json": "1", "request_id": "once"}
    assert client.update(**request) == client.update(**request)
    assert refusal(client.update, **{**request, "key": "s"})[0] == "IDEMPOTENCY_CONFLICT"

    client.update(scope=DEFAULT, settings_json='{"d":1}')
    new = client.create(cwd).session_id
    client.update(scope=DEFAULT, session_id=new, settings_json='{"d":2}')
    assert client.get(session_id=new).settings_json == '{"d":1}'
    assert client.get(scope=DEFAULT).settings_json == '{"d":2}'
    assert client.get(scope=DEFAULT, session_id=new).settings_json == '{"d":2}'
    return own


def applied_controls(client, own):
    """Controls keep the settings of their scope, and are shown with the session."""
    before = client.get(session_id=own).settings_json
    applied = client.apply(
        session_id=own, scope=SESSION, controls=controls("m"), actor="ann", source="script"
    )
    assert applied.summary == "m | never | enabled | workspace-write | settings:3", applied
    assert applied.applied == applied.session and applied.session.settings_json == before
    again = client.apply(session_id=own, scope=SESSION, controls=controls("m"))
    assert again.outcome == UNCHANGED
    seen = client.read_controls(own)
    assert seen.session.controls == controls("m") and seen.defaults_editable
    get = session_pb2.GetSessionRequest(session_id=own)
    shown = client.call(get).session
    assert (shown.model, shown.approval_policy) == ("m", session_pb2.APPROVAL_POLICY_NEVER)
    partial = controls_pb2.Controls(model="n")
    reason, _ = refusal(client.apply, session_id=own, scope=SESSION, controls=partial)
    assert reason == "INVALID_ARGUMENT"


def refused_sessions(client, cwd):
    """Sessions that are missing, deleted or a system's."""
    owned = client.create(cwd, system_owned=True).session_id
    gone = client.create(cwd).session_id
    client.update(session_id=gone, scope=SESSION, key="a", value_json="1")
    delete = session_pb2.DeleteSessionRequest(session_id=gone)
    client.call(delete)
    for session_id, expected in [
        (UNKNOWN, "SESSION_NOT_FOUND"),
        (gone, "SESSION_DELETED"),
        (owned, "SYSTEM_SESSION"),
    ]:
        for scope in (SESSION, DEFAULT):
            at = {"session_id": session_id, "scope": scope}
            assert refusal(client.get, **at)[0] == expected
            assert refusal(client.update, **at, key="a", value_json="1")[0] == expected
            assert refusal(client.delete, **at, key="a")[0] == expected
            assert refusal(client.apply, **at, controls=controls())[0] == expected
        assert refusal(client.read_controls, session_id=session_id)[0] == expected
    assert len(list(client.entries(session_id=gone))) == 1


def audited(client, differences, own):
    """The entries, the events and the states of the past are the same history."""
    entries = list(client.entries(session_id=own))
    request = event_pb2.ListEventsRequest(session_id=own, page_size=1000)
    watched = []
    watch = client.watch(audit_pb2.WatchAuditEntriesRequest(after_seq=0))
    with contextlib.closing(watch):
        for response in watch:
            if response.WhichOneof("message") == "synced":
                break
            watched.append(response.entry)
    assert [entry.seq for entry in watched] == list(range(1, len(watched) + 1))
    assert [entry for entry in watched if entry.session_id == own] == entries
    assert {entry.transport for entry in watched} == {differences.name}
    assert {entry.source for entry in watched} == {differences.name, "script"}
    told = []
    # The events follow their entries, in a moment.
    while len(told) < len(entries):
        kinds = ("settings_changed", "controls_changed")
        events = client.call(request).events
        events = [event for event in events if event.WhichOneof("kind") in kinds]
        told = [getattr(event, event.WhichOneof("kind")).entry for event in events]
    assert told == entries
    by_ann = list(client.entries(actor="ann", source="script"))
    assert [entry.controls.model for entry in by_ann] == ["m"]
    state = client.call(audit_pb2.GetAuditStateRequest(session_id=own, at_seq=1))
    assert state.state.settings_json == '{"a":1.0,"b":{"x":null}}'
    known = entries[-1]
    request = audit_pb2.VerifyAuditRequest(known_seq=known.seq, known_hash=known.hash)
    verified = client.call(request)
    assert verified.valid and verified.last_seq == len(watched), json_format.MessageToJson(verified)


def unlocked(client, differences, cwd):
    """All that holds while the defaults can be written."""
    own = settings(client, cwd)
    applied_controls(client, own)
    refused_sessions(client, cwd)
    audited(client, differences, own)
    client.update(scope=DEFAULT, key="long", value_json=LONG)


def locked(client, differences):
    """The default scope is the operator's; the rest goes on."""
    reason, told = refusal(client.update, scope=DEFAULT, key="a", value_json="1")
    whole = f'{{"d":2,"long":{LONG}}}'
    assert client.get(scope=DEFAULT).settings_json == whole
    assert reason == "DEFAULTS_LOCKED" and whole.startswith(told["settings"]), told
    is_cut = told["settings"] != whole
    assert is_cut == ("truncated" in told) == differences.cuts_metadata, told
    assert refusal(client.delete, scope=DEFAULT, key="d")[0] == "DEFAULTS_LOCKED"
    assert refusal(client.apply, scope=DEFAULT, controls=controls())[0] == "DEFAULTS_LOCKED"
    seen = client.read_controls()
    assert not seen.defaults_editable
    assert seen.default_lock_reason == "Managed by harness configuration"
