//! Signs envelopes with the key in the data directory, on separate threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use delivery::Notary;
use notification::{SignatureVersion, Signer};
use tokio::sync::Semaphore;
use tracing::warn;

/// Builds data with signatures. A signature takes one or two milliseconds of CPU time, in which a thread
/// could answer a hundred requests.
pub struct Signing {
    notary: Arc<Notary>,
    /// The base URL of the certificate, if it differs from that of the other links; `{region}` stands for the
    /// topic's region.
    certificates: Option<Arc<str>>,
    /// Permits for as many concurrent signatures as there are processors.
    processors: Arc<Semaphore>,
    /// Whether the key is being created, or exists.
    prepared: AtomicBool,
}

impl Signing {
    /// Creates a signer with this notary's key.
    pub fn new(notary: Arc<Notary>, certificates: Option<&str>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Signing {
            notary,
            certificates: certificates.map(Arc::from),
            processors: Arc::new(Semaphore::new(processors)),
            prepared: AtomicBool::new(false),
        }
    }

    /// Returns the notary, which has the key and its certificate.
    pub fn notary(&self) -> &Arc<Notary> {
        &self.notary
    }

    /// Prepares for signatures: creates the key, if there is none, on a separate thread.
    pub fn prepare(&self) {
        if self.prepared.swap(true, Ordering::Relaxed) {
            return;
        }
        let notary = self.notary.clone();
        // If this fails, the next signature tries again and reports the error.
        let _ = std::thread::Builder::new().name("key".into()).spawn(move || notary.prepare());
    }

    /// Builds something that may need signatures. It runs here if all its signatures are cached, else from
    /// the beginning on a blocking thread. Returns `None` if that thread failed.
    pub async fn make<T: Send + 'static>(
        &self,
        make: impl Fn(&dyn Signer) -> T + Send + 'static,
    ) -> Option<T> {
        let certificates = self.certificates.as_deref();
        let known = Known { notary: &self.notary, certificates, missed: AtomicBool::new(false) };
        let made = make(&known);
        if !known.missed.into_inner() {
            return Some(made);
        }
        // The semaphore is never closed.
        let processor = self.processors.clone().acquire_owned().await.ok()?;
        let key = OwnKey(self.notary.clone(), self.certificates.clone());
        let made = tokio::task::spawn_blocking(move || {
            let _processor = processor;
            make(&key)
        });
        made.await.ok()
    }
}

/// Returns the base URL of the certificate, for a topic's messages whose links begin with `base`.
fn certificate_url(certificates: Option<&str>, base: &str, topic_arn: &str, name: &str) -> String {
    let Some(certificates) = certificates else { return format!("{base}/{name}") };
    let region = topic_arn.split(':').nth(3).unwrap_or("us-east-1");
    format!("{}/{name}", certificates.replace("{region}", region))
}

/// Signs with the server's own key.
struct OwnKey(Arc<Notary>, Option<Arc<str>>);

impl Signer for OwnKey {
    fn sign(&self, version: SignatureVersion, text: &str) -> String {
        self.0.sign(of_key(version), text).unwrap_or_else(|error| {
            // An unsigned message is better than none: a receiver that verifies signatures refuses it, others
            // get it.
            warn!("a message goes out unsigned: {error}");
            String::new()
        })
    }

    fn certificate_name(&self) -> String {
        self.0.certificate().map(|certificate| certificate.file_name.clone()).unwrap_or_default()
    }

    fn certificate_url(&self, base: &str, topic_arn: &str) -> String {
        certificate_url(self.1.as_deref(), base, topic_arn, &self.certificate_name())
    }
}

/// Returns cached signatures only. Another signature makes the whole result invalid.
struct Known<'a> {
    notary: &'a Notary,
    certificates: Option<&'a str>,
    missed: AtomicBool,
}

impl Known<'_> {
    fn or_missed(&self, known: Option<String>) -> String {
        known.unwrap_or_else(|| {
            self.missed.store(true, Ordering::Relaxed);
            String::new()
        })
    }
}

impl Signer for Known<'_> {
    fn sign(&self, version: SignatureVersion, text: &str) -> String {
        // The result is invalid already, so further signatures are not needed.
        let missed = self.missed.load(Ordering::Relaxed);
        self.or_missed(if missed { None } else { self.notary.signed_before(of_key(version), text) })
    }

    fn certificate_name(&self) -> String {
        self.or_missed(self.notary.made_certificate().map(|certificate| certificate.file_name.clone()))
    }

    fn certificate_url(&self, base: &str, topic_arn: &str) -> String {
        certificate_url(self.certificates, base, topic_arn, &self.certificate_name())
    }
}

fn of_key(version: SignatureVersion) -> delivery::SignatureVersion {
    match version {
        SignatureVersion::One => delivery::SignatureVersion::V1,
        SignatureVersion::Two => delivery::SignatureVersion::V2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_where_the_links_lead_or_where_it_was_said_to_be() {
        let (base, arn) = ("http://localhost:4566", "arn:aws:sns:eu-west-1:000000000000:t");
        let url = |certificates| certificate_url(certificates, base, arn, "c.pem");
        assert_eq!(url(None), "http://localhost:4566/c.pem");
        assert_eq!(
            url(Some("https://sns.{region}.amazonaws.com")),
            "https://sns.eu-west-1.amazonaws.com/c.pem"
        );
    }

    #[test]
    fn what_is_signed_first_is_made_elsewhere_and_what_was_signed_before_here() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let signing = Signing::new(Arc::new(Notary::open(None).unwrap()), None);
        let make = |text: &'static str| {
            let made = signing.make(move |signer: &dyn Signer| {
                let name = signer.certificate_name();
                (name, signer.sign(SignatureVersion::Two, text), std::thread::current().id())
            });
            runtime.block_on(made).unwrap()
        };
        let here = std::thread::current().id();
        let (name, signature, first) = make("hello");
        assert!(name.starts_with("SimpleNotificationService-") && !signature.is_empty());
        assert_ne!(first, here);
        assert_eq!(make("hello"), (name.clone(), signature.clone(), here));
        let (_, other, second) = make("something else");
        assert!(other != signature && second != here);
    }
}
