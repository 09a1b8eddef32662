//! Endpoints: which protocols there are, and what an endpoint of each looks like (facts/sns.md § 4).

use kernel::{Arn, Refusal};
use notification::Protocol;

use crate::refusals;

/// The protocol of this name.
pub fn protocol(name: &str) -> Result<Protocol, Refusal> {
    Protocol::from_name(name).ok_or_else(|| {
        refusals::invalid(format_args!("Amazon SNS does not support this protocol string: {name}"))
    })
}

/// Checks an endpoint by its form alone.
pub fn check(protocol: Protocol, endpoint: &str) -> Result<(), Refusal> {
    let arn = |service: &str| endpoint.parse::<Arn>().is_ok_and(|arn| arn.service == service);
    let is_right = match protocol {
        Protocol::Http => endpoint.strip_prefix("http://").is_some_and(has_host),
        Protocol::Https => endpoint.strip_prefix("https://").is_some_and(has_host),
        Protocol::Email | Protocol::EmailJson => is_address(endpoint),
        Protocol::Sms => is_telephone_number(endpoint),
        Protocol::Sqs => arn("sqs"),
        Protocol::Lambda => arn("lambda"),
        Protocol::Firehose => arn("firehose"),
        Protocol::Application => arn("sns"),
    };
    if is_right {
        return Ok(());
    }
    Err(match protocol {
        Protocol::Http | Protocol::Https => refusals::invalid("Endpoint must match the specified protocol"),
        Protocol::Email | Protocol::EmailJson => refusals::invalid("Email address"),
        // Without the usual beginning, as AWS has it.
        Protocol::Sms => {
            Refusal::new("InvalidParameterException", format!("Invalid SMS endpoint: {endpoint}"))
        }
        Protocol::Sqs => refusals::invalid("SQS endpoint ARN"),
        Protocol::Lambda => refusals::invalid("Lambda endpoint ARN"),
        Protocol::Firehose => refusals::invalid("Firehose endpoint ARN"),
        Protocol::Application => {
            refusals::invalid(format_args!("Application endpoint arn invalid:{endpoint}"))
        }
    })
}

fn has_host(rest: &str) -> bool {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !host.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_plain =
        |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    is_plain(local) && is_plain(domain)
}

/// E.164, with or without the plus sign; people also write spaces, hyphens and points.
pub fn is_telephone_number(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let is_separator = |byte: u8| matches!(byte, b' ' | b'-' | b'.' | b'/');
    let separated = rest.as_bytes().windows(2).all(|pair| !(is_separator(pair[0]) && is_separator(pair[1])));
    let ends = rest.bytes().next_back().is_some_and(|byte| byte.is_ascii_digit())
        && rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    (2..=15).contains(&digits)
        && separated
        && ends
        && rest.bytes().all(|byte| byte.is_ascii_digit() || is_separator(byte))
}

/// Whether subscribers of this protocol are asked before they get anything. Queues are asked, too, if they belong to
/// somebody else than the caller; the endpoints that AWS itself runs never are.
pub fn asks_first(protocol: Protocol, endpoint: &str, caller: &str) -> bool {
    match protocol {
        Protocol::Http | Protocol::Https | Protocol::Email | Protocol::EmailJson => true,
        Protocol::Sqs => endpoint.parse::<Arn>().is_ok_and(|queue| queue.account != caller),
        Protocol::Sms | Protocol::Lambda | Protocol::Firehose | Protocol::Application => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_must_be_of_its_protocol() {
        // facts/sns.md § 4; where it is silent, what emulators found on AWS
        let invalid = |what: &str| Err(format!("Invalid parameter: {what}"));
        let other = || invalid("Endpoint must match the specified protocol");
        for (protocol, endpoint, expected) in [
            ("http", "http://a.example/x?y=1", Ok(())),
            ("https", "https://a.example:8443", Ok(())),
            ("http", "https://a.example", other()),
            ("https", "http://a.example", other()),
            ("http", "http://", other()),
            ("email", "a@b.example", Ok(())),
            ("email-json", "a", invalid("Email address")),
            ("sms", "+15551234567", Ok(())),
            ("sms", "1-555-123-4567", Ok(())),
            ("sms", "NAA+15551234567", Err("Invalid SMS endpoint: NAA+15551234567".to_owned())),
            ("sms", "+15551234567.", Err("Invalid SMS endpoint: +15551234567.".to_owned())),
            ("sqs", "arn:aws:sqs:us-east-1:000000000000:q", Ok(())),
            ("sqs", "http://localhost:4566/000000000000/q", invalid("SQS endpoint ARN")),
            ("lambda", "arn:aws:lambda:us-east-1:000000000000:function:f", Ok(())),
            ("lambda", "f", invalid("Lambda endpoint ARN")),
            ("application", "x", invalid("Application endpoint arn invalid:x")),
        ] {
            let checked = super::protocol(protocol).and_then(|protocol| check(protocol, endpoint));
            assert_eq!(
                checked.map_err(|refusal| refusal.message.into_owned()),
                expected,
                "{protocol} {endpoint}"
            );
        }
        let refusal = super::protocol("pigeon").unwrap_err();
        assert_eq!(
            refusal.message,
            "Invalid parameter: Amazon SNS does not support this protocol string: pigeon"
        );
    }

    #[test]
    fn whoever_is_reached_from_outside_is_asked_first() {
        // facts/sns.md § 4
        let queue = "arn:aws:sqs:us-east-1:111111111111:q";
        assert!(asks_first(Protocol::Https, "https://a.example", "111111111111"));
        assert!(!asks_first(Protocol::Sqs, queue, "111111111111"));
        assert!(asks_first(Protocol::Sqs, queue, "222222222222"));
        assert!(!asks_first(Protocol::Sms, "+15551234567", "111111111111"));
    }
}
