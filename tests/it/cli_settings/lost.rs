//! Writes whose answer is lost: they are asked for again, and made once.

use super::*;
use crate::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_set_once_wherever_the_connection_breaks() {
    let server = server_with_session(Setup::new()).await;
    let home = server.home();
    let proxy = Proxy::start(server.tcp());
    let url = format!("http://{}", proxy.address());
    let mut entries = 0;
    for bytes in [0, 20, 60, 100, 150, 200, 250, 300, 350] {
        proxy.cut_after(bytes);
        entries += 1;
        let value = entries.to_string();
        let output = done(&home, ["--url", &url, "settings", "set", &ID[..8], "a.b", &value]);
        assert_eq!(code(&output), 0, "after {bytes} bytes: {output:?}");
        let expected = format!("{ID}  a.b = {value}  (audit entry {value})\n");
        assert_eq!(text(&output.stdout), expected, "after {bytes} bytes");
    }
    assert_eq!(all_told(&home, &["audit", "list"]).len(), entries);
    assert!(proxy.cuts() >= 6, "{} cuts", proxy.cuts());
}
