//! The contract as its own descriptors tell it: the messages, enumerations and
//! methods of `proto/`, with their comments.
//!
//! The JSON transports go by it, so that a field or method which is added to
//! `proto/` is one that they know: [`super::transcode`] reads and writes
//! messages, [`super::rest`] and [`super::json_rpc`] find what a method takes and
//! document it ([`super::schemas`]).

use std::{
    collections::{BTreeMap, HashSet},
    sync::LazyLock,
};

use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use crate::proto::DESCRIPTORS;

/// What stands before the names of the contract.
const PACKAGE: &str = ".switchboard.v1.";

/// The contract.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// By name, without package.
    pub messages: BTreeMap<String, Message>,
    /// By name, without package.
    pub enums: BTreeMap<String, Enum>,
    /// In the order of the files.
    pub methods: Vec<Method>,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// Without package.
    pub name: String,
    pub comment: String,
    pub fields: Vec<Field>,
    /// Whether JSON is embedded in it, or in what is in it.
    pub embeds: bool,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    /// As in the proto file.
    pub name: String,
    /// As proto3 JSON has it.
    pub proto_json: String,
    /// As our JSON has it: that of the JSON itself where it is embedded.
    pub json: String,
    pub comment: String,
    pub kind: Kind,
    pub shape: Shape,
    /// The oneof that it is of.
    pub oneof: Option<String>,
}

/// What one value of a field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    FieldMask,
    /// Text that is JSON: a field whose name ends in `_json`.
    Json,
    /// An agent's line, which is most often JSON; see [`crate::event::to_json`].
    Line,
    Enum(String),
    Message(String),
}

/// How many values a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    Many,
    /// Values by key; the field's kind is that of the values.
    Map,
}

/// An enumeration.
#[derive(Debug)]
pub(crate) struct Enum {
    pub comment: String,
    pub values: Vec<Value>,
}

/// A value of an enumeration.
#[derive(Debug)]
pub(crate) struct Value {
    pub name: String,
    pub number: i32,
    pub comment: String,
}

/// A method of a service.
#[derive(Debug)]
pub(crate) struct Method {
    pub service: String,
    pub name: String,
    pub comment: String,
    /// The name of the request's message.
    pub input: String,
    /// The name of the answer's message.
    pub output: String,
    /// Whether it answers with many messages.
    pub streams: bool,
}

/// The contract that this server was built with.
pub(crate) fn schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let set = FileDescriptorSet::decode(DESCRIPTORS);
        Schema::of(&set.expect("the descriptors were compiled with the contract"))
    });
    &SCHEMA
}

impl Schema {
    /// A message of the contract.
    ///
    /// # Panics
    ///
    /// Where there is none of this name: names come from the contract.
    pub(crate) fn message(&self, name: &str) -> &Message {
        self.messages.get(name).unwrap_or_else(|| panic!("the contract has no message {name}"))
    }

    /// An enumeration of the contract.
    ///
    /// # Panics
    ///
    /// As [`Schema::message`].
    pub(crate) fn enumeration(&self, name: &str) -> &Enum {
        self.enums.get(name).unwrap_or_else(|| panic!("the contract has no enumeration {name}"))
    }

    /// A method by `Service.Method`.
    pub(crate) fn method(&self, name: &str) -> Option<&Method> {
        let (service, name) = name.split_once('.')?;
        self.methods.iter().find(|method| method.service == service && method.name == name)
    }

    fn of(set: &FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        for file in set.file.iter().filter(|file| file.package() == "switchboard.v1") {
            let comments = Comments(file);
            for (index, message) in file.message_type.iter().enumerate() {
                let message = message_of(message, &comments, index);
                schema.messages.insert(message.name.clone(), message);
            }
            for (index, found) in file.enum_type.iter().enumerate() {
                schema.enums.insert(found.name().to_owned(), enum_of(found, &comments, index));
            }
            for (index, service) in file.service.iter().enumerate() {
                schema.methods.extend(methods_of(service, &comments, index));
            }
        }
        let embedding: Vec<String> =
            schema.messages.keys().filter(|name| schema.embeds(name)).cloned().collect();
        for name in embedding {
            schema.messages.entry(name).and_modify(|message| message.embeds = true);
        }
        schema
    }

    /// Whether JSON is embedded in a message, or in what is in it.
    fn embeds(&self, name: &str) -> bool {
        let (mut seen, mut open) = (HashSet::new(), vec![name]);
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            for field in &self.message(name).fields {
                if matches!(field.kind, Kind::Json | Kind::Line) {
                    return true;
                }
                if let Kind::Message(inner) = &field.kind {
                    open.push(inner);
                }
            }
        }
        false
    }
}

impl Message {
    /// The field that our JSON, or the proto file, calls so.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.json == name || field.called() == name)
    }

    /// The field of this name in the proto file.
    pub(crate) fn proto_field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// The name of the message that a value of it is, or that a value of its map is.
    pub(crate) fn message(&self) -> Option<&str> {
        if let Kind::Message(name) = &self.kind { Some(name) } else { None }
    }

    /// The name in the manner of the proto file; that of the JSON itself where it
    /// is embedded.
    pub(crate) fn called(&self) -> &str {
        if self.kind == Kind::Json { self.name.trim_end_matches("_json") } else { &self.name }
    }
}

fn message_of(message: &DescriptorProto, comments: &Comments<'_>, index: usize) -> Message {
    let field = |(number, field): (usize, &FieldDescriptorProto)| {
        let (kind, shape) = kind_of(message, field);
        let name = field.name().to_owned();
        let called =
            if kind == Kind::Json { name.trim_end_matches("_json") } else { name.as_str() };
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let oneof = oneof.and_then(|oneof| message.oneof_decl.get(usize::try_from(oneof).ok()?));
        Field {
            proto_json: lower_camel(&name),
            json: lower_camel(called),
            comment: comments.at(&[4, index, 2, number]),
            kind,
            shape,
            oneof: oneof.map(|oneof| oneof.name().to_owned()),
            name,
        }
    };
    Message {
        name: message.name().to_owned(),
        comment: comments.at(&[4, index]),
        fields: message.field.iter().enumerate().map(field).collect(),
        embeds: false,
    }
}

fn kind_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> (Kind, Shape) {
    let shape = if field.label() == Label::Repeated { Shape::Many } else { Shape::One };
    let kind = match field.r#type() {
        Type::Bool => Kind::Bool,
        Type::Int32 | Type::Sint32 | Type::Sfixed32 => Kind::Int32,
        Type::Uint32 | Type::Fixed32 => Kind::Uint32,
        Type::Int64 | Type::Sint64 | Type::Sfixed64 => Kind::Int64,
        Type::Uint64 | Type::Fixed64 => Kind::Uint64,
        Type::Double | Type::Float => Kind::Double,
        Type::String if field.name().ends_with("_json") => Kind::Json,
        Type::String => Kind::String,
        Type::Bytes if message.name() == "Event" && field.name() == "raw" => Kind::Line,
        Type::Bytes => Kind::Bytes,
        Type::Enum => Kind::Enum(short(field.type_name())),
        Type::Message | Type::Group => match field.type_name() {
            ".google.protobuf.Timestamp" => Kind::Timestamp,
            ".google.protobuf.Duration" => Kind::Duration,
            ".google.protobuf.FieldMask" => Kind::FieldMask,
            name => {
                let entry = message.nested_type.iter().find(|nested| {
                    name.ends_with(&format!(".{}.{}", message.name(), nested.name()))
                });
                if let Some([_, value]) = entry.map(|entry| entry.field.as_slice()) {
                    return (kind_of(message, value).0, Shape::Map);
                }
                Kind::Message(short(name))
            }
        },
    };
    (kind, shape)
}

fn enum_of(found: &EnumDescriptorProto, comments: &Comments<'_>, index: usize) -> Enum {
    let values = found.value.iter().enumerate().map(|(number, value)| Value {
        name: value.name().to_owned(),
        number: value.number(),
        comment: comments.at(&[5, index, 2, number]),
    });
    Enum { comment: comments.at(&[5, index]), values: values.collect() }
}

fn methods_of(
    service: &ServiceDescriptorProto,
    comments: &Comments<'_>,
    index: usize,
) -> Vec<Method> {
    let methods = service.method.iter().enumerate().map(|(number, method)| Method {
        service: service.name().to_owned(),
        name: method.name().to_owned(),
        comment: comments.at(&[6, index, 2, number]),
        input: short(method.input_type()),
        output: short(method.output_type()),
        streams: method.server_streaming(),
    });
    methods.collect()
}

fn short(name: &str) -> String {
    name.trim_start_matches(PACKAGE).to_owned()
}

/// The comments of a proto file, by the path of what they stand before; see
/// `google.protobuf.SourceCodeInfo`.
struct Comments<'a>(&'a FileDescriptorProto);

impl Comments<'_> {
    fn at(&self, path: &[usize]) -> String {
        let locations = self.0.source_code_info.iter().flat_map(|info| &info.location);
        let found = locations.filter(|location| {
            location.path.len() == path.len()
                && location.path.iter().zip(path).all(|(a, b)| usize::try_from(*a) == Ok(*b))
        });
        let text = found.map(|location| location.leading_comments()).collect::<String>();
        text.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
    }
}

/// `working_directory` as `workingDirectory`.
pub(crate) fn lower_camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut characters = word.chars();
        camel.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(characters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_told_with_its_comments() {
        let schema = schema();
        let method = schema.method("SessionService.GetSession").unwrap();
        assert_eq!((method.input.as_str(), method.streams), ("GetSessionRequest", false));
        assert!(method.comment.starts_with("GetSession reads one session by its id,"));
        assert!(schema.method("EventService.WatchEvents").unwrap().streams);
        let session = schema.message("Session");
        let labels = session.field("labels").unwrap();
        assert_eq!((&labels.kind, labels.shape), (&Kind::String, Shape::Map));
        assert!(labels.comment.starts_with("Free labels"));
        assert_eq!(session.field("workingDirectory").unwrap().name, "working_directory");
        assert_eq!(session.field("create_time").unwrap().kind, Kind::Timestamp);
        assert!(schema.enumeration("SessionState").values.len() > 8);
        assert_eq!(
            schema.message("Event").field("itemStarted").unwrap().oneof.as_deref(),
            Some("kind")
        );
    }

    #[test]
    fn what_ends_in_json_is_known_by_the_name_of_what_it_is() {
        let call = schema().message("McpToolCall");
        let arguments = call.field("arguments").unwrap();
        assert_eq!(
            (&arguments.kind, arguments.proto_json.as_str()),
            (&Kind::Json, "argumentsJson")
        );
        assert!(call.field("argumentsJson").is_none() && call.field("arguments_json").is_none());
        assert!(schema().message("ListEventsResponse").embeds);
        assert!(!schema().message("ListSessionsResponse").embeds);
    }
}
