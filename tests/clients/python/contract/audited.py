"""What the audit has of writes at /api: 1.9, read over gRPC."""

from controls import OPEN
from switchboard.v1.audit_pb2 import (
    AUDIT_OPERATION_APPLY_CONTROLS as APPLY,
    AUDIT_OPERATION_DELETE_SETTING as DELETE,
    AUDIT_OPERATION_OVERRIDE_CONTROLS as OVERRIDE,
    AUDIT_OPERATION_UPDATE_SETTINGS as UPDATE,
)
from switchboard.v1.controls_pb2 import SCOPE_DEFAULT as DEFAULT, SCOPE_SESSION as SESSION


def run(server):
    session = server.create()
    settings, controls = f"{session}/settings", f"{session}/session-controls"
    by_ann = {"actor": " ann ", "source": "script"}
    one = {"scope": "session", "key": "k", "value": 1}
    applied = {"scope": "session", "controls": OPEN}
    with_settings = {"scope": "session", "controls": {**OPEN, "settings": {"a": 1}}}
    before = "default | untrusted | restricted | read-only | settings:"
    after = "gpt-5 | never | enabled | danger-full-access | settings:"
    # Each write, and what its entry says of operation, scope, actor, source, and after it.
    for write, entry in [
        (lambda: server.post(settings, one), (UPDATE, SESSION, "user", "api", before + "1")),
        (lambda: server.post(settings, one), None),
        (
            lambda: server.post(settings, {**one, "scope": "default", **by_ann}),
            (UPDATE, DEFAULT, "ann", "script", before + "1"),
        ),
        (
            lambda: server.delete(f"{settings}/k?actor=ann"),
            (DELETE, SESSION, "ann", "api", before + "0"),
        ),
        (lambda: server.delete(f"{settings}/k?actor=ann"), None),
        (
            lambda: server.delete(f"{settings}/k?scope=default&source=%20x+y"),
            (DELETE, DEFAULT, "user", "x y", before + "0"),
        ),
        (lambda: server.post(controls, applied), (APPLY, SESSION, "user", "ui", after + "0")),
        (lambda: server.post(controls, {**applied, **by_ann}), None),
        (
            lambda: server.post(controls, {**with_settings, **by_ann}),
            (APPLY, SESSION, "ann", "script", after + "1"),
        ),
        # Not told in transcripts, but audited as well.
        (
            lambda: server.post(f"{session}/approval-policy", {"approvalPolicy": "untrusted"}),
            (OVERRIDE, SESSION, "user", "api", after.replace("never", "untrusted") + "1"),
        ),
        (lambda: server.post(f"{session}/approval-policy", {"approvalPolicy": "untrusted"}), None),
        (lambda: server.post(settings, {"scope": "x"}), None),
    ]:
        known = len(server.audited(session))
        answer = write()
        found = [
            (entry.operation, entry.scope, entry.actor, entry.source, entry.summary)
            for entry in server.audited(session)[known:]
        ]
        assert found == ([entry] if entry else []), f"{answer.request}: {found}, not {entry}"
    assert {entry.transport for entry in server.audited(session)} == {"api"}
