//! Whatever is done, however the log is cleaned and wherever a crash falls, the same is remembered.

use std::collections::BTreeMap;

use proptest::prelude::*;

use api::sns::*;

use crate::ask;
use crate::world::{ACCOUNT, Answer, REGION, World, map, queue_arn};

/// All that can be seen from outside, of topics `t0` to `t3` and their subscriptions.
fn seen(world: &mut World, arns: &[String]) -> Vec<Option<BTreeMap<String, String>>> {
    let topics: Vec<_> = (0..4).map(|topic| world.attributes(&format!("t{topic}")).ok()).collect();
    let endpoint = |arn: &String| {
        let known = world.state.platforms().endpoint(arn)?;
        Some(known.declared.attributes.clone())
    };
    let endpoints: Vec<_> = arns.iter().map(endpoint).collect();
    let subscriptions = arns.iter().map(|arn| world.subscription(arn).ok());
    topics.into_iter().chain(subscriptions).chain(endpoints).collect()
}

/// Does what both worlds do; the ARN, if a subscription was made.
fn act(world: &mut World, (what, which, value): (u8, u8, u8), arns: &[String]) -> Option<String> {
    let topic = format!("t{}", which % 4);
    let arn = arns.get(usize::from(which) % arns.len().max(1)).cloned().unwrap_or_default();
    match what {
        0..=2 => drop(world.create(&topic, &[], &[])),
        3 => drop(world.delete(&topic)),
        4 => drop(world.set(&topic, "DisplayName", &"d".repeat(value.into()))),
        5..=7 => return world.subscribe(&topic, "sqs", &queue_arn(&format!("q{value}")), &[]).ok(),
        8 => return world.subscribe(&topic, "http", &format!("http://{value}.example"), &[]).ok(),
        9 => drop(world.unsubscribe(&arn)),
        10 => drop(world.set_subscription(&arn, "FilterPolicy", &format!(r#"{{"a":["{value}"]}}"#))),
        11 => {
            if world.state.subscription_by_arn(&arn).is_some() {
                drop(world.confirm(&topic, &arn, false));
            }
        }
        12 => {
            let stranger = kernel::Caller { signed: false, ..world.caller.clone() };
            drop(world.by(stranger, |world| world.unsubscribe(&arn)));
        }
        13 => {
            // Also of those that are gone, whose tokens are good for a while.
            if let Some(&id) = world.made.get(usize::from(which)) {
                let token = sns::ids::confirmation_token(&crate::world::secret(), id);
                return world.confirm_with(&topic, &token, false).ok();
            }
        }
        14 => drop(application(world, which)),
        15 => {
            let arn = Some(application_arn(which).into());
            let input = DeletePlatformApplicationInput { platform_application_arn: arn };
            ask!(world, DeletePlatformApplication, input).unwrap();
        }
        16..=18 => {
            let input = CreatePlatformEndpointInput {
                platform_application_arn: Some(application_arn(which).into()),
                token: Some(format!("device {value}").into()),
                ..CreatePlatformEndpointInput::default()
            };
            return ask!(world, CreatePlatformEndpoint, input).ok()?.endpoint_arn.map(Into::into);
        }
        19 => drop(ask!(world, DeleteEndpoint, DeleteEndpointInput { endpoint_arn: Some(arn.into()) })),
        20 => {
            let input = SetEndpointAttributesInput {
                endpoint_arn: Some(arn.into()),
                attributes: map(&[("Token", &format!("device {value}"))]),
            };
            drop(ask!(world, SetEndpointAttributes, input));
        }
        21 => {
            let number = Some(format!("+1555123{value:04}").into());
            let input = CreateSMSSandboxPhoneNumberInput { phone_number: number, language_code: None };
            drop(ask!(world, CreateSMSSandboxPhoneNumber, input));
        }
        _ => world.pass(u64::from(value) * 3_600_000),
    }
    None
}

fn application_arn(which: u8) -> String {
    format!("arn:aws:sns:us-east-1:000000000000:app/GCM/a{}", which % 3)
}

fn application(world: &mut World, which: u8) -> Answer<()> {
    let input = CreatePlatformApplicationInput {
        name: Some(format!("a{}", which % 3).into()),
        platform: Some("GCM".into()),
        attributes: map(&[("PlatformCredential", "key")]),
    };
    ask!(world, CreatePlatformApplication, input).map(drop)
}

#[test]
fn a_subscription_outlives_the_segment_of_its_topic() {
    let mut world = World::new();
    world.create("t0", &[], &[]).unwrap();
    let segment = world.segment();
    let mut arns = Vec::new();
    while world.segment() < segment + 3 {
        arns.push(world.subscribe("t0", "sqs", &queue_arn(&format!("q{}", arns.len())), &[]).unwrap());
    }
    let before = seen(&mut world, &arns);
    // The topic is declared after its subscriptions now.
    world.clean(segment);
    world.crash();
    assert_eq!(seen(&mut world, &arns), before);
    world.delete("t0").unwrap();
    world.clean(segment + 1);
    world.crash();
    assert!(seen(&mut world, &arns).iter().all(Option::is_none));
}

#[test]
fn a_deleted_topic_s_subscriptions_are_out_of_sight_before_they_are_forgotten() {
    let mut world = World::new();
    world.create("t0", &[], &[]).unwrap();
    let arns: Vec<String> = (0..250)
        .map(|number| world.subscribe("t0", "sqs", &queue_arn(&format!("q{number}")), &[]).unwrap())
        .collect();
    world.delete("t0").unwrap();
    assert!(world.state.has_background_work());
    assert!(seen(&mut world, &arns).iter().all(Option::is_none));
    // A topic of the same name has none of them, and the same queues can subscribe to it.
    world.create("t0", &[], &[]).unwrap();
    assert!(arns.iter().all(|arn| world.subscription(arn).is_err()));
    let again = world.subscribe("t0", "sqs", &queue_arn("q7"), &[]).unwrap();
    assert_ne!(again, arns[7]);
    world.crash();
    assert!(arns.iter().all(|arn| world.subscription(arn).is_err()));
    assert!(world.subscription(&again).is_ok());
    world.delete("t0").unwrap();
    let tombstones = 0;
    assert_eq!(world.references(), tombstones);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Two worlds live through the same; one crashes and cleans its log in between. They look the same.
    #[test]
    fn a_world_that_crashes_and_cleans_is_like_one_that_does_not(
        steps in proptest::collection::vec(((0u8..25, 0u8..20, 0u8..40), 0u8..6), 1..120),
        last in any::<[usize; 6]>(),
    ) {
        let (mut plain, mut crashing) = (World::new(), World::new());
        let mut arns = Vec::new();
        for (step, upset) in steps {
            match upset {
                0 => crashing.crash(),
                1 => crashing.clean(u32::MAX),
                2 | 3 => crashing.clean_any(step.1.into()),
                _ => {}
            }
            let made = act(&mut plain, step, &arns);
            prop_assert_eq!(&act(&mut crashing, step, &arns), &made);
            arns.extend(made);
        }
        crashing.crash();
        prop_assert_eq!(seen(&mut plain, &arns), seen(&mut crashing, &arns));
        for segment in last {
            crashing.clean_any(segment);
            crashing.crash();
        }
        prop_assert_eq!(seen(&mut plain, &arns), seen(&mut crashing, &arns));
        for gone in 0..4 {
            crashing.delete(&format!("t{gone}")).unwrap();
            let arn = Some(application_arn(gone).into());
            let input = DeletePlatformApplicationInput { platform_application_arn: arn };
            ask!(crashing, DeletePlatformApplication, input).unwrap();
        }
        // What an account says about its text messages is never gone.
        let kept = u64::from(!crashing.state.platforms().texting(ACCOUNT, REGION).sandbox.is_empty());
        for segment in last {
            crashing.clean_any(segment);
            crashing.crash();
            prop_assert_eq!(crashing.references(), kept, "what is gone came back");
        }
    }
}
