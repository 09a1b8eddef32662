//! Properties of random patterns and events, compared with a slow and simple matcher.

use std::collections::BTreeMap;

use patterns::{Event, EventPattern, FilterPolicy, PatternSet, Scope};
use proptest::prelude::*;

/// An event's value; objects may repeat a name.
#[derive(Clone, Debug)]
enum Json {
    Word(&'static str),
    String(&'static str),
    Number(&'static str),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    fn text(&self) -> String {
        match self {
            Json::Word(text) | Json::Number(text) => (*text).to_owned(),
            Json::String(text) => format!("\"{text}\""),
            Json::Array(elements) => {
                format!("[{}]", elements.iter().map(Json::text).collect::<Vec<_>>().join(","))
            }
            Json::Object(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("\"{name}\":{}", value.text())).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }
}

/// A condition, as text and as meaning.
#[derive(Clone, Copy, Debug)]
enum Condition {
    String(&'static str),
    Number(f64),
    Null,
    Prefix(&'static str),
    AnythingBut(&'static str),
    Above(f64),
    Exists(bool),
}

impl Condition {
    fn text(self) -> String {
        match self {
            Condition::String(text) => format!("\"{text}\""),
            Condition::Number(number) => number.to_string(),
            Condition::Null => "null".to_owned(),
            Condition::Prefix(text) => format!("{{\"prefix\":\"{text}\"}}"),
            Condition::AnythingBut(text) => format!("{{\"anything-but\":\"{text}\"}}"),
            Condition::Above(number) => format!("{{\"numeric\":[\">\",{number}]}}"),
            Condition::Exists(exists) => format!("{{\"exists\":{exists}}}"),
        }
    }

    fn met_by(self, value: &Json) -> bool {
        match (self, value) {
            (Condition::String(wanted), Json::String(text)) => wanted == *text,
            (Condition::Prefix(wanted), Json::String(text)) => text.starts_with(wanted),
            (Condition::AnythingBut(other), Json::String(text)) => other != *text,
            (Condition::AnythingBut(_), _) => true,
            (Condition::Number(wanted), Json::Number(text)) => text.parse() == Ok(wanted),
            (Condition::Above(limit), Json::Number(text)) => {
                text.parse::<f64>().is_ok_and(|number| number > limit)
            }
            (Condition::Null, Json::Word(word)) => *word == "null",
            (Condition::Exists(exists), _) => exists,
            _ => false,
        }
    }
}

/// Conditions by path; a clause without alternatives.
type Clause = BTreeMap<&'static str, Vec<Condition>>;

fn clause_text(clause: &Clause) -> String {
    let members: Vec<String> = clause
        .iter()
        .map(|(path, conditions)| {
            let list: Vec<String> = conditions.iter().map(|condition| condition.text()).collect();
            // As nested objects, with the dots of the path expanded.
            let mut text = format!("[{}]", list.join(","));
            let names: Vec<&str> = path.split('.').collect();
            for name in names[1..].iter().rev() {
                text = format!("{{\"{name}\":{text}}}");
            }
            format!("\"{}\":{text}", names[0])
        })
        .collect();
    format!("{{{}}}", members.join(","))
}

/// An element of an array.
type Element = (usize, usize);

/// A path, its value, and the array elements that contain the value.
type Field<'j> = (String, &'j Json, Vec<Element>);

/// Every value of an event with its path and the array elements that contain it.
fn flatten<'j>(
    value: &'j Json,
    path: &str,
    elements: &mut Vec<Element>,
    arrays: &mut usize,
    fields: &mut Vec<Field<'j>>,
) {
    match value {
        Json::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
                flatten(value, &path, elements, arrays, fields);
            }
        }
        Json::Array(values) => {
            let array = *arrays;
            *arrays += 1;
            for (index, value) in values.iter().enumerate() {
                let inner = matches!(value, Json::Object(_) | Json::Array(_));
                if inner {
                    elements.push((array, index));
                }
                flatten(value, path, elements, arrays, fields);
                if inner {
                    elements.pop();
                }
            }
        }
        scalar => fields.push((path.to_owned(), scalar, elements.clone())),
    }
}

fn fits(one: &[Element], other: &[Element]) -> bool {
    one.iter().all(|(array, index)| other.iter().all(|(second, at)| array != second || index == at))
}

/// Tries all choices, in the order of the paths.
fn slow(clause: &[(&str, &[Condition])], fields: &[Field<'_>], bound: &[Element]) -> bool {
    let [(path, conditions), rest @ ..] = clause else { return true };
    let here: Vec<_> =
        fields.iter().filter(|(at, _, elements)| at == path && fits(elements, bound)).collect();
    let absent = conditions.iter().any(|condition| matches!(condition, Condition::Exists(false)));
    if absent && here.is_empty() && slow(rest, fields, bound) {
        return true;
    }
    here.iter().any(|(_, value, elements)| {
        conditions.iter().any(|condition| condition.met_by(value)) && {
            let bound: Vec<_> = bound.iter().chain(elements).copied().collect();
            slow(rest, fields, &bound)
        }
    })
}

fn event() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        prop::sample::select(&["null", "true", "false"][..]).prop_map(Json::Word),
        prop::sample::select(&["", "x", "xy", "y", "XY", "yx", "10.0.0.1"][..]).prop_map(Json::String),
        prop::sample::select(&["0", "1", "1.0", "-2", "3e2"][..]).prop_map(Json::Number),
    ];
    let name = || prop::sample::select(&["a", "b", "c", "a.b"][..]);
    let value = scalar.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec((name(), inner), 0..4).prop_map(Json::Object),
        ]
    });
    prop::collection::vec((name(), value), 0..5).prop_map(Json::Object)
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        prop::sample::select(&["", "x", "xy", "y"][..]).prop_map(Condition::String),
        prop::sample::select(&[0.0, 1.0, -2.0, 300.0][..]).prop_map(Condition::Number),
        Just(Condition::Null),
        prop::sample::select(&["", "x"][..]).prop_map(Condition::Prefix),
        prop::sample::select(&["x", "y"][..]).prop_map(Condition::AnythingBut),
        prop::sample::select(&[-1.0, 0.5][..]).prop_map(Condition::Above),
        any::<bool>().prop_map(Condition::Exists),
    ]
}

fn clause() -> impl Strategy<Value = Clause> {
    let path = prop::sample::select(&["a", "b", "c", "a.a", "a.b", "a.c", "b.a", "b.c", "a.b.c"][..]);
    prop::collection::btree_map(path, prop::collection::vec(condition(), 1..3), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_matcher_agrees_with_a_slow_one(clause in clause(), event in event()) {
        let text = clause_text(&clause);
        // JSON also treats a repeated top-level name as one object, so nothing is overridden here.
        let pattern = EventPattern::parse(&text).unwrap();
        let mut fields = Vec::new();
        flatten(&event, "", &mut Vec::new(), &mut 0, &mut fields);
        let list: Vec<(&str, &[Condition])> = clause.iter().map(|(path, all)| (*path, &all[..])).collect();
        let expected = slow(&list, &fields, &[]);
        let json = event.text();
        prop_assert_eq!(pattern.matches(&Event::from_json(&json)), expected, "{} {}", text, json);
        if let Ok(policy) = FilterPolicy::parse(&text, Scope::MessageBody) {
            prop_assert_eq!(policy.matches(&Event::from_json(&json)), expected);
        }
    }

}

/// Conditions of all kinds, as text.
const CONDITIONS: &[&str] = &[
    r#""x""#,
    r#""10.0.0.1""#,
    "1",
    "300",
    "null",
    "true",
    r#"{"prefix":"x"}"#,
    r#"{"prefix":""}"#,
    r#"{"prefix":{"equals-ignore-case":"X"}}"#,
    r#"{"suffix":"y"}"#,
    r#"{"suffix":{"equals-ignore-case":"Y"}}"#,
    r#"{"equals-ignore-case":"xY"}"#,
    r#"{"wildcard":"x"}"#,
    r#"{"wildcard":"x*"}"#,
    r#"{"wildcard":"*y"}"#,
    r#"{"wildcard":"x*y"}"#,
    r#"{"wildcard":"*x*"}"#,
    r#"{"wildcard":"*"}"#,
    r#"{"numeric":["=",1]}"#,
    r#"{"numeric":[">",0,"<=",300]}"#,
    r#"{"numeric":["<",0]}"#,
    r#"{"numeric":[">=",1]}"#,
    r#"{"anything-but":["x","y"]}"#,
    r#"{"anything-but":[1]}"#,
    r#"{"anything-but":{"prefix":"x"}}"#,
    r#"{"anything-but":{"wildcard":"*y"}}"#,
    r#"{"exists":true}"#,
    r#"{"exists":false}"#,
    r#"{"cidr":"10.0.0.0/8"}"#,
];

/// A clause of such conditions, as text.
fn any_clause() -> impl Strategy<Value = String> {
    let path = prop::sample::select(&["a", "b", "c", "a.b", "b.a"][..]);
    let conditions = prop::collection::vec(prop::sample::select(CONDITIONS), 1..3);
    prop::collection::btree_map(path, conditions, 1..4).prop_map(|clause| {
        let members: Vec<String> = clause
            .iter()
            .map(|(path, conditions)| format!("\"{path}\":[{}]", conditions.join(",")))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_set_of_any_conditions_finds_what_one_by_one_comparison_finds(
        clauses in prop::collection::vec((any_clause(), any_clause(), any::<bool>()), 1..16),
        removed in prop::collection::vec(0usize..16, 0..8),
        event in event(),
    ) {
        let mut set = PatternSet::new();
        let mut kept = BTreeMap::new();
        for (number, (one, other, both)) in clauses.iter().enumerate() {
            let text = if *both { format!("{{\"$or\":[{one},{other}]}}") } else { one.clone() };
            let pattern = EventPattern::parse(&text).unwrap();
            set.insert(number, pattern.matcher());
            kept.insert(number, pattern);
        }
        for number in removed {
            prop_assert_eq!(set.remove(number), kept.remove(&number).is_some());
        }
        let json = event.text();
        let event = Event::from_json(&json);
        let expected: Vec<usize> =
            kept.iter().filter(|(_, pattern)| pattern.matches(&event)).map(|(number, _)| *number).collect();
        prop_assert_eq!(set.matching(&event), &*expected, "{:?} {}", clauses, json);
        prop_assert_eq!(set.matching(&event.clone().into_owned()), expected);
        for number in kept.keys() {
            set.remove(*number);
        }
        prop_assert!(set.candidates(&event).is_empty(), "something is left behind");
    }
}

proptest! {
    #[test]
    fn a_set_finds_what_one_by_one_comparison_finds(
        clauses in prop::collection::vec((clause(), clause(), any::<bool>()), 0..12),
        removed in prop::collection::vec(0usize..12, 0..6),
        event in event(),
    ) {
        let mut set = PatternSet::new();
        let mut kept = BTreeMap::new();
        for (number, (one, other, both)) in clauses.iter().enumerate() {
            let (one, other) = (clause_text(one), clause_text(other));
            let text = if *both { format!("{{\"$or\":[{one},{other}]}}") } else { one };
            let pattern = EventPattern::parse(&text).unwrap();
            set.insert(number, pattern.matcher());
            kept.insert(number, pattern);
        }
        for number in removed {
            prop_assert_eq!(set.remove(number), kept.remove(&number).is_some());
        }
        prop_assert_eq!(set.len(), kept.len());
        let json = event.text();
        let event = Event::from_json(&json);
        let expected: Vec<usize> =
            kept.iter().filter(|(_, pattern)| pattern.matches(&event)).map(|(number, _)| *number).collect();
        prop_assert_eq!(set.matching(&event), expected);
    }

    #[test]
    fn any_text_is_a_pattern_or_is_refused(text in r#"[\[\]{}",:a$0-9.eE\\ué*\-\n ]{0,40}"#) {
        let _ = EventPattern::parse(&text);
        let _ = FilterPolicy::parse(&text, Scope::MessageBody);
        let _ = Event::from_json(&text);
        let _ = Event::from_attributes([("a", "String.Array", &*text), ("b", "Number", &*text)]);
    }

    #[test]
    fn a_spoilt_pattern_is_a_pattern_or_is_refused(
        clause in clause(), at in any::<prop::sample::Index>(), put in any::<char>(), event in event(),
    ) {
        let mut text: Vec<char> = clause_text(&clause).chars().collect();
        let at = at.index(text.len());
        text[at] = put;
        let text: String = text.into_iter().collect();
        if let Ok(pattern) = EventPattern::parse(&text) {
            pattern.matches(&Event::from_json(&event.text()));
        }
        let _ = FilterPolicy::parse(&text, Scope::MessageAttributes);
    }
}
