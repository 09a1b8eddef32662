//! The SDKs' clients, configured as the environment says.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{Credentials, Region, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpConnector};

use crate::fault::Fault;
use crate::queue::Queue;

/// The SDKs' clients. Cheap to clone; make one for the whole program, since it holds the connections.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Queues.
    pub sqs: aws_sdk_sqs::Client,
    /// Topics.
    pub sns: aws_sdk_sns::Client,
    /// What both were made from.
    pub config: SdkConfig,
}

impl Clients {
    /// As every AWS SDK does it: `AWS_ENDPOINT_URL` (or `AWS_ENDPOINT_URL_SQS`, `…_SNS`), `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, the profile, the machine's role. Without an endpoint: AWS.
    pub async fn from_env() -> Clients {
        let loader = aws_config::defaults(BehaviorVersion::latest());
        Clients::new(&loader.http_client(http_client()).timeout_config(timeouts()).load().await)
    }

    /// A server that asks nobody's name, such as a local Posthaste: `http://127.0.0.1:4566`.
    pub async fn local(endpoint: &str) -> Clients {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .timeout_config(timeouts())
            .endpoint_url(endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "local"));
        Clients::new(&loader.load().await)
    }

    /// From a configuration of your own.
    pub fn new(config: &SdkConfig) -> Clients {
        Clients {
            sqs: aws_sdk_sqs::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            config: config.clone(),
        }
    }

    /// The same, in this region.
    #[must_use]
    pub fn in_region(&self, region: impl Into<String>) -> Clients {
        Clients::new(&self.config.clone().into_builder().region(Region::new(region.into())).build())
    }

    /// The same, but each service at an endpoint of its own: for programs whose configuration names them apart.
    #[must_use]
    pub fn with_endpoints(&self, sqs: &str, sns: &str) -> Clients {
        // In the services' own configuration, where no variable of the environment overrules it.
        let for_sqs = aws_sdk_sqs::config::Builder::from(&self.config).endpoint_url(sqs).build();
        let for_sns = aws_sdk_sns::config::Builder::from(&self.config).endpoint_url(sns).build();
        Clients {
            sqs: aws_sdk_sqs::Client::from_conf(for_sqs),
            sns: aws_sdk_sns::Client::from_conf(for_sns),
            config: self.config.clone(),
        }
    }

    /// The queue of this name or URL.
    ///
    /// # Errors
    /// When there is no such queue, or it may not be seen.
    pub async fn queue(&self, name_or_url: &str) -> Result<Queue, Fault> {
        if name_or_url.contains("://") {
            return Ok(Queue::at(name_or_url));
        }
        let found = self.sqs.get_queue_url().queue_name(name_or_url).send().await?;
        Ok(Queue::at(found.queue_url().unwrap_or_default()))
    }
}

/// The SDKs wait for an answer for ever unless told; a receive may rightly take 20 seconds.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(35))
        .build()
}

/// The connections: kept, and shared by both clients.
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

/// The HTTP client made here, which can be told from an application's own: nothing stands between it and the server, so where there is
/// no TLS either, [direct](crate::direct) calls need not go through it (with the feature `http-client`). (It loads certificates for the first call that needs them.)
#[derive(Debug)]
struct Known(SharedHttpClient);

/// How it is known; also stands in the user agent.
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
