//! What the benches of the whole server share: the server as a process of its
//! own, an agent that prints as much as it is told, subscribers that only count,
//! and a plain tonic server to compare with.
//!
//! One executable plays all parts but the server's: [`role`] says which. The
//! server is the binary that users run.
#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod agent;
pub(crate) mod bare;
pub(crate) mod callers;
pub(crate) mod disk;
pub(crate) mod plain;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod subscriber;
pub(crate) mod websocket;

/// Plays the part that the arguments name; whether there was one.
pub(crate) fn role() -> bool {
    match std::env::args().nth(1).as_deref() {
        Some(plain::ROLE) => plain::serve(),
        Some(bare::ROLE) => bare::serve(),
        Some(argument) if agent::is_question(argument) => agent::answer(argument),
        Some("exec") => agent::exec(),
        Some(_) | None => return false,
    }
    true
}

/// The size of every measurement, as a factor: less than 1 for a quick look.
#[expect(clippy::disallowed_methods, reason = "a bench has no configuration")]
pub(crate) fn scale() -> f64 {
    let scale = std::env::var("SWITCHBOARD_BENCH_SCALE").ok();
    scale.map_or(1.0, |scale| scale.parse().expect("SWITCHBOARD_BENCH_SCALE is a number"))
}
