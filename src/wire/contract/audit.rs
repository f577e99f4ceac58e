//! Entries of the audit, as entries of a session's transcript.
