//! `HttpParameters`: what a pipe adds to requests to an API destination.

use api::Map;
use api::Text;
use kernel::Refusal;
use resources::Faults;
use serde::{Deserialize, Serialize};

use super::record::Record;
use super::template::Dynamic;

/// `HttpParameters` as they were given.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpParameters {
    /// `PathParameterValues`.
    pub path: Option<Vec<String>>,
    /// `HeaderParameters`.
    pub headers: Option<Vec<(String, String)>>,
    /// `QueryStringParameters`.
    pub query: Option<Vec<(String, String)>>,
}

impl HttpParameters {
    /// Reads them from a request. `path` is where they are in it.
    pub fn of(
        values: Option<&[Text]>,
        (headers, query): (Option<&Map<Text>>, Option<&Map<Text>>),
        path: &str,
        faults: &mut Faults,
    ) -> HttpParameters {
        let mut map = |map: Option<&Map<Text>>, name: &str| {
            let pairs = map?.0.iter().map(|(key, value)| {
                // AWS's model: HeaderKey, HeaderValue, QueryStringKey, QueryStringValue
                faults.length(key, &format!("{path}.{name}"), 0, 512);
                faults.length(value, &format!("{path}.{name}.{key}"), 0, 512);
                (key.to_string(), value.to_string())
            });
            Some(pairs.collect())
        };
        HttpParameters {
            path: values.map(|values| values.iter().map(ToString::to_string).collect()),
            headers: map(headers, "headerParameters"),
            query: map(query, "queryStringParameters"),
        }
    }

    /// `PathParameterValues` in an answer.
    pub fn shown_path(&self) -> Option<Vec<Text>> {
        self.path.as_ref().map(|values| values.iter().map(|value| value.clone().into()).collect())
    }

    /// `HeaderParameters` and `QueryStringParameters` in an answer.
    pub fn shown_maps(&self) -> (Option<Map<Text>>, Option<Map<Text>>) {
        let map = |pairs: &Option<Vec<(String, String)>>| {
            let pairs = pairs.as_ref()?.iter();
            Some(Map(pairs.map(|(name, value)| (name.clone().into(), value.clone().into())).collect()))
        };
        (map(&self.headers), map(&self.query))
    }
}

/// The same ready to be used: values may be paths into the event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Http {
    path: Vec<Dynamic>,
    headers: Vec<(String, Dynamic)>,
    query: Vec<(String, Dynamic)>,
}

/// What a request says besides its body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Values {
    /// What takes the places of `*` in the URL.
    pub path: Vec<String>,
    /// Headers by name.
    pub headers: Vec<(String, String)>,
    /// Query parameters by name.
    pub query: Vec<(String, String)>,
}

impl Http {
    /// Reads the values.
    ///
    /// Errors: a path that cannot be read.
    pub fn parse(given: Option<&HttpParameters>) -> Result<Http, Refusal> {
        let Some(given) = given else { return Ok(Http::default()) };
        let pairs = |pairs: &Option<Vec<(String, String)>>| {
            let pairs = pairs.iter().flatten();
            pairs.map(|(name, value)| Ok((name.clone(), Dynamic::parse(value)?))).collect::<Result<_, _>>()
        };
        Ok(Http {
            path: given.path.iter().flatten().map(|value| Dynamic::parse(value)).collect::<Result<_, _>>()?,
            headers: pairs(&given.headers)?,
            query: pairs(&given.query)?,
        })
    }

    /// The values for an event. What is not there is empty, as in rules.
    pub fn values(&self, event: &Record) -> Values {
        let value = |value: &Dynamic| value.value(event).map_or_else(String::new, |value| value.into_owned());
        let pairs = |pairs: &[(String, Dynamic)]| {
            pairs.iter().map(|(name, dynamic)| (name.clone(), value(dynamic))).collect()
        };
        Values {
            path: self.path.iter().map(value).collect(),
            headers: pairs(&self.headers),
            query: pairs(&self.query),
        }
    }
}
