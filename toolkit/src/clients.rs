//! The SDKs' clients, configured from the environment.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{Credentials, Region, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpConnector};

use crate::fault::Fault;
use crate::queue::Queue;

/// The SDKs' clients. Cheap to clone. Create one for the whole program, because it holds the connections.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The client for queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The client for topics.
    pub sns: aws_sdk_sns::Client,
    /// The client for event buses.
    #[cfg(feature = "events")]
    pub events: aws_sdk_eventbridge::Client,
    /// The client for state machines.
    #[cfg(feature = "workflows")]
    pub sfn: aws_sdk_sfn::Client,
    /// The configuration of all clients.
    pub config: SdkConfig,
}

impl Clients {
    /// Configures the clients as every AWS SDK does: `AWS_ENDPOINT_URL` (or `AWS_ENDPOINT_URL_SQS`, `…_SNS`, `…_EVENTBRIDGE`, `…_SFN`),
    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, the profile, the machine's role.
    /// Without an endpoint: AWS.
    pub async fn from_env() -> Clients {
        let loader = aws_config::defaults(BehaviorVersion::latest());
        Clients::new(&loader.http_client(http_client()).timeout_config(timeouts()).load().await)
    }

    /// Connects to a server that does not check credentials, such as a local Posthaste:
    /// `http://127.0.0.1:4566`.
    pub async fn local(endpoint: &str) -> Clients {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .timeout_config(timeouts())
            .endpoint_url(endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "local"));
        Clients::new(&loader.load().await)
    }

    /// Uses a configuration of your own.
    pub fn new(config: &SdkConfig) -> Clients {
        Clients {
            sqs: aws_sdk_sqs::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            #[cfg(feature = "events")]
            events: aws_sdk_eventbridge::Client::new(config),
            #[cfg(feature = "workflows")]
            sfn: aws_sdk_sfn::Client::new(config),
            config: config.clone(),
        }
    }

    /// Returns the same clients for another region.
    #[must_use]
    pub fn in_region(&self, region: impl Into<String>) -> Clients {
        Clients::new(&self.config.clone().into_builder().region(Region::new(region.into())).build())
    }

    /// Returns the same clients with separate endpoints for queues and topics, for programs whose configuration
    /// has one for each service.
    #[must_use]
    pub fn with_endpoints(&self, sqs: &str, sns: &str) -> Clients {
        // Set in the services' own configuration, which the environment does not override.
        let for_sqs = aws_sdk_sqs::config::Builder::from(&self.config).endpoint_url(sqs).build();
        let for_sns = aws_sdk_sns::config::Builder::from(&self.config).endpoint_url(sns).build();
        Clients {
            sqs: aws_sdk_sqs::Client::from_conf(for_sqs),
            sns: aws_sdk_sns::Client::from_conf(for_sns),
            ..self.clone()
        }
    }

    /// Returns the queue with this name or URL.
    ///
    /// # Errors
    /// The queue does not exist, or the caller has no permission to see it.
    pub async fn queue(&self, name_or_url: &str) -> Result<Queue, Fault> {
        if name_or_url.contains("://") {
            return Ok(Queue::at(name_or_url));
        }
        let found = self.sqs.get_queue_url().queue_name(name_or_url).send().await?;
        Ok(Queue::at(found.queue_url().unwrap_or_default()))
    }
}

/// Without a timeout the SDKs wait for ever; a receive may take 20 seconds.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(35))
        .build()
}

/// The HTTP client, whose connections all clients share.
fn http_client() -> SharedHttpClient {
    let builder = aws_smithy_http_client::Builder::new().pool_idle_timeout(Duration::from_secs(60));
    #[cfg(feature = "https")]
    let client = {
        use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    };
    #[cfg(not(feature = "https"))]
    let client = builder.build_http();
    SharedHttpClient::new(Known(client))
}

/// The toolkit's own HTTP client, distinguishable from an application's. It uses no proxy, so without TLS
/// [direct](crate::direct) calls can bypass it (with the feature `http-client`). (It loads certificates at the first call that needs them.)
#[derive(Debug)]
struct Known(SharedHttpClient);

/// The name by which it is recognised; it is also part of the user agent.
const NAME: &str = "posthaste-toolkit";

#[cfg(feature = "http-client")]
pub(crate) fn is_known(client: &impl HttpClient) -> bool {
    client.connector_metadata().is_some_and(|metadata| metadata.name() == NAME)
}

impl HttpClient for Known {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new(NAME, Some(env!("CARGO_PKG_VERSION").into())))
    }
}
