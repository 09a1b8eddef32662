//! A client of the AWS SDK for Rust, pointed at the endpoint under test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{Config, Credentials, Region};

/// Where the endpoint listens: `POSTHASTE_ENDPOINT`, such as `http://127.0.0.1:4566`.
pub fn endpoint() -> String {
    std::env::var("POSTHASTE_ENDPOINT").expect("set POSTHASTE_ENDPOINT, or run under conformance/with-server")
}

/// A client that retries nothing, so that every answer is seen.
pub fn client() -> Client {
    let config = Config::builder()
        .endpoint_url(endpoint())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "conformance"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(config.build())
}

/// A name that no other test uses.
pub fn unique(word: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos();
    format!("{word}-{:x}-{}", now, NUMBER.fetch_add(1, Ordering::Relaxed))
}
