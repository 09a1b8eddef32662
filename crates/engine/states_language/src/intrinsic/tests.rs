//! Tables of what functions return: AWS's documentation, and what AWS recorded (facts/stepfunctions.md § 14).

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Call;
use crate::failure::Failure;
use crate::testing::with_scope;

fn input() -> Value {
    json!({
        "name": "Arnav", "list": [1, 2, 3, 4, 5, 6, 7, 8, 9], "mixed": [1, 1.1, true, "true", [], [null], [], 1, {"a": 1, "b": 2}, {"b": 2, "a": 1}],
        "object": {"Id": "arn:x", "Tags": ["a", 1, null]}, "other": {"Tags": {"x": 1}}, "empty": "", "text": "This.is+a,test=string",
        "commas": ", , ,", "template": "Hi {}", "-0": "-0"
    })
}

fn call(text: &str) -> Result<Value, Failure> {
    let call = Call::parse(text).unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
    with_scope(&input(), &json!({"Id": 7}), &json!({"v": "w"}), |scope| call.evaluate(scope))
}

#[test]
fn functions_return_what_aws_returns() {
    for (text, expected) in [
        ("States.Array(1, 'a', true, null, $.name)", json!([1, "a", true, null, "Arnav"])),
        ("States.Array()", json!([])),
        ("States.ArrayPartition($.list, 4)", json!([[1, 2, 3, 4], [5, 6, 7, 8], [9]])),
        ("States.ArrayPartition(States.Array(), 4)", json!([])),
        ("States.ArrayContains($.list, 5)", json!(true)),
        ("States.ArrayContains($.list, '5')", json!(false)),
        ("States.ArrayRange(1, 9, 2)", json!([1, 3, 5, 7, 9])),
        ("States.ArrayRange(0, 10, 3)", json!([0, 3, 6, 9])),
        ("States.ArrayRange(1, 9, 9)", json!([1])),
        ("States.ArrayRange(3, 1, -1)", json!([3, 2, 1])),
        ("States.ArrayRange(1, 3, -1)", json!([])),
        ("States.ArrayRange(3, 1, 1)", json!([])),
        ("States.ArrayRange(5, 5, 1)", json!([5])),
        ("States.ArrayGetItem($.list, 0)", json!(1)),
        ("States.ArrayGetItem($.list, 8)", json!(9)),
        ("States.ArrayLength($.list)", json!(9)),
        ("States.ArrayUnique($.mixed)", json!([1, 1.1, true, "true", [], [null], {"a": 1, "b": 2}])),
        ("States.Base64Encode('Data to encode')", json!("RGF0YSB0byBlbmNvZGU=")),
        ("States.Base64Encode('')", json!("")),
        ("States.Base64Decode('RGVjb2RlZCBkYXRh')", json!("Decoded data")),
        ("States.Hash('input data', 'SHA-1')", json!("aaff4a450a104cd177d28d18d74485e8cae074b7")),
        ("States.Hash('', 'MD5')", json!("d41d8cd98f00b204e9800998ecf8427e")),
        (
            "States.Hash('abc', 'SHA-256')",
            json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ),
        ("States.JsonMerge($.object, $.other, false)", json!({"Id": "arn:x", "Tags": {"x": 1}})),
        ("States.StringToJson('{\"a\": [1, -2.5]}')", json!({"a": [1, -2.5]})),
        ("States.StringToJson($.empty)", Value::Null),
        ("States.StringToJson('null')", Value::Null),
        ("States.StringToJson(' ')", Value::Null),
        ("States.StringToJson($['-0'])", json!(0)),
        ("States.JsonToString(null)", json!("null")),
        ("States.JsonToString('a')", json!("\"a\"")),
        ("States.JsonToString($.object)", json!("{\"Id\":\"arn:x\",\"Tags\":[\"a\",1,null]}")),
        ("States.MathAdd(111, -1)", json!(110)),
        ("States.MathAdd(1.49, 1.5)", json!(3)),
        ("States.MathAdd(1.5, 1.51)", json!(4)),
        ("States.MathAdd(-1.49, -1.5)", json!(-2)),
        ("States.MathAdd(-1.5, -1.51)", json!(-3)),
        ("States.MathAdd(-1.49, 0)", json!(-1)),
        ("States.StringSplit('1,2,3,4,5', ',')", json!(["1", "2", "3", "4", "5"])),
        ("States.StringSplit($.text, '.+,=')", json!(["This", "is", "a", "test", "string"])),
        ("States.StringSplit(',,,,', ',')", json!([])),
        ("States.StringSplit($.commas, ',')", json!([" ", " "])),
        (
            "States.Format('Your name is {}, we are in the year {}', $.name, 2020)",
            json!("Your name is Arnav, we are in the year 2020"),
        ),
        ("States.Format('{}', $.object)", json!("{Id=arn:x, Tags=[a, 1, null]}")),
        ("States.Format($.template, 'you')", json!("Hi you")),
        (r"States.Format('\{\} it\'s {} \\', 1)", json!(r"{} it's 1 \")),
        (r"States.Array('a\'b\{c\\d')", json!([r"a'b{c\d"])),
        ("States.Format('{}-{}', $v, $$.Id)", json!("w-7")),
        ("States.ArrayLength($.list[?(@ > 3 && @ < 6)])", json!(2)),
        ("States.Array($.list.length(), States.ArrayLength($.list))", json!([9, 9])),
        ("States.Format('{}', States.ArrayGetItem(States.StringSplit('a/b', '/'), 1))", json!("b")),
    ] {
        assert_eq!(call(text), Ok(expected), "{text}");
    }
}

#[test]
fn functions_that_refuse_say_so() {
    let long = "a".repeat(10_001);
    for text in [
        "States.ArrayGetItem($.list, 9)".to_owned(),
        "States.ArrayGetItem($.list, -1)".to_owned(),
        "States.ArrayGetItem($.list, 'a')".to_owned(),
        "States.ArrayLength($.name)".to_owned(),
        "States.ArrayPartition($.list, 0)".to_owned(),
        "States.ArrayRange(1, 1001, 1)".to_owned() + "",
        "States.ArrayRange(0, 1000, 1)".to_owned(),
        "States.ArrayRange(0, 1, 0)".to_owned(),
        "States.ArrayUnique('a')".to_owned(),
        format!("States.Base64Encode('{long}')"),
        "States.Base64Decode('!')".to_owned(),
        "States.Hash('a', 'SHA-3')".to_owned(),
        format!("States.Hash('{long}', 'MD5')"),
        "States.JsonMerge($.object, $.other, true)".to_owned(),
        "States.JsonMerge($.object, 1, false)".to_owned(),
        "States.MathAdd(2147483647, 1)".to_owned(),
        "States.MathAdd('1', 1)".to_owned(),
        "States.MathRandom(5, 5)".to_owned(),
        "States.StringSplit(1, ',')".to_owned(),
        "States.StringToJson('{')".to_owned(),
        "States.StringToJson(1)".to_owned(),
        "States.Format('{}')".to_owned(),
        "States.Format('{}', 1, 2)".to_owned(),
        "States.Format('{', 1)".to_owned(),
        "States.UUID(1)".to_owned(),
    ] {
        if text == "States.ArrayRange(1, 1001, 1)" {
            // 1,001 numbers are one too many, 1,000 are not.
            assert_eq!(call("States.ArrayRange(1, 1000, 1)").unwrap().as_array().unwrap().len(), 1000);
        }
        let failure = call(&text).unwrap_err();
        assert_eq!(failure.name(), "States.IntrinsicFailure", "{text}");
        let start = format!("The function '{text}' had the following error: ");
        assert!(failure.cause.unwrap().starts_with(&start), "{text}");
    }
    let failure = call("States.Format('{}', $.missing)").unwrap_err();
    assert_eq!(failure.name(), "States.Runtime");
}

#[test]
fn random_numbers_come_from_the_seed() {
    for _ in 0..100 {
        let number = call("States.MathRandom(1, 3)").unwrap().as_i64().unwrap();
        assert!((1..3).contains(&number));
    }
    assert_eq!(call("States.MathRandom(0, 1000, 42)"), Ok(json!(727)));
    assert_eq!(call("States.UUID()"), call("States.UUID()"));
}

#[test]
fn other_texts_are_no_calls() {
    let nested = |depth: usize| format!("{}1{}", "States.Array(".repeat(depth), ")".repeat(depth));
    for text in [
        "States.Unknown()",
        "States.Array(",
        "States.Array(1",
        "States.Array(1))",
        "States.Array('a)",
        "States.Array($.)",
        "States.Array(a)",
        "States.Array(1 2)",
        "States.Array(,)",
        "Array()",
        "States.Array([1])",
        "States.Array(\"a\")",
        "States.UUID",
        "States.UUID() ",
        "",
        "States.",
    ] {
        assert!(Call::parse(text).is_err(), "{text}");
    }
    assert!(Call::parse(&nested(10)).is_ok());
    assert!(Call::parse(&nested(11)).is_err());
    assert!(Call::parse(&nested(10_000)).is_err());
}

#[test]
fn calls_that_double_their_arguments_end() {
    let text = (0..9)
        .fold("$.list".to_owned(), |inner, _| format!("States.Array({inner}, {inner}, {inner}, {inner})"));
    assert_eq!(call(&text).unwrap_err().name(), "States.Runtime");
}

proptest! {
    #[test]
    fn arbitrary_texts_do_not_panic(text in "States\\.(Array|Format|StringSplit|ArrayRange|MathAdd)\\([$.a-z0-9'{},()\\\\ -]{0,30}\\)") {
        if let Ok(call) = Call::parse(&text) {
            let _ = with_scope(&input(), &json!({}), &json!({}), |scope| call.evaluate(scope));
        }
    }

    /// The parts between delimiters, and how many there are, as `regex` sees it.
    #[test]
    fn a_split_gives_the_runs_without_delimiters(text in "[ab,.]{0,20}") {
        let runs = regex::Regex::new("[ab]+").unwrap();
        let expected: Value = runs.find_iter(&text).map(|run| run.as_str()).collect();
        prop_assert_eq!(call(&format!("States.StringSplit('{text}', ',.')")), Ok(expected));
    }

    #[test]
    fn base64_is_undone(text in "[^'\\\\]{0,40}") {
        let decoded = call(&format!("States.Base64Decode(States.Base64Encode('{text}'))"));
        prop_assert_eq!(decoded, Ok(Value::from(text)));
    }
}
