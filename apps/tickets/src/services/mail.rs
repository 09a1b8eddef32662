//! The shop's outgoing mail: a table that a mail server drains. Which addresses make trouble is data, so that a day can have some.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use crate::services::{Cause, Trouble};

/// Where tickets lie that could not be sent.
pub const BOX_OFFICE: &str = "box-office@tickets.example";

/// What became of an e-mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It is on its way.
    Accepted,
    /// There is no such address, and there never will be.
    Bounced,
}

/// Mail to one address, written because of one message.
pub struct Mailbox<'a> {
    pub address: &'a str,
    pub cause: &'a Cause,
    /// How often that message has been handed out.
    pub attempt: u32,
}

impl Mailbox<'_> {
    /// Puts an e-mail into the table, in this transaction: it leaves if, and only if, the rest of the work is committed.
    ///
    /// # Errors
    /// [`Trouble::Transient`] where the address's domain takes no mail at present.
    pub async fn send(&self, tx: &mut SqliteConnection, subject: &str) -> Result<Sent, Trouble> {
        let domain = self.address.rsplit('@').next().unwrap_or_default();
        let sql = "SELECT kind FROM mail_troubles WHERE domain = $1";
        let trouble: Option<String> = sqlx::query_scalar(sql).bind(domain).fetch_optional(&mut *tx).await?;
        match trouble.as_deref() {
            Some("unknown") => return Ok(Sent::Bounced),
            Some("down") => {
                return Err(Trouble::Transient(format!("the mail server of {domain} does not answer")));
            }
            Some("busy") if self.attempt < 2 => {
                return Err(Trouble::Transient(format!("the mail server of {domain} says: try again later")));
            }
            _ => {}
        }
        let sql = "INSERT INTO emails (because_of, recipient, subject, sent_ms) VALUES ($1, $2, $3, $4)";
        let query = sqlx::query(sql).bind(&self.cause.id).bind(self.address).bind(subject);
        query.bind(Timestamp::now().as_millisecond()).execute(tx).await?;
        Ok(Sent::Accepted)
    }
}
