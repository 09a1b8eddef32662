//! The sandbox of text messages: as long as an account is in it, messages go only to telephones whose owners told a password.

use std::ops::Bound;

use api::sns::{
    CreateSMSSandboxPhoneNumberInput, DeleteSMSSandboxPhoneNumberInput, GetSMSSandboxAccountStatusOutput,
    ListSMSSandboxPhoneNumbersInput, ListSMSSandboxPhoneNumbersOutput, SMSSandboxPhoneNumber,
    VerifySMSSandboxPhoneNumberInput,
};
use kernel::{Caller, Refusal};

use super::text_messaging::{Sender, declared};
use super::{Decision, Notice, Reply, Setting};
use crate::ids::passcode;
use crate::records::{Record, SandboxNumber};
use crate::rules::pages::{self, Listed, Page};
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

impl CreateSMSSandboxPhoneNumber {
    /// Reads the request.
    pub fn prepare(
        input: &CreateSMSSandboxPhoneNumberInput,
        caller: &Caller,
        base: &str,
    ) -> Result<Self, Refusal> {
        let number = telephones::check(input.phone_number.as_deref())?;
        if input.language_code.as_deref().is_some_and(|language| !LANGUAGES.contains(&language)) {
            return Err(refusals::invalid("LanguageCode"));
        }
        Ok(CreateSMSSandboxPhoneNumber { sender: Sender::of(caller), number, base: base.to_owned() })
    }

    /// Adds it, pending, and sends it a password; one that is pending already gets another. The words are the same in all
    /// languages.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
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
        let drawn = setting.numbers.draw();
        all.sandbox.insert(self.number.clone(), SandboxNumber { passcode: drawn, verified: false });
        let text = format!("Your SNS sandbox verification code is {}", passcode(setting.secret, drawn));
        let notices = vec![Notice::Text { number: &self.number, text, base: &self.base }];
        super::telling(vec![Record::TextMessagingDeclared(Box::new(all))], notices, Reply::Done)
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

impl VerifySMSSandboxPhoneNumber {
    /// Reads the request.
    pub fn prepare(input: &VerifySMSSandboxPhoneNumberInput, caller: &Caller) -> Result<Self, Refusal> {
        let password = input.one_time_password.as_deref().unwrap_or_default().to_owned();
        if !(5..=8).contains(&password.len()) || !password.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refusals::invalid("OneTimePassword"));
        }
        let number = telephones::check(input.phone_number.as_deref())?;
        Ok(VerifySMSSandboxPhoneNumber { sender: Sender::of(caller), number, password })
    }

    /// Checks the password.
    pub fn decide(&self, state: &State, setting: &Setting<'_>) -> Decision<'_> {
        let mut all = self.sender.declared(state);
        let Some(known) = all.sandbox.get_mut(&self.number) else {
            return refusals::resource_missing().into();
        };
        if passcode(setting.secret, known.passcode) != self.password {
            return Refusal::new("VerificationException", "The one-time password is not correct").into();
        }
        known.verified = true;
        declared(all)
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

impl DeleteSMSSandboxPhoneNumber {
    /// Reads the request.
    pub fn prepare(input: &DeleteSMSSandboxPhoneNumberInput, caller: &Caller) -> Result<Self, Refusal> {
        let number = telephones::check(input.phone_number.as_deref())?;
        Ok(DeleteSMSSandboxPhoneNumber { sender: Sender::of(caller), number })
    }

    /// Takes it away.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let mut all = self.sender.declared(state);
        match all.sandbox.remove(&self.number) {
            Some(_) => declared(all),
            None => refusals::resource_missing().into(),
        }
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

impl ListSMSSandboxPhoneNumbers {
    /// Reads the request.
    pub fn prepare(input: &ListSMSSandboxPhoneNumbersInput, caller: &Caller) -> Result<Self, Refusal> {
        let page = pages::page_of_size(input.next_token.as_deref(), input.max_results, limits::PAGE)?;
        Ok(ListSMSSandboxPhoneNumbers { sender: Sender::of(caller), page })
    }

    /// Tells them, by number.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let sandbox = self.sender.declared(state).sandbox;
        let start = self.page.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = sandbox.range::<str, _>((start, Bound::Unbounded));
        let numbers = rest.map(|(number, known)| (number.clone(), (number.clone(), known.verified)));
        Decision::answer(Reply::SandboxNumbers(self.page.fill(numbers)))
    }

    /// The answer.
    pub fn present(listed: Listed<(String, bool)>) -> ListSMSSandboxPhoneNumbersOutput {
        let item = |(number, verified): (String, bool)| SMSSandboxPhoneNumber {
            phone_number: Some(number.into()),
            status: Some(if verified { "Verified" } else { "Pending" }.into()),
        };
        ListSMSSandboxPhoneNumbersOutput {
            phone_numbers: Some(listed.items.into_iter().map(item).collect()),
            next_token: listed.next_token.map(Into::into),
        }
    }
}

/// GetSMSSandboxAccountStatus.
#[derive(Clone, Copy, Debug)]
pub struct GetSMSSandboxAccountStatus;

impl GetSMSSandboxAccountStatus {
    /// Tells whether accounts are in the sandbox: as on AWS where limits are strict.
    pub fn decide(&self, _: &State, setting: &Setting<'_>) -> Decision<'_> {
        Decision::answer(Reply::Truth(setting.limits.sms_sandbox))
    }

    /// The answer.
    pub fn present(in_sandbox: bool) -> GetSMSSandboxAccountStatusOutput {
        GetSMSSandboxAccountStatusOutput { is_in_sandbox: Some(in_sandbox) }
    }
}
