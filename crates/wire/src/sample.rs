//! Shapes from JSON by the model's own names, for tests: neither how a protocol calls a member nor where it puts it matters.
//! Blobs are base64, and moments are seconds since 1970-01-01T00:00Z.

use api::{Json, Map, Text, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

/// A shape that can be made.
pub(crate) trait Sample {
    /// Makes the shape; panics if the JSON is of another kind.
    fn sample(json: &Value) -> Self;
}

/// A member of a structure.
pub(crate) fn member<T: Sample>(json: &Value, name: &str) -> Option<T> {
    json.get(name).filter(|value| !value.is_null()).map(T::sample)
}

impl Sample for Text {
    fn sample(json: &Value) -> Self {
        json.as_str().unwrap().into()
    }
}

impl Sample for Json {
    fn sample(json: &Value) -> Self {
        Json(json.to_string().into())
    }
}

impl Sample for bool {
    fn sample(json: &Value) -> Self {
        json.as_bool().unwrap()
    }
}

impl Sample for i32 {
    fn sample(json: &Value) -> Self {
        json.as_i64().unwrap().try_into().unwrap()
    }
}

impl Sample for i64 {
    fn sample(json: &Value) -> Self {
        json.as_i64().unwrap()
    }
}

impl Sample for f64 {
    fn sample(json: &Value) -> Self {
        match json.as_str() {
            Some("NaN") => f64::NAN,
            Some("Infinity") => f64::INFINITY,
            Some("-Infinity") => f64::NEG_INFINITY,
            _ => json.as_f64().unwrap(),
        }
    }
}

impl Sample for f32 {
    fn sample(json: &Value) -> Self {
        f64::sample(json) as f32
    }
}

impl Sample for Timestamp {
    fn sample(json: &Value) -> Self {
        Timestamp((json.as_f64().unwrap() * 1000.0).round() as i64)
    }
}

impl Sample for Bytes {
    fn sample(json: &Value) -> Self {
        STANDARD.decode(json.as_str().unwrap()).unwrap().into()
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample(json: &Value) -> Self {
        Box::new(T::sample(json))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(json: &Value) -> Self {
        json.as_array().unwrap().iter().filter(|item| !item.is_null()).map(T::sample).collect()
    }
}

impl<T: Sample> Sample for Map<T> {
    fn sample(json: &Value) -> Self {
        let entries = json.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        Map(entries.map(|(name, value)| (name.as_str().into(), T::sample(value))).collect())
    }
}
