//! What an application's message must be able to say of itself: its type, its schema version, and how an older one is read.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A type that can travel in an [`Envelope`](crate::Envelope).
///
/// Where one queue carries several types of event, a [`Router`](crate::Router) has a handler for each; or an enum holds all of them, and
/// names them in [`TYPES`](Self::TYPES).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use serde_json::{Value, json};
/// use toolkit::{Message, SchemaVersion, UpcastError};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct OrderCreated { order_id: String, cents: u64 }
///
/// impl Message for OrderCreated {
///     const VERSION: SchemaVersion = SchemaVersion::new(2, 0);
///     const TYPES: &'static [&'static str] = &["order.created"];
///
///     // Version 1 had the amount in whole dollars.
///     fn upcast(_: &str, from: SchemaVersion, mut data: Value) -> Result<Value, UpcastError> {
///         match from.major {
///             1 => {
///                 data["cents"] = json!(data["dollars"].as_u64().unwrap_or(0) * 100);
///                 Ok(data)
///             }
///             _ => Err(UpcastError::unknown(from)),
///         }
///     }
/// }
///
/// let old = r#"{"id":"1","type":"order.created","source":"shop","timestamp":"2024-01-15T10:30:00Z",
///               "data":{"order_id":"o-1","dollars":30},"metadata":{"version":"1.0"}}"#;
/// let read = toolkit::Envelope::<OrderCreated>::decode(old)?;
/// assert_eq!(read.data, OrderCreated { order_id: "o-1".into(), cents: 3000 });
/// # Ok::<(), toolkit::EnvelopeError>(())
/// ```
pub trait Message: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The version that this program writes.
    ///
    /// A reader accepts every minor version of its own major one, so a minor step may only add what old readers can
    /// ignore and new readers can do without.
    const VERSION: SchemaVersion = SchemaVersion::new(1, 0);

    /// The names of this type on the wire, such as `order.created`: one, or one for each event where an enum holds several.
    ///
    /// A reader refuses a message whose envelope names any other type: a consumer moves it to the dead letters. A name that only older
    /// versions had stays in this list for as long as [`upcast`](Self::upcast) reads them.
    const TYPES: &'static [&'static str];

    /// Whether messages of every type and version are read: [`Untyped`] alone.
    #[doc(hidden)]
    const UNTYPED: bool = false;

    /// The name of this message on the wire: one of [`TYPES`](Self::TYPES), the first unless an enum says otherwise. Filter policies may
    /// match on it.
    fn message_type(&self) -> &str {
        Self::TYPES.first().copied().unwrap_or_default()
    }

    /// Brings `data` from major version `from` to the next one.
    ///
    /// Called again and again until the data is of [`VERSION`](Self::VERSION)'s major version.
    ///
    /// # Errors
    /// When that version is unknown, or the data is not what that version promised.
    fn upcast(message_type: &str, from: SchemaVersion, data: Value) -> Result<Value, UpcastError> {
        let _ = (message_type, data);
        Err(UpcastError::unknown(from))
    }
}

/// The data of a message of any type, as it came: what a [`Router`](crate::Router) chooses a handler for. To be read, not published: it does
/// not know its own type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untyped(Box<RawValue>);

impl Untyped {
    /// The JSON.
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl Message for Untyped {
    const TYPES: &'static [&'static str] = &[];
    const UNTYPED: bool = true;
    /// Where nothing names a version, it is the one of whoever reads the data in the end.
    const VERSION: SchemaVersion = SchemaVersion::UNSAID;
}

/// `major.minor`. Written as a string, `"1.0"`; a bare number is read too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SchemaVersion {
    /// Changes when old readers cannot read what is written now.
    pub major: u32,
    /// Changes when something is added that old readers may ignore.
    pub minor: u32,
}

impl SchemaVersion {
    /// Of data without an envelope.
    pub(crate) const UNSAID: SchemaVersion = SchemaVersion::new(0, 0);

    /// `major.minor`.
    pub const fn new(major: u32, minor: u32) -> SchemaVersion {
        SchemaVersion { major, minor }
    }
}

impl Default for SchemaVersion {
    /// `1.0`: what is read where nothing is said.
    fn default() -> SchemaVersion {
        SchemaVersion::new(1, 0)
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for SchemaVersion {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<SchemaVersion, Self::Err> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(SchemaVersion::new(major.parse()?, minor.parse()?))
    }
}

impl Serialize for SchemaVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SchemaVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SchemaVersion, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = SchemaVersion;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version like \"1.0\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SchemaVersion, E> {
                text.parse().map_err(|_| E::custom(format!("\"{text}\" is not a version like \"1.0\"")))
            }
            fn visit_u64<E: serde::de::Error>(self, major: u64) -> Result<SchemaVersion, E> {
                let major = u32::try_from(major).map_err(|_| E::custom("the version is too large"))?;
                Ok(SchemaVersion::new(major, 0))
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<SchemaVersion, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Why older data could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[error("cannot bring data of version {from} up to date: {why}")]
pub struct UpcastError {
    /// The version that the data has.
    pub from: SchemaVersion,
    /// What is wrong with it.
    pub why: String,
}

impl UpcastError {
    /// Nobody knows how to read this version.
    pub fn unknown(from: SchemaVersion) -> UpcastError {
        UpcastError { from, why: "no step is known from this version".into() }
    }
}
