//! Who may do what to a stream or a consumer (facts/kinesis.md § 2, resource policies).

use kernel::{Arn, Caller, Refusal};
use resources::policy::document::{actions_of, one_or_many, parse};
use resources::policy::{Policy, Principal, Verdict};

use crate::{limits, refusals};

/// Whether a caller may perform an action (such as `PutRecord`) on a resource of this account and ARN. The policy decides first; where it
/// has no statement, the owner may.
///
/// Errors: AWS's refusal.
pub fn check(
    caller: &Caller,
    owner: &str,
    arn: impl Fn() -> String,
    policy: Option<&Policy>,
    action: &str,
) -> Result<(), Refusal> {
    if policy.is_none() && caller.account == owner {
        return Ok(());
    }
    let arn = arn();
    let root = format!("arn:{}:iam::{}:root", Arn::partition_of(&caller.region), caller.account);
    let arns = [root.as_str()];
    let who = match caller.as_service() {
        Some(service) => Principal::Service(service),
        None => Principal::Identity { account: &caller.account, arns: &arns },
    };
    let action = format!("kinesis:{action}");
    let keys: [(&str, &[&str]); 1] = [("aws:SourceAccount", &[&caller.account])];
    let verdict = policy.map_or(Verdict::NotMentioned, |policy| policy.evaluate(&who, &action, &arn, &keys));
    let is_allowed = match verdict {
        Verdict::Allowed => true,
        Verdict::Denied => false,
        Verdict::NotMentioned => caller.account == owner,
    };
    if is_allowed { Ok(()) } else { Err(refusals::denied(&root, &action, &arn)) }
}

/// Checks the text of a policy that a client gives.
pub fn check_text(text: &str) -> Result<(), Refusal> {
    let malformed = || refusals::invalid("Policy is not valid.");
    let document = parse(text).ok_or_else(malformed)?;
    let statements = one_or_many(document.get("Statement"));
    let are_sound = !statements.is_empty() && statements.iter().all(|it| actions_of(it).is_some());
    match are_sound && text.len() <= limits::POLICY_BYTES {
        true => Ok(()),
        false => Err(malformed()),
    }
}
