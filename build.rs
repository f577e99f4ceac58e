//! Compiles `proto/` and nothing else: messages, services, their proto3 JSON
//! form, and the descriptor set that reflection serves. Needs no `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 7] = [
    "switchboard/v1/session.proto",
    "switchboard/v1/event.proto",
    "switchboard/v1/settings.proto",
    "switchboard/v1/controls.proto",
    "switchboard/v1/audit.proto",
    "switchboard/v1/config_lock.proto",
    "switchboard/v1/system.proto",
];

#[expect(
    clippy::disallowed_methods,
    reason = "Cargo tells a build script where to write by the environment"
)]
fn main() -> Result<(), Box<dyn Error>> {
    // `compile_fds` sees descriptors, not paths, so it cannot say this itself.
    println!("cargo:rerun-if-changed=proto");

    let descriptors = protox::compile(FILES, ["proto"])?;
    let encoded = descriptors.encode_to_vec();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), &encoded)?;

    tonic_prost_build::configure()
        .bytes(".switchboard.v1")
        // In the order of their keys, so that equal messages have equal bytes.
        .btree_map(".switchboard.v1")
        // The largest kind of event and the rarest: without this every event of
        // an agent is twice as large, and moved as such.
        .boxed(".switchboard.v1.SessionCreated.session")
        .boxed(".switchboard.v1.SessionUpdated.session")
        .boxed(".switchboard.v1.SettingsChanged.entry")
        .boxed(".switchboard.v1.ControlsChanged.entry")
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .extern_path(".google.protobuf.Timestamp", "crate::time::Timestamp")
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .btree_map([".switchboard.v1"])
        .build(&[".switchboard.v1"])?;
    Ok(())
}
