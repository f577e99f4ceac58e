//! Where the values come from that are written: the command line, a file, or
//! standard input.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use crate::{
    cli::Failure,
    json::{self, Json},
    settings::MAX_DEPTH,
};

/// What a person typed for a value.
#[derive(Debug)]
pub(super) enum Typed<'a> {
    /// On the command line.
    Here(&'a str),
    /// In a file, or in standard input for `-`.
    File(&'a Path),
}

/// Whether a value is text or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON.
    Json,
    /// Text, which becomes a JSON string.
    Text,
}

/// Reads a value.
///
/// # Errors
/// [`Failure::Usage`] where it is no JSON and should be.
pub(super) fn value(typed: &Typed<'_>, form: Form) -> Result<Json, Failure> {
    let text = match typed {
        Typed::Here("-") => from_stdin()?,
        Typed::Here(text) => (*text).to_owned(),
        Typed::File(path) => from_file(path)?,
    };
    if form == Form::Text {
        return Ok(Json::String(text));
    }
    let whence = match typed {
        Typed::Here("-") => "standard input".to_owned(),
        Typed::Here(text) => (*text).to_owned(),
        Typed::File(path) => path.display().to_string(),
    };
    Json::parse_within(&text, MAX_DEPTH).map_err(|error| {
        let is_a_word = matches!(typed, Typed::Here(text) if *text != "-")
            && matches!(error, json::Error::Syntax { .. });
        let hint = if is_a_word {
            format!("\n  for the text, give --string or quotes of JSON: '{}'", Json::from(text))
        } else {
            String::new()
        };
        Failure::Usage(format!("{whence}: {error}{hint}"))
    })
}

/// Reads a map of settings: JSON as it is where it begins with a brace, standard
/// input for `-`, else a file.
///
/// # Errors
/// [`Failure::Usage`] where it is no JSON object.
pub(in crate::cli) fn map(text: &str) -> Result<Json, Failure> {
    let (whence, content) = match text {
        "-" => ("standard input", from_stdin()?),
        text if text.trim_start().starts_with('{') => ("--settings", text.to_owned()),
        path => (path, from_file(Path::new(path))?),
    };
    let map = Json::parse_within(&content, MAX_DEPTH + 1)
        .map_err(|error| Failure::Usage(format!("{whence}: {error}")))?;
    match map {
        Json::Object(_) => Ok(map),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            let kind = map.kind();
            Err(Failure::Usage(format!("{whence}: expected a JSON object, and it is {kind}")))
        }
    }
}

fn from_file(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        return from_stdin();
    }
    let read = fs::read(path);
    let bytes =
        read.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
    String::from_utf8(bytes).map_err(|_| Failure::Usage(format!("{} is not UTF-8", path.display())))
}

fn from_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Failure::Usage("standard input is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, Failure> {
        value(&Typed::Here(text), Form::Json).map(|json| json.to_string())
    }

    #[test]
    fn a_value_is_json_and_its_numbers_keep_their_text() {
        for text in ["true", "null", "-1.50", "9007199254740993", "1e400", "\"a\"", "[{}]"] {
            assert_eq!(read(text).unwrap(), text);
        }
        let text = value(&Typed::Here("true"), Form::Text).unwrap();
        assert_eq!(text.to_string(), "\"true\"");
    }

    #[test]
    fn a_word_that_is_no_json_is_refused_with_its_quoted_form() {
        let refused = |text: &str| match read(text) {
            Err(Failure::Usage(problem)) => problem,
            other => panic!("{other:?}"),
        };
        let problem = refused("high");
        assert!(problem.contains("--string") && problem.contains("'\"high\"'"), "{problem}");
        assert!(refused("{\"a\":1,\"a\":2}").contains("twice"));
        assert!(!refused("{\"a\":1,\"a\":2}").contains("--string"));
        assert!(refused(&"[".repeat(65)).contains("too deep"));
    }

    #[test]
    fn a_map_is_an_object() {
        assert_eq!(map(" {\"a\": 1.0}").unwrap().to_string(), "{\"a\":1.0}");
        assert!(matches!(map("{\"a\""), Err(Failure::Usage(_))));
        assert!(matches!(map("/nonexistent/file"), Err(Failure::Usage(_))));
    }
}
