//! Settings, controls and their audit, over gRPC.

mod semantics;
mod shared;

pub(crate) use shared::{changed, get, set, update};
