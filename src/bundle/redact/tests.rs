use proptest::prelude::*;
use serde_json::Value;

use super::*;

mod named;

const KEY: &str = "sk-proj-AbCdEf0123456789";

fn rules() -> Rules {
    let mut rules = Rules::new(["(?i)project-[a-z]+"]).unwrap();
    rules.literal("server-token", "0123456789abcdef").unwrap();
    rules.variable("HIDDEN", "open \"sesame\"").unwrap();
    rules.variable("SHORT", "abc").unwrap();
    rules
}

fn redacted(text: &str) -> String {
    let rules = rules();
    let mut redactor = Redactor::new(&rules);
    let clean = redactor.redact(text.as_bytes()).into_owned();
    let again = redactor.redact(&clean).into_owned();
    assert_eq!(again, clean, "what was left out is left alone");
    String::from_utf8(clean).unwrap()
}

#[test]
fn what_is_secret_in_a_text_goes_and_the_rest_stays() {
    for (text, expected) in [
        (
            "nothing of it: input_tokens=7 task-12345678",
            "nothing of it: input_tokens=7 task-12345678",
        ),
        ("> Authorization: Bearer abc.def", "> Authorization: [redacted]"),
        ("curl -H 'authorization: Basic eA==' -v", "curl -H 'authorization: [redacted]' -v"),
        ("sent bearer abcdefgh12 twice", "sent bearer [redacted] twice"),
        ("sent x-api-key: 42, then", "sent x-api-key: [redacted], then"),
        (
            "export OPENAI_API_KEY=\"v1\"; X_TOKEN=v2",
            "export OPENAI_API_KEY=\"[redacted]\"; X_TOKEN=[redacted]",
        ),
        ("the key sk-proj-AbCdEf0123456789.", "the key [redacted]."),
        (
            "-c model_providers.x.experimental_bearer_token=\"v\" my_api_key=w",
            "-c model_providers.x.experimental_bearer_token=\"[redacted]\" my_api_key=[redacted]",
        ),
        ("token 0123456789abcdef of it", "token [redacted] of it"),
        ("say open \"sesame\" or abc", "say [redacted] or abc"),
        ("our Project-Falcon", "our [redacted]"),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

#[test]
fn json_stays_json_to_the_digit() {
    for (text, expected) in [
        (
            r#"{"n": 1.50, "n": [1,2],"t":"a\u00e9\"b"}"#,
            r#"{"n": 1.50, "n": [1,2],"t":"a\u00e9\"b"}"#,
        ),
        (r#"{"t":"say open \"sesame\"\n"}"#, r#"{"t":"say [redacted]\n"}"#),
        (
            r#"{"Authorization":"x","authorized":"x"}"#,
            r#"{"Authorization":"[redacted]","authorized":"x"}"#,
        ),
        (r#"{"MY_SECRET" : "x", "b":"y"}"#, r#"{"MY_SECRET" : "[redacted]", "b":"y"}"#),
        (
            r#"{"arguments":"{\"cmd\":\"say open \\\"sesame\\\"\",\"A_KEY\":\"x\"}"}"#,
            r#"{"arguments":"{\"cmd\":\"say [redacted]\",\"A_KEY\":\"[redacted]\"}"}"#,
        ),
        (r#"{"MY_SECRET":1,"b":"y"}"#, r#"{"MY_SECRET":1,"b":"y"}"#),
        (r#"{"MY_SECRET":{"b":"y"}}"#, r#"{"MY_SECRET":{"b":"y"}}"#),
        (
            r#"{"env":[["SHORT","abc"],["OTHER","abc"]]}"#,
            r#"{"env":[["SHORT","[redacted]"],["OTHER","abc"]]}"#,
        ),
        (
            r#"{"environment":{"SHORT":"","HIDDEN":"abc"}}"#,
            r#"{"environment":{"SHORT":"","HIDDEN":"[redacted]"}}"#,
        ),
        (r#"["\ud800 sk-12345678"]"#, r#"["[redacted]"]"#),
        (
            r#"{"headers":"authorization: Bearer abc\nnext: 1"}"#,
            r#"{"headers":"authorization: [redacted]\nnext: 1"}"#,
        ),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

#[test]
fn what_its_own_form_tells_goes() {
    for (text, expected) in [
        ("use ghp_9876543210zyxwvutsrq and AKIA9876543210ZYXWVU", "use [redacted] and [redacted]"),
        ("psql postgres://u:pw@h/db", "psql postgres://u:[redacted]@h/db"),
        (
            r#"{"text":"psql \"postgres://u:pw@h/db\" ghp_9876543210zyxwvutsrq"}"#,
            r#"{"text":"psql \"postgres://u:[redacted]@h/db\" [redacted]"}"#,
        ),
        (
            r#"{"key":"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nthen"}"#,
            r#"{"key":"[redacted]\nthen"}"#,
        ),
    ] {
        assert_eq!(redacted(text), expected);
    }
    // What is no UTF-8 hides nothing.
    let rules = rules();
    let text = b"\xff ghp_9876543210zyxwvutsrq \xfe";
    assert_eq!(*Redactor::new(&rules).redact(text), *b"\xff [redacted] \xfe");
}

#[test]
fn a_private_key_goes_line_by_line_and_what_is_behind_it_stays() {
    for (end, kept) in [("-----END RSA PRIVATE KEY-----", ""), ("", "- torn -\n")] {
        let rules = rules();
        let mut redactor = Redactor::new(&rules);
        let text = format!(
            "it is\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB/x+=\n{end}{kept}\nthe end"
        );
        let clean: Vec<u8> = text
            .split_inclusive('\n')
            .flat_map(|line| redactor.redact(line.as_bytes()).into_owned())
            .collect();
        let clean = String::from_utf8(clean).unwrap();
        for secret in ["MIIB", "ENCRYPTED"] {
            assert!(!clean.contains(secret), "{clean}");
        }
        assert!(clean.starts_with("it is\n[redacted]"), "{clean}");
        assert!(clean.ends_with("\nthe end") && clean.contains(kept), "{clean}");
    }
}

#[test]
fn the_values_of_tables_of_headers_and_variables_go_wherever_they_are_written() {
    for (text, expected) in [
        // As a session and its events have them.
        (
            r#"{"config":{"mcp_servers.x.http_headers.\"X-Auth\"":"\"v1\"","model":"m"}}"#,
            r#"{"config":{"mcp_servers.x.http_headers.\"X-Auth\"":"[redacted]","model":"m"}}"#,
        ),
        (
            r#"{"mcp_servers":{"x":{"http_headers":{"X-A":"v","Y":["w",1]},"url":"u"}},"z":"z"}"#,
            r#"{"mcp_servers":{"x":{"http_headers":{"X-A":"[redacted]","Y":["[redacted]",1]},"url":"u"}},"z":"z"}"#,
        ),
        (
            r#"{"mcp_servers":{"x":{"env":{"PIN":"v"},"env_http_headers":{"X":"NAME"}}},"env":{"A":"b"}}"#,
            r#"{"mcp_servers":{"x":{"env":{"PIN":"[redacted]"},"env_http_headers":{"X":"NAME"}}},"env":{"A":"b"}}"#,
        ),
        (
            r#"{"codexOptions":{"environment":{"PIN":"v"},"profile":"p"},"environment":{"A":"b"}}"#,
            r#"{"codexOptions":{"environment":{"PIN":"[redacted]"},"profile":"p"},"environment":{"A":"b"}}"#,
        ),
        (
            r#"[{"before":"\"v\"","key":"mcp_servers.x.http_headers.X-A","now":"w"},{"key":"model","now":"m"}]"#,
            r#"[{"before":"[redacted]","key":"mcp_servers.x.http_headers.X-A","now":"[redacted]"},{"key":"model","now":"m"}]"#,
        ),
        (
            r#"{"key":"mcp_servers","valueJson":"{\"x\":{\"http_headers\":{\"X-A\":\"v\"},\"env\":{\"P\":\"w\"}}}"}"#,
            r#"{"key":"mcp_servers","valueJson":"{\"x\":{\"http_headers\":{\"X-A\":\"[redacted]\"},\"env\":{\"P\":\"[redacted]\"}}}"}"#,
        ),
        // As an agent's arguments have them.
        (
            r#"["-c","mcp_servers.x.http_headers.X-Auth=\"a \\\"b\\\" c\"","-c","model=\"m\""]"#,
            r#"["-c","mcp_servers.x.http_headers.X-Auth=\"[redacted]\"","-c","model=\"m\""]"#,
        ),
        (
            "http_headers.\"X-A\" = 'it is' shell_environment_policy.set.A=plain words",
            "http_headers.\"X-A\" = '[redacted]' shell_environment_policy.set.A=[redacted]",
        ),
        (
            "mcp_servers.x={url=\"u\", http_headers={X-A=\"a}b\"}, env={P='w'}} model=m",
            "mcp_servers.x={url=\"u\", http_headers={[redacted]}, env={[redacted]}} model=m",
        ),
        (
            r#"otel.exporter.otlp-http.headers.x-token="v" mcp_servers.x.env_http_headers.X="NAME""#,
            r#"otel.exporter.otlp-http.headers.x-token="[redacted]" mcp_servers.x.env_http_headers.X="NAME""#,
        ),
        (
            r#"["shell_environment_policy.set.SWITCHBOARD_SESSION=\"3f9a\"","env = { A: 1 }"]"#,
            r#"["shell_environment_policy.set.SWITCHBOARD_SESSION=\"3f9a\"","env = { A: 1 }"]"#,
        ),
    ] {
        assert_eq!(redacted(text), expected);
    }
    // As a file of TOML has them.
    let rules = rules();
    let mut redactor = Redactor::new(&rules);
    let text = "[config.mcp_servers.x.http_headers]\nX-A = \"v\"\n\n[config]\nmodel = \"m\"\n";
    let clean: Vec<u8> = text
        .split_inclusive('\n')
        .flat_map(|line| redactor.redact(line.as_bytes()).into_owned())
        .collect();
    assert_eq!(String::from_utf8(clean).unwrap(), text.replace("\"v\"", "\"[redacted]\""));
}

#[test]
fn what_is_no_expression_is_refused_with_its_text() {
    let refused = Rules::new(["("]).unwrap_err().to_string();
    assert!(refused.starts_with("\"(\" is no regular expression"), "{refused}");
}

#[test]
fn each_rule_counts_what_it_left_out() {
    let rules = rules();
    let mut redactor = Redactor::new(&rules);
    redactor.redact(format!("{KEY} {KEY} project-x").as_bytes());
    redactor.redact(br#"{"password":"x"}"#);
    let counts: Vec<_> =
        redactor.counts().iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(counts, [("custom-1", 1), ("sk", 2), ("value-of-a-name", 1)]);
    assert_eq!(redactor.count(), 4);
}

/// Any JSON, with a secret in some of its strings.
fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<String>().prop_map(|text| Value::from(format!("{text} {KEY} \"\\{text}"))),
    ];
    let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), text];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_breaks_and_no_key_stays(value in json()) {
        static RULES: std::sync::LazyLock<Rules> = std::sync::LazyLock::new(rules);
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let clean = Redactor::new(&RULES).redact(text.as_bytes()).into_owned();
            let parsed: Value = serde_json::from_slice(&clean).unwrap();
            prop_assert_eq!(parsed.is_object(), value.is_object());
            prop_assert!(!String::from_utf8(clean).unwrap().contains(KEY));
        }
    }
}
