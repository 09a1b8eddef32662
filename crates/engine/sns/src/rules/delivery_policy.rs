//! Delivery policies: how HTTP deliveries are retried, throttled and labelled, said by a topic and by its subscriptions.
//!
//! A topic wraps the parts in `http` and calls each a default; a subscription says them plainly and, unless its topic
//! forbids it, prevails part by part (facts/sns.md § 9).

use serde_json::Value;

use crate::rules::retry_policy::{Backoff, RetryPolicy};

/// What a topic or a subscription says about deliveries; what it does not say is absent.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct DeliveryPolicy {
    /// `healthyRetryPolicy`.
    pub retry: Option<RetryPolicy>,
    /// `throttlePolicy.maxReceivesPerSecond`.
    pub max_receives_per_second: Option<u32>,
    /// `requestPolicy.headerContentType`.
    pub content_type: Option<String>,
    /// Of a topic: whether its subscriptions have no say (`disableSubscriptionOverrides`).
    pub overrides_disabled: bool,
}

/// Whose policy it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// With `http` around it and `default` before each name.
    Topic,
    /// Plain.
    Subscription,
}

/// The content type of deliveries about which nobody has said anything.
pub const DEFAULT_CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// Seconds that all retries may take together (facts/sns.md § 9).
const LONGEST_SECONDS: u32 = 3_600;
/// Retries of an HTTP delivery (facts/sns.md § 9).
const MOST_RETRIES: u32 = 100;

/// What a retry policy can say, in the order in which AWS shows it.
const RETRY_MEMBERS: [&str; 7] = [
    "minDelayTarget",
    "maxDelayTarget",
    "numRetries",
    "numMaxDelayRetries",
    "numNoDelayRetries",
    "numMinDelayRetries",
    "backoffFunction",
];

/// The content types that can be asked for (AWS's documentation of SNS, "Creating an HTTP/S delivery policy").
const CONTENT_TYPES: [&str; 12] = [
    "application/atom+xml",
    "application/json",
    "application/octet-stream",
    "application/soap+xml",
    "application/x-www-form-urlencoded",
    "application/xhtml+xml",
    "application/xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/plain",
    "text/xml",
];

impl DeliveryPolicy {
    /// Reads and checks a policy. The fault is what follows `DeliveryPolicy: ` in a refusal; of AWS's texts only those about
    /// a member that is missing or too small are known, the others are modelled on them.
    pub fn parse(text: &str, level: Level) -> Result<DeliveryPolicy, String> {
        let document = crate::rules::document(text)?;
        match level {
            Level::Subscription => {
                let part = Part { value: &document, path: String::new() };
                part.only(&[
                    "healthyRetryPolicy",
                    "sicklyRetryPolicy",
                    "throttlePolicy",
                    "requestPolicy",
                    "guaranteed",
                ])?;
                part.members(["healthyRetryPolicy", "sicklyRetryPolicy", "throttlePolicy", "requestPolicy"])
            }
            Level::Topic => {
                let whole = Part { value: &document, path: String::new() };
                whole.only(&["http"])?;
                let Some(part) = whole.member("http") else { return Ok(DeliveryPolicy::default()) };
                part.only(&[
                    "defaultHealthyRetryPolicy",
                    "defaultSicklyRetryPolicy",
                    "disableSubscriptionOverrides",
                    "defaultThrottlePolicy",
                    "defaultRequestPolicy",
                ])?;
                let mut policy = part.members([
                    "defaultHealthyRetryPolicy",
                    "defaultSicklyRetryPolicy",
                    "defaultThrottlePolicy",
                    "defaultRequestPolicy",
                ])?;
                if let Some(disabled) = part.member("disableSubscriptionOverrides") {
                    policy.overrides_disabled = disabled
                        .value
                        .as_bool()
                        .ok_or_else(|| format!("{} must be either true or false", disabled.path))?;
                }
                Ok(policy)
            }
        }
    }

    /// What is in force for a subscription, given what it and its topic say.
    pub fn effective(
        topic: Option<&DeliveryPolicy>,
        subscription: Option<&DeliveryPolicy>,
    ) -> DeliveryPolicy {
        let own = subscription.filter(|_| !topic.is_some_and(|topic| topic.overrides_disabled));
        let said = |policy: fn(&DeliveryPolicy) -> Option<RetryPolicy>| {
            own.and_then(policy).or_else(|| topic.and_then(policy))
        };
        let throttle = |policy: &DeliveryPolicy| policy.max_receives_per_second;
        let content_type = |policy: &DeliveryPolicy| policy.content_type.clone();
        DeliveryPolicy {
            retry: Some(said(|policy| policy.retry).unwrap_or_default()),
            max_receives_per_second: own.and_then(throttle).or_else(|| topic.and_then(throttle)),
            content_type: own.and_then(content_type).or_else(|| topic.and_then(content_type)),
            overrides_disabled: topic.is_some_and(|topic| topic.overrides_disabled),
        }
    }

    /// A topic's attribute `DeliveryPolicy` as AWS remembers and shows it: what was sent, in AWS's order, without what is
    /// `null`, and always with the switch (recorded). Nothing if the policy has no `http`. The policy has been checked.
    pub fn as_sent(policy: &str) -> Option<String> {
        let document: Value = serde_json::from_str(policy).ok()?;
        let http = document.get("http").filter(|http| !http.is_null())?;
        let part = |name: &str, members: &[&str]| {
            let part = http.get(name)?.as_object()?;
            let said = members.iter().filter_map(|member| {
                let value = part.get(*member).filter(|value| !value.is_null())?;
                Some(format!(r#""{member}":{value}"#))
            });
            Some(format!(r#""{name}":{{{}}}"#, said.collect::<Vec<_>>().join(",")))
        };
        let disabled = http.get("disableSubscriptionOverrides").and_then(Value::as_bool).unwrap_or(false);
        let members = [
            part("defaultHealthyRetryPolicy", &RETRY_MEMBERS),
            part("defaultSicklyRetryPolicy", &RETRY_MEMBERS),
            Some(format!(r#""disableSubscriptionOverrides":{disabled}"#)),
            part("defaultThrottlePolicy", &["maxReceivesPerSecond"]),
            part("defaultRequestPolicy", &["headerContentType"]),
        ];
        Some(format!(r#"{{"http":{{{}}}}}"#, members.into_iter().flatten().collect::<Vec<_>>().join(",")))
    }

    /// A policy in the form of a topic's, with everything that it says.
    fn show_topic(&self) -> String {
        let mut members = Vec::new();
        if let Some(retry) = &self.retry {
            members.push(format!(r#""defaultHealthyRetryPolicy":{}"#, retry.show()));
        }
        members.push(format!(r#""disableSubscriptionOverrides":{}"#, self.overrides_disabled));
        if let Some(most) = self.max_receives_per_second {
            members.push(format!(r#""defaultThrottlePolicy":{{"maxReceivesPerSecond":{most}}}"#));
        }
        if let Some(content_type) = &self.content_type {
            members.push(format!(r#""defaultRequestPolicy":{}"#, show_request(content_type)));
        }
        format!(r#"{{"http":{{{}}}}}"#, members.join(","))
    }

    /// A topic's attribute `EffectiveDeliveryPolicy`.
    pub fn show_effective_topic(topic: Option<&DeliveryPolicy>) -> String {
        let mut effective = DeliveryPolicy::effective(topic, None);
        effective.content_type.get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
        effective.show_topic()
    }

    /// A subscription's attribute `DeliveryPolicy` as AWS shows it: with what was not said as `null`.
    pub fn show_subscription(&self) -> String {
        let null = || "null".to_owned();
        let retry = self.retry.as_ref().map_or_else(null, RetryPolicy::show);
        let throttle =
            self.max_receives_per_second.map(|most| format!(r#"{{"maxReceivesPerSecond":{most}}}"#));
        let throttle = throttle.unwrap_or_else(null);
        let request = self.content_type.as_deref().map_or_else(null, show_request);
        format!(
            r#"{{"healthyRetryPolicy":{retry},"sicklyRetryPolicy":null,"throttlePolicy":{throttle},"requestPolicy":{request},"guaranteed":false}}"#
        )
    }

    /// A subscription's attribute `EffectiveDeliveryPolicy`.
    pub fn show_effective_subscription(
        topic: Option<&DeliveryPolicy>,
        subscription: Option<&DeliveryPolicy>,
    ) -> String {
        let mut effective = DeliveryPolicy::effective(topic, subscription);
        effective.content_type.get_or_insert_with(|| DEFAULT_CONTENT_TYPE.to_owned());
        effective.show_subscription()
    }
}

fn show_request(content_type: &str) -> String {
    format!(r#"{{"headerContentType":{}}}"#, Value::from(content_type))
}

/// A part of a policy that is being read, with the names that lead to it.
struct Part<'v> {
    value: &'v Value,
    path: String,
}

impl<'v> Part<'v> {
    fn name(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Refuses what is no object, and members of other names.
    fn only(&self, names: &[&str]) -> Result<(), String> {
        let members = self.value.as_object().ok_or_else(|| match self.path.as_str() {
            "" => "invalid JSON. The policy must be an object".to_owned(),
            path => format!("{path} must be an object"),
        })?;
        match members.keys().find(|key| !names.contains(&key.as_str())) {
            Some(key) => Err(format!("invalid JSON. Attribute {} is unknown.", self.name(key))),
            None => Ok(()),
        }
    }

    /// A member that is there and not `null`.
    fn member(&self, name: &str) -> Option<Part<'v>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Part { value, path: self.name(name) })
    }

    fn members(&self, [healthy, sickly, throttle, request]: [&str; 4]) -> Result<DeliveryPolicy, String> {
        if let Some(sickly) = self.member(sickly) {
            // It is checked and, as on AWS, of no effect.
            sickly.retry_policy()?;
        }
        let retry = self.member(healthy).map(|part| part.retry_policy()).transpose()?;
        let max_receives_per_second = match self.member(throttle) {
            None => None,
            Some(part) => {
                part.only(&["maxReceivesPerSecond"])?;
                part.number("maxReceivesPerSecond", 1, u32::MAX)?
            }
        };
        let content_type = match self.member(request) {
            None => None,
            Some(part) => {
                part.only(&["headerContentType"])?;
                part.content_type()?
            }
        };
        Ok(DeliveryPolicy { retry, max_receives_per_second, content_type, overrides_disabled: false })
    }

    fn retry_policy(&self) -> Result<RetryPolicy, String> {
        self.only(&RETRY_MEMBERS)?;
        let specified = |name: &str, least, most| {
            self.number(name, least, most)?.ok_or_else(|| format!("{} must be specified", self.name(name)))
        };
        let optional = |name: &str| Ok::<u32, String>(self.number(name, 0, MOST_RETRIES)?.unwrap_or(0));
        let backoff = match self.member("backoffFunction") {
            None => Backoff::Linear,
            Some(part) => {
                let name = part.value.as_str().unwrap_or_default();
                let known = Backoff::NAMES.iter().find(|(_, known)| *known == name);
                known.map(|(backoff, _)| *backoff).ok_or_else(|| {
                    format!("{} must be one of arithmetic, exponential, geometric, linear", part.path)
                })?
            }
        };
        let policy = RetryPolicy {
            min_delay: specified("minDelayTarget", 1, LONGEST_SECONDS)?,
            max_delay: specified("maxDelayTarget", 1, LONGEST_SECONDS)?,
            retries: specified("numRetries", 0, MOST_RETRIES)?,
            max_delay_retries: optional("numMaxDelayRetries")?,
            no_delay_retries: optional("numNoDelayRetries")?,
            min_delay_retries: optional("numMinDelayRetries")?,
            backoff,
        };
        if policy.max_delay < policy.min_delay {
            return Err(format!(
                "{} must be greater than or equal to minDelayTarget",
                self.name("maxDelayTarget")
            ));
        }
        if policy.max_delay_retries + policy.no_delay_retries + policy.min_delay_retries > policy.retries {
            return Err(format!(
                "{} must be greater than or equal to the sum of numNoDelayRetries, numMinDelayRetries and \
                 numMaxDelayRetries",
                self.name("numRetries")
            ));
        }
        if policy.total_seconds() > u64::from(LONGEST_SECONDS) {
            return Err(format!("{}: the retries must end within {LONGEST_SECONDS} seconds", self.path));
        }
        Ok(policy)
    }

    fn number(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, String> {
        let Some(part) = self.member(name) else { return Ok(None) };
        let number = part.value.as_i64().ok_or_else(|| format!("{} must be an integer", part.path))?;
        if number < i64::from(least) {
            return Err(format!("{} must be greater than or equal to {least}", part.path));
        }
        match u32::try_from(number) {
            Ok(number) if number <= most => Ok(Some(number)),
            _ => Err(format!("{} must be less than or equal to {most}", part.path)),
        }
    }

    fn content_type(&self) -> Result<Option<String>, String> {
        let Some(part) = self.member("headerContentType") else { return Ok(None) };
        let text = part.value.as_str().unwrap_or_default();
        let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !CONTENT_TYPES.contains(&media_type.as_str()) || text.chars().any(char::is_control) {
            return Err(format!("{} is not a supported content type", part.path));
        }
        Ok(Some(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_shown_as_aws_shows_it() {
        // facts/sns.md § 3
        assert_eq!(
            DeliveryPolicy::show_effective_topic(None),
            r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}"#
        );
    }

    #[test]
    fn a_policy_of_one_part_is_shown_with_the_switch_and_takes_the_rest_from_the_default() {
        // facts/sns.md § 3
        let given = r#"{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}"#;
        let policy = DeliveryPolicy::parse(given, Level::Topic).unwrap();
        assert_eq!(
            DeliveryPolicy::as_sent(given).as_deref(),
            Some(
                r#"{"http":{"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"application/json"}}}"#
            )
        );
        let effective = DeliveryPolicy::show_effective_topic(Some(&policy));
        assert!(
            effective.contains(r#""numRetries":3"#) && effective.contains("application/json"),
            "{effective}"
        );
    }

    #[test]
    fn a_topics_policy_reads_back_as_it_was_sent() {
        // Recorded: members that were not sent are not filled in, what is null is left out, the switch is always there.
        for (sent, shown) in [
            (
                r#"{ "http": {"defaultHealthyRetryPolicy": {"numRetries": 1, "minDelayTarget": 5, "maxDelayTarget": 6}}}"#,
                Some(
                    r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1},"disableSubscriptionOverrides":false}}"#,
                ),
            ),
            (
                r#"{"http":{"defaultHealthyRetryPolicy":null}}"#,
                Some(r#"{"http":{"disableSubscriptionOverrides":false}}"#),
            ),
            (
                r#"{"http":{"disableSubscriptionOverrides":true,"defaultThrottlePolicy":{"maxReceivesPerSecond":7}}}"#,
                Some(
                    r#"{"http":{"disableSubscriptionOverrides":true,"defaultThrottlePolicy":{"maxReceivesPerSecond":7}}}"#,
                ),
            ),
            ("{}", None),
            (r#"{"http":null}"#, None),
        ] {
            let kept = DeliveryPolicy::as_sent(sent);
            assert_eq!(kept.as_deref(), shown, "{sent}");
            let read = |text: &str| DeliveryPolicy::parse(text, Level::Topic);
            assert_eq!(read(kept.as_deref().unwrap_or("{}")), read(sent), "{sent}");
        }
    }

    #[test]
    fn a_subscriptions_parts_prevail_unless_its_topic_forbids_it() {
        // facts/sns.md § 9
        let topic = |disabled| {
            let text = format!(
                r#"{{"http":{{"disableSubscriptionOverrides":{disabled},"defaultThrottlePolicy":{{"maxReceivesPerSecond":7}},"defaultRequestPolicy":{{"headerContentType":"text/csv"}}}}}}"#
            );
            DeliveryPolicy::parse(&text, Level::Topic).unwrap()
        };
        let own = r#"{"healthyRetryPolicy":{"numRetries":1,"minDelayTarget":2,"maxDelayTarget":3},"requestPolicy":{"headerContentType":"text/xml"}}"#;
        let own = DeliveryPolicy::parse(own, Level::Subscription).unwrap();
        let free = DeliveryPolicy::effective(Some(&topic(false)), Some(&own));
        assert_eq!(free.retry, own.retry);
        assert_eq!((free.max_receives_per_second, free.content_type.as_deref()), (Some(7), Some("text/xml")));
        let bound = DeliveryPolicy::effective(Some(&topic(true)), Some(&own));
        assert_eq!(
            (bound.retry, bound.content_type.as_deref()),
            (Some(RetryPolicy::default()), Some("text/csv"))
        );
        assert_eq!(
            DeliveryPolicy::show_effective_subscription(None, Some(&own)),
            r#"{"healthyRetryPolicy":{"minDelayTarget":2,"maxDelayTarget":3,"numRetries":1,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"sicklyRetryPolicy":null,"throttlePolicy":null,"requestPolicy":{"headerContentType":"text/xml"},"guaranteed":false}"#
        );
        let shown = own.show_subscription();
        assert_eq!(DeliveryPolicy::parse(&shown, Level::Subscription), Ok(own), "{shown}");
    }

    #[test]
    fn what_is_wrong_in_a_policy_is_said_by_its_path() {
        // facts/sns.md § 9; the first two texts are AWS's
        let retry = |members: &str| format!(r#"{{"healthyRetryPolicy":{{{members}}}}}"#);
        for (policy, fault) in [
            (retry(r#""numRetries":3"#), "healthyRetryPolicy.minDelayTarget must be specified"),
            (
                retry(r#""numRetries":0,"minDelayTarget":0,"maxDelayTarget":0"#),
                "healthyRetryPolicy.minDelayTarget must be greater than or equal to 1",
            ),
            (
                retry(r#""numRetries":101,"minDelayTarget":1,"maxDelayTarget":1"#),
                "healthyRetryPolicy.numRetries must be less than or equal to 100",
            ),
            (
                retry(r#""numRetries":3,"minDelayTarget":5,"maxDelayTarget":4"#),
                "healthyRetryPolicy.maxDelayTarget must be greater than or equal to minDelayTarget",
            ),
            (
                retry(r#""numRetries":100,"minDelayTarget":37,"maxDelayTarget":37"#),
                "healthyRetryPolicy: the retries must end within 3600 seconds",
            ),
            (
                retry(r#""numRetries":1,"minDelayTarget":1,"maxDelayTarget":1,"numNoDelayRetries":2"#),
                "healthyRetryPolicy.numRetries must be greater than or equal to the sum of numNoDelayRetries, \
                 numMinDelayRetries and numMaxDelayRetries",
            ),
            (
                retry(r#""numRetries":1,"minDelayTarget":1,"maxDelayTarget":1,"backoffFunction":"cubic""#),
                "healthyRetryPolicy.backoffFunction must be one of arithmetic, exponential, geometric, linear",
            ),
            (
                r#"{"throttlePolicy":{"maxReceivesPerSecond":0}}"#.to_owned(),
                "throttlePolicy.maxReceivesPerSecond must be greater than or equal to 1",
            ),
            (
                r#"{"requestPolicy":{"headerContentType":"image/png"}}"#.to_owned(),
                "requestPolicy.headerContentType is not a supported content type",
            ),
            (r#"{"http":{}}"#.to_owned(), "invalid JSON. Attribute http is unknown."),
            ("[]".to_owned(), "invalid JSON. The policy must be an object"),
        ] {
            assert_eq!(
                DeliveryPolicy::parse(&policy, Level::Subscription),
                Err(fault.to_owned()),
                "{policy}"
            );
        }
        let topic = r#"{"http":{"defaultHealthyRetryPolicy":{"numRetries":3}}}"#;
        assert_eq!(
            DeliveryPolicy::parse(topic, Level::Topic),
            Err("http.defaultHealthyRetryPolicy.minDelayTarget must be specified".to_owned())
        );
        assert!(DeliveryPolicy::parse("{", Level::Topic).unwrap_err().starts_with("failed to parse JSON. "));
    }
}
