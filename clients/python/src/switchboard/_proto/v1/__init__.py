"""The messages of the contract, generated from `proto/`."""

from . import (
    audit_pb2,
    config_lock_pb2,
    controls_pb2,
    event_pb2,
    session_pb2,
    settings_pb2,
    system_pb2,
)

# Every file of the contract.
FILES = (
    audit_pb2,
    config_lock_pb2,
    controls_pb2,
    event_pb2,
    session_pb2,
    settings_pb2,
    system_pb2,
)
