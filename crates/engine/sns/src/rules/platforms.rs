//! Applications on mobile platforms and their endpoints: names, attributes, and what SNS says about wrong ones.

use std::collections::BTreeMap;

use kernel::{Arn, Refusal};

use crate::rules::arns;
use crate::{ApplicationKey, refusals};

/// The platforms (AWS's documentation of CreatePlatformApplication).
const PLATFORMS: [&str; 11] = [
    "ADM",
    "APNS",
    "APNS_SANDBOX",
    "APNS_VOIP",
    "APNS_VOIP_SANDBOX",
    "BAIDU",
    "GCM",
    "MACOS",
    "MACOS_SANDBOX",
    "MPNS",
    "WNS",
];

/// What an application can have (AWS's documentation of SetPlatformApplicationAttributes).
const APPLICATION: [&str; 12] = [
    "ApplePlatformBundleID",
    "ApplePlatformTeamID",
    "Enabled",
    "EventDeliveryFailure",
    "EventEndpointCreated",
    "EventEndpointDeleted",
    "EventEndpointUpdated",
    "FailureFeedbackRoleArn",
    "PlatformCredential",
    "PlatformPrincipal",
    "SuccessFeedbackRoleArn",
    "SuccessFeedbackSampleRate",
];

/// What an endpoint can have (AWS's documentation of SetEndpointAttributes).
const ENDPOINT: [&str; 3] = ["CustomUserData", "Enabled", "Token"];

/// What is remembered of an application but never shown.
pub const SECRETS: [&str; 2] = ["PlatformCredential", "PlatformPrincipal"];

/// Bytes of an endpoint's user data.
const USER_DATA_BYTES: usize = 2048;

/// Checks what CreatePlatformApplication is given.
pub fn check_new(name: &str, platform: &str, attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let reason = if name.is_empty() {
        "cannot be empty"
    } else if name.len() > 256 {
        "must be at most 256 characters long"
    } else if !name.bytes().all(legal) {
        "must contain only characters 'a'-'z', 'A'-'Z', '0'-'9', '_', '-', and '.'"
    } else {
        ""
    };
    if !reason.is_empty() {
        return Err(refusals::invalid(format_args!("{name} Reason: {reason}")));
    }
    if !PLATFORMS.contains(&platform) {
        return Err(refusals::invalid(format_args!("Platform Reason: {platform} is not supported")));
    }
    check_application(attributes)?;
    let has = |name: &str| attributes.contains_key(name);
    // What there is of Google has no principal.
    if platform != "GCM" && has("PlatformCredential") && !has("PlatformPrincipal") {
        return Err(refusals::invalid(
            "Attributes Reason: PlatformCredential attribute provided without PlatformPrincipal",
        ));
    }
    if has("PlatformPrincipal") && !has("PlatformCredential") {
        return Err(refusals::invalid(
            "Attributes Reason: PlatformPrincipal attribute provided without PlatformCredential",
        ));
    }
    Ok(())
}

/// Checks an application's attributes, of which there must be some.
pub fn check_application(attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    check_some(attributes)?;
    check_names(attributes, &APPLICATION)?;
    check_enabled(attributes)?;
    let arns = ["FailureFeedbackRoleArn", "SuccessFeedbackRoleArn"]
        .into_iter()
        .chain(APPLICATION.into_iter().filter(|name| name.starts_with("Event")));
    for name in arns {
        let Some(value) = attributes.get(name).filter(|value| !value.is_empty()) else { continue };
        if value.parse::<Arn>().is_err() {
            return Err(refusals::invalid(format_args!("Attributes Reason: {name} is no ARN")));
        }
    }
    let rate = attributes.get("SuccessFeedbackSampleRate").filter(|rate| !rate.is_empty());
    if rate.is_some_and(|rate| !rate.parse::<u8>().is_ok_and(|percent| percent <= 100)) {
        let text = "Attributes Reason: SuccessFeedbackSampleRate must be between 0 and 100";
        return Err(refusals::invalid(text));
    }
    Ok(())
}

/// Checks an endpoint's attributes.
pub fn check_endpoint(attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    check_names(attributes, &ENDPOINT)?;
    check_enabled(attributes)?;
    if attributes.get("Token").is_some_and(String::is_empty) {
        return Err(refusals::invalid(
            "Attributes Reason: Invalid value for attribute: Token: cannot be empty",
        ));
    }
    attributes.get("CustomUserData").map_or(Ok(()), |data| check_user_data(data))
}

/// What AWS adds to the attributes of an application for Apple's or Google's platforms: `AuthenticationMethod`, the kind of
/// its credentials (AWS's documentation of GetPlatformApplicationAttributes: token or certificate, token or key).
///
/// Apple's tokens come with the team and the bundle that they are for; one of Google's is the text of a JSON object.
pub fn authentication_method(platform: &str, attributes: &BTreeMap<String, String>) -> Option<&'static str> {
    let has = |name: &str| attributes.get(name).is_some_and(|value| !value.is_empty());
    match platform {
        "GCM" => {
            let credential = attributes.get("PlatformCredential").map(|text| text.trim_start());
            Some(if credential.is_some_and(|text| text.starts_with('{')) { "Token" } else { "Key" })
        }
        apple if apple.starts_with("APNS") || apple.starts_with("MACOS") => {
            let is_token = has("ApplePlatformTeamID") || has("ApplePlatformBundleID");
            Some(if is_token { "Token" } else { "Certificate" })
        }
        _ => None,
    }
}

/// Checks an endpoint's user data.
fn check_user_data(data: &str) -> Result<(), Refusal> {
    if data.len() <= USER_DATA_BYTES {
        return Ok(());
    }
    Err(refusals::invalid(format_args!(
        "Attributes Reason: Invalid value for attribute: CustomUserData: must be at most {USER_DATA_BYTES} bytes long in \
         UTF-8 encoding"
    )))
}

/// A map that must not be empty.
pub fn check_some(attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if !attributes.is_empty() {
        return Ok(());
    }
    let text = "1 validation error detected: Value null at 'attributes' failed to satisfy constraint: Member must not be \
                null";
    Err(Refusal::new("ValidationError", text))
}

fn check_names(attributes: &BTreeMap<String, String>, known: &[&str]) -> Result<(), Refusal> {
    match attributes.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            Err(refusals::invalid(format_args!("Attributes Reason: Invalid attribute name: {name}")))
        }
        None => Ok(()),
    }
}

fn check_enabled(attributes: &BTreeMap<String, String>) -> Result<(), Refusal> {
    match attributes.get("Enabled") {
        Some(enabled) if !matches!(enabled.to_ascii_lowercase().as_str(), "true" | "false") => {
            let text = "Attributes Reason: Invalid value for attribute: Enabled: must be true or false";
            Err(refusals::invalid(text))
        }
        _ => Ok(()),
    }
}

/// The application that `PlatformApplicationArn` names.
pub fn application(text: Option<&str>) -> Result<ApplicationKey, Refusal> {
    let arn = arns::arn(text.unwrap_or_default(), "PlatformApplicationArn")?;
    let parts: Vec<&str> = arn.resource.split('/').collect();
    match parts[..] {
        ["app", platform, name] if arn.service == "sns" => Ok(ApplicationKey {
            account: arn.account.clone(),
            region: arn.region.clone(),
            platform: platform.to_owned(),
            name: name.to_owned(),
        }),
        _ => Err(refusals::invalid(
            "PlatformApplicationArn Reason: Wrong number of slashes in relative portion of the ARN.",
        )),
    }
}

/// The endpoint that `EndpointArn` names.
pub fn endpoint(text: Option<&str>) -> Result<String, Refusal> {
    let text = text.unwrap_or_default();
    let arn = arns::arn(text, "EndpointArn")?;
    let is_endpoint = arn.service == "sns" && arn.resource.starts_with("endpoint/");
    if is_endpoint && arn.resource.split('/').count() == 4 {
        return Ok(text.to_owned());
    }
    Err(refusals::invalid("EndpointArn Reason: Wrong number of slashes in relative portion of the ARN."))
}
