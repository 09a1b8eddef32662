//! Filter policies of SNS. "Facts" are those of SNS, § 11.

use patterns::{Event, FilterPolicy, Scope};

fn body(policy: &str, message: &str) -> bool {
    let policy =
        FilterPolicy::parse(policy, Scope::MessageBody).unwrap_or_else(|fault| panic!("{policy}: {fault}"));
    policy.matches(&Event::from_json(message))
}

fn attributes(policy: &str, attributes: &[(&str, &str, &str)]) -> bool {
    let policy = FilterPolicy::parse(policy, Scope::MessageAttributes)
        .unwrap_or_else(|fault| panic!("{policy}: {fault}"));
    policy.matches(&Event::from_attributes(attributes.iter().copied()))
}

/// Returns the text after `Invalid parameter: ` when the policy is set.
fn refusal(policy: &str, scope: Scope) -> String {
    match FilterPolicy::parse(policy, scope) {
        Ok(_) => panic!("{policy} is accepted"),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn attributes_match_by_their_types() {
    const STRING: &str = "String";
    for (policy, name, data_type, value, matches) in [
        // Facts: strings and numbers are different; numbers are compared as numbers.
        (r#"{"a": ["100"]}"#, "a", STRING, "100", true),
        (r#"{"a": [100]}"#, "a", STRING, "100", false),
        (r#"{"a": [{"numeric": ["=", 100]}]}"#, "a", STRING, "100", false),
        (r#"{"a": [100]}"#, "a", "Number", "100.0", true),
        (r#"{"a": ["100"]}"#, "a", "Number", "100", false),
        (r#"{"a": [{"numeric": [">", 0, "<=", 100]}]}"#, "a", "Number", "99", true),
        (r#"{"a": [{"numeric": [">", 0, "<=", 100]}]}"#, "a", "Number", "100.5", false),
        (r#"{"a": [{"numeric": ["<", 0]}]}"#, "a", "Number", "-1e3", true),
        // Facts: comparison is case-sensitive.
        (r#"{"a": ["Rugby"]}"#, "a", STRING, "rugby", false),
        (r#"{"a": [{"equals-ignore-case": "Rugby"}]}"#, "a", STRING, "rugby", true),
        (r#"{"a": [{"prefix": "ru"}]}"#, "a", STRING, "rugby", true),
        (r#"{"a": [{"suffix": "by"}]}"#, "a", STRING, "rugby", true),
        (r#"{"a": [{"wildcard": "r*b*"}]}"#, "a", STRING, "rugby", true),
        (r#"{"a": [{"anything-but": ["rugby", "tennis"]}]}"#, "a", STRING, "rugby", false),
        (r#"{"a": [{"anything-but": ["rugby", "tennis"]}]}"#, "a", STRING, "golf", true),
        (r#"{"a": [{"anything-but": {"prefix": "ru"}}]}"#, "a", STRING, "rugby", false),
        (r#"{"a": [{"anything-but": "x"}]}"#, "b", STRING, "y", false),
        (r#"{"a": [{"exists": true}]}"#, "a", "Number", "1", true),
        (r#"{"a": [{"exists": false}]}"#, "b", STRING, "x", true),
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, "a", STRING, "10.0.0.255", true),
        (r#"{"a": [{"cidr": "10.0.0.0/24"}]}"#, "a", STRING, "10.0.1.0", false),
        (r#"{"a": ["10.0.0.1"]}"#, "a", STRING, "10.0.0.1", true),
        // Facts: any element of an array matches; anything-but needs one that is not listed.
        (r#"{"a": ["x"]}"#, "a", "String.Array", r#"["w", "x"]"#, true),
        (r#"{"a": [3, null, true]}"#, "a", "String.Array", "[false, 3.0]", true),
        (r#"{"a": [{"anything-but": ["x"]}]}"#, "a", "String.Array", r#"["x", "y"]"#, true),
        (r#"{"a": [{"anything-but": ["x"]}]}"#, "a", "String.Array", r#"["x"]"#, false),
        (r#"{"a": [{"exists": true}]}"#, "a", "String.Array", "[]", false),
        // Facts, § 15: text that the policy escapes twice is escaped once in the stored text.
        (r#"{"a": ["say \"hi\" \\ bye"]}"#, "a", STRING, r#"say "hi" \ bye"#, true),
        // Facts: binary attributes are ignored; custom types count as the types that they extend.
        (r#"{"a": [{"exists": true}]}"#, "a", "Binary", "", false),
        (r#"{"a": [7]}"#, "a", "Number.int", "7", true),
        (r#"{"a": ["7"]}"#, "a", "String.label", "7", true),
        (r#"{"a.b": ["x"]}"#, "a.b", STRING, "x", true),
    ] {
        assert_eq!(
            attributes(policy, &[(name, data_type, value)]),
            matches,
            "{policy} {name} {data_type} {value}"
        );
    }
}

#[test]
fn an_array_that_is_none_matches_nothing() {
    for array in ["x", "[1", r#"{"a": 1}"#, "[[1]]", r#"[{"a": 1}]"#, "[1] 2"] {
        let event = [("a", "String", "x"), ("b", "String.Array", array)];
        assert!(!attributes(r#"{"a": ["x"]}"#, &event), "{array}");
        assert!(Event::from_attributes(event).is_unmatchable(), "{array}");
    }
}

#[test]
fn bodies_match_by_their_properties() {
    for (policy, message, matches) in [
        (r#"{"a": ["x"], "b": [1]}"#, r#"{"a": "x", "b": 1.0, "c": 0}"#, true),
        (r#"{"a": ["x"], "b": [1]}"#, r#"{"a": "x"}"#, false),
        (r#"{"o": {"k": [{"prefix": "auto-"}]}}"#, r#"{"o": {"k": "auto-test"}}"#, true),
        // Facts: a dotted name is a nested path, both ways.
        (r#"{"object": {"nested": ["x"]}}"#, r#"{"object.nested": "x"}"#, true),
        (r#"{"object.nested": ["x"]}"#, r#"{"object": {"nested": "x"}}"#, true),
        // Facts: arrays of objects are searched, nested arrays too.
        (r#"{"a": {"b": ["x"]}}"#, r#"{"a": [{"b": "w"}, [{"b": "x"}]]}"#, true),
        (r#"{"a": {"b": ["x"], "c": ["y"]}}"#, r#"{"a": [{"b": "x"}, {"c": "y"}]}"#, false),
        (r#"{"a": {"b": ["x"], "c": ["y"]}}"#, r#"{"a": [{"b": "w"}, {"b": "x", "c": "y"}]}"#, true),
        (r#"{"a": ["x"]}"#, r#"{"a": [["w", ["x"]]]}"#, true),
        (r#"{"a": [null]}"#, r#"{"a": null}"#, true),
        (r#"{"a": [null]}"#, r#"{"a": []}"#, false),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": []}"#, true),
        // Facts: exists applies to leaves.
        (r#"{"a": [{"exists": true}]}"#, r#"{"a": {"b": 1}}"#, false),
        (r#"{"a": ["\u0078y"]}"#, "{\"a\": \"x\\u0079\"}", true),
        // Facts: a body that is not a JSON object never matches.
        (r#"{"a": [{"exists": false}]}"#, "not json", false),
        (r#"{"a": [{"exists": false}]}"#, r#"["a"]"#, false),
        (r#"{"a": [{"exists": false}]}"#, r#""a""#, false),
        (r#"{"a": [{"exists": false}]}"#, r#"{"b": 1"#, false),
        (r#"{"a": [{"exists": false}]}"#, r#"{"b": 1} {}"#, false),
        (r#"{"$or": [{"a": [1]}, {"b": [2]}], "c": [3]}"#, r#"{"b": 2, "c": 3}"#, true),
        (r#"{"$or": [{"a": [1]}, {"b": [2]}], "c": [3]}"#, r#"{"b": 2}"#, false),
        (r#"{"o": {"$or": [{"a": [1]}, {"b": [2]}]}}"#, r#"{"o": {"b": 2}}"#, true),
        // AWS's documentation: a malformed `$or` is an ordinary name.
        (r#"{"$or": ["x", "y"]}"#, r#"{"$or": "y"}"#, true),
        (r#"{"$or": [{"prefix": "x"}, {"suffix": "y"}]}"#, r#"{"$or": "my"}"#, true),
    ] {
        assert_eq!(body(policy, message), matches, "{policy} {message}");
    }
}

#[test]
fn the_empty_policy_accepts_all() {
    for scope in [Scope::MessageAttributes, Scope::MessageBody] {
        let policy = FilterPolicy::parse("{}", scope).unwrap();
        assert!(policy.accepts_all());
        assert!(policy.matches(&Event::from_json("not json")));
    }
}

#[test]
fn refusals_say_what_aws_says() {
    // The texts are from the facts. Of the columns, only AWS's answer to the first is recorded; the others
    // follow from the same parser (see DESIGN.md).
    for (policy, reason, column) in [
        (r#"{"key_a":"value_one"}"#, "\"key_a\" must be an object or an array", 11),
        (r#"{"a":[["x"]]}"#, "Match value must be String, number, true, false, or null", 8),
        (r#"{"a":[{"suffix-of":"x"}]}"#, "Unrecognized match type suffix-of", 21),
        (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "Only one key allowed in match expression", 31),
        (r#"{"a":[]}"#, "Empty arrays are not allowed", 8),
        (r#"{"a":[{"prefix":1}]}"#, "prefix match pattern must be a string", 18),
        (r#"{"a":[{"suffix":["x"]}]}"#, "suffix match pattern must be a string", 18),
        (r#"{"a":[{"equals-ignore-case":1}]}"#, "equals-ignore-case match pattern must be a string", 30),
        (r#"{"a":[{"wildcard":1}]}"#, "wildcard match pattern must be a string", 20),
        (r#"{"a":[{"exists":"no"}]}"#, "exists match pattern must be either true or false.", 18),
        (r#"{"a":[{"numeric":[]}]}"#, "Invalid member in numeric match: ]", 20),
        (r#"{"a":[{"numeric":[">>",1]}]}"#, "Unrecognized numeric range operator: >>", 25),
        (r#"{"a":[{"numeric":["=","1"]}]}"#, "Value of equals must be numeric", 24),
        (r#"{"a":[{"numeric":[">=","1"]}]}"#, "Value of >= must be numeric", 25),
        (r#"{"a":[{"numeric":["<",1,"x"]}]}"#, "Too many elements in numeric expression", 26),
        (r#"{"a":[{"numeric":[">",1,">",2]}]}"#, "Bad numeric range operator: >", 28),
        (r#"{"a":[{"numeric":[">",2,"<",1]}]}"#, "Bottom must be less than top", 31),
        (r#"{"a":[{"numeric":[">",20,30]}]}"#, "Bad value in numeric range: 30", 28),
        (r#"{"a":[{"numeric":[">",1,"<",2,3]}]}"#, "Too many terms in numeric range expression", 32),
        (r#"{"a":[{"anything-but":{"suffix":"x"}}]}"#, "Unsupported anything-but pattern: suffix", 34),
        (r#"{"a":[{"cidr":["10.0.0.0/8"]}]}"#, "prefix match pattern must be a string", 16),
        (r#"{"a":{}}"#, "Empty objects are not allowed", 8),
        ("[]", "Filter is not an object", 2),
    ] {
        let expected =
            format!("FilterPolicy: {reason}\n at [Source: (String)\"{policy}\"; line: 1, column: {column}]");
        assert_eq!(refusal(policy, Scope::MessageBody), expected);
    }
    for (policy, text) in [
        (r#"{"a": [{"cidr": "10.0.0.0"}]}"#, "FilterPolicy: Malformed CIDR, one '/' required"),
        (r#"{"a": [{"cidr": "10.0.0.0/x"}]}"#, "FilterPolicy: Malformed CIDR, mask bits must be an integer"),
        (r#"{"a": [{"cidr": "x/1"}]}"#, "FilterPolicy: Nonstandard IP address: x"),
    ] {
        assert_eq!(refusal(policy, Scope::MessageBody), text);
    }
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    assert_eq!(
        refusal("{\n \"a\": [this]}", Scope::MessageAttributes),
        "FilterPolicy: failed to parse JSON. Unrecognized token 'this': was expecting (JSON String, Number, Array, \
         Object or token 'null', 'true' or 'false')\n at [Source: REDACTED \
         (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 2, column: 12]"
    );
}

#[test]
fn what_was_recorded_of_aws_is_said_here() {
    // Recorded in May 2024 for policies with blanks behind colons and commas, with the default scope. Grammar
    // comes before nesting.
    for (policy, reason, column) in [
        (r#"{"key":[["value"]]}"#, "Match value must be String, number, true, false, or null", 10),
        (r#"{"key":[{"wrong-operator":true}]}"#, "Unrecognized match type wrong-operator", 31),
        (r#"{"key":[{"suffix":"value","prefix":"value2"}]}"#, "Only one key allowed in match expression", 37),
        (r#"{"key":[{"suffix":100}]}"#, "suffix match pattern must be a string", 22),
        (r#"{"key":[{"suffix":null}]}"#, "suffix match pattern must be a string", 23),
        (r#"{"key":{"suffix":"value"}}"#, "\"suffix\" must be an object or an array", 19),
        (r#"{"key":[{"suffix":[]}]}"#, "suffix match pattern must be a string", 20),
        (r#"{"key":[{"suffix":["test","test2"]}]}"#, "suffix match pattern must be a string", 20),
        (r#"{"key":{"suffix":"value","prefix":"value"}}"#, "\"suffix\" must be an object or an array", 19),
        (r#"{"key":{"not-an-operator":"value"}}"#, "\"not-an-operator\" must be an object or an array", 28),
        (r#"{"key":[{"numeric":[]}]}"#, "Invalid member in numeric match: ]", 22),
        (r#"{"key":[{"numeric":["operator"]}]}"#, "Unrecognized numeric range operator: operator", 32),
        (r#"{"key":[{"numeric":[1,"<="]}]}"#, "Invalid member in numeric match: 1", 22),
        (r#"{"key":[{"numeric":["=","000"]}]}"#, "Value of equals must be numeric", 26),
        (r#"{"key":[{"numeric":[">="]}]}"#, "Value of >= must be numeric", 26),
        (r#"{"key":[{"numeric":["<",100,">",10]}]}"#, "Too many elements in numeric expression", 30),
        (r#"{"key":[{"numeric":[">=",1,">",2]}]}"#, "Bad numeric range operator: >", 31),
        (r#"{"key":[{"numeric":[">",3,"<",1]}]}"#, "Bottom must be less than top", 33),
        (r#"{"key":[{"numeric":[">",20,"<="]}]}"#, "Value of <= must be numeric", 33),
        (r#"{"key":[{"numeric":[">",20,30]}]}"#, "Bad value in numeric range: 30", 30),
        (r#"{"key":[{"numeric":[">",20,"test"]}]}"#, "Bad numeric range operator: test", 34),
        (r#"{"key":[{"numeric":[">","20","<","30"]}]}"#, "Value of > must be numeric", 26),
        (r#"{"key":[{"numeric":[">",20,"<","30"]}]}"#, "Value of < must be numeric", 33),
        (r#"{"key":[{"numeric":[">",20,"<",30,"<",50]}]}"#, "Too many terms in numeric range expression", 36),
        (r#"{"key":[{"exists":null}]}"#, "exists match pattern must be either true or false.", 23),
        (r#"{"key":[{"exists":"no"}]}"#, "exists match pattern must be either true or false.", 20),
        (
            r#"{"key":[{"anything-but":{"wrong-operator":null}}]}"#,
            "Unsupported anything-but pattern: wrong-operator",
            47,
        ),
        (r#"{"key":[{"anything-but":{"suffix":"test"}}]}"#, "Unsupported anything-but pattern: suffix", 36),
        (r#"{"key":[{"anything-but":{"exists":false}}]}"#, "Unsupported anything-but pattern: exists", 40),
        (r#"{"key":[{"anything-but":{"prefix":false}}]}"#, "prefix match pattern must be a string", 40),
    ] {
        let sent = policy.replace(':', " : ").replace(',', ",\n ");
        let expected =
            format!("FilterPolicy: {reason}\n at [Source: (String)\"{policy}\"; line: 1, column: {column}]");
        assert_eq!(refusal(&sent, Scope::MessageAttributes), expected);
    }
}

#[test]
fn nested_policies_need_the_scope_of_the_body() {
    let policy = r#"{"object": {"key": [{"prefix": "auto-"}]}}"#;
    let fault = FilterPolicy::parse(policy, Scope::MessageAttributes).unwrap_err();
    // Facts: without the word "FilterPolicy".
    assert!(!fault.names_policy());
    let text = "Filter policy scope MessageAttributes does not support nested filter policy";
    assert_eq!(fault.to_string(), text);
    assert!(FilterPolicy::parse(policy, Scope::MessageBody).is_ok());
    let alternatives = r#"{"$or": [{"a": ["x"]}, {"b": ["y"]}]}"#;
    assert!(FilterPolicy::parse(alternatives, Scope::MessageAttributes).is_ok());
}

#[test]
fn a_policy_has_at_most_five_keys() {
    let text = "FilterPolicy: Filter policy can not have more than 5 keys";
    let six = r#"{"a":["x"],"b":["x"],"c":["x"],"d":["x"],"e":["x"],"f":["x"]}"#;
    assert_eq!(refusal(six, Scope::MessageAttributes), text);
    // AWS's documentation: in nested policies the parents of leaves count.
    let nested = r#"{"a":{"a":["x"],"b":["x"],"c":["x"]},"b":{"d":["x"],"e":["x"]}}"#;
    assert!(FilterPolicy::parse(nested, Scope::MessageBody).is_ok());
    let nested = r#"{"a":{"a":["x"],"b":["x"],"c":["x"]},"b":{"d":["x"],"e":["x"],"f":["x"]}}"#;
    assert_eq!(refusal(nested, Scope::MessageBody), text);
}

#[test]
fn a_policy_has_at_most_150_combinations() {
    let values = |count: usize| vec!["1"; count].join(",");
    let complex = "FilterPolicy: Filter policy is too complex";
    let flat = |a, b| format!(r#"{{"a":[{}],"b":[{}]}}"#, values(a), values(b));
    assert!(FilterPolicy::parse(&flat(10, 15), Scope::MessageAttributes).is_ok());
    assert_eq!(refusal(&flat(8, 19), Scope::MessageAttributes), complex);
    // In bodies each array counts times its depth: 3 × 3 × 4 × 4 = 144, 3 × 3 × 4 × 5 = 180.
    let nested =
        |count| format!(r#"{{"a":{{"b":{{"c":[{}]}}}},"d":{{"e":[{}]}}}}"#, values(4), values(count));
    assert!(FilterPolicy::parse(&nested(6), Scope::MessageBody).is_ok());
    assert_eq!(refusal(&nested(7), Scope::MessageBody), complex);
    // Alternatives add up: 3 × 6 + 3 × 4 × 4 + 3 × 4 × 7 = 150.
    let or = |last| {
        format!(
            r#"{{"s":[{}],"$or":[{{"m":[{}]}},{{"t":[{}],"$or":[{{"i":[{}]}},{{"j":[{}]}}]}}]}}"#,
            values(3),
            values(6),
            values(4),
            values(4),
            values(last)
        )
    };
    assert!(FilterPolicy::parse(&or(7), Scope::MessageAttributes).is_ok());
    assert_eq!(refusal(&or(8), Scope::MessageAttributes), complex);
}

#[test]
fn a_wildcard_has_at_most_three_stars() {
    assert!(FilterPolicy::parse(r#"{"a":[{"wildcard":"*a*b*"}]}"#, Scope::MessageBody).is_ok());
    assert!(refusal(r#"{"a":[{"wildcard":"*a*b*c*"}]}"#, Scope::MessageBody).contains("too complex"));
}

#[test]
fn a_policy_has_at_most_256_kilobytes() {
    let policy = |length: usize| format!(r#"{{"a":["{}"]}}"#, "x".repeat(length - 10));
    assert!(FilterPolicy::parse(&policy(patterns::BYTES_LIMIT), Scope::MessageBody).is_ok());
    assert!(FilterPolicy::parse(&policy(patterns::BYTES_LIMIT + 1), Scope::MessageBody).is_err());
}

#[test]
fn very_deep_policies_and_bodies_are_refused_and_do_not_exhaust_the_stack() {
    let policy = format!("{}[1]{}", r#"{"a":"#.repeat(1001), "}".repeat(1001));
    assert!(refusal(&policy, Scope::MessageBody).contains("nesting depth (1001) exceeds"));
    let message = format!("{}1{}", r#"{"a":["#.repeat(100_000), "]}".repeat(100_000));
    assert!(Event::from_json(&message).is_unmatchable());
}
