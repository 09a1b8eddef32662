//! How a connection authorizes requests, and what it adds to them. Secrets are never shown: not in answers, and not in debug output.

use std::fmt;

use api::Text;
use api::eventbridge::{
    ConnectionApiKeyAuthResponseParameters, ConnectionAuthResponseParameters,
    ConnectionBasicAuthResponseParameters, ConnectionBodyParameter, ConnectionHeaderParameter,
    ConnectionHttpParameters, ConnectionOAuthClientResponseParameters, ConnectionOAuthResponseParameters,
    ConnectionQueryStringParameter,
};
use kernel::codec::{Malformed, Reader, put_list, put_str};

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// `AuthorizationType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// A user's name and password.
    Basic,
    /// A token that is fetched with a client's id and secret.
    OAuth,
    /// A header with a key.
    ApiKey,
}

impl Scheme {
    /// AWS's names, in the order in which its refusals list them (recorded by LocalStack's tests against AWS).
    pub const NAMES: [&str; 3] = ["BASIC", "OAUTH_CLIENT_CREDENTIALS", "API_KEY"];

    /// AWS's name.
    pub fn name(self) -> &'static str {
        Scheme::NAMES[self as usize]
    }

    /// The scheme of this name.
    pub fn from_name(name: &str) -> Option<Scheme> {
        [Scheme::Basic, Scheme::OAuth, Scheme::ApiKey].into_iter().find(|scheme| scheme.name() == name)
    }
}

/// With what a connection authorizes requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credentials {
    /// `BasicAuthParameters`.
    Basic {
        /// `Username`.
        user: String,
        /// `Password`.
        password: Hidden,
    },
    /// `OAuthParameters`.
    OAuth(Box<OAuth>),
    /// `ApiKeyAuthParameters`.
    ApiKey {
        /// `ApiKeyName`: the name of a header.
        name: String,
        /// `ApiKeyValue`.
        value: Hidden,
    },
}

/// Where and with what a token is fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OAuth {
    /// `ClientID`.
    pub client: String,
    /// `ClientSecret`.
    pub secret: Hidden,
    /// `AuthorizationEndpoint`.
    pub endpoint: String,
    /// `HttpMethod`.
    pub method: String,
    /// `OAuthHttpParameters`.
    pub parameters: Option<Parameters>,
}

/// What is added to a request. A list that was not given is not shown.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Parameters {
    /// `HeaderParameters`.
    pub headers: Option<Vec<Parameter>>,
    /// `QueryStringParameters`.
    pub query: Option<Vec<Parameter>>,
    /// `BodyParameters`.
    pub body: Option<Vec<Parameter>>,
}

/// A name and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// `Key`.
    pub name: String,
    /// `Value`.
    pub value: Hidden,
    /// `IsValueSecret`.
    pub is_secret: bool,
}

impl Credentials {
    /// Of which kind they are.
    pub fn scheme(&self) -> Scheme {
        match self {
            Credentials::Basic { .. } => Scheme::Basic,
            Credentials::OAuth(_) => Scheme::OAuth,
            Credentials::ApiKey { .. } => Scheme::ApiKey,
        }
    }

    /// What an answer tells of them, and of what a connection adds.
    pub fn shown(&self, parameters: Option<&Parameters>) -> ConnectionAuthResponseParameters {
        let text = |text: &String| Some(Text::from(text.as_str()));
        let mut shown = ConnectionAuthResponseParameters {
            invocation_http_parameters: parameters.map(Parameters::shown),
            ..ConnectionAuthResponseParameters::default()
        };
        match self {
            Credentials::Basic { user, .. } => {
                let basic = ConnectionBasicAuthResponseParameters { username: text(user) };
                shown.basic_auth_parameters = Some(basic);
            }
            Credentials::ApiKey { name, .. } => {
                let key = ConnectionApiKeyAuthResponseParameters { api_key_name: text(name) };
                shown.api_key_auth_parameters = Some(key);
            }
            Credentials::OAuth(oauth) => {
                shown.o_auth_parameters = Some(ConnectionOAuthResponseParameters {
                    client_parameters: Some(ConnectionOAuthClientResponseParameters {
                        client_id: text(&oauth.client),
                    }),
                    authorization_endpoint: text(&oauth.endpoint),
                    http_method: text(&oauth.method),
                    o_auth_http_parameters: oauth.parameters.as_ref().map(Parameters::shown),
                });
            }
        }
        shown
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.scheme() as u8);
        match self {
            Credentials::Basic { user: name, password: value } | Credentials::ApiKey { name, value } => {
                put_str(out, name);
                put_str(out, &value.0);
            }
            Credentials::OAuth(oauth) => {
                for text in [&oauth.client, &oauth.secret.0, &oauth.endpoint, &oauth.method] {
                    put_str(out, text);
                }
                put_optional(out, oauth.parameters.as_ref(), Parameters::encode);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let scheme = reader.u8()?;
        let mut text = || Ok::<_, Malformed>(reader.str()?.to_owned());
        Ok(match scheme {
            0 => Credentials::Basic { user: text()?, password: Hidden(text()?) },
            1 => Credentials::OAuth(Box::new(OAuth {
                client: text()?,
                secret: Hidden(text()?),
                endpoint: text()?,
                method: text()?,
                parameters: optional(reader, Parameters::decode)?,
            })),
            2 => Credentials::ApiKey { name: text()?, value: Hidden(text()?) },
            _ => return Err(Malformed),
        })
    }
}

impl Parameters {
    /// What a request says.
    pub fn of(given: &ConnectionHttpParameters) -> Parameters {
        let parameter = |name: &Option<Text>, value: &Option<Text>, is_secret: Option<bool>| Parameter {
            name: name.as_deref().unwrap_or_default().to_owned(),
            value: Hidden(value.as_deref().unwrap_or_default().to_owned()),
            is_secret: is_secret.unwrap_or(false),
        };
        let headers = given.header_parameters.as_ref();
        let query = given.query_string_parameters.as_ref();
        let body = given.body_parameters.as_ref();
        Parameters {
            headers: headers
                .map(|all| all.iter().map(|it| parameter(&it.key, &it.value, it.is_value_secret)).collect()),
            query: query
                .map(|all| all.iter().map(|it| parameter(&it.key, &it.value, it.is_value_secret)).collect()),
            body: body
                .map(|all| all.iter().map(|it| parameter(&it.key, &it.value, it.is_value_secret)).collect()),
        }
    }

    /// What an answer tells of them: no value that is secret.
    fn shown(&self) -> ConnectionHttpParameters {
        let key = |it: &Parameter| Some(Text::from(it.name.as_str()));
        let value = |it: &Parameter| (!it.is_secret).then(|| Text::from(it.value.0.as_str()));
        let is_value_secret = |it: &Parameter| Some(it.is_secret);
        let header = |it: &Parameter| ConnectionHeaderParameter {
            key: key(it),
            value: value(it),
            is_value_secret: is_value_secret(it),
        };
        let query = |it: &Parameter| ConnectionQueryStringParameter {
            key: key(it),
            value: value(it),
            is_value_secret: is_value_secret(it),
        };
        let body = |it: &Parameter| ConnectionBodyParameter {
            key: key(it),
            value: value(it),
            is_value_secret: is_value_secret(it),
        };
        ConnectionHttpParameters {
            header_parameters: self.headers.as_ref().map(|all| all.iter().map(header).collect()),
            query_string_parameters: self.query.as_ref().map(|all| all.iter().map(query).collect()),
            body_parameters: self.body.as_ref().map(|all| all.iter().map(body).collect()),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for list in [&self.headers, &self.query, &self.body] {
            put_optional(out, list.as_ref(), |list, out| {
                put_list(out, list, |out, parameter| {
                    put_str(out, &parameter.name);
                    put_str(out, &parameter.value.0);
                    out.push(parameter.is_secret.into());
                });
            });
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let parameter = |reader: &mut Reader<'_>| {
            let (name, value) = (reader.str()?.to_owned(), Hidden(reader.str()?.to_owned()));
            Ok(Parameter { name, value, is_secret: flag(reader)? })
        };
        let mut list = || optional(reader, |reader| reader.list(parameter));
        Ok(Parameters { headers: list()?, query: list()?, body: list()? })
    }
}

/// Appends something that may be absent.
pub(crate) fn put_optional<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl FnOnce(&T, &mut Vec<u8>)) {
    out.push(value.is_some().into());
    if let Some(value) = value {
        put(value, out);
    }
}

/// Reads what [`put_optional`] wrote.
pub(crate) fn optional<'r, T>(
    reader: &mut Reader<'r>,
    take: impl FnOnce(&mut Reader<'r>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    if flag(reader)? { take(reader).map(Some) } else { Ok(None) }
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_neither_shown_nor_printed() {
        let parameter = |is_secret| Parameter { name: "n".into(), value: Hidden("s3cret".into()), is_secret };
        let parameters = Parameters { headers: Some(vec![parameter(true)]), ..Parameters::default() };
        let oauth = OAuth {
            client: "c".into(),
            secret: Hidden("s3cret".into()),
            endpoint: "e".into(),
            method: "POST".into(),
            parameters: Some(parameters.clone()),
        };
        for credentials in [
            Credentials::Basic { user: "u".into(), password: Hidden("s3cret".into()) },
            Credentials::ApiKey { name: "k".into(), value: Hidden("s3cret".into()) },
            Credentials::OAuth(Box::new(oauth)),
        ] {
            assert!(!format!("{credentials:?}").contains("s3cret"));
            assert!(!format!("{:?}", credentials.shown(Some(&parameters))).contains("s3cret"));
        }
        let open = Parameters { query: Some(vec![parameter(false)]), ..Parameters::default() };
        assert!(format!("{:?}", open.shown()).contains("s3cret"), "what is no secret is shown");
    }
}
