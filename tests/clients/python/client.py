"""A Switchboard client on stock grpcio, with the library's own limits.

Prints one JSON object a line, for the tests to read. The stubs are those that
`tests/run` generates from proto/; their folder must be on PYTHONPATH.
"""

import argparse
import hashlib
import json
import sys

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)
from grpc_status import rpc_status
from switchboard.v1 import event_pb2, event_pb2_grpc, session_pb2, session_pb2_grpc

# A server that is being restarted is looked for every 50 ms at first.
RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def say(**line):
    print(json.dumps(line), flush=True)


def message(proto):
    """The message as a JSON value with the field names of the proto."""
    return json_format.MessageToDict(proto, preserving_proto_field_name=True)


def error(failed):
    """What a program can tell from a failed call."""
    line = {"code": failed.code().name, "message": failed.details()}
    status = rpc_status.from_call(failed)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            line.update(reason=info.reason, domain=info.domain, metadata=dict(info.metadata))
    return line


class Client:
    """The services at one address, called with the token and the deadline of the options."""

    def __init__(self, options):
        channel_options = list(RECONNECT)
        if options.target.startswith("unix:"):
            # By default grpcio sends the socket's path, which is no valid authority.
            channel_options.append(("grpc.default_authority", "localhost"))
        self.channel = grpc.insecure_channel(options.target, options=channel_options)
        self.call = {"timeout": options.timeout}
        if options.token:
            self.call["metadata"] = (("authorization", f"Bearer {options.token}"),)
        self.sessions = session_pb2_grpc.SessionServiceStub(self.channel)
        self.events = event_pb2_grpc.EventServiceStub(self.channel)


def create(client, options):
    request = session_pb2.CreateSessionRequest(
        session=session_pb2.Session(
            agent=options.agent, working_directory=options.cwd, model=options.model
        ),
        prompt=options.prompt,
    )
    say(**message(client.sessions.CreateSession(request, **client.call).session))


def get(client, options):
    request = session_pb2.GetSessionRequest(session_id=options.session)
    say(**message(client.sessions.GetSession(request, **client.call).session))


def list_sessions(client, options):
    token = ""
    while True:
        request = session_pb2.ListSessionsRequest(page_size=options.page_size, page_token=token)
        page = client.sessions.ListSessions(request, **client.call)
        for session in page.sessions:
            say(**message(session))
        token = page.next_page_token
        if not token:
            return


def say_event(event):
    elided = None
    if event.HasField("elided"):
        elided = {
            "size": event.elided.size,
            "turn": event.elided.turn,
            "byte_offset": event.elided.byte_offset,
        }
    say(
        seq=event.seq,
        kind=event.WhichOneof("kind"),
        raw_len=len(event.raw),
        raw_sha256=hashlib.sha256(event.raw).hexdigest(),
        elided=elided,
    )


def watch(client, options):
    """Follows one session, also across lost connections, from the event after the last one."""
    start, count = options.start, 0
    while True:
        request = event_pb2.WatchEventsRequest(
            session_ids=[options.session],
            start_seq=start,
            stop_at_end=options.until_end,
            max_event_bytes=options.max_event_bytes,
        )
        stream = client.events.WatchEvents(request, wait_for_ready=True, **client.call)
        try:
            for response in stream:
                if response.WhichOneof("message") == "synced":
                    if not response.synced.session_id:
                        say(synced=True)
                elif response.WhichOneof("message") == "event":
                    say_event(response.event)
                    start, count = response.event.seq + 1, count + 1
                    if count == options.stop_after:
                        stream.cancel()
                        return
            return
        except grpc.RpcError as failed:
            if options.no_reconnect or failed.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            say(reconnect=error(failed), start_seq=start)


def read_output(client, options):
    request = session_pb2.ReadOutputRequest(
        session_id=options.session, turn=options.turn, offset=options.offset, length=options.length
    )
    digest, size, chunks = hashlib.sha256(), 0, 0
    for chunk in client.sessions.ReadOutput(request, **client.call):
        digest.update(chunk.data)
        size += len(chunk.data)
        chunks += 1
        total_size = chunk.total_size
    say(len=size, sha256=digest.hexdigest(), chunks=chunks, total_size=total_size)


def errors(client, options):
    """Makes one call with and one without a stream, which are expected to fail."""
    get_session = session_pb2.GetSessionRequest(session_id=options.session)
    watch_events = event_pb2.WatchEventsRequest(
        session_ids=[options.session], start_seq=options.start, stop_at_end=True
    )
    calls = {
        "GetSession": lambda: client.sessions.GetSession(get_session, **client.call),
        "WatchEvents": lambda: list(client.events.WatchEvents(watch_events, **client.call)),
    }
    for name, call in calls.items():
        try:
            call()
            say(call=name, code="OK")
        except grpc.RpcError as failed:
            say(call=name, **error(failed))


def health(client, options):
    stub = health_pb2_grpc.HealthStub(client.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=options.service), **client.call)
    say(status=health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def reflect(client, _options):
    # grpcio has stubs for v1alpha alone; the messages of v1 are the same.
    for version in ("v1", "v1alpha"):
        call = client.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )
        answer = next(call(iter([ServerReflectionRequest(list_services="")]), **client.call))
        names = sorted(service.name for service in answer.list_services_response.service)
        say(version=version, services=names)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, help="host:port or unix:path")
    parser.add_argument("--token")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one call")
    commands = parser.add_subparsers(required=True)

    def command(name, run, session=True):
        subparser = commands.add_parser(name)
        subparser.set_defaults(run=run)
        if session:
            subparser.add_argument("--session", required=True)
        return subparser

    to_create = command("create", create, session=False)
    to_create.add_argument("--cwd", required=True)
    to_create.add_argument("--agent", default="")
    to_create.add_argument("--model", default="")
    to_create.add_argument("--prompt", default="")
    command("get", get)
    to_list = command("list", list_sessions, session=False)
    to_list.add_argument("--page-size", type=int, default=0)
    to_watch = command("watch", watch)
    to_watch.add_argument("--start", type=int, default=1)
    to_watch.add_argument("--stop-after", type=int)
    to_watch.add_argument("--until-end", action="store_true")
    to_watch.add_argument("--max-event-bytes", type=int, default=0)
    to_watch.add_argument("--no-reconnect", action="store_true")
    to_read = command("read-output", read_output)
    to_read.add_argument("--turn", type=int, default=0)
    to_read.add_argument("--offset", type=int, default=0)
    to_read.add_argument("--length", type=int, default=0)
    to_fail = command("errors", errors)
    to_fail.add_argument("--start", type=int, default=1)
    to_check = command("health", health, session=False)
    to_check.add_argument("--service", default="")
    command("reflect", reflect, session=False)
    return parser.parse_args()


def main():
    options = parse()
    try:
        options.run(Client(options), options)
    except grpc.RpcError as failed:
        say(error=error(failed))
        sys.exit(1)


main()
