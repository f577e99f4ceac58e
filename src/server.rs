//! Stand-in until the server is merged.
#![allow(missing_docs, clippy::unused_async, reason = "a stand-in")]
use crate::config::Config;
#[derive(Debug)]
pub struct Listeners {}
impl Listeners {
    pub fn addresses(&self) -> Vec<String> {
        Vec::new()
    }
}
pub async fn bind(_config: &Config) -> Result<Listeners, std::io::Error> {
    Err(std::io::Error::other("the server is not built yet"))
}
pub async fn run(
    _config: Config,
    _listeners: Listeners,
    shutdown: impl Future<Output = ()>,
) -> Result<(), std::io::Error> {
    shutdown.await;
    Ok(())
}
