//! The contract as a text that is reviewed as a diff: every method, message,
//! field and enum value. `UPDATE_FIXTURES=1` writes it anew.

use std::{env, fs, path::Path};

use prost::Message as _;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use switchboard::proto::DESCRIPTORS;

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch that writes fixtures anew")]
fn the_contract_is_as_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/contract.txt");
    let text = render(&FileDescriptorSet::decode(DESCRIPTORS).unwrap());
    assert!(text.contains("rpc WatchEvents"), "the descriptors are not the contract's");
    if env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, known, "the contract changed: run with UPDATE_FIXTURES=1 and review the diff");
}

fn render(set: &FileDescriptorSet) -> String {
    let mut text = String::new();
    for file in set.file.iter().filter(|file| file.package() == "switchboard.v1") {
        for service in &file.service {
            text += &format!("service {}\n", service.name());
            for method in &service.method {
                let stream = if method.server_streaming() { "stream " } else { "" };
                text += &format!(
                    "  rpc {}({}) returns ({stream}{})\n",
                    method.name(),
                    short(method.input_type()),
                    short(method.output_type())
                );
            }
        }
        for kind in &file.enum_type {
            text += &format!("enum {}\n", kind.name());
            for value in &kind.value {
                text += &format!("  {} = {}\n", value.name(), value.number());
            }
        }
        for message in &file.message_type {
            text += &render_message(message);
        }
    }
    text
}

fn render_message(message: &DescriptorProto) -> String {
    let mut text = format!("message {}\n", message.name());
    for field in &message.field {
        let label = match (field.proto3_optional(), field.oneof_index) {
            (true, _) => "optional ".to_owned(),
            (false, Some(oneof)) => {
                let oneof = usize::try_from(oneof).unwrap();
                format!("oneof {} ", message.oneof_decl[oneof].name())
            }
            (false, None)
                if field.label() == prost_types::field_descriptor_proto::Label::Repeated =>
            {
                "repeated ".to_owned()
            }
            (false, None) => String::new(),
        };
        text += &format!("  {} {label}{} = {}\n", field.name(), kind(field), field.number());
    }
    text
}

fn kind(field: &FieldDescriptorProto) -> String {
    match field.type_name() {
        "" => format!("{:?}", field.r#type()).to_lowercase(),
        name => short(name).to_owned(),
    }
}

fn short(name: &str) -> &str {
    name.trim_start_matches(".switchboard.v1.")
}
