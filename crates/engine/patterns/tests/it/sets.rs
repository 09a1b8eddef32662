//! Counts how few of many patterns are compared with an event.

use patterns::{Event, EventPattern, FilterPolicy, PatternSet, Scope};

/// Ten thousand patterns; returns how many are compared with an event that matches the pattern of number 7.
fn compared(event: &Event<'_>, pattern: impl Fn(usize) -> String, policy: bool) -> usize {
    let mut set = PatternSet::new();
    for number in 0..10_000 {
        let text = pattern(number);
        match policy {
            true => {
                set.insert(number, FilterPolicy::parse(&text, Scope::MessageAttributes).unwrap().matcher())
            }
            false => set.insert(number, EventPattern::parse(&text).unwrap().matcher()),
        }
    }
    assert_eq!(set.matching(event), [7], "{}", pattern(7));
    set.candidates(event).len()
}

#[test]
fn few_of_ten_thousand_policies_are_compared_with_a_message() {
    let event = Event::from_attributes([
        ("store", "String", "store-00007-x"),
        ("price", "Number", "7.5"),
        ("kind", "String", "order"),
    ]);
    let kinds: [(&str, &dyn Fn(usize) -> String); 11] = [
        ("exact", &|n| format!(r#"{{"store": ["store-{n:05}-x"]}}"#)),
        ("prefix", &|n| format!(r#"{{"store": [{{"prefix": "store-{n:05}"}}]}}"#)),
        ("suffix", &|n| format!(r#"{{"store": [{{"suffix": "-{n:05}-x"}}]}}"#)),
        ("any case", &|n| format!(r#"{{"store": [{{"equals-ignore-case": "STORE-{n:05}-X"}}]}}"#)),
        ("range", &|n| format!(r#"{{"price": [{{"numeric": [">=", {n}, "<", {}]}}]}}"#, n + 1)),
        ("number", &|n| format!(r#"{{"price": [{{"numeric": ["=", {n}.5]}}]}}"#)),
        ("wildcard", &|n| format!(r#"{{"store": [{{"wildcard": "store-{n:05}-*"}}]}}"#)),
        ("wildcard at both ends", &|n| format!(r#"{{"store": [{{"wildcard": "*-{n:05}-*"}}]}}"#)),
        ("alternatives", &|n| {
            let price = format!(r#"{{"price": [{{"numeric": [">", 10000000, "<", {}]}}]}}"#, 10_000_001 + n);
            format!(r#"{{"$or": [{{"store": [{{"prefix": "store-{n:05}"}}]}}, {price}]}}"#)
        }),
        ("absence of a name of its own", &|n| {
            let name = if n == 7 { "none" } else { "kind" };
            format!(r#"{{"{name}": [{{"exists": false}}]}}"#)
        }),
        ("all but what is there", &|n| {
            let value = if n == 7 { "other" } else { "order" };
            format!(r#"{{"kind": [{{"anything-but": ["{value}"]}}]}}"#)
        }),
    ];
    for (kind, policy) in kinds {
        let compared = compared(&event, policy, true);
        assert!(compared <= 4, "{kind}: {compared}");
    }
}

#[test]
fn what_leads_to_few_is_chosen_where_something_else_would_lead_to_all() {
    let event = Event::from_attributes([
        ("store", "String", "store-00007-x"),
        ("price", "Number", "7.5"),
        ("kind", "String", "order"),
    ]);
    for other in [
        r#""kind": ["order"]"#,
        r#""kind": [{"prefix": "ord"}]"#,
        r#""price": [{"numeric": [">", 1]}]"#,
        r#""kind": [{"anything-but": "x"}]"#,
        r#""kind": [{"exists": true}]"#,
        r#""none": [{"exists": false}]"#,
    ] {
        let policy = |n: usize| format!(r#"{{{other}, "store": [{{"suffix": "-{n:05}-x"}}]}}"#);
        // The first few are stored under the other value, which had no entries yet.
        let compared = compared(&event, policy, true);
        assert!(compared <= 100, "{other}: {compared}");
    }
}

#[test]
fn event_patterns_that_ignore_case_are_found_by_folded_letters() {
    let event = Event::from_json(r#"{"store": "STRASSE-00007-ẞ"}"#);
    for pattern in [
        |n: usize| format!(r#"{{"store": [{{"prefix": {{"equals-ignore-case": "straße-{n:05}"}}}}]}}"#),
        |n: usize| format!(r#"{{"store": [{{"suffix": {{"equals-ignore-case": "-{n:05}-ẞ"}}}}]}}"#),
    ] {
        assert!(compared(&event, pattern, false) <= 2);
    }
}
