"""What the two clients tell gRPC."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlsplit

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from switchboard._proto.v1 import FILES
from switchboard.errors import ProfileError
from switchboard.profiles import Connection

# The most that a server ever sends in one message, and its frame.
_MAX_MESSAGE: Final = (64 << 20) + (1 << 16)


class Method:
    """A method of the contract."""

    def __init__(self, path: str, answer: type[Message]) -> None:
        self.path = path
        self.answer = answer


def _methods() -> dict[str, Method]:
    """Each method by the name of its request, which belongs to it alone."""
    return {
        method.input_type.full_name: Method(
            f"/{service.full_name}/{method.name}", GetMessageClass(method.output_type)
        )
        for file in FILES
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


_METHODS: Final = _methods()


def method(request: Message) -> Method:
    """The method that a request is for."""
    return _METHODS[request.DESCRIPTOR.full_name]


def target(connection: Connection) -> str:
    """The address, as gRPC has it."""
    if connection.is_unix:
        # Otherwise a `?` or a `%` would mean something.
        return "unix:" + quote(connection.url.removeprefix("unix:"))
    return urlsplit(connection.url).netloc


def options(connection: Connection, connect_timeout: float) -> Sequence[tuple[str, Any]]:
    """The options of a channel."""
    found: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE),
        ("grpc.max_send_message_length", -1),
        # A server that is started again is found soon. When to call again is decided above.
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 250),
        # This one is how long a connection may take to be made.
        ("grpc.min_reconnect_backoff_ms", round(1_000 * min(max(connect_timeout, 0.1), 60.0))),
        ("grpc.enable_retries", 0),
        # A connection whose other end is gone without a word is noticed.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Without it gRPC waits for a minute all the same.
        ("grpc.http2.ping_timeout_ms", 10_000),
        # Every client has connections of its own, so that it ends them too.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if connection.is_unix:
        # By default it is the socket's path, which is no valid authority.
        found.append(("grpc.default_authority", "localhost"))
    if connection.is_local:
        found.append(("grpc.enable_http_proxy", 0))
    return found


def credentials(connection: Connection) -> grpc.ChannelCredentials | None:
    """What an encrypted connection trusts; None for one that is not."""
    if not connection.is_tls:
        return None
    roots = None
    if connection.tls_ca is not None:
        try:
            roots = connection.tls_ca.read_bytes()
            # gRPC would only say that nobody answers. What is said of a certificate beside it
            # may be in any language.
            text = roots.decode("ascii", "ignore")
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
        except (OSError, ValueError) as error:
            # That of a file which cannot be read names it.
            is_read = roots is not None
            problem = f"{connection.tls_ca}: no certificates in PEM: {error}" if is_read else error
            raise ProfileError(
                f"tls_ca: {problem}",
                reason="PROFILE_INVALID",
                code=grpc.StatusCode.INVALID_ARGUMENT,
            ) from error
    return grpc.ssl_channel_credentials(root_certificates=roots)


def metadata(connection: Connection) -> tuple[tuple[str, str], ...]:
    """What goes with every call."""
    if connection.token is None:
        return ()
    if not (connection.token.isascii() and connection.token.isprintable()):
        raise ProfileError(
            "the token is not plain ASCII: look at SWITCHBOARD_TOKEN and at the profile",
            reason="PROFILE_INVALID",
            code=grpc.StatusCode.INVALID_ARGUMENT,
        )
    return (("authorization", f"Bearer {connection.token}"),)
