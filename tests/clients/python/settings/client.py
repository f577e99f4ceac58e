"""The services as the scenario calls them, over either transport."""

from switchboard.v1 import audit_pb2, controls_pb2, session_pb2, settings_pb2

# How long anything may take, in seconds.
PATIENCE = 60


class Refused(Exception):
    """An error of the contract: what programs branch on, and what is told with it."""

    def __init__(self, reason, metadata):
        super().__init__(reason, metadata)
        self.reason = reason
        self.metadata = metadata


class Client:
    """Shorthands of the calls.

    A transport answers a request's message by `call`, or by `watch` with one answer after the
    other, and raises Refused.
    """

    def __init__(self, transport):
        self.transport = transport
        self.call = transport.call
        self.watch = transport.watch

    def create(self, cwd, **fields):
        session = session_pb2.Session(working_directory=cwd, **fields)
        return self.call(session_pb2.CreateSessionRequest(session=session)).session

    def get(self, **fields):
        return self.call(settings_pb2.GetSettingsRequest(**fields))

    def update(self, **fields):
        return self.call(settings_pb2.UpdateSettingsRequest(**fields))

    def delete(self, **fields):
        return self.call(settings_pb2.DeleteSettingRequest(**fields))

    def apply(self, **fields):
        return self.call(controls_pb2.ApplyControlsRequest(**fields))

    def read_controls(self, session_id=""):
        return self.call(controls_pb2.GetControlsRequest(session_id=session_id))

    def entries(self, **fields):
        """All entries that a filter selects, page by page."""
        request = audit_pb2.ListAuditEntriesRequest(
            filter=audit_pb2.AuditFilter(**fields), page_size=3
        )
        while True:
            page = self.call(request)
            yield from page.entries
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def refusal(call, **fields):
    """The reason of a call that must be refused, and its metadata."""
    try:
        answer = call(**fields)
    except Refused as refused:
        return refused.reason, refused.metadata
    raise AssertionError(f"{fields} was answered: {answer}")
