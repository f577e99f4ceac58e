"""The contract over /v1, by the standard library."""

import contextlib
import http.client
import json
import urllib.parse

from client import PATIENCE, Refused
from google.protobuf import json_format, message_factory
from json_text import read, text_of
from switchboard.v1 import controls_pb2

# What the path names is said there alone. {of} is a session or the defaults.
ROUTES = {
    "CreateSession": ("POST", "/sessions"),
    "GetSession": ("GET", "/sessions/{session_id}"),
    "DeleteSession": ("DELETE", "/sessions/{session_id}"),
    "ListEvents": ("GET", "/sessions/{session_id}/events"),
    "GetSettings": ("GET", "{of}/settings"),
    "UpdateSettings": ("PATCH", "{of}/settings"),
    "DeleteSetting": ("DELETE", "{of}/settings/{key}"),
    "GetControls": ("GET", "{of}/controls"),
    "ApplyControls": ("PUT", "{of}/controls"),
    "ListAuditEntries": ("GET", "/audit"),
    "WatchAuditEntries": ("GET", "/audit"),
    "VerifyAudit": ("GET", "/audit/verify"),
    "GetAuditState": ("GET", "/audit/state"),
}
# Where one key is read or written.
OF_KEY = {
    "GetSettings": ("GET", "{of}/settings/{key}"),
    "UpdateSettings": ("PUT", "{of}/settings/{key}"),
}


class Rest:
    """The routes at one address, called with a token."""

    def __init__(self, target, token):
        self.target = target
        self.headers = {"authorization": f"Bearer {token}"}

    def call(self, request):
        with self._answer(request, "application/json") as answer:
            return read(answer_of(request), answer.read().decode())

    def watch(self, request):
        kind = answer_of(request)
        with self._answer(request, "text/event-stream") as answer:
            for name, data in events(answer):
                if name == "end":
                    return
                if name == "error":
                    raise refused(data)
                member = kind.DESCRIPTOR.fields_by_name[name].json_name
                yield read(kind, f'{{"{member}":{data}}}')

    @contextlib.contextmanager
    def _answer(self, request, accepted):
        method, path, rest = placed(request)
        headers = {**self.headers, "accept": accepted}
        body = None
        if method in ("GET", "DELETE"):
            query = list(parameters(json_format.MessageToDict(rest)))
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        else:
            headers["content-type"] = "application/json"
            body = text_of(rest).encode()
        connection = http.client.HTTPConnection(self.target, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, f"/v1{path}", body, headers)
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise refused(answer.read())
            assert answer.headers.get_content_type() == accepted, answer.headers
            yield answer


def placed(request):
    """The method and the path of a request, and what they leave to say."""
    name = request.DESCRIPTOR.name.removesuffix("Request")
    fields = request.DESCRIPTOR.fields_by_name
    method, path = ROUTES[name]
    # A map and a key at once are refused, and not by where they are sent.
    both = "settings_json" in fields and request.HasField("settings_json")
    if name in OF_KEY and request.HasField("key") and not both:
        method, path = OF_KEY[name]
    if "{of}" in path:
        default = controls_pb2.SCOPE_DEFAULT
        is_default = request.scope == default if "scope" in fields else not request.session_id
        path = path.replace("{of}", "/defaults" if is_default else "/sessions/{session_id}")
    rest = type(request)()
    rest.CopyFrom(request)
    if path.startswith(("/defaults", "/sessions/")) and "scope" in fields:
        rest.ClearField("scope")
    for field in fields:
        if f"{{{field}}}" in path:
            value = urllib.parse.quote(getattr(request, field), safe="")
            path = path.replace(f"{{{field}}}", value)
            rest.ClearField(field)
    return method, path, rest


def parameters(members, prefix=""):
    """What a query says of the members of a message, such as filter.sessionId."""
    for name, value in members.items():
        if isinstance(value, dict):
            yield from parameters(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield prefix + name, json.dumps(value)
        else:
            yield prefix + name, value


def answer_of(request):
    """The class of the message that answers a request."""
    name = request.DESCRIPTOR.name.removesuffix("Request") + "Response"
    return message_factory.GetMessageClass(request.DESCRIPTOR.file.message_types_by_name[name])


def refused(body):
    """What the body of an error says."""
    error = json.loads(body)["error"]
    return Refused(error["reason"], error["metadata"])


def events(lines):
    """The names and the data of server-sent events, as they come."""
    event = {}
    for line in lines:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            event[name] = value
        else:
            yield event["event"], event["data"]
            event = {}
