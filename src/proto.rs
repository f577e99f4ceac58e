//! The generated contract: messages, services and their proto3 JSON form, from
//! `proto/switchboard/v1`.
//!
//! The messages are a leaf that anyone may name, because the event log holds
//! them encoded. The client and server modules are for [`crate::wire`] and
//! [`crate::cli`] only.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::clone_on_ref_ptr,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    rustdoc::invalid_html_tags,
    reason = "generated; the comments of the proto files are kept"
)]

tonic::include_proto!("switchboard.v1");
include!(concat!(env!("OUT_DIR"), "/switchboard.v1.serde.rs"));

/// The encoded `FileDescriptorSet` of the contract, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
