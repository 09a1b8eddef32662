//! Who may do what to a queue.

use kernel::Sender;
use resources::policy::{Principal, Verdict};

use crate::queue::Queue;

/// Whether `who` may perform `action` (such as `sqs:SendMessage`) on a queue. `keys` are the condition keys of the request.
///
/// The queue's policy decides first ([`resources::policy::Policy::evaluate`]). Where the policy has no statement for the request, only the
/// account that owns the queue is allowed (facts/security.md § 4). Identities have no policies of their own here: each identity of an
/// account may do what the account may.
pub fn may(queue: &Queue, who: &Principal<'_>, action: &str, keys: &[(&str, &[&str])]) -> bool {
    let verdict = match &queue.policy {
        Some(policy) => policy.evaluate(who, action, &queue.arn, keys),
        None => Verdict::NotMentioned,
    };
    match verdict {
        Verdict::Allowed => true,
        Verdict::Denied => false,
        Verdict::NotMentioned => who.account() == Some(&queue.key.account),
    }
}

/// Whether a service may send to a queue on behalf of a topic or a rule (facts/sns.md § 12, facts/security.md § 5).
pub fn service_may_send(queue: &Queue, sender: &Sender<'_>) -> bool {
    let account = sender.account();
    let keys: [(&str, &[&str]); 4] = [
        ("aws:SourceArn", &[sender.arn]),
        ("aws:SourceAccount", &[account]),
        ("aws:SourceOwner", &[account]),
        ("aws:SecureTransport", &["true"]),
    ];
    may(queue, &Principal::Service(sender.service), "sqs:SendMessage", &keys)
}

#[cfg(test)]
mod tests {
    use kernel::{Extent, Ledger, Place, Time};
    use resources::Standing;

    use super::*;
    use crate::records::QueueDeclared;
    use crate::rules::policy::{self, Permission};
    use crate::rules::settings::Settings;
    use crate::{QueueId, QueueKey, Seq};

    const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";
    const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:t";
    const SENDER: Sender<'_> = Sender { arn: TOPIC, service: "sns.amazonaws.com" };

    fn key() -> QueueKey {
        QueueKey { account: "000000000000".to_owned(), region: "us-east-1".to_owned(), name: "q".to_owned() }
    }

    fn queue(policy: Option<&str>) -> Queue {
        let declared = QueueDeclared {
            id: QueueId(1),
            key: key(),
            settings: Settings { policy: policy.map(str::to_owned), ..Settings::default() },
            tags: Vec::new(),
            created: Time(0),
            modified: Time(0),
            purged_through: Seq(0),
            purged: None,
        };
        let at = Extent { place: Place::new(1, 0), len: 1 };
        Queue::new(&declared, Standing::declared(at, None, &mut Ledger::default()), 0)
    }

    fn topic_may_send(policy: Option<&str>) -> bool {
        super::service_may_send(&queue(policy), &SENDER)
    }

    #[test]
    fn another_account_may_do_what_the_policy_says() {
        // facts/sqs.md § 9, facts/security.md §§ 3, 4
        let owner =
            Principal::Identity { account: "000000000000", arns: &["arn:aws:iam::000000000000:root"] };
        let other =
            Principal::Identity { account: "111111111111", arns: &["arn:aws:iam::111111111111:user/ann"] };
        let third =
            Principal::Identity { account: "222222222222", arns: &["arn:aws:iam::222222222222:root"] };
        let permission = Permission::new(Some("a"), Some(&["111111111111"]), &["SendMessage"]).unwrap();
        let shared = policy::add(None, &key(), &permission).unwrap();
        let shared = queue(Some(&shared));
        let denied = policy("Deny", r#"{"AWS":"000000000000"}"#, "");
        for (queue, who, action, expected) in [
            (&queue(None), owner, "sqs:SendMessage", true),
            (&queue(None), other, "sqs:SendMessage", false),
            (&shared, owner, "sqs:DeleteQueue", true),
            (&shared, other, "sqs:SendMessage", true),
            (&shared, other, "sqs:sendmessage", true),
            (&shared, other, "sqs:ReceiveMessage", false),
            (&shared, third, "sqs:SendMessage", false),
            (&shared, Principal::Anonymous, "sqs:SendMessage", false),
            (&queue(Some(&denied)), owner, "sqs:SendMessage", false),
            (&queue(Some(&denied)), owner, "sqs:ReceiveMessage", true),
            (&queue(Some(&policy("Allow", "\"*\"", ""))), Principal::Anonymous, "sqs:SendMessage", true),
            (&queue(Some("{")), other, "sqs:SendMessage", false),
        ] {
            assert_eq!(may(queue, &who, action, &[]), expected, "{who:?} {action}");
        }
    }

    #[test]
    fn another_policy_is_asked_once_it_is_set() {
        let mut queue = queue(None);
        assert!(!super::service_may_send(&queue, &SENDER));
        let policy = policy("Allow", "\"*\"", "");
        queue.set(&Settings { policy: Some(policy), ..Settings::default() });
        assert!(super::service_may_send(&queue, &SENDER));
        queue.set(&Settings::default());
        assert!(!super::service_may_send(&queue, &SENDER));
    }

    fn policy(effect: &str, principal: &str, condition: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"sqs:SendMessage","Resource":"{QUEUE}"{condition}}}]}}"#
        )
    }

    #[test]
    fn a_topic_may_send_if_the_policy_names_it_or_everybody() {
        let service = r#"{"Service":"sns.amazonaws.com"}"#;
        let arn_is = |arn: &str| format!(r#","Condition":{{"ArnEquals":{{"aws:SourceArn":"{arn}"}}}}"#);
        for (text, allowed) in [
            (policy("Allow", service, &arn_is(TOPIC)), true),
            (policy("Allow", service, &arn_is("arn:aws:sns:us-east-1:000000000000:*")), true),
            (policy("Allow", service, &arn_is("arn:aws:sns:us-east-1:000000000000:other")), false),
            (policy("Allow", service, ""), true),
            (policy("Allow", "\"*\"", &arn_is(TOPIC)), true),
            (policy("Allow", r#"{"AWS":"*"}"#, ""), true),
            (policy("Allow", r#"{"Service":"events.amazonaws.com"}"#, ""), false),
            (policy("Deny", service, ""), false),
            (policy("Allow", service, r#","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#), true),
            (policy("Allow", service, r#","Condition":{"Bool":{"aws:SecureTransport":false}}"#), false),
        ] {
            assert_eq!(topic_may_send(Some(&text)), allowed, "{text}");
        }
        assert!(!topic_may_send(None));
    }

    #[test]
    fn a_condition_is_met_as_its_operator_says() {
        for (condition, met) in [
            (r#""StringEquals":{"aws:SourceAccount":["111111111111","000000000000"]}"#, true),
            (r#""StringNotEquals":{"aws:SourceAccount":["111111111111","000000000000"]}"#, false),
            (r#""StringNotEquals":{"aws:SourceAccount":"111111111111"}"#, true),
            (r#""StringEqualsIgnoreCase":{"AWS:PrincipalServiceName":"SNS.amazonaws.com"}"#, true),
            (r#""ArnNotLike":{"aws:SourceArn":"arn:aws:sns:*:000000000000:*"}"#, false),
            (r#""ForAnyValue:ArnLike":{"aws:SourceArn":["arn:aws:sns:*:1:*","arn:aws:sns:*:*:t"]}"#, true),
            (r#""StringEquals":{"aws:SourceVpc":"vpc-1"}"#, false),
            (r#""StringNotEquals":{"aws:SourceVpc":"vpc-1"}"#, true),
            (r#""StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}"#, true),
            (r#""StringEqualsIfExists":{"aws:SourceAccount":"111111111111"}"#, false),
            (r#""ForAllValues:StringEquals":{"aws:SourceVpc":"vpc-1"}"#, true),
            (r#""ForAnyValue:StringEquals":{"aws:SourceVpc":"vpc-1"}"#, false),
            (r#""Null":{"aws:SourceVpc":"true","aws:SourceArn":"false"}"#, true),
            (r#""Null":{"aws:SourceArn":true}"#, false),
            (r#""IpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#, false),
            (r#""ArnLike":{"aws:SourceArn":"*"},"StringEquals":{"aws:SourceAccount":"1"}"#, false),
        ] {
            let text = policy("Allow", "\"*\"", &format!(r#","Condition":{{{condition}}}"#));
            assert_eq!(topic_may_send(Some(&text)), met, "{condition}");
        }
    }

    #[test]
    fn a_statement_may_say_what_it_is_not_about() {
        let allowed = policy("Allow", "\"*\"", "");
        for (text, may_send) in [
            (allowed.replace(r#""Action":"sqs:SendMessage""#, r#""NotAction":"sqs:DeleteQueue""#), true),
            (allowed.replace(r#""Action":"sqs:SendMessage""#, r#""NotAction":"sqs:Send*""#), false),
            (allowed.replace(r#""Resource":"#, r#""NotResource":"#), false),
            (allowed.replace(r#""Principal":"*""#, r#""NotPrincipal":{"AWS":"111111111111"}"#), true),
            (allowed.replace(r#""Principal":"*","#, ""), false),
        ] {
            assert_eq!(topic_may_send(Some(&text)), may_send, "{text}");
        }
    }

    #[test]
    fn a_denial_outdoes_every_permission() {
        let text = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}},{{"Effect":"Deny","Principal":"*","Action":"SQS:SendMessage","Resource":"{QUEUE}"}}]}}"#
        );
        assert!(!topic_may_send(Some(&text)));
    }
}
