//! How an account sends text messages in a region, as it is from now on.

use std::collections::BTreeMap;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_pairs, put_str, put_u64};

/// The whole of an account's settings for text messages, with the telephones that it knows. It is never deleted: without
/// content it says that there is none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TextMessagingDeclared {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// What SetSMSAttributes has set.
    pub attributes: BTreeMap<String, String>,
    /// Who wants no messages, since when.
    pub opted_out: BTreeMap<String, Time>,
    /// Who was made to want messages again, when: that cannot be done often.
    pub opted_in: BTreeMap<String, Time>,
    /// The telephones to which messages may go as long as the account is in the sandbox.
    pub sandbox: BTreeMap<String, SandboxNumber>,
}

/// A telephone of the sandbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SandboxNumber {
    /// The number from which its one-time password is made.
    pub passcode: u64,
    /// Whether somebody has told the password.
    pub verified: bool,
}

impl TextMessagingDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_pairs(out, &self.attributes);
        for times in [&self.opted_out, &self.opted_in] {
            put_u64(out, times.len() as u64);
            for (number, time) in times {
                put_str(out, number);
                put_u64(out, time.0);
            }
        }
        put_u64(out, self.sandbox.len() as u64);
        for (number, sandbox) in &self.sandbox {
            put_str(out, number);
            put_u64(out, sandbox.passcode);
            out.push(sandbox.verified.into());
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut declared = TextMessagingDeclared {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            attributes: reader.pairs()?,
            ..TextMessagingDeclared::default()
        };
        for times in [&mut declared.opted_out, &mut declared.opted_in] {
            for (number, time) in reader.list(|reader| Ok((reader.str()?, reader.u64()?)))? {
                times.insert(number.to_owned(), Time(time));
            }
        }
        let numbers = reader.list(|reader| {
            let (number, passcode) = (reader.str()?, reader.u64()?);
            let verified = match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed),
            };
            Ok((number.to_owned(), SandboxNumber { passcode, verified }))
        })?;
        declared.sandbox = numbers.into_iter().collect();
        Ok(declared)
    }
}
