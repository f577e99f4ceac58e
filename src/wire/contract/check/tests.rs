use super::*;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// What is wrong with a body that has a text, a word, a map and an object.
fn issues(body: Option<&str>) -> Json {
    let body = body.map(json);
    let mut fields = Fields::of(body.as_ref());
    fields.word("scope", Presence::Required, &["session", "default"]);
    fields.trimmed("key", Presence::Optional, Length::between(1, 3));
    fields.map("settings", Presence::Optional);
    fields.object("controls", Presence::Optional, |controls| {
        controls.trimmed("model", Presence::Nullable, Length::from(1));
    });
    match fields.finish() {
        Ok(()) => Json::Array(Vec::new()),
        Err(Failure::Issues(issues)) => Json::Array(issues),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn what_is_right_has_no_issues_and_other_members_are_ignored() {
    for body in [
        r#"{"scope":"session"}"#,
        r#"{"scope":"default","key":" 😀 ","settings":{"":1},"controls":{"model":null},"x":1}"#,
        r#"{"scope":"default","controls":{"model":" m "}}"#,
    ] {
        assert_eq!(issues(Some(body)), json("[]"), "{body}");
    }
}

#[test]
fn all_that_is_wrong_is_told_in_the_words_of_zod() {
    let body = r#"{"scope":"Session","key":"😀😀","settings":[],"controls":{"model":" "}}"#;
    let expected = r#"[
        {"code":"invalid_value","values":["session","default"],"path":["scope"],
         "message":"Invalid option: expected one of \"session\"|\"default\""},
        {"origin":"string","code":"too_big","maximum":3,"inclusive":true,"path":["key"],
         "message":"Too big: expected string to have <=3 characters"},
        {"expected":"record","code":"invalid_type","path":["settings"],
         "message":"Invalid input: expected record, received array"},
        {"origin":"string","code":"too_small","minimum":1,"inclusive":true,
         "path":["controls","model"],
         "message":"Too small: expected string to have >=1 characters"}]"#;
    assert_eq!(issues(Some(body)), json(expected));
    let body = r#"{"scope":"session","key":null,"controls":{}}"#;
    let expected = r#"[
        {"expected":"string","code":"invalid_type","path":["key"],
         "message":"Invalid input: expected string, received null"},
        {"expected":"string","code":"invalid_type","path":["controls","model"],
         "message":"Invalid input: expected string, received undefined"}]"#;
    assert_eq!(issues(Some(body)), json(expected));
}

#[test]
fn of_what_is_no_object_nothing_else_is_told() {
    for (body, received) in [(None, "undefined"), (Some("[1]"), "array"), (Some("1"), "number")] {
        let issue = format!(
            r#"[{{"expected":"object","code":"invalid_type","path":[],
            "message":"Invalid input: expected object, received {received}"}}]"#
        );
        assert_eq!(issues(body), json(&issue));
    }
}
