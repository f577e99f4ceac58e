//! Settings, controls and their audit, over gRPC; one program also over `/v1`.

mod auditing;
mod burst;
mod defaults;
mod hostile;
mod python;
mod semantics;
mod shared;
mod tampering;
mod telling;
mod writing;

pub(crate) use shared::{
    application, apply, changed, check_audit, controls, get, get_default, one, pending, set,
    to_default, told, update,
};
