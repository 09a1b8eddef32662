//! Expressions are read, refused and evaluated as AWS does (facts/dynamodb.md § 6, § 8).

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::json::{read_item, text_of_item};
use crate::value::{Item, put_number};

fn scope() -> Scope {
    let names = [("#n", "name"), ("#d", "dotted.name")];
    let values = [
        (":one", r#"{"N":"1"}"#),
        (":s", r#"{"S":"s"}"#),
        (":l", r#"{"L":[]}"#),
        (":set", r#"{"SS":["a"]}"#),
    ];
    Scope::read(Some(names), Some(values), false).unwrap()
}

fn refused(expression: &str) -> String {
    condition("FilterExpression", expression, &mut scope()).unwrap_err().text().to_owned()
}

#[test]
fn what_is_no_condition_is_refused_in_aws_s_words() {
    for (expression, text) in [
        ("", "The expression can not be empty;"),
        ("  ", "The expression can not be empty;"),
        ("(", "Syntax error; token: \"<EOF>\", near: \"(\""),
        ("a", "Syntax error; token: \"<EOF>\", near: \"a\""),
        ("_a = :one", "Syntax error; token: \"_\", near: \"_a\""),
        ("a = :one)", "Syntax error; token: \")\", near: \":one)\""),
        ("a[x] = :one", "Syntax error; token: \"x\", near: \"[x]\""),
        ("size(a)", "Syntax error; token: \"<EOF>\", near: \")\""),
        (
            "size(:one) = :one",
            "Incorrect operand type for operator or function; operator or function: size, operand type: N",
        ),
        (
            "a > :l",
            "Incorrect operand type for operator or function; operator or function: >, operand type: L",
        ),
        (
            "attribute_exists(:s)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "attribute_type(a, :s)",
            "Invalid attribute type name found; type: s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "contains(a)",
            "Incorrect number of operands for operator or function; operator or function: contains, number of operands: 1",
        ),
        ("Contains(a, b)", "Invalid function name; function: Contains"),
        (
            "a = begins_with(b, c)",
            "The function is not allowed to be used this way in an expression; function: begins_with",
        ),
        (
            "a = a",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]",
        ),
        ("x.status = :s", "Attribute name is a reserved keyword; reserved keyword: status"),
        ("((a = :one) and b = :one)", ""),
        ("NOT ((a = :one))", "The expression has redundant parentheses;"),
    ] {
        match text {
            "" => assert!(condition("FilterExpression", expression, &mut scope()).is_ok(), "{expression}"),
            text => assert_eq!(refused(expression), format!("Invalid FilterExpression: {text}")),
        }
    }
}

#[test]
fn nesting_has_an_end() {
    assert!(refused(&"(".repeat(4000)).contains("redundant"));
    assert!(refused(&"NOT ".repeat(1000)).contains("operator count: 1000"));
    assert!(refused(&"size(".repeat(800)).contains("too many operators"));
    let deep = format!("{}a = :one{}", "NOT (".repeat(250), ")".repeat(250));
    assert!(condition("FilterExpression", &deep, &mut scope()).is_ok());
}

#[test]
fn a_dot_in_a_name_that_is_referred_to_is_a_dot() {
    let item = read_item([("dotted.name", r#"{"N":"1"}"#)]).unwrap();
    let of = |text| condition("FilterExpression", text, &mut scope()).unwrap();
    assert!(of("#d = :one").holds(Item(&item)));
    assert!(of("#n <> :one AND NOT #n = :one AND NOT #n < :one").holds(Item(&item)));
}

#[test]
fn paths_that_overlap_or_conflict_are_refused() {
    for (paths, why) in [
        ("a, b, a", "overlap"),
        ("a.b, a", "overlap"),
        ("a.b[0], a.b[0]", "path one: [a, b, [0]], path two: [a, b, [0]]"),
        ("a[0], a.b", "conflict"),
        ("a.b, a.c, b.b[0], b.b[1]", ""),
    ] {
        let read = projection(paths, &mut scope());
        match why {
            "" => assert!(read.is_ok(), "{paths}"),
            why => assert!(read.unwrap_err().text().contains(why), "{paths}"),
        }
    }
}

/// Attributes of a model: numbers by name.
type Model = BTreeMap<String, i64>;

fn item_of(model: &Model) -> Vec<u8> {
    let values: Vec<(String, String)> =
        model.iter().map(|(name, number)| (name.clone(), format!("{{\"N\":\"{number}\"}}"))).collect();
    read_item(values.iter().map(|(name, json)| (&**name, &**json))).unwrap()
}

proptest! {
    #[test]
    fn no_text_is_too_strange(text in "[a-c#:n()\\[\\].,<>=+ -]{0,40}|(SET|REMOVE|ADD|a|b|:one|:l|=|,|\\(|\\)| |AND|NOT|size|\\[0\\]){0,30}") {
        let item = read_item([("a", r#"{"L":[{"N":"1"}]}"#), ("b", r#"{"M":{"a":{"S":"x"}}}"#)]).unwrap();
        if let Ok(condition) = condition("FilterExpression", &text, &mut scope()) {
            condition.holds(Item(&item));
        }
        if let Ok(update) = update(&text, &mut scope()) {
            let _ = update.apply(Item(&item));
        }
        if let Ok(projection) = projection(&text, &mut scope()) {
            projection.apply(Item(&item));
        }
        let _ = key_conditions(&text, &mut scope());
    }

    #[test]
    fn updates_do_what_a_map_does(
        before in proptest::collection::btree_map("[a-e]", -9_i64..9, 0..5),
        target in "[a-e]", source in "[a-e]", amount in -9_i64..9,
    ) {
        let mut number = Vec::new();
        put_number(&mut number, &crate::number::Number::parse(&amount.to_string()).unwrap());
        let json = crate::json::text_of(crate::value::Value::of(&number));
        let update_of = |text: &str| {
            let mut scope = Scope::read(None::<[(&str, &str); 0]>, Some([(":n", &*json)]), false).unwrap();
            update(text, &mut scope).unwrap()
        };
        let after = |text: &str| update_of(text).apply(Item(&item_of(&before)));
        let mut model = before.clone();
        *model.entry(target.clone()).or_default() += amount;
        prop_assert_eq!(after(&format!("ADD {target} :n")), Ok(item_of(&model)));
        let mut model = before.clone();
        let is_there = model.contains_key(&source);
        let sum = model.get(&source).copied().unwrap_or_default() - amount;
        model.insert(target.clone(), sum);
        let found = after(&format!("SET {target} = {source} - :n"));
        prop_assert_eq!(found.ok(), is_there.then(|| item_of(&model)));
        let mut model = before.clone();
        model.remove(&target);
        let removed = after(&format!("REMOVE {target}")).unwrap();
        prop_assert_eq!(text_of_item(Item(&removed)), text_of_item(Item(&item_of(&model))));
    }
}
