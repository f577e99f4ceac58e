use proptest::prelude::*;

use super::*;

/// Parses text that is valid.
fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// Checks what is said of a text that is refused.
fn check_refused(text: &str, expected: &str) {
    assert_eq!(Json::parse(text).unwrap_err().to_string(), expected, "{text:?}");
}

/// Checks that a text is written as it was.
fn check_kept(text: &str) {
    assert_eq!(json(text).to_string(), text);
}

#[test]
fn what_was_written_compact_is_written_again() {
    for text in [
        "null",
        "true",
        "false",
        "\"\"",
        "[]",
        "{}",
        r#"{"b":1,"a":[null,{"":-0.50e+07}],"c":{"d":"e"}}"#,
        "123456789012345678901234567890.10",
        "1E400",
        r#""\"\\\b\f\n\r\t\u0000\u001f/""#,
        "\"\u{7f}\u{2028}é🦀\"",
    ] {
        check_kept(text);
    }
    assert_eq!(json(" [ 1 ,\r\n\t{ \"a\" : 2 } ] ").to_string(), r#"[1,{"a":2}]"#);
    assert_eq!(json(r#""\u0041\/\ud83e\udd80\u00E9""#).as_str(), Some("A/🦀é"));
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for (text, expected) in [
        ("", "not valid JSON: line 1, column 1: expected a value, found the end"),
        ("\u{feff}1", "not valid JSON: line 1, column 1: expected a value, found '\u{feff}'"),
        ("nul", "not valid JSON: line 1, column 1: expected a value, found 'n'"),
        ("[1,]", "not valid JSON: line 1, column 4: expected a value, found ']'"),
        ("[1\n,é2]", "not valid JSON: line 2, column 2: expected a value, found 'é'"),
        ("[1 2]", "not valid JSON: line 1, column 4: expected ',' or ']', found '2'"),
        ("{\"a\":1,}", "not valid JSON: line 1, column 8: expected a key in quotes, found '}'"),
        ("{a:1}", "not valid JSON: line 1, column 2: expected a key in quotes, found 'a'"),
        ("{\"a\" 1}", "not valid JSON: line 1, column 6: expected ':', found '1'"),
        ("{\"a\":1", "not valid JSON: line 1, column 7: expected ',' or '}', found the end"),
        (
            "1 2",
            "not valid JSON: line 1, column 3: expected the end, because the value is complete, found '2'",
        ),
        ("-", "not valid JSON: line 1, column 2: expected a digit, found the end"),
        (
            "-01",
            "not valid JSON: line 1, column 3: expected no digit after a leading zero, found '1'",
        ),
        (
            "1.e5",
            "not valid JSON: line 1, column 3: expected a digit after the decimal point, found 'e'",
        ),
        (
            "1e+",
            "not valid JSON: line 1, column 4: expected a digit of the exponent, found the end",
        ),
        ("+1", "not valid JSON: line 1, column 1: expected a value, found '+'"),
        ("NaN", "not valid JSON: line 1, column 1: expected a value, found 'N'"),
        (
            "\"é\u{0}\"",
            "not valid JSON: line 1, column 3: expected an escape (such as \\n), not the character itself, found the character U+0000",
        ),
        (
            "\"abc",
            "not valid JSON: line 1, column 5: expected '\"' at the end of the string, found the end",
        ),
        (
            r#""\x41""#,
            "not valid JSON: line 1, column 3: expected one of \"\\/bfnrtu after the backslash, found 'x'",
        ),
        (
            "\"\\u00é1\"",
            "not valid JSON: line 1, column 6: expected four hexadecimal digits after \\u, found 'é'",
        ),
    ] {
        check_refused(text, expected);
    }
}

#[test]
fn half_of_a_surrogate_pair_is_refused() {
    for text in [r#""\ud800""#, r#""\udc00 ""#, r#""\ud800\u0041""#, r#""\ud800\ud800""#] {
        let at = Position { line: 1, column: 2 };
        assert_eq!(Json::parse(text), Err(Error::LoneSurrogate { at }), "{text}");
    }
    assert!(Json::parse(r#"{"\udfff":1}"#).is_err());
}

#[test]
fn a_key_that_is_twice_in_an_object_is_refused() {
    check_refused(
        r#"{"a":1,"\u0061":1}"#,
        "the key \"a\" is twice in the outermost object: each may be there once",
    );
    check_refused(
        r#"{"x/y":[0,{"k":{"":0,"":0}}]}"#,
        "the key \"\" is twice in the object at /x~1y/1/k: each may be there once",
    );
    let many: Vec<String> = (0..1000).map(|n| format!("\"k{}\":0", n % 999)).collect();
    check_refused(
        &format!("{{{}}}", many.join(",")),
        "the key \"k0\" is twice in the outermost object: each may be there once",
    );
    let long = "k".repeat(100_000);
    let error = Json::parse(&format!("{{\"{long}\":{{\"{long}\":0,\"{long}\":0}}}}")).unwrap_err();
    assert!(error.to_string().len() < 300);
    assert!(Json::parse(r#"[{"a":1},{"a":1},{"b":{"a":1},"a":1}]"#).is_ok());
}

#[test]
fn nesting_is_bounded() {
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    for nested in [&arrays as &dyn Fn(usize) -> String, &objects] {
        assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
        assert!(Json::parse(&nested(MAX_DEPTH + 1)).is_err());
        assert!(Json::parse_within(&nested(1), 0).is_err());
        assert!(Json::parse_within("1", 0).is_ok());
        assert!(Json::parse_within(&nested(DEEPEST), usize::MAX).is_ok());
        assert!(Json::parse_within(&nested(DEEPEST + 1), usize::MAX).is_err());
        assert!(Json::parse_within(&nested(1_000_000), usize::MAX).is_err());
    }
    check_refused(
        &arrays(65),
        "nested too deep: line 1, column 65: at most 64 arrays and objects may be in each other",
    );
}

#[test]
fn the_number_of_values_is_bounded() {
    let array = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    assert!(Json::parse(&array((1 << 20) - 1)).is_ok());
    check_refused(
        &array(1 << 20),
        "too many values: line 1, column 2097152: at most 1048576 may be in one text",
    );
}

#[test]
fn numbers_are_equal_by_their_value_whatever_their_size() {
    let same = [
        ["1", "1.0"],
        ["1", "10e-1"],
        ["1", "1e0"],
        ["1", "0.1E+1"],
        ["-0", "0"],
        ["0e99999999999999999999999999999999999999", "-0.000"],
        ["1e400", "10e399"],
        ["1e99999999999999999999", "10e99999999999999999998"],
        [
            "1e100000000000000000000000000000000000000000",
            "10e99999999999999999999999999999999999999999",
        ],
        [
            "0.1e-99999999999999999999999999999999999999999",
            "1e-100000000000000000000000000000000000000000",
        ],
        [
            "1e-100000000000000000000000000000000000000000",
            "10e-100000000000000000000000000000000000000001",
        ],
        ["1e0000000000000000000000000000000000000000000000000000002", "100"],
        ["1200", "12e2"],
        ["0.0012", "12e-4"],
    ];
    for [a, b] in same {
        assert_eq!(json(a), json(b));
    }
    let different = [
        ["9007199254740993", "9007199254740992"],
        ["1", "-1"],
        ["1", "10"],
        ["0.1", "0.10000000000000000001"],
        ["1e400", "1e401"],
        ["1e400", "1e-400"],
        ["1e99999999999999999999", "1e99999999999999999998"],
        [
            "1e100000000000000000000000000000000000000000",
            "1e-100000000000000000000000000000000000000000",
        ],
        [
            "1e100000000000000000000000000000000000000000",
            "1e100000000000000000000000000000000000000001",
        ],
        ["1e-340282366920938463463374607431768211456", "1"],
    ];
    for [a, b] in different {
        assert_ne!(json(a), json(b));
    }
}

#[test]
fn numbers_that_not_every_program_can_read_are_said_with_their_place() {
    let digits = |count: usize| "9".repeat(count);
    for text in ["[1,-0.5e-999]", "1e308", &digits(308), &format!("0.{}", digits(998))] {
        json(text).check_numbers().unwrap();
    }
    let check = |text: &str, place: &str| {
        let told = json(text).check_numbers().unwrap_err().to_string();
        let expected = format!(
            "{place} is a number that not every program can read: it may have up to 1000 characters, and be up to 1.7976931348623157e308"
        );
        assert_eq!(told, expected, "{text:.80}");
    };
    check("1e999", "the value");
    check(r#"{"a/b":[0,{"c":-2e308}]}"#, "the value at /a~1b/1/c");
    check(&format!("[{}]", digits(5_000)), "the value at /0");
    check(&format!("[0.{}]", digits(999)), "the value at /0");
}

#[test]
fn integers_are_had_by_value_if_they_fit() {
    let cases = [
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("1.0", Some(1)),
        ("-1200e-2", Some(-12)),
        ("1e3", Some(1000)),
        ("0e999999999999999999999999999999999999999", Some(0)),
        ("1e999999999999999999999999999999999999999", None),
        ("1e-1", None),
        ("1e400", None),
    ];
    for (text, expected) in cases {
        assert_eq!(json(text).as_number().unwrap().as_i64(), expected, "{text}");
    }
    assert_eq!(Number::from(u64::MAX).as_u64(), Some(u64::MAX));
    assert_eq!(Number::parse("1 "), None);
    assert_eq!(Number::parse(""), None);
}

#[test]
fn objects_are_equal_in_any_order_and_arrays_in_one() {
    assert_eq!(json(r#"{"a":1,"b":[{"c":2,"d":3}]}"#), json(r#"{"b":[{"d":3.0,"c":2}],"a":1}"#));
    assert_ne!(json("[1,2]"), json("[2,1]"));
    assert_ne!(json(r#"{"a":1}"#), json(r#"{"a":1,"b":1}"#));
    assert_ne!(json(r#"{"a":1,"c":1}"#), json(r#"{"a":1,"b":1}"#));
    assert_ne!(json(r#"{"a":null}"#), json("{}"));
    assert_ne!(json("1"), json("\"1\""));
    assert_ne!(json("null"), json("false"));
}

#[test]
fn values_are_built_and_read() {
    let built = Json::object([
        ("a", true.into()),
        ("b", "text".into()),
        ("c", vec![1_u64.into(), (-1_i64).into(), Json::from(None::<u32>)].into()),
    ]);
    assert_eq!(built.to_string(), r#"{"a":true,"b":"text","c":[1,-1,null]}"#);
    assert_eq!(built.get("a").and_then(Json::as_bool), Some(true));
    assert_eq!(built.get("c").and_then(Json::as_array).map(<[Json]>::len), Some(3));
    assert!(built.get("d").is_none() && Json::Null.get("a").is_none());
}

#[test]
fn time_grows_with_the_length_only() {
    // Each would take hours where the work grew with the square of the length.
    let million = 1_000_000;
    let keys: Vec<String> = (0..million).map(|n| format!("\"{n}\":0")).collect();
    let reversed: Vec<String> = keys.iter().rev().cloned().collect();
    let keys = json(&format!("{{{}}}", keys.join(",")));
    assert_eq!(keys, json(&format!("{{{}}}", reversed.join(","))));
    json(&format!("\"{}\"", "\\n".repeat(million)));
    let digits = "9".repeat(million);
    assert_eq!(json(&format!("{digits}e{digits}")), json(&format!("{digits}.0e+{digits}")));
    assert!(Json::parse(&format!("[{}", "\"\",\n".repeat(million))).is_err());
}

/// Any value with distinct keys.
fn any_json() -> impl Strategy<Value = Json> {
    let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?";
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number.prop_map(|text| Json::Number(Number::parse(&text).unwrap())),
        any::<String>().prop_map(Json::String),
        "[\\x00-\\x1f\"\\\\a]{0,8}".prop_map(Json::String),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        let key = prop_oneof!["[a-c]{0,2}", any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            prop::collection::btree_map(key, inner, 0..12).prop_map(Json::object),
        ]
    })
}

/// Whether serde_json takes the text; it takes what we refuse beyond the grammar.
fn serde_takes(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in any_json()) {
        let text = value.to_string();
        let again = Json::parse(&text).unwrap();
        prop_assert_eq!(&again, &value);
        prop_assert_eq!(again.to_string(), text.clone());
        prop_assert!(serde_takes(&text));
    }

    #[test]
    fn strings_are_written_as_others_write_them(text in any::<String>()) {
        prop_assert_eq!(Json::from(text.as_str()).to_string(), serde_json::to_string(&text).unwrap());
        prop_assert_eq!(json(&serde_json::to_string(&text).unwrap()), Json::from(text));
    }

    #[test]
    fn what_is_json_is_agreed_on(value in any_json(), edits in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\0-9eE.+tfnulD8 -]?"), 0..4)) {
        let mut text: Vec<char> = value.to_string().chars().collect();
        for (index, edit) in edits {
            let at = index.index(text.len() + 1);
            match edit.chars().next() {
                Some(c) => text.insert(at, c),
                None if at < text.len() => { text.remove(at); }
                None => {}
            }
        }
        let text: String = text.into_iter().collect();
        match Json::parse(&text) {
            Ok(_) | Err(Error::DuplicateKey { .. } | Error::LoneSurrogate { .. }) => {}
            Err(error @ Error::UnreadableNumber { .. }) => prop_assert!(false, "{}", error),
            Err(error @ (Error::Syntax { .. } | Error::TooDeep { .. } | Error::TooMany { .. })) => {
                prop_assert!(!serde_takes(&text), "{}: {}", error, text);
            }
        }
        if !serde_takes(&text) {
            prop_assert!(Json::parse(&text).is_err(), "{}", text);
        }
    }

    #[test]
    fn numbers_within_128_bits_are_equal_as_integers_are(a in -2000_i128..2000, b in -2000_i128..2000, zeros in 0_usize..4) {
        let (left, right) = (json(&format!("{a}.{}", "0".repeat(zeros + 1))), json(&format!("{b}")));
        prop_assert_eq!(left == right, a == b);
        // A number has no zeros before others.
        let zeros = if a == 0 { 0 } else { zeros };
        let scaled = json(&format!("{a}{}e-{zeros}", "0".repeat(zeros)));
        prop_assert_eq!(scaled == right, a == b);
    }
}
