//! Event patterns of EventBridge. "Facts" are those of EventBridge.

use patterns::{Event, EventPattern};

fn matches(pattern: &str, event: &str) -> bool {
    let pattern = EventPattern::parse(pattern).unwrap_or_else(|fault| panic!("{pattern}: {fault}"));
    pattern.matches(&Event::from_json(event))
}

/// Facts, § 15: the answers of AWS's TestEventPattern.
#[test]
fn the_recorded_truth_table_holds() {
    for (leaf, event, result) in [
        ("[null]", r#"{"a": null}"#, true),
        ("[null]", r#"{"a": []}"#, false),
        ("[null]", r#"{"a": "null"}"#, false),
        ("[null]", "{}", false),
        (r#"[""]"#, r#"{"a": ""}"#, true),
        ("[300]", r#"{"a": 300.0}"#, true),
        ("[300.0]", r#"{"a": 300}"#, true),
        ("[300]", r#"{"a": 3.0e2}"#, true),
        (r#"[{"numeric": [">", 100]}]"#, r#"{"a": 101.0}"#, true),
        (r#"[{"numeric": [">", 100]}]"#, r#"{"a": "300"}"#, false),
        (r#"[{"numeric": [">", 100]}]"#, r#"{"a": null}"#, false),
        ("[false]", r#"{"a": true}"#, false),
        (r#"[{"anything-but": {"prefix": "x"}}]"#, r#"{"a": 12}"#, true),
        (r#"[{"anything-but": {"wildcard": "*x"}}]"#, r#"{"a": 123}"#, true),
        (r#"[{"anything-but": {"wildcard": ""}}]"#, r#"{"a": "x"}"#, true),
        (r#"[{"exists": true}]"#, r#"{"a": []}"#, false),
        (r#"[{"exists": true}]"#, r#"{"a": {"b": 1}}"#, false),
        (r#"[{"exists": true}]"#, "{}", false),
        (r#"[{"exists": false}]"#, r#"{"a": {"b": 1}}"#, true),
        (r#"[{"equals-ignore-case": "x"}]"#, r#"{"a": ["w", "X"]}"#, true),
        (r#"[{"equals-ignore-case": ""}]"#, r#"{"a": ""}"#, true),
        (r#"[{"equals-ignore-case": ""}]"#, r#"{"a": "test"}"#, false),
        (r#"[{"prefix": ""}]"#, r#"{"a": "x"}"#, true),
        (r#"[{"suffix": ""}]"#, r#"{"a": "x"}"#, true),
        (r#"[{"prefix": {"equals-ignore-case": "eu"}}]"#, r#"{"a": "EU-west"}"#, true),
        (r#"[{"suffix": {"equals-ignore-case": ".PNG"}}]"#, r#"{"a": "x.png"}"#, true),
        (r#"[{"wildcard": ""}]"#, r#"{"a": "x"}"#, false),
        (r#"[{"wildcard": "/Users/*/doc.txt"}]"#, r#"{"a": "/Users/x/y/doc.txt"}"#, true),
        (r#"[{"cidr": "10.0.0.0/24"}]"#, r#"{"a": "10.0.0.255"}"#, true),
        (r#"[{"cidr": "10.0.0.0/24"}]"#, r#"{"a": "10.0.0.256"}"#, false),
        (r#"[{"cidr": "10.0.0.0/24"}]"#, r#"{"a": 10}"#, false),
        (r#"[{"cidr": "2001:0db8:0:0:0:0:0:0/64"}]"#, r#"{"a": "2001:db8::1"}"#, true),
    ] {
        let pattern = format!(r#"{{"a": {leaf}}}"#);
        assert_eq!(matches(&pattern, event), result, "{leaf} {event}");
    }
    for but in [
        r#""x""#,
        r#"["x", "y"]"#,
        "1",
        r#"{"prefix": "x"}"#,
        r#"{"suffix": "x"}"#,
        r#"{"suffix": ["x", "y"]}"#,
        r#"{"wildcard": "x*"}"#,
        r#"{"equals-ignore-case": "x"}"#,
    ] {
        let pattern = format!(r#"{{"a": [{{"anything-but": {but}}}]}}"#);
        assert!(!matches(&pattern, "{}"), "{but}");
        assert!(matches(&pattern, r#"{"a": null}"#), "{but}");
    }
    for (pattern, event, result) in [
        (r#"{"detail": {"state": {"status": ["x"]}}}"#, r#"{"detail": {"state.status": "x"}}"#, true),
        (r#"{"state.status": ["x"]}"#, r#"{"state": {"status": "x"}}"#, true),
        (r#"{"state.status": ["x"]}"#, r#"{"state.status": {"status": "x"}}"#, false),
        (r#"{"state.status": {"status": ["x"]}}"#, r#"{"state": {"status": "x"}}"#, false),
        (r#"{"a": {"b": [{"exists": true}]}}"#, r#"{"a": [{"c": 1}, {"b": 1}]}"#, true),
        (r#"{"a": {"b": {"c": [{"exists": false}]}}}"#, r#"{"x": 1}"#, true),
        (r#"{"Detail": ["x"]}"#, r#"{"detail": "x"}"#, false),
        (r#"{"detail": {"a": ["x"]}}"#, r#"{"detail": "{\"a\": \"x\"}"}"#, false),
    ] {
        assert_eq!(matches(pattern, event), result, "{pattern} {event}");
    }
}

/// Facts, § 4: conditions on one array hold in one of its elements.
#[test]
fn elements_of_an_array_are_not_mixed() {
    let pattern = r#"{"emp": {"first": ["Ann"], "last": ["Lee"], "role": [{"exists": false}]}}"#;
    for (event, result) in [
        (r#"{"emp": [{"first": "Ann", "last": "Lee"}]}"#, true),
        (r#"{"emp": [{"first": "Ann", "last": "Ray"}, {"first": "Bob", "last": "Lee"}]}"#, false),
        (r#"{"emp": [{"first": "Ann", "last": "Lee", "role": 1}]}"#, false),
        // The element without a role matches, whether or not another element has one.
        (r#"{"emp": [{"role": 1}, {"first": "Ann", "last": "Lee"}]}"#, true),
        (r#"{"emp": [[{"first": "Ann"}, {"last": "Lee"}], {"first": "Ann", "last": "Lee"}]}"#, true),
        (r#"{"emp": [[{"first": "Ann"}, {"last": "Lee"}]]}"#, false),
        // Values in different arrays do not exclude each other.
        (r#"{"emp": [{"first": ["Bob", "Ann"], "last": ["Lee", "Ray"]}]}"#, true),
    ] {
        assert_eq!(matches(pattern, event), result, "{event}");
    }
}

/// Facts, § 4.
#[test]
fn refusals_say_what_aws_says() {
    for (pattern, reason, column) in [
        (r#"{"x":"y"}"#, "\"x\" must be an object or an array", 7),
        (r#"{"x":[]}"#, "Empty arrays are not allowed", 8),
        (r#""x""#, "Filter is not an object", 2),
        // Jackson passes the blank behind a number that stands alone.
        ("0", "Filter is not an object", 2),
        ("0 ", "Filter is not an object", 3),
        ("0\r", "Filter is not an object", 2),
        (r#"{"x":[{"EXISTS":true}]}"#, "Unrecognized match type EXISTS", 21),
        (r#"{"x":[{"prefix":1}]}"#, "prefix match pattern must be a string", 18),
        (r#"{"x":[{"suffix":1}]}"#, "suffix match pattern must be a string", 18),
        (r#"{"x":[{"wildcard":1}]}"#, "wildcard match pattern must be a string", 20),
        (r#"{"x":[{"equals-ignore-case":["y"]}]}"#, "equals-ignore-case match pattern must be a string", 30),
        (r#"{"x":[{"anything-but":{"prefix":1}}]}"#, "prefix/suffix match pattern must be a string", 34),
        (r#"{"x":[{"anything-but":{"suffix":""}}]}"#, "Null prefix/suffix not allowed", 35),
        (
            r#"{"x":[{"anything-but":null}]}"#,
            "Value of anything-but must be an array or single string/number value.",
            27,
        ),
        (
            r#"{"x":[{"anything-but":{"equals-ignore-case":1}}]}"#,
            "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
            46,
        ),
        (r#"{"x":[{"numeric":1}]}"#, "Value of numeric must be an array.", 19),
        (r#"{"x":[{"numeric":[">",1,">",2]}]}"#, "Bad numeric range operator: >", 28),
        (r#"{"x":[{"numeric":["<","1"]}]}"#, "Value of < must be numeric", 24),
        (r#"{"x":[{"wildcard":"a**"}]}"#, "Consecutive wildcard characters at pos 2", 24),
    ] {
        let expected = format!("{reason}\n at [Source: (String)\"{pattern}\"; line: 1, column: {column}]");
        assert_eq!(EventPattern::parse(pattern).unwrap_err().reason(), expected);
    }
    for (pattern, text) in [
        (r#"{"x":[{"cidr":"10.0.0.0"}]}"#, "Malformed CIDR, one '/' required"),
        (r#"{"x":[{"cidr":"10.0.0.0/x"}]}"#, "Malformed CIDR, mask bits must be an integer"),
        (r#"{"x":[{"cidr":"y/8"}]}"#, "Nonstandard IP address: y"),
    ] {
        assert_eq!(EventPattern::parse(pattern).unwrap_err().reason(), text);
    }
}

#[test]
fn a_long_pattern_is_quoted_in_part() {
    let pattern = format!(r#"{{"x":["{}",[]]}}"#, "y".repeat(600));
    let reason = EventPattern::parse(&pattern).unwrap_err().to_string();
    assert!(reason.ends_with("[truncated 113 chars]; line: 1, column: 611]"), "{reason}");
}

#[test]
fn alternatives_multiply_to_a_thousand_at_most() {
    let or = |name: &str| format!(r#""{name}":{{"$or":[{{"a":[1]}},{{"b":[2]}}]}}"#);
    let of = |count: usize| {
        let parts: Vec<String> = (0..count).map(|number| or(&format!("n{number}"))).collect();
        format!("{{{}}}", parts.join(","))
    };
    assert!(EventPattern::parse(&of(9)).is_ok());
    // Ten would be 1,024. Forty must not fill the memory either.
    assert!(EventPattern::parse(&of(10)).is_err());
    assert!(EventPattern::parse(&of(40)).is_err());
}

#[test]
fn a_path_given_twice_counts_as_given_last() {
    let pattern = r#"{"a": {"b": ["x"]}, "a.b": ["y"]}"#;
    assert!(matches(pattern, r#"{"a": {"b": "y"}}"#));
    assert!(!matches(pattern, r#"{"a": {"b": "x"}}"#));
}

/// Names that are repeated in one object multiply the choices; see `STEPS`.
#[test]
fn an_event_made_to_multiply_choices_is_answered() {
    let array = |name: &str, value: usize| {
        let elements: Vec<String> =
            (0..600).map(|number| format!(r#"{{"{name}":1,"z{number}":{value}}}"#)).collect();
        format!(r#""a":[{},{{"z":1}}]"#, elements.join(","))
    };
    let event = format!("{{{},{},{}}}", array("p", 1), array("q", 2), array("r", 3));
    assert!(matches(r#"{"a": {"p": [1], "q": [1], "r": [1]}}"#, &event));
    assert!(!matches(r#"{"a": {"p": [1], "q": [1], "r": [1], "z": [2]}}"#, &event));
    let _ = matches(
        r#"{"a": {"p": [1], "q": [1], "r": [1], "z": [1], "z5": [1], "z6": [2], "z7": [4]}}"#,
        &event,
    );
}
