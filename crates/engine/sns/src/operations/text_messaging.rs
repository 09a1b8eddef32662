//! How an account sends text messages, and who wants none: SMS attributes, opt-outs, origination numbers.

use std::collections::BTreeMap;
use std::ops::Bound;

use api::sns::{
    CheckIfPhoneNumberIsOptedOutInput, CheckIfPhoneNumberIsOptedOutOutput, GetSMSAttributesInput,
    GetSMSAttributesOutput, ListOriginationNumbersInput, ListOriginationNumbersOutput,
    ListPhoneNumbersOptedOutInput, ListPhoneNumbersOptedOutOutput, OptInPhoneNumberInput,
    OptInPhoneNumberOutput, SetSMSAttributesInput, SetSMSAttributesOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Caller, Demand, Internal, Operation, Refusal, Secret};

use super::{Context, Decision, Reply, to_map};
use crate::records::{Record, TextMessagingDeclared};
use crate::refusals;
use crate::rules::pages::{self, Page};
use crate::rules::{pairs, telephones};
use crate::state::State;

/// What SetSMSAttributes can set (AWS's documentation of it).
const NAMES: [&str; 6] = [
    "DefaultSMSType",
    "DefaultSenderID",
    "DeliveryStatusIAMRole",
    "DeliveryStatusSuccessSamplingRate",
    "MonthlySpendLimit",
    "UsageReportS3Bucket",
];

/// A number can be opted in once in so long (AWS's documentation of OptInPhoneNumber).
const BETWEEN_OPT_INS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Origination numbers of a page (AWS's model).
const ORIGINATION_PAGE: usize = 30;

/// Whose text messages a request is about: the caller's, in the region where it asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sender {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
}

impl Sender {
    /// The caller.
    pub fn of(caller: &Caller) -> Self {
        Sender { account: caller.account.clone(), region: caller.region.clone() }
    }

    /// What is remembered of it.
    pub fn declared(&self, state: &State) -> TextMessagingDeclared {
        state.platforms.texting(&self.account, &self.region)
    }
}

/// What is remembered becomes this.
pub(super) fn declared<'a>(declared: TextMessagingDeclared) -> Decision<'a> {
    super::done(vec![Record::TextMessagingDeclared(Box::new(declared))], Reply::Done)
}

/// SetSMSAttributes.
#[derive(Clone, Debug)]
pub struct SetSMSAttributes {
    /// Whose.
    pub sender: Sender,
    /// What changes.
    pub attributes: BTreeMap<String, String>,
}

impl Operation<State> for SetSMSAttributes {
    type Input = SetSMSAttributesInput;
    type Output = SetSMSAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SetSMSAttributesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let attributes = pairs(&input.attributes);
        for (name, value) in &attributes {
            check_attribute(name, value)?;
        }
        Ok(SetSMSAttributes { sender: Sender::of(asker.caller), attributes })
    }

    /// Sets them; an empty text takes away.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let mut all = self.sender.declared(state);
        all.attributes.extend(self.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
        all.attributes.retain(|_, value| !value.is_empty());
        declared(all)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<SetSMSAttributesOutput, Malformed> {
        reply.done()
    }
}

fn check_attribute(name: &str, value: &str) -> Result<(), Refusal> {
    if !NAMES.contains(&name) {
        return Err(attribute_invalid(format!("{name} is not a valid attribute")));
    }
    let is_sender_id = |id: &str| {
        id.len() <= 11
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && id.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let is_right = value.is_empty()
        || match name {
            "DefaultSMSType" => matches!(value, "Promotional" | "Transactional"),
            "DefaultSenderID" => is_sender_id(value),
            "DeliveryStatusSuccessSamplingRate" => value.parse::<u8>().is_ok_and(|percent| percent <= 100),
            "MonthlySpendLimit" => value.parse::<u32>().is_ok(),
            _ => true,
        };
    if is_right { Ok(()) } else { Err(attribute_invalid(format!("{name} is invalid"))) }
}

/// Without the usual beginning, as AWS has it of SMS attributes.
fn attribute_invalid(text: String) -> Refusal {
    Refusal::new("InvalidParameterException", text)
}

/// GetSMSAttributes.
#[derive(Clone, Debug)]
pub struct GetSMSAttributes {
    /// Whose.
    pub sender: Sender,
    /// Which; none named: all.
    pub names: Vec<String>,
}

impl Operation<State> for GetSMSAttributes {
    type Input = GetSMSAttributesInput;
    type Output = GetSMSAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetSMSAttributesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let names: Vec<String> = input.attributes.iter().flatten().map(ToString::to_string).collect();
        match names.iter().find(|name| !NAMES.contains(&name.as_str())) {
            Some(name) => Err(attribute_invalid(format!("{name} is not a valid attribute"))),
            None => Ok(GetSMSAttributes { sender: Sender::of(asker.caller), names }),
        }
    }

    /// Tells those that are set. A new account may spend one dollar a month.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let mut attributes = self.sender.declared(state).attributes;
        attributes.entry("MonthlySpendLimit".to_owned()).or_insert_with(|| "1".to_owned());
        attributes.retain(|name, _| self.names.is_empty() || self.names.contains(name));
        Decision::answer(Reply::Attributes(attributes.into_iter().collect()))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<GetSMSAttributesOutput, Malformed> {
        let Reply::Attributes(attributes) = reply else { return Err(Malformed) };
        Ok(GetSMSAttributesOutput { attributes: Some(to_map(attributes)) })
    }
}

/// CheckIfPhoneNumberIsOptedOut.
#[derive(Clone, Debug)]
pub struct CheckIfPhoneNumberIsOptedOut {
    /// Who would send.
    pub sender: Sender,
    /// To whom.
    pub number: String,
}

impl Operation<State> for CheckIfPhoneNumberIsOptedOut {
    type Input = CheckIfPhoneNumberIsOptedOutInput;
    type Output = CheckIfPhoneNumberIsOptedOutOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: CheckIfPhoneNumberIsOptedOutInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let number = telephones::check(input.phone_number.as_deref())?;
        Ok(CheckIfPhoneNumberIsOptedOut { sender: Sender::of(asker.caller), number })
    }

    /// Tells it.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let opted_out = self.sender.declared(state).opted_out.contains_key(&self.number);
        Decision::answer(Reply::Truth(opted_out))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<CheckIfPhoneNumberIsOptedOutOutput, Malformed> {
        let Reply::Truth(opted_out) = reply else { return Err(Malformed) };
        Ok(CheckIfPhoneNumberIsOptedOutOutput { is_opted_out: Some(opted_out) })
    }
}

/// ListPhoneNumbersOptedOut.
#[derive(Clone, Debug)]
pub struct ListPhoneNumbersOptedOut {
    /// Who would send.
    pub sender: Sender,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListPhoneNumbersOptedOut {
    type Input = ListPhoneNumbersOptedOutInput;
    type Output = ListPhoneNumbersOptedOutOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListPhoneNumbersOptedOutInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref())?;
        Ok(ListPhoneNumbersOptedOut { sender: Sender::of(asker.caller), page })
    }

    /// Tells them, by number.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let opted_out = self.sender.declared(state).opted_out;
        let start = self.page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = opted_out.range::<str, _>((start, Bound::Unbounded));
        let numbers = rest.map(|(number, _)| (number.clone(), number.clone()));
        Decision::answer(Reply::Texts(self.page.fill(numbers)))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ListPhoneNumbersOptedOutOutput, Malformed> {
        let Reply::Texts(listed) = reply else { return Err(Malformed) };
        Ok(ListPhoneNumbersOptedOutOutput {
            phone_numbers: Some(listed.items.into_iter().map(Into::into).collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}

/// OptInPhoneNumber.
#[derive(Clone, Debug)]
pub struct OptInPhoneNumber {
    /// Who would send.
    pub sender: Sender,
    /// To whom.
    pub number: String,
}

impl Operation<State> for OptInPhoneNumber {
    type Input = OptInPhoneNumberInput;
    type Output = OptInPhoneNumberOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: OptInPhoneNumberInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let number = telephones::check(input.phone_number.as_deref())?;
        Ok(OptInPhoneNumber { sender: Sender::of(asker.caller), number })
    }

    /// Lets messages go there again; one that never opted out stays as it is.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let mut all = self.sender.declared(state);
        if all.opted_out.remove(&self.number).is_none() {
            return Decision::answer(Reply::Done);
        }
        if all.opted_in.get(&self.number).is_some_and(|&last| context.setting.now < last + BETWEEN_OPT_INS) {
            // In which words AWS refuses is not known.
            let text = "PhoneNumber Reason: a phone number can be opted in only once every 30 days";
            return refusals::invalid(text).into();
        }
        all.opted_in.insert(self.number.clone(), context.setting.now);
        declared(all)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<OptInPhoneNumberOutput, Malformed> {
        reply.done()
    }
}

/// Somebody wants no messages any more. AWS learns of it from an answer such as `STOP`; here whoever carries the messages
/// says it.
#[derive(Clone, Debug)]
pub struct OptOut {
    /// Who would send.
    pub sender: Sender,
    /// To whom.
    pub number: String,
}

impl Internal<State> for OptOut {
    const DEMAND: Demand = Demand::Change;

    /// Remembers it.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let mut all = self.sender.declared(state);
        all.opted_out.entry(self.number.clone()).or_insert(context.setting.now);
        declared(all)
    }
}

impl OptOut {
    /// What a telephone has answered: nothing follows from it unless it is one of the words that say so.
    pub fn from_answer(sender: Sender, number: &str, answer: &str) -> Result<Option<Self>, Refusal> {
        let number = telephones::check(Some(number))?;
        Ok(telephones::says_stop(answer).then_some(OptOut { sender, number }))
    }
}

/// ListOriginationNumbers.
#[derive(Clone, Debug)]
pub struct ListOriginationNumbers {
    page: Page,
}

impl Operation<State> for ListOriginationNumbers {
    type Input = ListOriginationNumbersInput;
    type Output = ListOriginationNumbersOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListOriginationNumbersInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page_of_size(input.next_token.as_deref(), input.max_results, ORIGINATION_PAGE)?;
        Ok(ListOriginationNumbers { page })
    }

    /// Tells that there are none: they are bought from another service.
    fn decide<'a>(&'a self, _: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        Decision::answer(Reply::Texts(self.page.fill(std::iter::empty::<(String, String)>())))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ListOriginationNumbersOutput, Malformed> {
        let Reply::Texts(_) = reply else { return Err(Malformed) };
        Ok(ListOriginationNumbersOutput { phone_numbers: Some(Vec::new()), next_token: None })
    }
}
