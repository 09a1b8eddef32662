//! Stories of text messages. Where facts/sns.md is silent, AWS's documentation of the operations.

use api::sns::*;
use kernel::Asker;
use sns::operations::text_messaging::{OptOut, Sender};
use sns::operations::{Command, Outcome, Reply, prepare};

use crate::ask;
use crate::world::{World, invalid, map, plain};

const NUMBER: &str = "+15551234567";

fn opt_out(world: &mut World) {
    let out = OptOut::from_answer(Sender::of(&world.caller), NUMBER, "Stop").unwrap().unwrap();
    let command = Command::OptOut(out);
    let records: Vec<_> = world.decide(&command).facts.into_iter().map(|fact| fact.record).collect();
    world.record(&records);
}

fn is_opted_out(world: &mut World) -> bool {
    let input = CheckIfPhoneNumberIsOptedOutInput { phone_number: Some(NUMBER.into()) };
    ask!(world, CheckIfPhoneNumberIsOptedOut, input).unwrap().is_opted_out.unwrap()
}

#[test]
fn attributes_are_set_and_told_by_name() {
    let mut world = World::new();
    let get = |names: Option<Vec<&str>>| GetSMSAttributesInput {
        attributes: names.map(|names| names.into_iter().map(Into::into).collect()),
    };
    let shown = plain(ask!(world, GetSMSAttributes, get(None)).unwrap().attributes);
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), [("MonthlySpendLimit".to_owned(), "1".to_owned())]);
    let set = |given: &[(&str, &str)]| SetSMSAttributesInput { attributes: map(given) };
    ask!(world, SetSMSAttributes, set(&[("DefaultSMSType", "Transactional"), ("DefaultSenderID", "ME")]))
        .unwrap();
    world.crash();
    let shown = plain(ask!(world, GetSMSAttributes, get(Some(vec!["DefaultSMSType"]))).unwrap().attributes);
    assert_eq!(
        shown.into_iter().collect::<Vec<_>>(),
        [("DefaultSMSType".to_owned(), "Transactional".to_owned())]
    );
    assert_eq!(
        ask!(world, SetSMSAttributes, set(&[("Colour", "red")])).map(drop),
        Err("InvalidParameterException: Colour is not a valid attribute".to_owned())
    );
    assert!(ask!(world, SetSMSAttributes, set(&[("DefaultSMSType", "Loud")])).is_err());
}

#[test]
fn a_number_opts_out_and_in_again_once_a_month() {
    let mut world = World::new();
    let opt_in = || OptInPhoneNumberInput { phone_number: Some("+1 555-123-4567".into()) };
    assert!(!is_opted_out(&mut world));
    opt_out(&mut world);
    world.crash();
    assert!(is_opted_out(&mut world));
    let list = ListPhoneNumbersOptedOutInput { next_token: None };
    assert_eq!(ask!(world, ListPhoneNumbersOptedOut, list).unwrap().phone_numbers, Some(vec![NUMBER.into()]));
    ask!(world, OptInPhoneNumber, opt_in()).unwrap();
    assert!(!is_opted_out(&mut world));
    opt_out(&mut world);
    assert!(ask!(world, OptInPhoneNumber, opt_in()).is_err());
    world.pass(30 * 24 * 60 * 60 * 1000);
    ask!(world, OptInPhoneNumber, opt_in()).unwrap();
    let wrong = CheckIfPhoneNumberIsOptedOutInput { phone_number: Some("x".into()) };
    assert_eq!(
        ask!(world, CheckIfPhoneNumberIsOptedOut, wrong).map(drop),
        invalid("PhoneNumber Reason: x does not meet the E164 format")
    );
}

#[test]
fn a_telephone_of_the_sandbox_is_verified_by_what_it_was_sent() {
    let mut world = World::new();
    let create =
        || CreateSMSSandboxPhoneNumberInput { phone_number: Some(NUMBER.into()), language_code: None };
    ask!(world, CreateSMSSandboxPhoneNumber, create()).unwrap();
    let verify = |password: &str| VerifySMSSandboxPhoneNumberInput {
        phone_number: Some(NUMBER.into()),
        one_time_password: Some(password.into()),
    };
    let status = |world: &mut World| {
        let list = ListSMSSandboxPhoneNumbersInput { next_token: None, max_results: Some(1) };
        let listed = ask!(world, ListSMSSandboxPhoneNumbers, list).unwrap().phone_numbers.unwrap();
        listed.first().map(|number| number.status.clone().unwrap().to_string())
    };
    assert_eq!(status(&mut world).as_deref(), Some("Pending"));
    let sent = world.notices[0].rsplit(' ').next().unwrap().to_owned();
    assert!(world.notices[0].starts_with(&format!("text to {NUMBER}: ")), "{:?}", world.notices);
    let wrong = if sent == "000000" { "000001" } else { "000000" };
    let refusal = ask!(world, VerifySMSSandboxPhoneNumber, verify(wrong)).unwrap_err();
    assert!(refusal.starts_with("VerificationException: "), "{refusal}");
    world.crash();
    ask!(world, VerifySMSSandboxPhoneNumber, verify(&sent)).unwrap();
    assert_eq!(status(&mut world).as_deref(), Some("Verified"));
    let refusal = ask!(world, CreateSMSSandboxPhoneNumber, create()).unwrap_err();
    assert!(refusal.starts_with("UserErrorException: "), "{refusal}");
    let delete = || DeleteSMSSandboxPhoneNumberInput { phone_number: Some(NUMBER.into()) };
    ask!(world, DeleteSMSSandboxPhoneNumber, delete()).unwrap();
    assert_eq!(status(&mut world), None);
    let refusal = ask!(world, DeleteSMSSandboxPhoneNumber, delete()).unwrap_err();
    assert!(refusal.starts_with("ResourceNotFoundException: "), "{refusal}");
}

#[test]
fn there_are_no_origination_numbers_and_strict_accounts_are_in_the_sandbox() {
    let mut world = World::new();
    let list = |most| ListOriginationNumbersInput { next_token: None, max_results: Some(most) };
    assert_eq!(ask!(world, ListOriginationNumbers, list(30)).unwrap().phone_numbers, Some(Vec::new()));
    assert!(ask!(world, ListOriginationNumbers, list(31)).is_err());
    let status = ask!(world, GetSMSSandboxAccountStatus, GetSMSSandboxAccountStatusInput {}).unwrap();
    assert_eq!(status.is_in_sandbox, Some(true));
}

/// Whether a text that is published to the number now gets there, under limits that are strict or not.
fn reaches(world: &World, strict: bool) -> bool {
    let input = PublishInput {
        phone_number: Some("+1 555 1234567".into()),
        message: Some("hello".into()),
        ..PublishInput::default()
    };
    let asker = Asker { caller: &world.caller, base: "http://localhost", trace: None };
    let (command, _) = prepare(Request::Publish(input), &asker).unwrap();
    let limits = if strict { sns::limits::Limits::strict() } else { sns::limits::Limits::relaxed() };
    let (decision, handed) = world.decide_under(&command, &limits);
    assert!(matches!(decision.outcome, Outcome::Reply(Ok(Reply::Published(_)))), "{decision:?}");
    let recorded: Vec<_> = handed.recorded().collect();
    assert_eq!(recorded.len(), 1, "{recorded:?}");
    !recorded[0].0.deliveries.is_empty()
}

#[test]
fn a_text_gets_only_to_those_who_want_it_and_from_the_sandbox_only_to_those_who_are_verified() {
    let mut world = World::new();
    assert_eq!([reaches(&world, false), reaches(&world, true)], [true, false]);
    let create = CreateSMSSandboxPhoneNumberInput { phone_number: Some(NUMBER.into()), language_code: None };
    ask!(world, CreateSMSSandboxPhoneNumber, create).unwrap();
    assert!(!reaches(&world, true));
    let verify = VerifySMSSandboxPhoneNumberInput {
        phone_number: Some(NUMBER.into()),
        one_time_password: Some(world.notices[0].rsplit(' ').next().unwrap().into()),
    };
    ask!(world, VerifySMSSandboxPhoneNumber, verify).unwrap();
    assert!(reaches(&world, true));
    let answered = |text| OptOut::from_answer(Sender::of(&world.caller), NUMBER, text).unwrap();
    assert!(answered("thanks").is_none() && answered("stop").is_some());
    opt_out(&mut world);
    assert_eq!([reaches(&world, false), reaches(&world, true)], [false, false]);
}
