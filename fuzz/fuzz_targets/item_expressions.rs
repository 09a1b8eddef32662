//! Values and expressions of DynamoDB: whatever a client sends is read or refused, and what was read is evaluated, without a panic.

#![no_main]

use items::expression::{Scope, condition, key_conditions, projection, update};
use items::json;
use items::number::Number;
use items::value::{Item, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (expression, value, number) = input;
    if let Ok(number) = Number::parse(number) {
        let again = Number::parse(&number.text()).expect("what is printed is read");
        assert_eq!(again, number);
    }
    let value = json_text_of(value).and_then(|json| json::read(json).ok());
    if let Some(value) = &value {
        let text = json::text_of(Value::of(value));
        assert_eq!(json::read(&text).as_ref(), Ok(value));
    }
    let given = value.as_ref().map(|value| json::text_of(Value::of(value)));
    let values = given.as_deref().map(|text| [(":v", text)]);
    let names = [("#n", "name")];
    let Ok(mut scope) = Scope::read(Some(names), values, false) else { return };
    let content = match &given {
        Some(text) => json::read_item([("a", &**text), ("b", &**text)]).unwrap_or_default(),
        None => Vec::new(),
    };
    let item = Item(&content);
    if let Ok(condition) = condition("ConditionExpression", expression, &mut scope) {
        condition.holds(item);
    }
    if let Ok(update) = update(expression, &mut scope)
        && let Ok(changed) = update.apply(item)
    {
        json::text_of_item(Item(&changed));
    }
    if let Ok(projection) = projection(expression, &mut scope) {
        projection.apply(item);
    }
    let _ = key_conditions(expression, &mut scope);
});

/// The service is handed values that are JSON.
fn json_text_of(text: &str) -> Option<&str> {
    serde_json::from_str::<serde_json::Value>(text).ok().map(|_| text)
}
