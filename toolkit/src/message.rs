//! The properties of an application's message: its type, its schema version, and how older versions are read.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A type that can travel in an [`Envelope`](crate::Envelope).
///
/// If one queue carries several types, use a [`Router`](crate::Router) with a handler for each, or an enum of
/// all of them that lists their names in [`TYPES`](Self::TYPES).
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
    /// A reader accepts every minor version of its own major version. So a minor version may only add fields
    /// that old readers can ignore and new readers do not need.
    const VERSION: SchemaVersion = SchemaVersion::new(1, 0);

    /// The names of this type on the wire, such as `order.created`: one name, or one for each event if an
    /// enum contains several.
    ///
    /// A reader refuses a message whose envelope names any other type; a consumer moves it to the dead-letter
    /// queue. A name that only older versions had stays in this list as long as [`upcast`](Self::upcast)
    /// reads them.
    const TYPES: &'static [&'static str];

    /// Whether messages of every type and version are read: only [`Untyped`].
    #[doc(hidden)]
    const UNTYPED: bool = false;

    /// Returns the name of this message on the wire: one of [`TYPES`](Self::TYPES), the first unless an enum
    /// returns another. Filter policies can match it.
    fn message_type(&self) -> &str {
        Self::TYPES.first().copied().unwrap_or_default()
    }

    /// Upgrades `data` from major version `from` to the next one.
    ///
    /// Called repeatedly, until the data has [`VERSION`](Self::VERSION)'s major version.
    ///
    /// # Errors
    /// The version is unknown, or the data does not conform to it.
    fn upcast(message_type: &str, from: SchemaVersion, data: Value) -> Result<Value, UpcastError> {
        let _ = (message_type, data);
        Err(UpcastError::unknown(from))
    }
}

/// The data of a message of any type, unparsed. A [`Router`](crate::Router) uses it to choose a handler. It
/// can be read but not published, because it does not know its own type.
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
    /// Without a version in the message, this becomes the version of the final reader.
    const VERSION: SchemaVersion = SchemaVersion::UNSAID;
}

/// A version `major.minor`. Written as a string, `"1.0"`; a bare number is accepted, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SchemaVersion {
    /// Changes when old readers cannot read the new data.
    pub major: u32,
    /// Changes when something is added that old readers may ignore.
    pub minor: u32,
}

impl SchemaVersion {
    /// The version of data without an envelope.
    pub(crate) const UNSAID: SchemaVersion = SchemaVersion::new(0, 0);

    /// Creates version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> SchemaVersion {
        SchemaVersion { major, minor }
    }
}

impl Default for SchemaVersion {
    /// `1.0`: the version of a message that does not name one.
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

/// Why older data could not be upgraded.
#[derive(Debug, thiserror::Error)]
#[error("cannot upgrade data of version {from}: {why}")]
pub struct UpcastError {
    /// The version of the data.
    pub from: SchemaVersion,
    /// Description of the fault.
    pub why: String,
}

impl UpcastError {
    /// The version is unknown.
    pub fn unknown(from: SchemaVersion) -> UpcastError {
        UpcastError { from, why: "no step is known from this version".into() }
    }
}
