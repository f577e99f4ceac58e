//! The integration tests.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod supervisor;
