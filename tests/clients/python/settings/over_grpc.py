"""The contract over gRPC, by stock grpcio."""

import grpc
from client import PATIENCE, Refused
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from switchboard.v1 import audit_pb2_grpc, controls_pb2_grpc, event_pb2_grpc, session_pb2_grpc
from switchboard.v1 import settings_pb2_grpc


class Grpc:
    """The services at one address, called with a token."""

    def __init__(self, target, token):
        channel = grpc.insecure_channel(target)
        self.options = {
            "timeout": PATIENCE,
            "metadata": (("authorization", f"Bearer {token}"),),
        }
        self.stubs = [
            session_pb2_grpc.SessionServiceStub(channel),
            event_pb2_grpc.EventServiceStub(channel),
            settings_pb2_grpc.SettingsServiceStub(channel),
            controls_pb2_grpc.ControlsServiceStub(channel),
            audit_pb2_grpc.AuditServiceStub(channel),
        ]

    def call(self, request):
        try:
            return self._method(request)(request, **self.options)
        except grpc.RpcError as failed:
            raise refused(failed) from failed

    def watch(self, request):
        stream = self._method(request)(request, **self.options)
        try:
            yield from stream
        except grpc.RpcError as failed:
            raise refused(failed) from failed
        finally:
            stream.cancel()

    def _method(self, request):
        name = request.DESCRIPTOR.name.removesuffix("Request")
        return next(getattr(stub, name) for stub in self.stubs if hasattr(stub, name))


def refused(failed):
    """What the details of a status say; the failure itself where they say nothing."""
    status = rpc_status.from_call(failed)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return Refused(info.reason, dict(info.metadata))
    return failed
