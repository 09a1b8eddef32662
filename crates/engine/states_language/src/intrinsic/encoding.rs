//! Base64 and digests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest;
use serde_json::Value;

use super::evaluate::{Outcome, Refused};

/// Characters that these functions take (AWS's documentation).
const CHARACTERS: usize = 10_000;

fn text(value: &Value) -> Result<&str, Refused> {
    let text = value.as_str().ok_or_else(|| Refused::from("The argument must be a string."))?;
    short(text)
}

fn short(text: &str) -> Result<&str, Refused> {
    if text.chars().count() > CHARACTERS {
        return Err(Refused(format!("The argument must not have more than {CHARACTERS} characters.")));
    }
    Ok(text)
}

pub(super) fn base64_encode(value: &Value) -> Outcome {
    Ok(Value::String(STANDARD.encode(text(value)?)))
}

pub(super) fn base64_decode(value: &Value) -> Outcome {
    let bytes =
        STANDARD.decode(text(value)?).map_err(|_| Refused::from("The argument is not valid Base64."))?;
    Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) fn hash(data: &Value, algorithm: &Value) -> Outcome {
    let data = match data {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let digest = algorithm.as_str().and_then(|algorithm| digest(short(&data).ok()?, algorithm));
    match digest {
        Some(digest) => Ok(Value::String(digest)),
        None => {
            short(&data)?;
            Err("The algorithm must be one of MD5, SHA-1, SHA-256, SHA-384, SHA-512.".into())
        }
    }
}

/// The digest in hexadecimal digits; none if there is no such algorithm.
pub(crate) fn digest(data: &str, algorithm: &str) -> Option<String> {
    fn of<D: Digest>(data: &str) -> String {
        kernel::hex(&D::digest(data.as_bytes()))
    }
    Some(match algorithm {
        "MD5" => of::<md5::Md5>(data),
        "SHA-1" => of::<sha1::Sha1>(data),
        "SHA-256" => of::<sha2::Sha256>(data),
        "SHA-384" => of::<sha2::Sha384>(data),
        "SHA-512" => of::<sha2::Sha512>(data),
        _ => return None,
    })
}
