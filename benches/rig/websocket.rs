//! A subscriber over the WebSocket at `/rpc` that only reads bytes.

use std::net::SocketAddr;

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// With what the last notification of a subscription ends.
const END: &[u8] = b"\"closed\":{\"reason\":\"END\"";
/// How much it takes at once.
const READ_BYTES: usize = 256 << 10;

/// Watches a session from its first event to its end, and says how many bytes that
/// was.
pub(crate) async fn watch(address: SocketAddr, id: &str) -> usize {
    let mut stream = TcpStream::connect(address).await.expect("a server that listens");
    stream.set_nodelay(true).expect("a socket");
    let head = format!(
        "GET /rpc HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a connection");
    let mut bytes = vec![0; READ_BYTES];
    let mut filled = 0;
    while memmem::find(&bytes[..filled], b"\r\n\r\n").is_none() {
        filled += stream.read(&mut bytes[filled..]).await.expect("a response");
    }
    assert!(bytes.starts_with(b"HTTP/1.1 101 "), "the server refused the WebSocket");
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"events/watch","params":{{"sessionIds":["{id}"],"startSeq":"1","stopAtEnd":true}}}}"#
    );
    let length = u16::try_from(call.len()).expect("a short call");
    assert!(length > 125, "of the length that is written here");
    // A mask of zeros leaves it as it is.
    let frame = [&[0x81, 0xFE][..], &length.to_be_bytes(), &[0; 4], call.as_bytes()].concat();
    stream.write_all(&frame).await.expect("a connection");
    let (mut kept, mut total) = (0, 0);
    loop {
        let count = stream.read(&mut bytes[kept..]).await.expect("a stream that goes on");
        assert!(count > 0, "the server closed it");
        total += count;
        let there = kept + count;
        if memmem::find(&bytes[..there], END).is_some() {
            return total;
        }
        // It may have come in part.
        kept = there.min(END.len());
        bytes.copy_within(there - kept..there, 0);
    }
}
