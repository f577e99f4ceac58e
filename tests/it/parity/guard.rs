//! No method and no reason is left out of the scenarios.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use switchboard::proto::DESCRIPTORS;

use super::{FILES, TABLE, folder, step::steps, text};

/// The reasons that no line over all transports can meet.
const ELSEWHERE: [(&str, &str); 7] = [
    ("NOT_FOUND", "of places of HTTP, which the others have none of"),
    ("METHOD_NOT_ALLOWED", "of methods of HTTP"),
    ("UNSUPPORTED_MEDIA_TYPE", "of bodies of HTTP; gRPC judges its content type itself"),
    ("MISDIRECTED_REQUEST", "whoever came to the wrong host is told it in HTTP alone"),
    ("DEADLINE_EXCEEDED", "only calls of gRPC bring a deadline along"),
    ("UNIMPLEMENTED", "/v1 has places and no names of methods"),
    ("OVERLOADED", "takes 10,000 turns that wait, or a server without a free descriptor"),
];

#[test]
fn every_method_and_every_reason_is_in_a_scenario() {
    let (mut methods, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    for file in FILES {
        let text = text(file);
        // What one transport is left out of is not the same everywhere.
        let everywhere = |mark: &str| !matches!(mark, "json" | "rpc");
        for step in steps(&text).into_iter().filter(|step| everywhere(step.mark)) {
            methods.insert(step.method.to_owned());
            reasons.insert(step.expected.to_owned());
            // How a stream ends is met as well.
            let end =
                step.request.split_once("\"end\": \"").and_then(|(_, end)| end.split_once('"'));
            reasons.extend(end.map(|(end, _)| end.to_owned()));
        }
    }
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let ours = set.file.iter().filter(|file| file.package() == "switchboard.v1");
    let known = ours.flat_map(|file| &file.service).flat_map(|service| &service.method);
    let known: BTreeSet<String> = known.map(|method| method.name().to_owned()).collect();
    assert!(known.contains("WatchEvents"));
    assert_eq!(known.difference(&methods).collect::<Vec<_>>(), Vec::<&String>::new());

    let known: BTreeSet<&str> = TABLE.lines().map(|row| row.split(' ').next().unwrap()).collect();
    let elsewhere: BTreeSet<&str> = ELSEWHERE.map(|(reason, _)| reason).into();
    let met = known.iter().copied().filter(|reason| reasons.contains(*reason)).collect();
    let missing: BTreeSet<&str> = known.difference(&met).copied().collect();
    assert_eq!(missing, elsewhere);
}

#[test]
fn every_text_of_a_scenario_is_played() {
    let found = std::fs::read_dir(folder()).unwrap();
    let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = found.collect();
    assert_eq!(found, FILES.iter().map(|file| (*file).to_owned()).collect());
}
