//! Waits for the system to come to rest, and says meanwhile what it waits for.

use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use crate::services::Error;

/// What is not at rest. Nothing of it: [`is_rest`](Self::is_rest).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unrest {
    /// Orders that have not come to their end, by state.
    pub orders: Vec<(String, i64)>,
    /// Messages in outboxes, by service.
    pub outboxes: Vec<(&'static str, i64)>,
    /// Messages in queues.
    pub queues: Vec<(String, u64)>,
    /// Orders that have ended, and nobody has been told so.
    pub untold: usize,
    /// Messages in dead-letter queues. They hold nothing up, but may be what is waited for.
    pub dead: Vec<(String, u64)>,
}

impl Unrest {
    /// Whether there is nothing to wait for.
    pub fn is_rest(&self) -> bool {
        self.orders.is_empty() && self.outboxes.is_empty() && self.queues.is_empty() && self.untold == 0
    }
}

impl fmt::Display for Unrest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let orders: i64 = self.orders.iter().map(|(_, count)| count).sum();
        if orders > 0 {
            let states: Vec<String> =
                self.orders.iter().map(|(state, count)| format!("{count} {state}")).collect();
            parts.push(format!("{} ({})", many(orders, "order"), states.join(", ")));
        }
        let outboxes = self.outboxes.iter().map(|(name, count)| format!("{count} in the outbox of {name}"));
        parts.extend(outboxes);
        parts.extend(self.queues.iter().map(|(name, count)| format!("{count} in {name}")));
        if self.untold > 0 {
            parts.push(format!("{} of which nobody has been told", many(self.untold as i64, "end")));
        }
        parts.extend(self.dead.iter().map(|(name, count)| format!("{count} dead in {name}")));
        match parts.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}

/// So many, in words.
pub fn many(count: i64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// How often it is said what is waited for, where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// What may lie between two looks; anything longer is held to be a pause of the whole machine, in which nobody could have done anything.
pub const LONGEST_STEP: Duration = Duration::from_secs(5);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks again and again until there is rest, for `most` at the longest, and says meanwhile what it waits for: on a terminal always,
/// else every ten seconds. Gives what is left; that is nothing, or it has said that it waits no longer, and for what.
///
/// # Errors
/// What the looks say.
pub async fn wait(
    most: Duration,
    mut look: impl AsyncFnMut() -> Result<Unrest, Error>,
) -> Result<Unrest, Error> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("  {spinner} {elapsed} waiting for {wide_msg}")?);
    let (begun, mut said) = (Instant::now(), Instant::now());
    let (mut waited, mut last) = (Duration::ZERO, Instant::now());
    loop {
        let unrest = look().await?;
        waited += last.elapsed().min(LONGEST_STEP);
        last = Instant::now();
        let in_vain = waited >= most;
        if unrest.is_rest() || in_vain {
            bar.finish_and_clear();
            if in_vain && !unrest.is_rest() {
                println!("  waited {} s, and no longer, for {unrest}", most.as_secs());
            }
            return Ok(unrest);
        }
        if bar.is_hidden() && said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            println!("  after {:.0} s: waiting for {unrest}", begun.elapsed().as_secs_f64());
        }
        bar.set_message(unrest.to_string());
        bar.tick();
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_said_in_words() {
        let unrest = Unrest {
            orders: vec![("charging".into(), 2), ("fulfilling".into(), 1)],
            outboxes: vec![("inventory", 4)],
            queues: vec![("payments".into(), 2)],
            untold: 1,
            dead: vec![("notifications-dlq".into(), 1)],
        };
        assert_eq!(
            unrest.to_string(),
            "3 orders (2 charging, 1 fulfilling), 4 in the outbox of inventory, 2 in payments, \
             1 end of which nobody has been told, 1 dead in notifications-dlq"
        );
        assert_eq!(Unrest::default().to_string(), "nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_waited_as_long_as_was_said_and_no_longer() {
        let stuck = Unrest { orders: vec![("charging".into(), 1)], ..Unrest::default() };
        let begun = Instant::now();
        let left = wait(Duration::from_secs(240), async || Ok(stuck.clone())).await.unwrap();
        assert_eq!(left, stuck);
        assert_eq!(begun.elapsed().as_secs(), 240);

        // Dead letters are told of, and not waited for.
        let dead = Unrest { dead: vec![("payments-dlq".into(), 1)], ..Unrest::default() };
        let mut looks = vec![dead.clone(), stuck.clone(), stuck];
        let left = wait(Duration::from_secs(240), async || Ok(looks.pop().unwrap())).await.unwrap();
        assert_eq!((left, looks.len()), (dead, 0));
    }
}
