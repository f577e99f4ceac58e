"""The server under test: requests to /api as bytes, and sessions over gRPC."""

import http.client
import json
import re

import grpc
from switchboard.v1 import audit_pb2, audit_pb2_grpc, session_pb2, session_pb2_grpc

JSON = "application/json; charset=utf-8"
UNKNOWN = "00000000-0000-4000-8000-000000000000"

# What the contract has where nobody chose anything.
DEFAULTS = {
    "model": None,
    "approvalPolicy": "untrusted",
    "networkAccess": "restricted",
    "filesystemSandbox": "read-only",
    "settings": {},
}


def text(value):
    """The JSON text of a value as the server writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Answer:
    """What came back."""

    def __init__(self, request, response):
        self.request = request
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode()

    def is_(self, code, body=None, /, **members):
        """Checks the HTTP status and the body: a text, or that of members in their order."""
        expected = text(members) if body is None else body
        found = (self.status, self.headers["content-type"], self.body)
        wanted = (code, JSON, expected)
        assert found == wanted, f"{self.request}\nfound    {found}\nexpected {wanted}"
        return self

    def matches(self, code, pattern):
        """Checks the HTTP status and the body, by a regular expression."""
        found = (self.status, self.headers["content-type"])
        assert found == (code, JSON), f"{self.request}: {found} {self.body}"
        match = re.fullmatch(pattern, self.body)
        assert match, f"{self.request}\nfound    {self.body}\nexpected {pattern}"
        return match

    @property
    def etag(self):
        return self.headers["etag"]


class Server:
    """Where the server is, and one connection to it that is kept."""

    def __init__(self, target, token, work):
        self.target, self.token, self.work = target, token, work
        self.connection = http.client.HTTPConnection(target, timeout=60)
        credentials = [("authorization", f"Bearer {token}")]
        self.call = {"metadata": credentials, "timeout": 60}
        channel = grpc.insecure_channel(target)
        self.sessions = session_pb2_grpc.SessionServiceStub(channel)
        self.audit = audit_pb2_grpc.AuditServiceStub(channel)

    def create(self, **fields):
        """The id of a new session."""
        session = session_pb2.Session(working_directory=self.work, **fields)
        request = session_pb2.CreateSessionRequest(session=session)
        return self.sessions.CreateSession(request, **self.call).session.session_id

    def delete_session(self, session):
        request = session_pb2.DeleteSessionRequest(session_id=session)
        self.sessions.DeleteSession(request, **self.call)

    def deleted(self, **fields):
        """The id of a session that was deleted."""
        session = self.create(**fields)
        self.delete_session(session)
        return session

    def audited(self, session):
        """The entries of the audit about calls that named a session."""
        wanted = audit_pb2.AuditFilter(session_id=session)
        request = audit_pb2.ListAuditEntriesRequest(filter=wanted)
        return self.audit.ListAuditEntries(request, **self.call).entries

    def request(self, method, path, body=None, headers=None, token=True):
        """Sends a request as it is given."""
        headers = dict(headers or {})
        if token:
            headers["authorization"] = f"Bearer {self.token}"
        self.connection.request(method, path, body=body, headers=headers)
        return Answer(f"{method} {path} {str(body)[:200]}", self.connection.getresponse())

    def get(self, path):
        return self.request("GET", f"/api/sessions/{path}")

    def delete(self, path, **headers):
        return self.request("DELETE", f"/api/sessions/{path}", headers=headers)

    def post(self, path, body, **headers):
        """Sends a body: a text as it is, any other value as JSON."""
        body = body if isinstance(body, str) else json.dumps(body)
        headers = {"content-type": "application/json", **headers}
        return self.request("POST", f"/api/sessions/{path}", body.encode(), headers)


def issue(code, path, message, **members):
    """An issue as zod 4 tells it; `members` come where zod has them."""
    before = {key: value for key, value in members.items() if key in ("expected", "origin")}
    after = {key: value for key, value in members.items() if key not in before}
    return {**before, "code": code, **after, "path": path, "message": message}


def wrong_type(expected, received, *path):
    message = f"Invalid input: expected {expected}, received {received}"
    return issue("invalid_type", list(path), message, expected=expected)


def no_option(values, *path):
    options = "|".join(f'"{value}"' for value in values)
    message = f"Invalid option: expected one of {options}"
    return issue("invalid_value", list(path), message, values=values)


def too_small(minimum, *path):
    message = f"Too small: expected string to have >={minimum} characters"
    members = {"origin": "string", "minimum": minimum, "inclusive": True}
    return issue("too_small", list(path), message, **members)


def too_big(maximum, *path):
    message = f"Too big: expected string to have <={maximum} characters"
    members = {"origin": "string", "maximum": maximum, "inclusive": True}
    return issue("too_big", list(path), message, **members)


def invalid(*issues):
    """The body that tells of issues."""
    return {
        "status": "error",
        "code": "invalid_request",
        "message": "request validation failed",
        "issues": list(issues),
    }


def failed(message):
    """The body of a request that HTTP itself refuses."""
    return {"status": "error", "code": "request_failed", "message": message}


def combination(message):
    """The body of a request whose members do not go together."""
    return {"status": "error", "code": "invalid_request", "message": message}


def not_found(session):
    return {"status": "not_found", "sessionId": session}


def reserved(session):
    return {
        "status": "error",
        "code": "system_session",
        "sessionId": session,
        "message": "system-owned sessions are reserved for orchestrator workers",
    }


def gone(session, title=None):
    """The body of a session that was deleted, as a regular expression."""
    known = {
        "status": "deleted",
        "sessionId": session,
        "message": "This chat was permanently deleted and is no longer available.",
    }
    time = r'"deletedAt":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"'
    end = re.escape("," + text({"title": title})[1:]) if title else re.escape("}")
    return re.escape(text(known)[:-1] + ",") + time + end
