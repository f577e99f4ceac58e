//! The controls as the configuration words them: as the settings contract does.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    controls::{
        APPROVAL_POLICIES, NETWORK_ACCESSES, SANDBOXES, approval_word, network_word, sandbox_word,
    },
    proto::{ApprovalPolicy, FilesystemSandbox, NetworkAccess},
};

/// The text is none of the words that are expected.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not known: expected {}", .expected.join(", "))]
pub struct ParseWordError {
    text: String,
    expected: Vec<&'static str>,
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $value:ty, $all:expr, $word:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub $value);

        impl $name {
            fn all() -> Vec<&'static str> {
                $all.into_iter().map($word).collect()
            }
        }

        impl FromStr for $name {
            type Err = ParseWordError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = $all.into_iter().find(|value| $word(*value) == text);
                let unknown = || ParseWordError { text: text.to_owned(), expected: Self::all() };
                found.map(Self).ok_or_else(unknown)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($word(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": Self::all() })
            }
        }
    };
}

word!(
    /// An approval policy.
    ApprovalWord,
    ApprovalPolicy,
    APPROVAL_POLICIES,
    approval_word
);
word!(
    /// An access to the network.
    NetworkWord,
    NetworkAccess,
    NETWORK_ACCESSES,
    network_word
);
word!(
    /// A sandbox.
    SandboxWord,
    FilesystemSandbox,
    SANDBOXES,
    sandbox_word
);
