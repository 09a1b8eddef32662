//! Any access policy is compiled, and says something to any request; no statement can allow what another one denies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resources::policy::{Policy, Principal, Verdict, document};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (policy, request) = text.split_once('\n').unwrap_or((text, "kinesis:PutRecord"));
    let arns = ["arn:aws:iam::222222222222:user/bob"];
    let who = Principal::Identity { account: "222222222222", arns: &arns };
    let keys: [(&str, &[&str]); 2] = [("aws:SourceIp", &[request]), ("aws:username", &["bob"])];
    let says = |policy: &str| Policy::compile(policy).evaluate(&who, request, request, &keys);
    let verdict = says(policy);
    let Some(document) = document::parse(policy) else { return };
    assert_eq!(says(&document::write(document)), verdict);
    // The text as a statement.
    let deny = r#"{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}"#;
    let both = format!(r#"{{"Version":"2012-10-17","Statement":[{policy},{deny}]}}"#);
    assert_eq!(says(&both), Verdict::Denied);
});
