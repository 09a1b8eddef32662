//! Queues' names and URLs: which names are legal, and which queue a URL denotes, whatever host it goes
//! through.

use kernel::{Caller, Refusal};

use crate::{QueueKey, refusals};

/// Whether a standard queue (or, without its suffix, a FIFO queue) can have this name (facts/sqs.md § 4).
fn is_legal(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The longest name, a FIFO queue's suffix included (facts/sqs.md § 4).
const LONGEST: usize = 80;

/// What ends a FIFO queue's name.
const FIFO_SUFFIX: &str = ".fifo";

/// Checks the name of a queue that is to be created (facts/sqs.md § 4).
pub fn check_name(name: &str, fifo: bool) -> Result<(), Refusal> {
    let stem = if fifo { name.strip_suffix(FIFO_SUFFIX).unwrap_or_default() } else { name };
    if is_legal(stem) && name.len() <= LONGEST {
        return Ok(());
    }
    Err(refusals::parameter_invalid(if fifo {
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end \
         with .fifo suffix and be 1 to 80 in length"
    } else {
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
    }))
}

/// The queue that a `QueueUrl` parameter denotes.
///
/// A URL or a path alone; any host, since a client may reach the server by a name of which the server knows
/// nothing. The region is the one that the path or the host names (`/queue/REGION/ACCOUNT/NAME`,
/// `sqs.REGION.…`, `REGION.queue.…`), else the one that the request was signed for. Or a queue's name, as AWS takes
/// it, too: of the caller's own account, in the region that the request was signed for.
pub fn queue_of_url(url: Option<&str>, caller: &Caller) -> Result<QueueKey, Refusal> {
    let url = url.filter(|url| !url.is_empty()).ok_or_else(|| refusals::parameter_missing("QueueUrl"))?;
    if check_name(url, url.ends_with(FIFO_SUFFIX)).is_ok() {
        let Caller { account, region, .. } = caller;
        return Ok(QueueKey { account: account.clone(), region: region.clone(), name: url.to_owned() });
    }
    parse_url(url, &caller.region).ok_or_else(|| refusals::address_invalid(url))
}

fn parse_url(url: &str, region: &str) -> Option<QueueKey> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next()?;
    let (host, path) = rest.split_once('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.split('/');
    let (region, account, name) =
        match (segments.next()?, segments.next()?, segments.next(), segments.next(), segments.next()) {
            (account, name, None, None, None) => {
                (region_of_host(host).unwrap_or_else(|| region.to_owned()), account, name)
            }
            ("queue", region, Some(account), Some(name), None) => (region.to_owned(), account, name),
            _ => return None,
        };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_account && !name.is_empty()).then(|| QueueKey {
        account: account.to_owned(),
        region,
        name: name.to_owned(),
    })
}

/// The region that a host's name says it serves, if it says so (facts/sqs.md § 1).
pub fn region_of_host(host: &str) -> Option<String> {
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split(':').next()?.to_ascii_lowercase();
    // The oldest endpoint of all has no region in it.
    if host == "queue.amazonaws.com" {
        return Some("us-east-1".to_owned());
    }
    let mut previous = "";
    for label in host.split('.') {
        if matches!(previous, "sqs" | "sqs-fips") && is_region(label) {
            return Some(label.to_owned());
        }
        if label == "queue" && is_region(previous) {
            return Some(previous.to_owned());
        }
        previous = label;
    }
    None
}

/// Whether it has a region's form, such as `us-east-1` or `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let mut parts = label.split('-');
    let number = parts.next_back().unwrap_or_default();
    let words = parts.clone().count();
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    words >= 2 && parts.all(is_word) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A queue's URL, under the base that its client used to reach the server (`http://host:port`).
pub fn url(base: &str, key: &QueueKey) -> String {
    format!("{}/{}/{}", base.trim_end_matches('/'), key.account, key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Caller {
        Caller {
            account: "111111111111".to_owned(),
            region: "eu-west-1".to_owned(),
            principal: "111111111111".to_owned(),
            signed: true,
        }
    }

    #[test]
    fn names_are_judged_as_aws_judges_them() {
        // facts/sqs.md § 4
        let eighty = "a".repeat(80);
        let fifo_of_eighty = format!("{}.fifo", "a".repeat(75));
        for (name, fifo, legal) in [
            ("orders", false, true),
            ("Orders_2-b", false, true),
            (&eighty, false, true),
            (&format!("{eighty}a"), false, false),
            ("", false, false),
            ("a.b", false, false),
            ("a b", false, false),
            ("ä", false, false),
            ("orders.fifo", false, false),
            ("orders.fifo", true, true),
            ("orders", true, false),
            (".fifo", true, false),
            ("a.b.fifo", true, false),
            (&fifo_of_eighty, true, true),
            (&format!("a{fifo_of_eighty}"), true, false),
        ] {
            assert_eq!(check_name(name, fifo).is_ok(), legal, "{name} {fifo}");
        }
        let refusal = check_name("a.b", false).unwrap_err();
        assert_eq!(refusal.shape, "InvalidParameterValueException");
        assert_eq!(
            refusal.message,
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        );
        assert_eq!(
            check_name("a", true).unwrap_err().message,
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end \
             with .fifo suffix and be 1 to 80 in length"
        );
    }

    #[test]
    fn a_queue_is_found_by_every_url_that_clients_send_for_it() {
        // facts/sqs.md § 1, and the forms of the servers that people come from
        for (url, region) in [
            ("http://localhost:4566/000000000000/q.fifo", "eu-west-1"),
            ("http://127.0.0.1:4566/000000000000/q.fifo/", "eu-west-1"),
            ("http://[::1]:4566/000000000000/q.fifo", "eu-west-1"),
            ("https://posthaste/000000000000/q.fifo?Action=SendMessage", "eu-west-1"),
            ("/000000000000/q.fifo", "eu-west-1"),
            ("localhost:4566/000000000000/q.fifo", "eu-west-1"),
            ("https://sqs.us-west-2.amazonaws.com/000000000000/q.fifo", "us-west-2"),
            ("https://SQS.us-gov-west-1.amazonaws.com/000000000000/q.fifo", "us-gov-west-1"),
            ("https://sqs-fips.us-east-2.amazonaws.com/000000000000/q.fifo", "us-east-2"),
            ("https://vpce-1.sqs.ap-southeast-2.vpce.amazonaws.com/000000000000/q.fifo", "ap-southeast-2"),
            ("http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/q.fifo", "us-east-1"),
            ("http://sqs.localhost.localstack.cloud:4566/000000000000/q.fifo", "eu-west-1"),
            ("https://us-east-2.queue.amazonaws.com/000000000000/q.fifo", "us-east-2"),
            ("https://queue.amazonaws.com/000000000000/q.fifo", "us-east-1"),
            ("http://queue.localhost.localstack.cloud:4566/000000000000/q.fifo", "eu-west-1"),
            ("http://localhost:4566/queue/us-west-1/000000000000/q.fifo", "us-west-1"),
        ] {
            let key = QueueKey {
                account: "000000000000".to_owned(),
                region: region.to_owned(),
                name: "q.fifo".to_owned(),
            };
            assert_eq!(queue_of_url(Some(url), &caller()), Ok(key), "{url}");
        }
    }

    #[test]
    fn a_queue_s_name_denotes_the_caller_s_own_queue() {
        // As AWS takes it: getmoto/moto's pull request 5073, floci-io/floci's issue 979.
        for name in ["q", "Orders_2-b", "orders.fifo", &"a".repeat(80)] {
            let key = QueueKey {
                account: "111111111111".to_owned(),
                region: "eu-west-1".to_owned(),
                name: name.to_owned(),
            };
            assert_eq!(queue_of_url(Some(name), &caller()), Ok(key));
        }
    }

    #[test]
    fn an_address_that_denotes_no_queue_is_refused() {
        // facts/sqs.md § 11
        for url in [
            "/q",
            "q/",
            "a.b",
            "a b",
            ".fifo",
            &"a".repeat(81),
            "localhost:4566",
            "arn:aws:sqs:eu-west-1:000000000000:q",
            "000000000000/q",
            "http://localhost:4566",
            "http://localhost:4566/",
            "http://localhost:4566/000000000000",
            "http://localhost:4566/000000000000/",
            "http://localhost:4566/1234/q",
            "http://localhost:4566/00000000000a/q",
            "http://localhost:4566/000000000000/q/r",
            "http://localhost:4566/queue/us-west-1/000000000000/q/r",
        ] {
            let refusal = queue_of_url(Some(url), &caller()).unwrap_err();
            assert_eq!(refusal.shape, "InvalidAddress", "{url}");
            assert_eq!(refusal.message, format!("The address {url} is not valid for this endpoint."));
        }
        for absent in [None, Some("")] {
            let refusal = queue_of_url(absent, &caller()).unwrap_err();
            assert_eq!(refusal.shape, "MissingRequiredParameterException");
            assert_eq!(refusal.message, "The request must contain the parameter QueueUrl.");
        }
    }

    #[test]
    fn a_url_that_was_told_leads_back_to_its_queue() {
        let key = QueueKey {
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            name: "q".to_owned(),
        };
        let url = url("http://localhost:4566/", &key);
        assert_eq!(url, "http://localhost:4566/123456789012/q");
        assert_eq!(queue_of_url(Some(&url), &caller()), Ok(key));
    }
}
