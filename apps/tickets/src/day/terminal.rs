//! The day on the terminal: a line for what happens to each message, and a table at the end.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use toolkit::dead_letters::DeadLetter;
use toolkit::sql::StoreError;

use crate::day::audit::Audit;
use crate::store::Store;

/// Standard output.
#[derive(Clone)]
pub struct Terminal {
    colours: bool,
    /// Its columns; none where it is no terminal: then lines are as long as they are.
    columns: Option<usize>,
    duplicates: bool,
    /// The last lines of the two logs that were shown; the lock also keeps lines whole.
    shown: Arc<Mutex<(i64, i64)>>,
}

type Row = (i64, i64, String, String, String, i64, String);

impl Terminal {
    /// With or without the lines of duplicates.
    pub fn new(duplicates: bool) -> Terminal {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let columns = terminal_size::terminal_size_of(std::io::stdout());
        let columns = columns.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
        Terminal { colours, columns, duplicates, shown: Arc::default() }
    }

    /// Something that concerns everybody.
    pub fn headline(&self, text: &str) {
        let _whole_lines = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        say(&format!("\n{}", self.paint("1", text)));
    }

    /// Shows what is logged from now on, as it is logged, for the rest of the process.
    pub fn follow(&self, store: &Store) {
        let (terminal, store) = (self.clone(), store.clone());
        tokio::spawn(async move {
            loop {
                if let Err(error) = terminal.catch_up(&store).await {
                    say(&format!("the log cannot be read: {error}"));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }

    /// Shows what has been logged and not yet shown.
    pub async fn catch_up(&self, store: &Store) -> Result<(), StoreError> {
        let (seen, alerts_seen) = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let sql = "SELECT id, at_ms, event_type, subject, status, attempt, detail FROM message_log WHERE id > $1 ORDER BY id";
        let rows: Vec<Row> = sqlx::query_as(sql).bind(seen).fetch_all(&store.pool).await?;
        let sql = "SELECT id, kind, detail FROM alerts WHERE id > $1 ORDER BY id";
        let alerts: Vec<(i64, String, String)> =
            sqlx::query_as(sql).bind(alerts_seen).fetch_all(&store.pool).await?;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // Another caller may have shown some of them meanwhile.
        for row in rows.iter().filter(|row| row.0 > shown.0) {
            self.line(row);
        }
        for (_, kind, detail) in alerts.iter().filter(|alert| alert.0 > shown.1) {
            say(&self.paint("1;31", &format!("             ALERT  {kind}: {detail}")));
        }
        shown.0 = shown.0.max(rows.last().map_or(0, |row| row.0));
        shown.1 = shown.1.max(alerts.last().map_or(0, |alert| alert.0));
        Ok(())
    }

    fn line(&self, (_, at_ms, event_type, subject, status, attempt, detail): &Row) {
        let (colour, word) = match status.as_str() {
            "PROCESSED" => ("32", "processed"),
            "RETRY" => ("33", "again"),
            "GAVE_UP" => ("31", "gave up"),
            "DEAD_LETTER" => ("31", "dead letter"),
            "REQUEUED" => ("36", "requeued"),
            "ISSUED" => ("2", "issued"),
            _ if !self.duplicates => return,
            _ => ("2", "duplicate"),
        };
        let time = Timestamp::from_millisecond(*at_ms).unwrap_or_default();
        let attempt = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        let what = format!("{event_type:<22} {subject:<10} {}", self.paint(colour, &format!("{word:<11}")));
        let detail = format!("{detail}{attempt}");
        let (wide, narrow) = (time.strftime("%H:%M:%S%.3f"), time.strftime("%H:%M:%S"));
        match self.columns.map(|columns| fit(&detail, columns, status == "ISSUED")) {
            None | Some(Fit::Beside) => say(&format!("{wide} {what} {detail}")),
            Some(Fit::BesideNarrow) => say(&format!("{narrow} {what} {detail}")),
            Some(Fit::Below) => say(&format!("{narrow} {what}\n         {detail}")),
            Some(Fit::Nowhere) => say(&format!("{narrow} {what}")),
        }
    }

    /// What the day came to.
    pub fn table(&self, audit: &Audit, left: &[DeadLetter], killed: &[String]) {
        let _whole_lines = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        say(&format!("\n{}\n", self.paint("1", "The day")));
        let heads =
            ["event type", "issued", "handled", "retries", "copies", "requeued", "dead", "LOST", "TWICE"];
        say(&row(heads[0], heads[1..].iter().map(|head| (*head).to_owned())));
        for kind in audit.kinds.iter().chain([&audit.total]) {
            if kind.event_type == audit.total.event_type {
                say(&"─".repeat(80));
            }
            let numbers = [
                kind.issued,
                kind.handled,
                kind.retries,
                kind.duplicates,
                kind.requeued,
                kind.dead,
                kind.lost,
                kind.twice,
            ];
            say(&row(&kind.event_type, numbers.iter().map(ToString::to_string)));
        }
        say("");
        audit.books.iter().for_each(|line| say(line));
        if !killed.is_empty() {
            say(&format!("killed in the middle: {}", killed.join(", ")));
        }
        for letter in left {
            let body: String = letter.message.chars().take(60).collect();
            say(&format!("left for a person: {} ({})", letter.category.as_str(), letter.reason));
            say(&format!("    {body}"));
        }
        for fault in &audit.faults {
            say(&self.paint("1;31", &format!("FAULT: {fault}")));
        }
        let verdict = match audit.faults.is_empty() {
            true => self.paint("1;32", "nothing lost, nothing done twice"),
            false => self.paint("1;31", "the day did not go well"),
        };
        say(&verdict);
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Where the detail of a line goes.
#[derive(Debug, PartialEq)]
enum Fit {
    Beside,
    /// After a shorter time.
    BesideNarrow,
    Below,
    /// Which queues and topics a kind of event goes to follows from its name.
    Nowhere,
}

/// Columns of a line without its detail, with milliseconds and without.
const WIDE: usize = 59;
const NARROW: usize = WIDE - 4;

fn fit(detail: &str, columns: usize, issued: bool) -> Fit {
    match detail.chars().count() {
        // A terminal is wide or narrow for all lines.
        length if columns >= 100 && WIDE + length <= columns => Fit::Beside,
        length if NARROW + length <= columns => Fit::BesideNarrow,
        _ if issued => Fit::Nowhere,
        _ => Fit::Below,
    }
}

/// 80 columns.
fn row(first: &str, numbers: impl Iterator<Item = String>) -> String {
    numbers
        .zip([7, 8, 8, 7, 9, 6, 6, 7])
        .fold(format!("{first:<22}"), |line, (number, width)| format!("{line}{number:>width$}"))
}

/// A closed pipe at the other end is no reason to break off the day.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_its_terminal() {
        let long = "the mail server of down.example does not answer";
        assert_eq!(fit(long, 140, false), Fit::Beside);
        assert_eq!(fit(long, 103, false), Fit::BesideNarrow);
        assert_eq!(fit(long, 80, false), Fit::Below);
        assert_eq!(fit("to payment-events-queue and payment-events", 80, true), Fit::Nowhere);
        assert_eq!(row("TICKET_DELIVERY_FAILED", (0..8).map(|_| "12345".to_owned())).chars().count(), 80);
    }
}
