//! What expressions give: AWS's functions (developer guide, "Transforming data with JSONata"), recorded texts, and bounds.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Expression, Refusal};
use crate::failure::Failure;
use crate::testing::with_scope;

fn evaluate(source: &str) -> Result<Value, Failure> {
    let expression = Expression::parse(source).unwrap_or_else(|refusal| panic!("{source}: {refusal:?}"));
    let input = json!({"n": 5, "list": [3, 1, 2], "text": "abc", "orders": [{"id": 1, "price": 10}, {"id": 2, "price": 30}]});
    let (context, variables) = (
        json!({"State": {"Name": "S"}}),
        json!({"v": {"w": 7}, "text": "variable", "large": 9_007_199_254_740_993i64}),
    );
    with_scope(&input, &context, &variables, |scope| expression.evaluate("Output/r", scope))
}

fn cause(source: &str) -> String {
    let failure = evaluate(source).unwrap_err();
    assert_eq!(failure.name(), "States.QueryEvaluationError", "{source}");
    assert_eq!(failure.location.as_deref(), Some("Output/r"));
    failure.cause.unwrap()
}

#[test]
fn expressions_see_the_state_and_variables() {
    for (source, expected) in [
        ("$states.input.n + 1", json!(6)),
        ("$states.context.State.Name", json!("S")),
        ("$v.w & '-' & $text", json!("7-variable")),
        ("$states.input.orders[price > 20].id", json!(2)),
        ("$states.input.orders.(id * price)", json!([10, 60])),
        ("$sum($states.input.orders.price)", json!(40)),
        ("$map($states.input.list, function($x, $i) { $x * $i })", json!([0, 1, 4])),
        ("$sort($states.input.list)", json!([1, 2, 3])),
        ("$states.input.orders{$string(id): price}", json!({"1": 10, "2": 30})),
        ("$states.input.orders^(>price).id", json!([2, 1])),
        ("($f := function($n) { $n < 2 ? 1 : $n * $f($n - 1) }; $f(5))", json!(120)),
        ("($f := function($n, $a) { $n = 0 ? $a : $f($n - 1, $a + $n) }; $f(1000, 0))", json!(500_500)),
        ("'a,b' ~> $split(',') ~> $join('-')", json!("a-b")),
        ("$map($states.input.list, $string)", json!(["3", "1", "2"])),
        ("$keys($states.input)", json!(["n", "list", "text", "orders"])),
        ("$merge([$v, {'x': null}])", json!({"w": 7, "x": null})),
        ("$replace('banana', /a/, function($m) { 'o' })", json!("bonono")),
        ("$replace('banana', /an/, 'AN')", json!("bANANa")),
        ("$distinct([1, 2, 1])", json!([1, 2])),
        ("$pad('x', 3) & '|'", json!("x  |")),
        ("$exists($states.input.nothing)", json!(false)),
        ("{'a': $states.input.nothing, 'b': 1}", json!({"b": 1})),
        ("[1..3]", json!([1, 2, 3])),
        ("$states.input.list[$ > 1]", json!([3, 2])),
        ("($states.input.list)[0]", json!(3)),
        ("1.5", json!(1.5)),
        // A plain name keeps a number that a double could not have.
        ("$large", json!(9_007_199_254_740_993i64)),
        ("$states.input.(n)", json!(5)),
    ] {
        assert_eq!(evaluate(source), Ok(expected), "{source}");
    }
}

#[test]
fn awss_functions_are_there() {
    for (source, expected) in [
        ("$parse('{\"a\": [1]}').a[0]", json!(1)),
        ("$partition([1, 2, 3, 4], 2)", json!([[1, 2], [3, 4]])),
        ("$partition([1..9], 4)", json!([[1, 2, 3, 4], [5, 6, 7, 8], [9]])),
        ("[1..4] ~> $partition(3)", json!([[1, 2, 3], [4]])),
        ("$range(0, 6, 2)", json!([0, 2, 4, 6])),
        ("$range(0, 7, 2)", json!([0, 2, 4, 6])),
        ("$range(3, 1, -1)", json!([3, 2, 1])),
        ("$hash('input', 'SHA-1')", json!("140f86aae51ab9e1cda9b4254fe98a74eb54c1a1")),
        ("$map(['input'], function($t) { $hash($t, 'MD5') })", json!("a43c1b0aa53a0c908810c06ab1ff3967")),
        ("$random(42)", json!(0.727_563_680_032_868_1)),
        ("$length($uuid())", json!(36)),
        ("$random() < 1", json!(true)),
        ("$millis()", json!(1_700_000_000_000i64)),
        ("$now()", json!("2023-11-14T22:13:20.000Z")),
        ("$now('[Y0001]')", json!("2023")),
        ("$toMillis($now()) = $millis()", json!(true)),
        ("$count($shuffle([1..10]))", json!(10)),
        ("$parse($states.input.nothing) = 1", json!(false)),
    ] {
        assert_eq!(evaluate(source), Ok(expected), "{source}");
    }
    // Nothing is random that does not come from the seed, even if a function is passed on as a value.
    for source in ["$random()", "$uuid()", "$shuffle([1..50])", "$map([1..3], $random)", "[1..3].$uuid()"] {
        assert_eq!(evaluate(source), evaluate(source), "{source}");
    }
}

#[test]
fn failures_are_told_in_awss_words() {
    let start =
        |source: &str| format!("The JSONata expression '{source}' specified for the field 'Output/r'");
    for (source, ending) in [
        ("$states.input.missing", " returned nothing (undefined)."),
        ("$states.result", " returned nothing (undefined)."),
        ("$sum", " returned nothing (undefined)."),
        ("$eval('1+1')", " threw an error during evaluation. T1006: Attempted to invoke a non-function"),
        ("$unknown(1)", " threw an error during evaluation. T1006: Attempted to invoke a non-function"),
        (
            // AWS: Argument 1 of function "sum" must be an array of "numbers".
            "$sum('a')",
            " threw an error during evaluation. T0412: Argument 1 must be an array of Number",
        ),
        (
            "$hash('a', 'SHA-3')",
            " threw an error during evaluation. T0410: Argument 2 of function \"hash\" does not match function signature",
        ),
    ] {
        assert_eq!(cause(source), start(source) + ending, "{source}");
    }
    let expression = Expression::parse("1").unwrap();
    let failure = expression.unexpected("Items", "array", &json!(1));
    assert_eq!(
        failure.cause.unwrap(),
        "The JSONata expression '1' specified for the field 'Items' returned an unexpected result type. Expected 'array', but was 'number' for value: 1"
    );
}

#[test]
fn evaluations_are_bounded() {
    let stack = "threw an error during evaluation: Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive";
    let memory = "threw an error during evaluation: Expression evaluation memory limit exceeded: Check for excessive memory usage";
    let time = "threw an error during evaluation: Expression evaluation timeout: Check for infinite loop";
    let terms = vec!["1"; 200].join("+");
    for (source, ending) in [
        (terms.as_str(), stack),
        ("($f := function($x) { 1 + $f($x + 1) }; $f(1))", stack),
        ("($f := function($x) { $f($x + 1) }; $f(1))", time),
        ("($f := function() { $g() }; $g := function() { $f() }; $f())", time),
        ("[1..1000].$sum([1..1000].$sum([1..1000]))", time),
        ("[1..1000].($sum([1..1000].($sum([1..1000]))))", time),
        ("$map([1..1000], function($x) { $map([1..1000], function($y) { $x }) })", time),
        ("[1..900000] ~> $count()", memory),
        ("$sum([1..900000])", memory),
        ("$reduce([1..60], function($a, $i) { $a & $a }, 'x')", memory),
        ("$pad('x', 100000000)", memory),
        ("[1..2].$pad('x', -100000000)", memory),
        ("$join([1..2000].('' & $pad('x', 1000000)))", time),
        ("($s := $pad('x', 100000); $join($map([1..10000], function($i) { $s })))", memory),
        ("($s := $pad('x', 100000); $replace($s, 'x', $s))", memory),
        ("($s := $pad('x', 100000, 'x'); $replace($s, /x/, function($m) { $s }))", memory),
        ("($s := $pad('x', 100000); $s ~> $replace('x', $s))", memory),
        ("($s := $pad('x', 100000); $r := $replace; $r($s, 'x', $s))", memory),
        ("($d := $reduce([1..60], function($a, $i) { [[$a], [$a]] }, [1]); $string($d))", memory),
        ("$reduce([1..60], function($a, $i) { [[$a], [$a]] }, [1])", memory),
        ("($d := $reduce([1..60], function($a, $i) { [[$a], [$a]] }, [1]); $d = $d)", memory),
        ("$range(1, 100000000, 1)", memory),
        ("$reduce([1..50000], function($a, $i) { [[$a]] }, 1)", memory),
        ("$reduce([1..50000], function($a, $i) { {'a': $a} }, 1)", memory),
        ("($f := function($n, $a) { $n = 0 ? $a : $f($n - 1, {'a': [$a]}) }; $f(40000, 1))", memory),
        ("($d := $reduce([1..50000], function($a, $i) { [[$a]] }, 1); $d = $d)", memory),
        ("$distinct([1..100000])", time),
    ] {
        let cause = cause(source);
        assert!(cause.ends_with(ending), "{source}: {cause}");
    }
}

/// Texts of a definition's size do not take the stack.
#[test]
fn large_expressions_do_not_overflow() {
    for source in [
        vec!["1"; 100_000].join("+"),
        vec!["$a"; 100_000].join("."),
        vec!["$a"; 100_000].join(" ~> "),
        format!("$a{}", "[0]".repeat(100_000)),
        format!("$a{}", "^(b)".repeat(20_000)),
        format!("$a{}", "{'b': c}".repeat(20_000)),
        format!("$a{}", "()".repeat(100_000)),
        "(".repeat(100_000),
        format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}1", "-".repeat(100_000)),
        format!("{}1", "$a := ".repeat(100_000)),
        format!("{}1", "1 ? ".repeat(100_000)),
        format!("{}1{}", "function(){".repeat(50_000), "}".repeat(50_000)),
        format!("{}1{}", "{'a':".repeat(50_000), "}".repeat(50_000)),
        format!("'{}'", "a".repeat(500_000)),
    ] {
        if let Ok(expression) = Expression::parse(&source) {
            let _ = with_scope(&json!({}), &json!({}), &json!({"a": 1}), |scope| {
                expression.evaluate("Output", scope)
            });
        }
    }
}

/// All expressions of a state share the steps of the state.
#[test]
fn many_expressions_are_bounded_together() {
    let expression = Expression::parse("$map([1..20000], function($x) { $x })").unwrap();
    let evaluated = with_scope(&json!({}), &json!({}), &json!({}), |scope| {
        (0..1000).take_while(|_| expression.evaluate("Output", scope).is_ok()).count()
    });
    assert!((10..100).contains(&evaluated), "{evaluated}");
}

#[test]
fn definitions_are_refused_as_aws_refuses_them() {
    let invalid = |message: &str| Err(Refusal::Invalid(message.to_owned()));
    let unsupported =
        |names: &[&str]| Err(Refusal::Unsupported(names.iter().map(|&name| name.to_owned()).collect()));
    for (source, expected) in [
        ("1 +", invalid("Unexpected end of expression")),
        ("a[1,2)", invalid("Expected \"]\", got \",\"")),
        ("\"unterminated", invalid("String literal must be terminated by a matching quote")),
        ("{\"a\":}", invalid("The symbol \"}\" cannot be used as a unary operator")),
        // AWS says "No terminating / in regular expression": a difference of the crate.
        ("$match(\"a\", /abc", invalid("String literal must be terminated by a matching quote")),
        ("$x ?? 1", invalid("The symbol \"?\" cannot be used as a unary operator")),
        ("$x ?: 1", invalid("The symbol \":\" cannot be used as a unary operator")),
        ("phone", unsupported(&["phone"])),
        ("phone.number & name", unsupported(&["phone", "name"])),
        ("$", unsupported(&["$"])),
        ("$$.a", unsupported(&["$$"])),
        ("[a, $states.input]", unsupported(&["a"])),
        ("$map($x, function($y) { z })", unsupported(&["z"])),
    ] {
        assert_eq!(Expression::parse(source).map(drop), expected, "{source}");
    }
    for source in [
        "$states.input.(a + b)",
        "$x[a = 1]",
        "$x{a: b}",
        "$x^(a)",
        "$x ~> |a|{'b': c}|",
        "$states.input.$",
        "$x.*.a",
    ] {
        assert!(Expression::parse(source).is_ok(), "{source}");
    }
    let variables =
        |source: &str| Expression::parse(source).unwrap().variables().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(variables("$a + $states.input.b + $c"), ["a", "c"]);
    assert_eq!(Expression::within("{% 1 + 1 %}"), Some("1 + 1"));
    assert_eq!(Expression::within(" {% 1 %}"), None);
    assert_eq!(Expression::within("{% 1 %} "), None);
    assert_eq!(Expression::within("{%}"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Neither the parser nor the evaluation panics.
    #[test]
    fn arbitrary_texts_do_not_panic(source in "(\\$states|\\$[a-c]|[a-c.()\\[\\]{}*^~>|:;?=+&',0-9 -]){0,20}") {
        if let Ok(expression) = Expression::parse(&source) {
            let input = json!({"a": [1, {"b": "c"}], "b": null});
            let _ = with_scope(&input, &input, &input, |scope| expression.evaluate("Output", scope));
        }
    }

    /// What needs no evaluator gives what the evaluator gives.
    #[test]
    fn plain_expressions_give_what_the_evaluator_gives(
        names in proptest::collection::vec("[ab]", 0..4),
        value in (0i64..3).prop_map(Value::from).prop_recursive(3, 12, 3, |inner| prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[ab]", inner, 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]),
    ) {
        let source = std::iter::once("$v".to_owned()).chain(names).collect::<Vec<_>>().join(".");
        let variables = json!({"v": value});
        // In a block, the same expression is not plain.
        let [plain, evaluated] = [source.clone(), format!("({source})")].map(|source| {
            let expression = Expression::parse(&source).unwrap();
            with_scope(&Value::Null, &Value::Null, &variables, |scope| expression.evaluate("Output", scope)).ok()
        });
        prop_assert_eq!(plain, evaluated, "{}", source);
    }

    /// The counters do not change what an expression gives.
    #[test]
    fn counters_change_nothing(
        parts in proptest::collection::vec(prop_oneof![
            Just("$a"), Just(".b"), Just("[0]"), Just("[b = 1]"), Just(".(b)"), Just(".{'x': b}"), Just("[$string(b) = '1']"),
            Just("^(b)"), Just("{'k': $count(b)}"), Just(".$string(b)"), Just(" & 'x'"), Just(" ~> $count()"), Just("[]"),
        ], 1..6)
    ) {
        let source = format!("$a{}", parts[1..].concat());
        if let (Ok(expression), Ok(plain)) = (Expression::parse(&source), jsonata_core::parser::parse(&source)) {
            let a = json!([{"b": 1}, {"b": [2, 3]}, {"b": "x"}]);
            let ours = with_scope(&Value::Null, &Value::Null, &json!({"a": a}), |scope| expression.evaluate("Output", scope));
            let mut context = jsonata_core::evaluator::Context::new();
            context.bind("a".to_owned(), a.into());
            let theirs = jsonata_core::evaluator::Evaluator::with_context(context)
                .evaluate(&plain, &jsonata_core::value::JValue::Undefined);
            prop_assert_eq!(ours.ok(), theirs.ok().and_then(|value| super::values::to_json(&value)), "{}", source);
        }
    }
}
