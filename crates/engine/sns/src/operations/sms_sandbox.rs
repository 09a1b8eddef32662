//! The sandbox of text messages: as long as an account is in it, messages go only to telephones whose owners told a password.

use std::ops::Bound;

use api::sns::{
    CreateSMSSandboxPhoneNumberInput, CreateSMSSandboxPhoneNumberOutput, DeleteSMSSandboxPhoneNumberInput,
    DeleteSMSSandboxPhoneNumberOutput, GetSMSSandboxAccountStatusInput, GetSMSSandboxAccountStatusOutput,
    ListSMSSandboxPhoneNumbersInput, ListSMSSandboxPhoneNumbersOutput, SMSSandboxPhoneNumber,
    VerifySMSSandboxPhoneNumberInput, VerifySMSSandboxPhoneNumberOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::text_messaging::{Sender, declared};
use super::{Context, Decision, Notice, Reply};
use crate::ids::passcode;
use crate::records::{Record, SandboxNumber};
use crate::rules::pages::{self, Page};
use crate::rules::telephones;
use crate::state::State;
use crate::{limits, refusals};

/// Languages in which a password can be sent (AWS's model).
const LANGUAGES: [&str; 13] = [
    "en-US", "en-GB", "es-419", "es-ES", "de-DE", "fr-CA", "fr-FR", "it-IT", "ja-JP", "pt-BR", "kr-KR",
    "zh-CN", "zh-TW",
];

/// CreateSMSSandboxPhoneNumber.
#[derive(Clone, Debug)]
pub struct CreateSMSSandboxPhoneNumber {
    /// Whose sandbox.
    pub sender: Sender,
    /// Which telephone.
    pub number: String,
    /// The URL under which the client reached this server.
    pub base: String,
}

impl Operation<State> for CreateSMSSandboxPhoneNumber {
    type Input = CreateSMSSandboxPhoneNumberInput;
    type Output = CreateSMSSandboxPhoneNumberOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateSMSSandboxPhoneNumberInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let number = telephones::check(input.phone_number.as_deref())?;
        if input.language_code.as_deref().is_some_and(|language| !LANGUAGES.contains(&language)) {
            return Err(refusals::invalid("LanguageCode"));
        }
        Ok(CreateSMSSandboxPhoneNumber {
            sender: Sender::of(asker.caller),
            number,
            base: asker.base.to_owned(),
        })
    }

    /// Adds it, pending, and sends it a password; one that is pending already gets another. The words are the same in all
    /// languages.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let mut all = self.sender.declared(state);
        let user_error = |text: &'static str| Refusal::new("UserErrorException", text).into();
        if all.opted_out.contains_key(&self.number) {
            return Refusal::new(
                "OptedOutException",
                "The phone number has opted out of receiving SMS messages",
            )
            .into();
        }
        match all.sandbox.get(&self.number) {
            Some(known) if known.verified => return user_error("The phone number is already verified"),
            None if all.sandbox.len() >= limits::SANDBOX_NUMBERS => {
                return user_error("The limit of phone numbers in the SMS sandbox has been reached");
            }
            _ => {}
        }
        // A number of the shared counter, which is used up: what is told of it is a password.
        let drawn = context.setting.numbers.draw();
        all.sandbox.insert(self.number.clone(), SandboxNumber { passcode: drawn, verified: false });
        let text =
            format!("Your SNS sandbox verification code is {}", passcode(context.setting.secret, drawn));
        let notices = vec![Notice::Text { number: &self.number, text, base: &self.base }];
        super::telling(vec![Record::TextMessagingDeclared(Box::new(all))], notices, Reply::Done)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<CreateSMSSandboxPhoneNumberOutput, Malformed> {
        reply.done()
    }
}

/// VerifySMSSandboxPhoneNumber.
#[derive(Clone, Debug)]
pub struct VerifySMSSandboxPhoneNumber {
    /// Whose sandbox.
    pub sender: Sender,
    /// Which telephone.
    pub number: String,
    /// What it was sent.
    pub password: String,
}

impl Operation<State> for VerifySMSSandboxPhoneNumber {
    type Input = VerifySMSSandboxPhoneNumberInput;
    type Output = VerifySMSSandboxPhoneNumberOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Change;

    fn prepare(input: VerifySMSSandboxPhoneNumberInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let password = input.one_time_password.as_deref().unwrap_or_default().to_owned();
        if !(5..=8).contains(&password.len()) || !password.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refusals::invalid("OneTimePassword"));
        }
        let number = telephones::check(input.phone_number.as_deref())?;
        Ok(VerifySMSSandboxPhoneNumber { sender: Sender::of(asker.caller), number, password })
    }

    /// Checks the password.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let mut all = self.sender.declared(state);
        let Some(known) = all.sandbox.get_mut(&self.number) else {
            return refusals::resource_missing().into();
        };
        if passcode(context.setting.secret, known.passcode) != self.password {
            return Refusal::new("VerificationException", "The one-time password is not correct").into();
        }
        known.verified = true;
        declared(all)
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<VerifySMSSandboxPhoneNumberOutput, Malformed> {
        reply.done()
    }
}

/// DeleteSMSSandboxPhoneNumber.
#[derive(Clone, Debug)]
pub struct DeleteSMSSandboxPhoneNumber {
    /// Whose sandbox.
    pub sender: Sender,
    /// Which telephone.
    pub number: String,
}

impl Operation<State> for DeleteSMSSandboxPhoneNumber {
    type Input = DeleteSMSSandboxPhoneNumberInput;
    type Output = DeleteSMSSandboxPhoneNumberOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteSMSSandboxPhoneNumberInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let number = telephones::check(input.phone_number.as_deref())?;
        Ok(DeleteSMSSandboxPhoneNumber { sender: Sender::of(asker.caller), number })
    }

    /// Takes it away.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let mut all = self.sender.declared(state);
        match all.sandbox.remove(&self.number) {
            Some(_) => declared(all),
            None => refusals::resource_missing().into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<DeleteSMSSandboxPhoneNumberOutput, Malformed> {
        reply.done()
    }
}

/// ListSMSSandboxPhoneNumbers.
#[derive(Clone, Debug)]
pub struct ListSMSSandboxPhoneNumbers {
    /// Whose sandbox.
    pub sender: Sender,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListSMSSandboxPhoneNumbers {
    type Input = ListSMSSandboxPhoneNumbersInput;
    type Output = ListSMSSandboxPhoneNumbersOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListSMSSandboxPhoneNumbersInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page_of_size(input.next_token.as_deref(), input.max_results, limits::PAGE)?;
        Ok(ListSMSSandboxPhoneNumbers { sender: Sender::of(asker.caller), page })
    }

    /// Tells them, by number.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let sandbox = self.sender.declared(state).sandbox;
        let start = self.page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = sandbox.range::<str, _>((start, Bound::Unbounded));
        let numbers = rest.map(|(number, known)| (number.clone(), (number.clone(), known.verified)));
        Decision::answer(Reply::SandboxNumbers(self.page.fill(numbers)))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ListSMSSandboxPhoneNumbersOutput, Malformed> {
        let Reply::SandboxNumbers(listed) = reply else { return Err(Malformed) };
        let item = |(number, verified): (String, bool)| SMSSandboxPhoneNumber {
            phone_number: Some(number.into()),
            status: Some(if verified { "Verified" } else { "Pending" }.into()),
        };
        Ok(ListSMSSandboxPhoneNumbersOutput {
            phone_numbers: Some(listed.items.into_iter().map(item).collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}

/// GetSMSSandboxAccountStatus.
#[derive(Clone, Copy, Debug)]
pub struct GetSMSSandboxAccountStatus;

impl Operation<State> for GetSMSSandboxAccountStatus {
    type Input = GetSMSSandboxAccountStatusInput;
    type Output = GetSMSSandboxAccountStatusOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(_: GetSMSSandboxAccountStatusInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(GetSMSSandboxAccountStatus)
    }

    /// Tells whether accounts are in the sandbox: as on AWS where limits are strict.
    fn decide<'a>(&'a self, _: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        Decision::answer(Reply::Truth(context.setting.limits.sms_sandbox))
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<GetSMSSandboxAccountStatusOutput, Malformed> {
        let Reply::Truth(in_sandbox) = reply else { return Err(Malformed) };
        Ok(GetSMSSandboxAccountStatusOutput { is_in_sandbox: Some(in_sandbox) })
    }
}
