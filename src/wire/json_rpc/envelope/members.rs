//! The members of a request, each as the text that it was.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members that JSON-RPC knows; others are passed over.
#[derive(Default)]
pub(super) struct Members<'a> {
    pub version: Option<&'a RawValue>,
    pub id: Option<&'a RawValue>,
    pub method: Option<&'a RawValue>,
    pub params: Option<&'a RawValue>,
    /// The name of one that is there twice.
    pub twice: Option<&'static str>,
}

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Named)
    }
}

struct Named;

impl<'a> Visitor<'a> for Named {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut all: A) -> Result<Members<'a>, A::Error> {
        let mut members = Members::default();
        while let Some(name) = all.next_key::<String>()? {
            let (name, place) = match name.as_str() {
                "jsonrpc" => ("jsonrpc", &mut members.version),
                "id" => ("id", &mut members.id),
                "method" => ("method", &mut members.method),
                "params" => ("params", &mut members.params),
                _ => {
                    all.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if place.replace(all.next_value()?).is_some() {
                // An id that is there twice is none, whatever else is.
                members.twice = members.twice.filter(|twice| *twice == "id").or(Some(name));
            }
        }
        Ok(members)
    }
}
