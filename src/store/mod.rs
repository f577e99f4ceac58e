//! What is kept on disk: the event log of each session, and the database.
//!
//! Called by the session's owner task and by subscriptions, always on a thread
//! that may block. Nothing here knows a transport or an async runtime.

pub mod log;
pub mod sqlite;
