//! Which bus or rule a request means.

use kernel::{Arn, Caller};

use crate::ids::{BusKey, DEFAULT_BUS, RuleKey};

/// Whether a text is a bus's name or ARN (AWS's model: `EventBusNameOrArn`).
pub fn is_bus(text: &str) -> bool {
    let name = match text.parse::<Arn>() {
        Ok(arn) => match BusKey::from_arn(&arn) {
            Some(bus) => bus.name,
            None => return false,
        },
        Err(_) => text.to_owned(),
    };
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_'))
}

/// The bus that a name or an ARN means to a caller. Without either, it is the default one.
pub fn bus(given: Option<&str>, caller: &Caller) -> BusKey {
    let arn = given.and_then(|given| given.parse::<Arn>().ok());
    arn.as_ref().and_then(BusKey::from_arn).unwrap_or_else(|| BusKey {
        account: caller.account.clone(),
        region: caller.region.clone(),
        name: given.unwrap_or(DEFAULT_BUS).to_owned(),
    })
}

/// The rule of a bus.
pub fn rule(name: Option<&api::Text>, bus: Option<&str>, caller: &Caller) -> RuleKey {
    RuleKey { bus: self::bus(bus, caller), name: name.map(ToString::to_string).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_meant_by_its_name_or_its_arn() {
        let caller = Caller {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            principal: "000000000000".into(),
            signed: true,
        };
        let arn = "arn:aws:events:eu-west-1:111111111111:event-bus/b";
        for (given, expected) in [
            (None, "arn:aws:events:us-east-1:000000000000:event-bus/default"),
            (Some("b"), "arn:aws:events:us-east-1:000000000000:event-bus/b"),
            (Some(arn), arn),
        ] {
            assert_eq!(bus(given, &caller).arn().to_string(), expected);
        }
        assert!(is_bus(arn) && is_bus("a.b/c-d_e") && !is_bus("a b") && !is_bus("arn:aws:sqs:r:0:q"));
    }
}
