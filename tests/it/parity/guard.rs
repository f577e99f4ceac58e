//! No method and no reason is left out of the scenarios, and none comes that the
//! contract does not name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, iter,
    path::Path,
};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use switchboard::proto::DESCRIPTORS;

use super::{FILES, TABLE, folder, step::steps, text};

/// The reasons that no line over all transports can meet.
const ELSEWHERE: [(&str, &str); 6] = [
    ("NOT_FOUND", "of places of HTTP, which the others have none of"),
    ("METHOD_NOT_ALLOWED", "of methods of HTTP"),
    ("UNSUPPORTED_MEDIA_TYPE", "of bodies of HTTP; gRPC judges its content type itself"),
    ("MISDIRECTED_REQUEST", "whoever came to the wrong host is told it in HTTP alone"),
    ("DEADLINE_EXCEEDED", "only calls of gRPC bring a deadline along"),
    ("UNIMPLEMENTED", "/v1 has places and no names of methods"),
];

/// The same of some methods, of which the contract names the reason: those whose
/// names begin so, or all but those for `!`.
const NOT_MET: [(&str, &[&str], &str); 4] = [
    ("SHUTTING_DOWN", &["!", "Watch"], "a call has to come between the signal and the end"),
    ("STORAGE_FULL", &["!", "StartTurn", "CreateSession", "ForkSession"], "takes a full disk"),
    ("AGENT_NOT_FOUND", &["ForkSession"], "a fork has the agent of its source"),
    ("PAYLOAD_TOO_LARGE", &["DeleteSetting"], "nothing in it may be as large"),
];

/// What any method may answer with.
const ANYWHERE: [&str; 1] = ["INTERNAL"];

/// A method and a reason that it was met with.
type Pair = (String, String);

/// What the lines that are played over every transport meet.
fn met() -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    for file in FILES {
        let text = text(file);
        // What one transport is left out of is not the same everywhere.
        let everywhere = |mark: &str| !matches!(mark, "json" | "rpc");
        for step in steps(&text).into_iter().filter(|step| everywhere(step.mark)) {
            pairs.insert((step.method.to_owned(), step.expected.to_owned()));
            // How a stream ends is met as well.
            let word = |name: &str| {
                let (_, after) = step.request.split_once(&format!("\"{name}\": \""))?;
                Some(after.split_once('"')?.0.to_owned())
            };
            pairs.extend(word("of").zip(word("end")));
        }
    }
    pairs
}

fn methods() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let ours = set.file.iter().filter(|file| file.package() == "switchboard.v1");
    let methods = ours.flat_map(|file| &file.service).flat_map(|service| &service.method);
    methods.map(|method| method.name().to_owned()).collect()
}

fn reasons() -> BTreeSet<String> {
    TABLE.lines().map(|row| row.split(' ').next().unwrap().to_owned()).collect()
}

/// By method, the words after `Errors:` in the comment on it in the contract.
fn named() -> BTreeMap<String, BTreeSet<String>> {
    let mut named = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/switchboard/v1");
    for entry in fs::read_dir(folder).unwrap() {
        let file = fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut comment = String::new();
        for line in file.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("//") {
                comment += text;
                continue;
            }
            if let Some((method, _)) =
                line.strip_prefix("rpc ").and_then(|line| line.split_once('('))
            {
                let errors = comment.split_once("Errors:").map_or("", |(_, errors)| errors);
                let words = errors.split(|c: char| !c.is_ascii_alphabetic() && c != '_');
                named.insert(method.to_owned(), words.map(str::to_owned).collect());
            }
            comment.clear();
        }
    }
    named
}

#[test]
fn every_method_and_every_reason_is_in_a_scenario() {
    let pairs = met();
    let met: BTreeSet<String> = pairs.iter().map(|(method, _)| method.clone()).collect();
    let (methods, reasons) = (methods(), reasons());
    assert!(methods.contains("WatchEvents"));
    assert_eq!(methods.difference(&met).collect::<Vec<_>>(), Vec::<&String>::new());

    let met: BTreeSet<String> = pairs.into_iter().map(|(_, reason)| reason).collect();
    let missing: BTreeSet<&str> = reasons.difference(&met).map(String::as_str).collect();
    assert_eq!(missing, ELSEWHERE.map(|(reason, _)| reason).into());
}

#[test]
fn every_method_is_refused_for_the_reasons_that_the_contract_names_and_no_other() {
    let (named, reasons) = (named(), reasons());
    let elsewhere = |method: &str, reason: &str| {
        let is_of = |names: &[&str]| match names {
            ["!", names @ ..] => !names.iter().any(|name| method.starts_with(name)),
            names => names.contains(&method),
        };
        ELSEWHERE.iter().any(|(known, _)| *known == reason)
            || NOT_MET.iter().any(|(known, names, _)| *known == reason && is_of(names))
    };
    let expected = named.iter().flat_map(|(method, words)| {
        // "As another method" means all that are named there.
        let others = words.iter().filter_map(|word| named.get(word)).flatten();
        let words = words.iter().chain(others).filter(|word| reasons.contains(*word));
        iter::repeat(method).zip(words).map(|(method, reason)| (method.clone(), reason.clone()))
    });
    let expected: BTreeSet<Pair> = expected.collect();
    let is_refusal = |(method, reason): &Pair| {
        named.contains_key(method)
            && reasons.contains(reason)
            && !ANYWHERE.contains(&reason.as_str())
    };
    let met: BTreeSet<Pair> = met().into_iter().filter(is_refusal).collect();
    let unnamed: Vec<_> = met.difference(&expected).collect();
    assert_eq!(unnamed, Vec::<&Pair>::new(), "the contract does not name them");
    let missing = expected.difference(&met).filter(|(method, reason)| !elsewhere(method, reason));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&Pair>::new(), "no scenario has them");
}

#[test]
fn every_text_of_a_scenario_is_played() {
    let found = fs::read_dir(folder()).unwrap();
    let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = found.collect();
    assert_eq!(found, FILES.iter().map(|file| (*file).to_owned()).collect());
}
