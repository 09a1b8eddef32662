//! Stories of applications on mobile platforms and their endpoints. Where facts/sns.md is silent, AWS's documentation and what
//! its users have reported of its answers.

use api::sns::*;

use crate::ask;
use crate::world::{ACCOUNT, Answer, REGION, World, invalid, map, plain};

fn application(world: &mut World, name: &str, attributes: &[(&str, &str)]) -> Answer<String> {
    let input = CreatePlatformApplicationInput {
        name: Some(name.into()),
        platform: Some("GCM".into()),
        attributes: map(attributes),
    };
    ask!(world, CreatePlatformApplication, input)
        .map(|output| output.platform_application_arn.unwrap().to_string())
}

fn endpoint(
    world: &mut World,
    application: &str,
    token: &str,
    attributes: &[(&str, &str)],
) -> Answer<String> {
    let input = CreatePlatformEndpointInput {
        platform_application_arn: Some(application.into()),
        token: Some(token.into()),
        custom_user_data: None,
        attributes: map(attributes),
    };
    ask!(world, CreatePlatformEndpoint, input).map(|output| output.endpoint_arn.unwrap().to_string())
}

fn attributes(world: &mut World, endpoint: &str) -> Answer<Vec<(String, String)>> {
    let input = GetEndpointAttributesInput { endpoint_arn: Some(endpoint.into()) };
    ask!(world, GetEndpointAttributes, input).map(|output| plain(output.attributes).into_iter().collect())
}

const KEY: (&str, &str) = ("PlatformCredential", "key");

#[test]
fn an_application_is_made_once_and_keeps_its_secrets() {
    let mut world = World::new();
    let arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:app/GCM/a");
    assert_eq!(application(&mut world, "a", &[KEY]), Ok(arn.clone()));
    assert_eq!(application(&mut world, "a", &[KEY]), Ok(arn.clone()));
    assert!(application(&mut world, "a", &[("PlatformCredential", "other")]).is_err());
    let set = SetPlatformApplicationAttributesInput {
        platform_application_arn: Some(arn.as_str().into()),
        attributes: map(&[("EventEndpointCreated", "arn:aws:sns:us-east-1:000000000000:t")]),
    };
    ask!(world, SetPlatformApplicationAttributes, set).unwrap();
    let get =
        || GetPlatformApplicationAttributesInput { platform_application_arn: Some(arn.as_str().into()) };
    let shown = plain(ask!(world, GetPlatformApplicationAttributes, get()).unwrap().attributes);
    assert_eq!(shown.keys().collect::<Vec<_>>(), ["AuthenticationMethod", "Enabled", "EventEndpointCreated"]);
    let delete = || DeletePlatformApplicationInput { platform_application_arn: Some(arn.as_str().into()) };
    ask!(world, DeletePlatformApplication, delete()).unwrap();
    ask!(world, DeletePlatformApplication, delete()).unwrap();
    assert_eq!(
        ask!(world, GetPlatformApplicationAttributes, get()).map(drop),
        Err("NotFoundException: PlatformApplication does not exist".to_owned())
    );
}

#[test]
fn what_is_wrong_with_an_application_is_said() {
    let mut world = World::new();
    for (name, platform, given, refusal) in [
        ("", "GCM", &[KEY][..], invalid(" Reason: cannot be empty")),
        (
            "a b",
            "GCM",
            &[KEY],
            invalid("a b Reason: must contain only characters 'a'-'z', 'A'-'Z', '0'-'9', '_', '-', and '.'"),
        ),
        ("a", "PIGEON", &[KEY], invalid("Platform Reason: PIGEON is not supported")),
        (
            "a",
            "APNS",
            &[KEY],
            invalid("Attributes Reason: PlatformCredential attribute provided without PlatformPrincipal"),
        ),
        (
            "a",
            "APNS",
            &[("PlatformPrincipal", "p")],
            invalid("Attributes Reason: PlatformPrincipal attribute provided without PlatformCredential"),
        ),
        ("a", "GCM", &[("Colour", "red")], invalid("Attributes Reason: Invalid attribute name: Colour")),
        (
            "a",
            "GCM",
            &[],
            Err(
                "ValidationError: 1 validation error detected: Value null at 'attributes' failed to satisfy \
                 constraint: Member must not be null"
                    .to_owned(),
            ),
        ),
    ] {
        let input = CreatePlatformApplicationInput {
            name: Some(name.into()),
            platform: Some(platform.into()),
            attributes: map(given),
        };
        assert_eq!(ask!(world, CreatePlatformApplication, input).map(drop), refusal);
    }
}

#[test]
fn the_first_application_of_a_fresh_server_is_listed_and_so_are_its_endpoints() {
    let mut world = World::new();
    let first = application(&mut world, "a", &[KEY]).unwrap();
    let second = application(&mut world, "b", &[KEY]).unwrap();
    let list = ListPlatformApplicationsInput { next_token: None };
    let listed = ask!(world, ListPlatformApplications, list).unwrap().platform_applications.unwrap();
    let arns: Vec<_> =
        listed.iter().map(|listed| listed.platform_application_arn.as_deref().unwrap()).collect();
    assert_eq!(arns, [&*first, &*second]);
    let device = endpoint(&mut world, &first, "device", &[]).unwrap();
    let list = |token: Option<&str>| ListEndpointsByPlatformApplicationInput {
        platform_application_arn: Some(first.as_str().into()),
        next_token: token.map(Into::into),
    };
    let listed = ask!(world, ListEndpointsByPlatformApplication, list(None)).unwrap().endpoints.unwrap();
    assert_eq!(listed[0].endpoint_arn.as_deref(), Some(&*device));
    // The greatest number there is, in base64: behind it there is nothing.
    let last = list(Some("MTg0NDY3NDQwNzM3MDk1NTE2MTU="));
    assert_eq!(ask!(world, ListEndpointsByPlatformApplication, last).unwrap().endpoints.unwrap().len(), 0);
}

#[test]
fn an_application_tells_what_kind_of_credentials_it_has() {
    // AWS's documentation of GetPlatformApplicationAttributes; of Google's also "Firebase Cloud Messaging authentication"
    let mut world = World::new();
    let apple = [("PlatformCredential", "key"), ("PlatformPrincipal", "principal")];
    let token = [&apple[..], &[("ApplePlatformTeamID", "A1B2C3D4E5")]].concat();
    for (platform, given, method) in [
        ("GCM", &[KEY][..], Some("Key")),
        ("GCM", &[("PlatformCredential", "{\"type\":\"service_account\"}")], Some("Token")),
        ("APNS", &apple, Some("Certificate")),
        ("APNS_SANDBOX", &token, Some("Token")),
        ("ADM", &apple, None),
    ] {
        let input = CreatePlatformApplicationInput {
            name: Some("x".into()),
            platform: Some(platform.into()),
            attributes: map(given),
        };
        let arn = ask!(world, CreatePlatformApplication, input).unwrap().platform_application_arn;
        let get = GetPlatformApplicationAttributesInput { platform_application_arn: arn.clone() };
        let shown = plain(ask!(world, GetPlatformApplicationAttributes, get).unwrap().attributes);
        assert_eq!(shown.get("AuthenticationMethod").map(String::as_str), method, "{platform} {given:?}");
        let delete = DeletePlatformApplicationInput { platform_application_arn: arn };
        ask!(world, DeletePlatformApplication, delete).unwrap();
    }
}

#[test]
fn a_disabled_endpoint_is_told_before_what_is_wrong_with_a_structure() {
    let mut world = World::new();
    let application = application(&mut world, "a", &[KEY]).unwrap();
    let arn = endpoint(&mut world, &application, "device", &[("Enabled", "false")]).unwrap();
    let publish = |arn: &str, message: &str| PublishInput {
        target_arn: Some(arn.into()),
        message: Some(message.into()),
        message_structure: Some("json".into()),
        ..PublishInput::default()
    };
    let disabled = Err("EndpointDisabledException: Endpoint is disabled".to_owned());
    assert_eq!(ask!(world, Publish, publish(&arn, "no JSON")).map(drop), disabled);
    assert_eq!(ask!(world, Publish, publish(&arn, "")).map(drop), invalid("Empty message"));
    let enable = SetEndpointAttributesInput {
        endpoint_arn: Some(arn.as_str().into()),
        attributes: map(&[("Enabled", "true")]),
    };
    ask!(world, SetEndpointAttributes, enable).unwrap();
    assert_eq!(
        ask!(world, Publish, publish(&arn, "no JSON")).map(drop),
        invalid("Message Structure - JSON message body failed to parse")
    );
}

#[test]
fn a_device_has_one_endpoint() {
    let mut world = World::new();
    let application = application(&mut world, "a", &[KEY]).unwrap();
    let arn = endpoint(&mut world, &application, "device", &[("CustomUserData", "me")]).unwrap();
    assert!(arn.starts_with(&format!("arn:aws:sns:{REGION}:{ACCOUNT}:endpoint/GCM/a/")), "{arn}");
    for again in [&[][..], &[("CustomUserData", "me")], &[("Enabled", "true")]] {
        assert_eq!(endpoint(&mut world, &application, "device", again), Ok(arn.clone()));
    }
    let text =
        format!("Token Reason: Endpoint {arn} already exists with the same Token, but different attributes.");
    assert_eq!(endpoint(&mut world, &application, "device", &[("CustomUserData", "you")]), invalid(&text));
    let long = "x".repeat(2049);
    assert_eq!(
        endpoint(&mut world, &application, "other", &[("CustomUserData", &long)]),
        invalid(
            "Attributes Reason: Invalid value for attribute: CustomUserData: must be at most 2048 bytes long in UTF-8 \
             encoding"
        )
    );
}

#[test]
fn an_endpoint_changes_its_token_and_goes() {
    let mut world = World::new();
    let application = application(&mut world, "a", &[KEY]).unwrap();
    let arn = endpoint(&mut world, &application, "old", &[]).unwrap();
    let set = |given: &[(&str, &str)]| SetEndpointAttributesInput {
        endpoint_arn: Some(arn.as_str().into()),
        attributes: map(given),
    };
    ask!(world, SetEndpointAttributes, set(&[("Token", "new"), ("Enabled", "false")])).unwrap();
    let shown = attributes(&mut world, &arn).unwrap();
    assert_eq!(shown, [("Enabled".into(), "false".into()), ("Token".into(), "new".into())]);
    assert_eq!(endpoint(&mut world, &application, "new", &[]), Ok(arn.clone()));
    let other = endpoint(&mut world, &application, "old", &[]).unwrap();
    assert_ne!(other, arn);
    assert!(ask!(world, SetEndpointAttributes, set(&[("Token", "old")])).is_err());
    for _ in 0..2 {
        ask!(world, DeleteEndpoint, DeleteEndpointInput { endpoint_arn: Some(arn.as_str().into()) }).unwrap();
    }
    assert_eq!(attributes(&mut world, &arn), Err("NotFoundException: Endpoint does not exist".to_owned()));
    let list = ListEndpointsByPlatformApplicationInput {
        platform_application_arn: Some(application.as_str().into()),
        next_token: None,
    };
    let listed = ask!(world, ListEndpointsByPlatformApplication, list).unwrap().endpoints.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].endpoint_arn.as_deref(), Some(&*other));
}

#[test]
fn an_application_takes_its_endpoints_along_also_in_a_cleaned_log() {
    let mut world = World::new();
    let (a, b) =
        (application(&mut world, "a", &[KEY]).unwrap(), application(&mut world, "b", &[KEY]).unwrap());
    let mut arns = Vec::new();
    let before = world.segment();
    while world.segment() < before + 3 {
        for application in [&a, &b] {
            arns.push(endpoint(&mut world, application, &format!("device {}", arns.len()), &[]).unwrap());
        }
    }
    world.clean(before);
    world.crash();
    assert!(arns.iter().all(|arn| attributes(&mut world, arn).is_ok()));
    let delete = DeletePlatformApplicationInput { platform_application_arn: Some(a.as_str().into()) };
    ask!(world, DeletePlatformApplication, delete).unwrap();
    world.crash();
    for most in [before + 1, u32::MAX] {
        world.clean(most);
        world.crash();
        for (at, arn) in arns.iter().enumerate() {
            assert_eq!(attributes(&mut world, arn).is_ok(), at % 2 == 1, "{arn}");
        }
    }
    let listed =
        ask!(world, ListPlatformApplications, ListPlatformApplicationsInput { next_token: None }).unwrap();
    let listed = listed.platform_applications.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].platform_application_arn.as_deref(), Some(&*b));
}

#[test]
fn a_topic_takes_endpoints_that_exist() {
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    let application = application(&mut world, "a", &[KEY]).unwrap();
    let arn = endpoint(&mut world, &application, "device", &[]).unwrap();
    world.subscribe("t", "application", &arn, &[]).unwrap();
    let missing = "NotFoundException: Endpoint does not exist".to_owned();
    assert_eq!(world.subscribe("t", "application", &format!("{arn}x"), &[]), Err(missing));
}
