//! Tables of what paths find, from the README of Jayway's library and from what AWS recorded (facts/stepfunctions.md § 5, 17, 21).

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{NoResult, Path, ReferencePath};
use crate::testing::with_scope;

fn find(path: &str, input: &Value) -> Result<Value, NoResult> {
    let path = Path::parse(path).unwrap_or_else(|invalid| panic!("{path}: {invalid}"));
    let (context, variables) = (json!({"Execution": {"Id": "arn"}}), json!({"x": {"y": [1, 2]}, "größe": 3}));
    with_scope(input, &context, &variables, |scope| path.evaluate(scope))
}

#[test]
fn no_path_is_applied_to_a_null_input() {
    assert_eq!(find("$", &Value::Null), Err(NoResult::NullInput));
    assert_eq!(find("$.a", &Value::Null), Err(NoResult::NullInput));
    assert_eq!(find("$$.Execution.Id", &Value::Null), Ok(json!("arn")));
}

fn store() -> Value {
    json!({
        "store": {
            "book": [
                {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
                {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
                {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553", "price": 8.99},
                {"category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395", "price": 22.99}
            ],
            "bicycle": {"color": "red", "price": 19.95}
        },
        "expensive": 10
    })
}

#[test]
fn the_examples_of_jayways_readme() {
    let authors = json!(["Nigel Rees", "Evelyn Waugh", "Herman Melville", "J. R. R. Tolkien"]);
    let titles = |path: &str| {
        find(path, &store()).map(|books| {
            books.as_array().unwrap().iter().map(|book| book["title"].clone()).collect::<Value>()
        })
    };
    for (path, expected) in [
        ("$.store.book[*].author", authors.clone()),
        ("$..author", authors),
        ("$.store..price", json!([8.95, 12.99, 8.99, 22.99, 19.95])),
        ("$.store.*.color", json!(["red"])),
        ("$..book.length()", json!([4])),
        ("$.store.book.length()", json!(4)),
        ("$.store.length()", json!(2)),
        ("$.expensive.length()", Value::Null),
        ("$.store.book[0].title", json!("Sayings of the Century")),
        ("$.store.book[-1].title", json!("The Lord of the Rings")),
        ("$['store']['bicycle']['color']", json!("red")),
        ("$.store.bicycle['color', 'price']", json!({"color": "red", "price": 19.95})),
        ("$.store['book', 'bicycle'].price", json!([19.95])),
        ("$.store.book[?(@.price > $.expensive)].price", json!([12.99, 22.99])),
        ("$$.Execution.Id", json!("arn")),
        ("$x.y[1]", json!(2)),
        ("$größe", json!(3)),
    ] {
        assert_eq!(find(path, &store()), Ok(expected), "{path}");
    }
    for (path, expected) in [
        ("$..book[2]", json!(["Moby Dick"])),
        ("$..book[-2]", json!(["Moby Dick"])),
        ("$..book[0,1]", json!(["Sayings of the Century", "Sword of Honour"])),
        ("$..book[:2]", json!(["Sayings of the Century", "Sword of Honour"])),
        ("$..book[1:2]", json!(["Sword of Honour"])),
        ("$..book[-2:]", json!(["Moby Dick", "The Lord of the Rings"])),
        ("$..book[2:]", json!(["Moby Dick", "The Lord of the Rings"])),
        ("$..book[?(@.isbn)]", json!(["Moby Dick", "The Lord of the Rings"])),
        ("$.store.book[?(@.price < 10)]", json!(["Sayings of the Century", "Moby Dick"])),
        ("$..book[?(@.price <= $['expensive'])]", json!(["Sayings of the Century", "Moby Dick"])),
        ("$..book[?(@.author =~ /.*REES/i)]", json!(["Sayings of the Century"])),
        ("$..book[?(@.author =~ /REES/i)]", json!([])),
        ("$..book[?(!(@.isbn) && @.category == 'fiction')]", json!(["Sword of Honour"])),
        (
            "$..book[?(@.price < 9 && (@.isbn || @.title contains 'Say'))]",
            json!(["Sayings of the Century", "Moby Dick"]),
        ),
        ("$.store.book[?(@.category in ['reference', 'x'])]", json!(["Sayings of the Century"])),
        ("$.store.book[?(@.category nin ['fiction'])]", json!(["Sayings of the Century"])),
        ("$.store.book[?(@.title size 9)]", json!(["Moby Dick"])),
        ("$.store.book[?(@.title empty true)]", json!([])),
        ("$.store.book[?(@['isbn'] == null)]", json!([])),
        ("$.store.book[?(@.isbn != '0-553' && @.price > 20)]", json!(["The Lord of the Rings"])),
    ] {
        assert_eq!(titles(path), Ok(expected), "{path}");
    }
}

#[test]
fn filters_compare_as_jayways_library() {
    let rows = json!({"rows": [
        {"id": 1, "n": 5, "tags": ["a", "b"]},
        {"id": 2, "n": "5", "tags": []},
        {"id": 3, "n": null, "tags": ["c"]},
        {"id": 4, "n": 5.0, "tags": ["a"]},
        {"id": 5, "n": true}
    ]});
    for (filter, ids) in [
        ("@.n == 5", json!([1, 2, 4])),
        ("@.n === 5", json!([1, 4])),
        ("@.n == '5'", json!([1, 2, 4])),
        ("@.n === '5'", json!([2])),
        ("@.n == null", json!([3])),
        ("@.n == true", json!([5])),
        ("@.n > 4", json!([1, 4])),
        ("@.n >= '5'", json!([2])),
        ("@.missing != 1", json!([1, 2, 3, 4, 5])),
        ("@.missing == 1", json!([])),
        ("@.missing < 1", json!([])),
        ("@.n", json!([1, 2, 3, 4, 5])),
        ("@.tags contains 'a'", json!([1, 4])),
        ("@.tags anyof ['b', 'c']", json!([1, 3])),
        ("@.tags noneof ['a']", json!([2, 3])),
        ("@.tags subsetof ['a', 'c']", json!([2, 3, 4])),
        ("@.tags all ['a', 'b']", json!([1])),
        ("@.tags size 1", json!([3, 4])),
        ("@.tags empty false", json!([1, 3, 4])),
        ("@.tags.length() == 2", json!([1])),
        ("@.tags exists true", json!([1, 2, 3, 4])),
        ("@.tags == ['a']", json!([4])),
        ("@.id == $.rows[0].id", json!([1])),
        ("@.tags[?(@ == 'c')]", json!([3])),
        ("1 < @.id && @.id<=2||@.id==5", json!([2, 5])),
    ] {
        let found = find(&format!("$.rows[?({filter})].id"), &rows);
        assert_eq!(found, Ok(ids), "{filter}");
    }
}

#[test]
fn what_is_missing_is_told_in_jayways_words() {
    let input = json!({"a": {"b": 1}, "list": [1], "text": "x", "none": null});
    for (path, text) in [
        ("$.x", "No results for path: $['x']"),
        ("$.x.y", "Missing property in path $['x']"),
        ("$.a.x.y", "Missing property in path $['a']['x']"),
        ("$.a.x", "No results for path: $['a']['x']"),
        (
            "$.list.x",
            "Expected to find an object with property ['x'] in path $['list'] but found 'com.fasterxml.jackson.databind.node.ArrayNode'. This is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.",
        ),
        (
            "$.list[9].city",
            "Expected to find an object with property ['city'] in path $['list'][9] but found 'null'. This is not a json object according to the JsonProvider: 'com.jayway.jsonpath.spi.json.JacksonJsonNodeJsonProvider'.",
        ),
        ("$.text[0]", "Filter: [0] can only be applied to arrays. Current context is: \"x\""),
        ("$.none[0]", "The path $['none'] is null"),
        ("$unknown", "No results for path: $['unknown']"),
        ("$.list.sum()", "Unavailable function."),
    ] {
        assert_eq!(find(path, &input), Err(NoResult::Missing(text.to_owned())), "{path}");
    }
    // An index outside of an array is null, as over Jackson's trees; in a Choice state it is not present.
    assert_eq!(find("$.list[7]", &input), Ok(Value::Null));
    let path = Path::parse("$.list[7]").unwrap();
    assert_eq!(with_scope(&input, &json!({}), &json!({}), |scope| path.present(scope)), Ok(None));
    // Paths that can find several values find none.
    for path in ["$..x", "$.list[5:]", "$.text.*", "$.a[?(@.b == 2)]", "$.none..x", "$.list[*].x"] {
        assert_eq!(find(path, &input), Ok(json!([])), "{path}");
    }
}

#[test]
fn slices_count_as_jayways_library() {
    let input = json!([0, 1, 2, 3, 4]);
    for (slice, expected) in [
        ("[1:3]", json!([1, 2])),
        ("[3:1]", json!([])),
        ("[1:-1]", json!([])),
        ("[-3:-1]", json!([2, 3])),
        ("[:-2]", json!([0, 1, 2])),
        ("[-9:]", json!([0, 1, 2, 3, 4])),
        ("[4:99]", json!([4])),
        ("[0:4:2]", json!([0, 1, 2, 3])),
    ] {
        assert_eq!(find(&format!("${slice}"), &input), Ok(expected), "{slice}");
    }
}

#[test]
fn other_texts_are_no_paths() {
    let nested = |depth: usize| format!("${}{}", "[?(@".repeat(depth), ")]".repeat(depth));
    for text in [
        "",
        "a",
        "@.a",
        "$.",
        "$..",
        "$.a.",
        "$[",
        "$['a'",
        "$['a]",
        "$[a]",
        "$.a b",
        "$[?(@.a ==)]",
        "$[?(@.a = 1)]",
        "$[(@.length-1)]",
        "$[]",
        "$[:]",
        "$[1:2",
        "$.a.unknown()",
        "$[?(@.a =~ /(/)]",
        "$[?(@.a like 'x')]",
        "$a b",
        "$.a[99999999999999999999]",
        "$[?(1)]",
        "$.a.length(",
        "States.UUID()",
    ] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
    assert!(Path::parse(&nested(16)).is_ok());
    assert!(Path::parse(&nested(17)).is_err());
    assert!(Path::parse(&format!("$[?({}@.a{})]", "(".repeat(5000), ")".repeat(5000))).is_err());
    assert!(Path::parse(&format!("$[?({}@.a)]", "!".repeat(5000))).is_err());
    assert!(Path::parse(&format!("$[?(@.a == {})]", "[".repeat(5000))).is_err());
    assert!(Path::parse(&format!("${}", ".a".repeat(5000))).is_err());
}

#[test]
fn results_are_put_at_reference_paths() {
    let put = |path: &str, into: Value| ReferencePath::parse(path).unwrap().put(into, json!("new")).ok();
    assert_eq!(put("$", json!({"a": 1})), Some(json!("new")));
    assert_eq!(put("$.b", json!({"a": 1})), Some(json!({"a": 1, "b": "new"})));
    assert_eq!(put("$.b['c d'].e", json!({})), Some(json!({"b": {"c d": {"e": "new"}}})));
    assert_eq!(put("$.a[1]", json!({"a": [1, 2]})), Some(json!({"a": [1, "new"]})));
    assert_eq!(put("$.a[2]", json!({"a": [1, 2]})), None);
    assert_eq!(put("$.a.b", json!({"a": 1})), None);
    assert_eq!(put("$.a.b", json!({"a": null})), None);
    assert_eq!(put("$.a", json!("text")), None);
    for wrong in ["$..a", "$.a[*]", "$$.a", "$x.a", "$['a','b']", "$.a[-1]", "$.a.length()", "$.a[0:1]"] {
        assert!(ReferencePath::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_evaluation_ends() {
    let numbers: Value = (0..20_000).collect();
    for path in ["$[?(@ in $)]", "$[?(@ == 'x' || $[?(@ > 1)])]", "$[?($..*)]"] {
        assert_eq!(find(path, &numbers), Err(NoResult::Exhausted), "{path}");
    }
}

/// JSON of a few names, so that paths often find something.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..10).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Names and indexes find what `serde_json` finds by pointer.
    #[test]
    fn definite_paths_find_what_pointers_find(
        value in json(),
        steps in proptest::collection::vec(prop_oneof!["[abc]".prop_map(Err), (0usize..4).prop_map(Ok)], 0..5),
    ) {
        let (mut path, mut found) = ("$".to_owned(), Some(&value));
        for step in &steps {
            match step {
                Err(name) => {
                    path += &format!(".{name}");
                    found = found.and_then(|value| value.as_object()).and_then(|members| members.get(name));
                }
                Ok(index) => {
                    path += &format!("[{index}]");
                    found = found.and_then(|value| value.as_array()).and_then(|items| items.get(*index));
                }
            }
        }
        let path = Path::parse(&path).unwrap();
        let present = with_scope(&value, &Value::Null, &Value::Null, |scope| path.present(scope));
        prop_assert_eq!(present.unwrap(), found.cloned());
    }

    /// `$..name` finds what a walk over the whole value finds.
    #[test]
    fn a_scan_finds_all(value in json()) {
        fn walk(value: &Value, found: &mut Vec<Value>) {
            if let Value::Object(members) = value {
                found.extend(members.get("a").cloned());
                members.values().for_each(|value| walk(value, found));
            } else if let Value::Array(items) = value {
                items.iter().for_each(|value| walk(value, found));
            }
        }
        prop_assume!(!value.is_null());
        let mut expected = Vec::new();
        walk(&value, &mut expected);
        prop_assert_eq!(find("$..a", &value), Ok(Value::Array(expected)));
    }

    /// No text makes the parser or the evaluation panic, and what is parsed ends.
    #[test]
    fn arbitrary_texts_do_not_panic(text in "\\$?[$@.\\[\\]()?*:,'\"a-c0-2 !=<>~&|/\\\\-]{0,30}", value in json()) {
        if let Ok(path) = Path::parse(&text) {
            let _ = with_scope(&value, &value, &Value::Null, |scope| path.evaluate(scope));
        }
    }

    #[test]
    fn any_unicode_does_not_panic(text in "\\PC{0,20}") {
        let _ = Path::parse(&text);
        let _ = Path::parse(&format!("$.{text}[?(@.{text} == '{text}')]"));
    }
}
