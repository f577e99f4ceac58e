"""The audit of settings and controls."""

from __future__ import annotations

from datetime import datetime

from switchboard import _convert as convert
from switchboard import _words as words
from switchboard import types
from switchboard._operations.call import Limits, call, pages
from switchboard._operations.effects import Operation
from switchboard._proto.v1 import audit_pb2 as pb


def list_entries(
    limits: Limits,
    *,
    session_id: str,
    scope: str | None,
    actor: str,
    source: str,
    key: str,
    written_after: datetime | None,
    written_before: datetime | None,
    after_seq: int,
    newest_first: bool,
    limit: int | None,
) -> Operation[list[types.AuditEntry]]:
    request = pb.ListAuditEntriesRequest(
        filter=pb.AuditFilter(
            session_id=session_id,
            scope=words.number(words.SCOPE, scope, "scope"),
            actor=actor,
            source=source,
            key=key,
            written_after=words.timestamp(written_after, "written_after"),
            written_before=words.timestamp(written_before, "written_before"),
        ),
        after_seq=words.count(after_seq, "after_seq"),
        page_size=0 if limit is None else max(1, min(limit, 1000)),
        newest_first=newest_first,
    )
    found = yield from pages(
        limits, request, pb.ListAuditEntriesResponse, lambda page: page.entries, limit
    )
    return [convert.audit_entry(each) for each in found]


def verify(limits: Limits, known_seq: int, known_hash: str) -> Operation[types.AuditVerification]:
    request = pb.VerifyAuditRequest(
        known_seq=words.count(known_seq, "known_seq"), known_hash=known_hash
    )
    answer = yield from call(limits, request, pb.VerifyAuditResponse)
    return convert.verification(answer)
