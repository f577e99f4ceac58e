//! The values of names that tell of a secret.

use super::*;

#[test]
fn a_value_goes_to_the_quote_that_ends_it_and_else_to_white_space() {
    for (text, expected) in [
        (r#"say password: "aa SECRET", then"#, r#"say password: "[redacted]", then"#),
        ("DB_PASSWORD=aa,SECRET rest", "DB_PASSWORD=[redacted] rest"),
        ("x?password=aa;SECRET&b=c rest", "x?password=[redacted] rest"),
        (r#"GITHUB_TOKEN="gh'p SECRET"; rest"#, r#"GITHUB_TOKEN="[redacted]"; rest"#),
        (r#"password := "SECRET"; rest"#, r#"password := "[redacted]"; rest"#),
        (r#"api_key => "SECRET", rest"#, r#"api_key => "[redacted]", rest"#),
        (
            r#"os.environ["API_KEY"] = "SECRET" rest"#,
            r#"os.environ["API_KEY"] = "[redacted]" rest"#,
        ),
        (r#"headers["x-api-key"] = `a b`; rest"#, r#"headers["x-api-key"] = `[redacted]`; rest"#),
        ("headers['Authorization'] = 'a b'; rest", "headers['Authorization'] = '[redacted]'; rest"),
        ("--access-token=SECRET rest", "--access-token=[redacted] rest"),
        ("client-secret: SECRET", "client-secret: [redacted]"),
        ("accessToken=SECRET idToken=SECRET", "accessToken=[redacted] idToken=[redacted]"),
        (r#"{clientSecret: "SECRET"}"#, r#"{clientSecret: "[redacted]"}"#),
        (
            r#"the **Password**: "a b", **API_KEY:** `c d`"#,
            r#"the **Password**: "[redacted]", **API_KEY:** `[redacted]`"#,
        ),
        // As shells have quotes in quotes, and what is quoted in a word.
        (r"GITHUB_TOKEN='it'\''s SECRET' rest", "GITHUB_TOKEN=[redacted] rest"),
        (r#"GITHUB_TOKEN='it'"'"'s SECRET' rest"#, "GITHUB_TOKEN=[redacted] rest"),
        (r"GITHUB_TOKEN=aa'b'\''c SECRET'd rest", "GITHUB_TOKEN=[redacted] rest"),
        (r#"GITHUB_TOKEN=aa"b SECRET"cc rest"#, "GITHUB_TOKEN=[redacted] rest"),
        (r#"x.password = b"a SECRET" rest"#, r#"x.password = [redacted]"#),
        (r#"f(password=String::from("a b"), 1)"#, r#"f(password=[redacted], 1)"#),
        (r#"let password: &str = "a SECRET"; rest"#, r#"let password: [redacted]; rest"#),
        ("password = '''it's\na SECRET'''\nrest", "password = '''[redacted]'''\nrest"),
        // Between the quotes that are around.
        (r#"curl -H "x-api-key: a SECRET" rest"#, r#"curl -H "x-api-key: [redacted]" rest"#),
        (r#"bash -c 'export MY_KEY="a b"' rest"#, r#"bash -c 'export MY_KEY="[redacted]"' rest"#),
        (r#"run "export MY_KEY=abc" rest"#, r#"run "export MY_KEY=[redacted]" rest"#),
        (r#"5" high: MY_KEY="a SECRET" rest"#, r#"5" high: MY_KEY="[redacted]" rest"#),
        // Lines as headers and files have them.
        ("> x-api-key: a, 'SECRET\n> b: c", "> x-api-key: [redacted]\n> b: c"),
        ("db.password = a SECRET\nnext", "db.password = [redacted]\nnext"),
        ("Password:\nhunter2\nnext", "Password:\n[redacted]\nnext"),
        (
            r#"Authorization: Digest username="u", response="SECRET""#,
            r#"Authorization: [redacted]""#,
        ),
        (
            r#"sent authorization: Digest username="u u", response="SECRET"; to "me""#,
            r#"sent authorization: [redacted] "me""#,
        ),
        ("Proxy-Authorization: Basic a\nnext", "Proxy-Authorization: [redacted]\nnext"),
        (
            r#"x authorization = ["Basic a b", "c"] rest"#,
            r#"x authorization = ["[redacted]", "[redacted]"] rest"#,
        ),
        // What was cut, where a quote has no end.
        (r#"{"password":"a SECRET"#, r#"{"password":"[redacted]"#),
        (r#"n":"a\nDB_PASSWORD=\"a SECRET\" rest"#, r#"n":"a\nDB_PASSWORD=\"[redacted]\" rest"#),
        (r"n: a\nAuthorization: Basic SECRET", r"n: a\nAuthorization: [redacted]"),
        (r"n: a\nBearer SECRETSECRET\nsk-SECRETSECRET", r"n: a\nBearer [redacted]\n[redacted]"),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

#[test]
fn escaped_quotes_end_a_value_as_deep_as_they_began_it() {
    let value = r#"a "b\" SECRET, c"#;
    let member = serde_json::json!({"client_secret": value, "b": "kept"}).to_string();
    let variable = format!("export DB_PASSWORD={} kept", Value::from(value));
    for (text, sign) in [(member, ":"), (variable, "=")] {
        let mut text = text;
        for _ in 0..4 {
            // Neither is JSON as a whole.
            let clean = redacted(&format!("it is {text}"));
            assert!(!clean.contains("SECRET") && clean.contains("kept"), "{clean}");
            let (before, behind) = clean.split_once("[redacted]").unwrap();
            let marks = before.rsplit_once(sign).unwrap().1;
            assert!(behind.starts_with(marks), "{clean}");
            text = Value::from(text).to_string();
        }
    }
}

#[test]
fn what_is_no_value_stays() {
    for text in [
        "The password is kept in the vault; \"password\" is a word, and so is 'api key'.",
        "input_tokens=7, tokens: 8, invalidToken: 9, authorized: 10, authorization",
        r#"print("Enter your password: "); x = "a b""#,
        r#"p = getpass('Password: ') + ask('The API_KEY=') + "a b""#,
        "if not password:\n    return\nelse:\n    raise Refused('x')",
        "password:\n  secretKeyRef:\n    name: x",
        "DB_PASSWORD=\nNEXT=1\npassword=\"\"\nAPI_KEY=''\nclient_secret: \n",
        r#"{"password":"","b":"c"} and {"api_key":{"type":"string"}} and more"#,
    ] {
        assert_eq!(redacted(text), text);
        let inside = serde_json::json!({"text": text, "password": ""}).to_string();
        assert_eq!(redacted(&inside), inside);
    }
    // Too much goes here, but no more than the expression.
    assert_eq!(
        redacted(r#"f(password=os.environ["DB_PASSWORD"], 1)"#),
        "f(password=[redacted], 1)"
    );
}

#[test]
fn the_strings_of_an_array_with_a_secret_name_go() {
    for (text, expected) in [
        (
            r#"{"authorization":["Basic a", ["b"],{"c":"d"}, "e"],"f":["g"]}"#,
            r#"{"authorization":["[redacted]", ["[redacted]"],{"c":"d"}, "[redacted]"],"f":["g"]}"#,
        ),
        (
            r#"[{"x.y.bearer_token":"a"},{"accessToken":"b"},{"secretAccessKey":"c"},{"idToken":1}]"#,
            r#"[{"x.y.bearer_token":"[redacted]"},{"accessToken":"[redacted]"},{"secretAccessKey":"[redacted]"},{"idToken":1}]"#,
        ),
        (r#"{"password":[],"b":"c"}"#, r#"{"password":[],"b":"c"}"#),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

#[test]
fn json_in_strings_is_json_afterwards() {
    let inner = serde_json::json!({"password": "a b", "n": "the password:", "m": "c", "o": "=\"d"});
    let mut text = inner.to_string();
    for _ in 0..4 {
        text = serde_json::json!({"arguments": text}).to_string();
    }
    let mut value: Value = serde_json::from_str(&redacted(&text)).unwrap();
    while let Some(text) = value.get("arguments") {
        value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    }
    let mut expected = inner;
    expected["password"] = REDACTED.into();
    assert_eq!(value, expected);
    // A text that is left out may be JSON itself.
    let mut rules = rules();
    rules.variable("ACCOUNT", r#"{"id":"x", "n":1}"#).unwrap();
    let text = serde_json::json!({"said": r#"{"id":"x", "n":1}"#}).to_string();
    let clean = Redactor::new(&rules).redact(text.as_bytes()).into_owned();
    assert_eq!(String::from_utf8(clean).unwrap(), r#"{"said":"[redacted]"}"#);
}

/// Parts of a secret that are in nothing else.
const PARTS: [&str; 2] = ["Qx7Zj1", "Wv4Kp9"];

/// Any secret that can be printed.
fn secret() -> impl Strategy<Value = String> {
    let any = || "[ -~]{0,8}";
    (any(), any(), any()).prop_map(|(a, b, c)| [&a, PARTS[0], &b, PARTS[1], &c].concat())
}

/// A secret as the value of a name, in front of what stays.
fn written() -> impl Strategy<Value = String> {
    let double = |secret: &str| format!("\"{}\"", secret.replace('\\', r"\\").replace('"', "\\\""));
    let single = |secret: &str| format!("'{}'", secret.replace('\'', r"'\''"));
    let member = |secret: &str| {
        serde_json::json!({"client_secret": secret, "tags": {"x-api-key": [secret, secret]}})
            .to_string()
    };
    let name = prop::sample::select(vec![
        "export DB_PASSWORD=",
        "GITHUB_TOKEN=",
        "let password := ",
        ":api_key => ",
        "os.environ[\"API_KEY\"] = ",
        "headers['Authorization'] = ",
        "{accessToken: ",
        "--client-secret=",
    ]);
    (secret(), name, 0..4).prop_map(move |(secret, name, form)| match form {
        0 => format!("{name}{} kept", double(&secret)),
        // In a shell, where a backslash in these is one.
        1 => format!("{name}{} kept", single(&secret.replace('\\', "/"))),
        2 => format!("{} kept", member(&secret)),
        _ => {
            let header = format!("x-api-key: {secret}");
            format!("curl -H {} kept", double(&header))
        }
    })
}

/// A text in the strings of JSON, and whether that is JSON as a whole.
fn nested(text: String, levels: &[bool]) -> (String, bool) {
    let nest = |(text, _): (String, bool), is_whole: &bool| {
        let text = serde_json::json!({"a": "b", "cmd": text, "kept": 1}).to_string();
        if *is_whole { (text, true) } else { (format!("it says {text} then"), false) }
    };
    levels.iter().fold((text, false), nest)
}

fn levels() -> impl Strategy<Value = Vec<bool>> {
    prop::collection::vec(any::<bool>(), 0..4)
}

static RULES: std::sync::LazyLock<Rules> = std::sync::LazyLock::new(rules);

fn clean(text: &str) -> String {
    String::from_utf8(Redactor::new(&RULES).redact(text.as_bytes()).into_owned()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_secret_stays_however_it_is_written_and_however_deep(
        text in written(), levels in levels(),
    ) {
        let (text, is_json) = nested(text, &levels);
        let clean = clean(&text);
        for part in PARTS {
            prop_assert!(!clean.contains(part), "{text}\n{clean}");
        }
        prop_assert!(clean.contains("kept"), "{text}\n{clean}");
        if is_json {
            serde_json::from_str::<Value>(&clean).unwrap();
        }
    }

    #[test]
    fn a_header_goes_to_the_end_of_its_line(secret in secret(), levels in 0..4_usize) {
        for name in ["Authorization", "x-api-key", "> Cookie-Password"] {
            let text = format!("GET / HTTP/1.1\n{name}: {secret}\r\nAccept: kept\n");
            let (text, _) = nested(text, &vec![true; levels]);
            let clean = clean(&text);
            for part in PARTS {
                prop_assert!(!clean.contains(part), "{text}\n{clean}");
            }
            prop_assert!(clean.contains("Accept: kept"), "{text}\n{clean}");
        }
    }

    #[test]
    fn any_line_stays_one_and_json_stays_json(text in any::<String>(), levels in levels()) {
        let text = format!("password={text}\n API_KEY=\"{text}\" authorization: {text}");
        let (text, is_json) = nested(text.replace('\n', " "), &levels);
        let clean = clean(&text);
        prop_assert_eq!(clean.lines().count(), text.lines().count());
        if is_json {
            serde_json::from_str::<Value>(&clean).unwrap();
        }
    }
}
