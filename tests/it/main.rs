//! The integration tests.

mod supervisor;
