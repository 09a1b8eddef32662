//! What a request may say of a connection's credentials, and what becomes of those that it does not mention.

use api::Text;
use api::eventbridge::{
    ConnectionHttpParameters, CreateConnectionAuthRequestParameters, UpdateConnectionAuthRequestParameters,
};
use kernel::Refusal;

use super::constraints::{AUTH_TEXT, Constraints, HEADER_KEY, HEADER_VALUE, QUERY_KEY, QUERY_VALUE};
use super::credentials::{Credentials, Hidden, OAuth, Parameters, Scheme};
use super::endpoints;
use crate::refusals;

/// `AuthParameters`: what was said, and what was not.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Given {
    basic: Option<(Option<String>, Option<Hidden>)>,
    key: Option<(Option<String>, Option<Hidden>)>,
    oauth: Option<GivenOAuth>,
    /// `InvocationHttpParameters`.
    pub parameters: Option<Parameters>,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct GivenOAuth {
    client: Option<String>,
    secret: Option<Hidden>,
    endpoint: Option<String>,
    method: Option<String>,
    parameters: Option<Parameters>,
}

/// AWS's model: `ConnectionOAuthHttpMethod`.
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];

const PATH: &str = "authParameters";

/// The shapes of the two requests have the same members, of types of their own.
macro_rules! given_of {
    ($given:ident, $constraints:ident) => {{
        let basic = $given.basic_auth_parameters.as_ref().map(|it| (&it.username, &it.password));
        let key = $given.api_key_auth_parameters.as_ref().map(|it| (&it.api_key_name, &it.api_key_value));
        let oauth = $given.o_auth_parameters.as_ref().map(|it| {
            let client = it.client_parameters.as_ref();
            let client = client.map(|client| (client.client_id.as_ref(), client.client_secret.as_ref()));
            (client, &it.authorization_endpoint, &it.http_method, it.o_auth_http_parameters.as_ref())
        });
        let has_connectivity = $given.connectivity_parameters.is_some();
        let parameters = $given.invocation_http_parameters.as_ref();
        Given::of((basic, key, oauth), parameters, has_connectivity, $constraints)
    }};
}

impl Given {
    /// What CreateConnection says. All of a block must be there.
    ///
    /// Errors: AWS's refusal.
    pub fn to_create(
        given: &CreateConnectionAuthRequestParameters,
        constraints: &mut Constraints,
    ) -> Result<Given, Refusal> {
        if let Some(basic) = &given.basic_auth_parameters {
            constraints.required(&format!("{PATH}.basicAuthParameters.username"), basic.username.as_ref());
            constraints.required(&format!("{PATH}.basicAuthParameters.password"), basic.password.as_ref());
        }
        if let Some(key) = &given.api_key_auth_parameters {
            constraints
                .required(&format!("{PATH}.apiKeyAuthParameters.apiKeyName"), key.api_key_name.as_ref());
            constraints
                .required(&format!("{PATH}.apiKeyAuthParameters.apiKeyValue"), key.api_key_value.as_ref());
        }
        if let Some(oauth) = &given.o_auth_parameters {
            let at = |member: &str| format!("{PATH}.oAuthParameters.{member}");
            constraints
                .required(&at("clientParameters"), oauth.client_parameters.as_ref())
                .required(&at("authorizationEndpoint"), oauth.authorization_endpoint.as_ref())
                .required(&at("httpMethod"), oauth.http_method.as_ref());
            if let Some(client) = &oauth.client_parameters {
                constraints.required(&at("clientParameters.clientID"), client.client_id.as_ref());
                constraints.required(&at("clientParameters.clientSecret"), client.client_secret.as_ref());
            }
        }
        given_of!(given, constraints)
    }

    /// What UpdateConnection says.
    ///
    /// Errors: AWS's refusal.
    pub fn to_update(
        given: &UpdateConnectionAuthRequestParameters,
        constraints: &mut Constraints,
    ) -> Result<Given, Refusal> {
        given_of!(given, constraints)
    }

    fn of(
        (basic, key, oauth): (Option<Pair<'_>>, Option<Pair<'_>>, Option<OAuthBlock<'_>>),
        parameters: Option<&ConnectionHttpParameters>,
        has_connectivity: bool,
        constraints: &mut Constraints,
    ) -> Result<Given, Refusal> {
        let owned = |text: &Option<Text>| text.as_ref().map(ToString::to_string);
        let hidden = |text: Option<&Text>| text.map(|text| Hidden(text.to_string()));
        if let Some((name, value)) = basic {
            constraints
                .text(&format!("{PATH}.basicAuthParameters.username"), name.as_ref(), AUTH_TEXT)
                .secret(&format!("{PATH}.basicAuthParameters.password"), value.as_ref(), AUTH_TEXT);
        }
        if let Some((name, value)) = key {
            constraints
                .text(&format!("{PATH}.apiKeyAuthParameters.apiKeyName"), name.as_ref(), AUTH_TEXT)
                .secret(&format!("{PATH}.apiKeyAuthParameters.apiKeyValue"), value.as_ref(), AUTH_TEXT);
        }
        if let Some((client, endpoint, method, more)) = oauth {
            let at = |member: &str| format!("{PATH}.oAuthParameters.{member}");
            let (id, secret) = client.unwrap_or_default();
            constraints
                .text(&at("clientParameters.clientID"), id, AUTH_TEXT)
                .secret(&at("clientParameters.clientSecret"), secret, AUTH_TEXT)
                .endpoint(&at("authorizationEndpoint"), endpoint.as_ref())
                .one_of(&at("httpMethod"), method.as_ref(), &METHODS);
            check_parameters(&at("oAuthHttpParameters"), more, constraints);
        }
        check_parameters(&format!("{PATH}.invocationHttpParameters"), parameters, constraints);
        constraints.check()?;
        if has_connectivity {
            return Err(refusals::invalid("ConnectivityParameters are not supported by this server."));
        }
        if let Some(endpoint) = oauth.as_ref().and_then(|oauth| oauth.1.as_deref()) {
            endpoints::check("AuthorizationEndpoint", endpoint)?;
        }
        Ok(Given {
            basic: basic.map(|(name, value)| (owned(name), hidden(value.as_ref()))),
            key: key.map(|(name, value)| (owned(name), hidden(value.as_ref()))),
            oauth: oauth.map(|(client, endpoint, method, more)| {
                let (id, secret) = client.unwrap_or_default();
                GivenOAuth {
                    client: id.map(ToString::to_string),
                    secret: hidden(secret),
                    endpoint: owned(endpoint),
                    method: owned(method),
                    parameters: more.map(Parameters::of),
                }
            }),
            parameters: parameters.map(Parameters::of),
        })
    }

    /// The credentials of a scheme: what is not said stays as it was.
    ///
    /// Errors: something is said of another scheme, or too little is known. In which words AWS refuses that is not recorded.
    pub fn credentials(&self, scheme: Scheme, before: Option<&Credentials>) -> Result<Credentials, Refusal> {
        for (other, block, is_given) in [
            (Scheme::Basic, "BasicAuthParameters", self.basic.is_some()),
            (Scheme::ApiKey, "ApiKeyAuthParameters", self.key.is_some()),
            (Scheme::OAuth, "OAuthParameters", self.oauth.is_some()),
        ] {
            if is_given && other != scheme {
                let reason = format!("{block} does not belong to authorization type {}.", scheme.name());
                return Err(refusals::parameter("AuthParameters", reason));
            }
        }
        let made = match scheme {
            Scheme::Basic => {
                let (user, password) = self.basic.clone().unwrap_or_default();
                let known = match before {
                    Some(Credentials::Basic { user, password }) => Some((user.clone(), password.clone())),
                    _ => None,
                };
                pair((user, password), known).map(|(user, password)| Credentials::Basic { user, password })
            }
            Scheme::ApiKey => {
                let (name, value) = self.key.clone().unwrap_or_default();
                let known = match before {
                    Some(Credentials::ApiKey { name, value }) => Some((name.clone(), value.clone())),
                    _ => None,
                };
                pair((name, value), known).map(|(name, value)| Credentials::ApiKey { name, value })
            }
            Scheme::OAuth => {
                let given = self.oauth.clone().unwrap_or_default();
                let known = match before {
                    Some(Credentials::OAuth(oauth)) => Some(&**oauth),
                    _ => None,
                };
                given.over(known).map(|oauth| Credentials::OAuth(Box::new(oauth)))
            }
        };
        let block = match scheme {
            Scheme::Basic => "BasicAuthParameters",
            Scheme::ApiKey => "ApiKeyAuthParameters",
            Scheme::OAuth => "OAuthParameters",
        };
        made.ok_or_else(|| {
            let reason = format!("{block} must be specified for authorization type {}.", scheme.name());
            refusals::parameter("AuthParameters", reason)
        })
    }

    /// Whether it says anything about credentials.
    pub fn has_credentials(&self) -> bool {
        self.basic.is_some() || self.key.is_some() || self.oauth.is_some()
    }
}

/// A name and a secret.
type Pair<'g> = (&'g Option<Text>, &'g Option<Text>);
/// Id and secret of the client, endpoint, method, and what is added.
type OAuthBlock<'g> = (
    Option<(Option<&'g Text>, Option<&'g Text>)>,
    &'g Option<Text>,
    &'g Option<Text>,
    Option<&'g ConnectionHttpParameters>,
);

fn pair(
    (name, value): (Option<String>, Option<Hidden>),
    known: Option<(String, Hidden)>,
) -> Option<(String, Hidden)> {
    let (known_name, known_value) = known.unzip();
    Some((name.or(known_name)?, value.or(known_value)?))
}

impl GivenOAuth {
    fn over(self, known: Option<&OAuth>) -> Option<OAuth> {
        Some(OAuth {
            client: self.client.or_else(|| known.map(|known| known.client.clone()))?,
            secret: self.secret.or_else(|| known.map(|known| known.secret.clone()))?,
            endpoint: self.endpoint.or_else(|| known.map(|known| known.endpoint.clone()))?,
            method: self.method.or_else(|| known.map(|known| known.method.clone()))?,
            parameters: self.parameters.or_else(|| known.and_then(|known| known.parameters.clone())),
        })
    }
}

/// Checks what is to be added to requests.
fn check_parameters(path: &str, given: Option<&ConnectionHttpParameters>, constraints: &mut Constraints) {
    let Some(given) = given else { return };
    let at =
        |list: &str, number: usize, member: &str| format!("{path}.{list}.{}.member.{member}", number + 1);
    let count = |list: &str, len: usize, constraints: &mut Constraints| {
        constraints.length(&format!("{path}.{list}"), len, (0, 100), || format!("[{len} parameters]"));
    };
    if let Some(headers) = &given.header_parameters {
        count("headerParameters", headers.len(), constraints);
        for (number, header) in headers.iter().enumerate() {
            constraints.text(&at("headerParameters", number, "key"), header.key.as_ref(), HEADER_KEY).secret(
                &at("headerParameters", number, "value"),
                header.value.as_ref(),
                HEADER_VALUE,
            );
        }
    }
    if let Some(query) = &given.query_string_parameters {
        count("queryStringParameters", query.len(), constraints);
        for (number, parameter) in query.iter().enumerate() {
            constraints
                .text(&at("queryStringParameters", number, "key"), parameter.key.as_ref(), QUERY_KEY)
                .secret(&at("queryStringParameters", number, "value"), parameter.value.as_ref(), QUERY_VALUE);
        }
    }
    count("bodyParameters", given.body_parameters.as_ref().map_or(0, Vec::len), constraints);
}
