//! Clients that use archives and replays, and the checks of replays.

use api::sns::{self as shapes, Request};
use kernel::{ParcelSent, Time, iso8601};
use notification::Notification;

use super::publishing::{AskedTopic, number_of, text};
use super::{Check, World};
use crate::queues::QUEUES;
use crate::replays::Replay;
use crate::server::Recalled;
use crate::topics::{
    ARCHIVES, FROM_THE_BEGINNING, SUBSCRIPTIONS, Subscription, TOPICS, WITHOUT_ARCHIVES, WITHOUT_REPLAYS,
};

/// The window of a replay policy, by its text.
pub(super) type Windows = std::collections::BTreeMap<String, (Time, Option<Time>)>;

/// The requests of clients before a world begins.
pub(super) fn windows() -> Windows {
    Windows::from([(FROM_THE_BEGINNING.1.to_owned(), (Time(0), None))])
}

/// The machine's view of a subscription's replay.
struct Known {
    subscription: u64,
    began: u64,
    window: (Time, Option<Time>),
    is_completed: bool,
}

impl World {
    /// An action of clients on topics with archives.
    pub(super) fn archive_client(&mut self) -> Check {
        let topic = WITHOUT_ARCHIVES + self.dice.below((TOPICS.len() - WITHOUT_ARCHIVES) as u64) as usize;
        let which =
            WITHOUT_REPLAYS + self.dice.below((SUBSCRIPTIONS.len() - WITHOUT_REPLAYS) as u64) as usize;
        match self.dice.below(100) {
            0..45 => self.publish(topic, false),
            45..58 => self.publish(topic, true),
            58..85 => self.set_replay(which),
            85..89 => {
                let archive = *self.dice.pick(&ARCHIVES);
                self.set_archive(topic, archive)
            }
            89..94 => self.set_subscription(which),
            94..96 => self.unsubscribe(which),
            _ => self.subscribe(which),
        }
    }

    fn set_replay(&mut self, which: usize) -> Check {
        let plan = &SUBSCRIPTIONS[which];
        let policy = if self.dice.percent(15) { "{}".to_owned() } else { self.window() };
        if policy == "{}" {
            self.replays_may_end(plan.topic)?;
        }
        let Some((_, arn)) = self.subscription(plan) else { return Ok(()) };
        let input = shapes::SetSubscriptionAttributesInput {
            subscription_arn: text(arn),
            attribute_name: text("ReplayPolicy"),
            attribute_value: text(policy),
        };
        self.ask_topic(
            plan.topic,
            Request::SetSubscriptionAttributes(input),
            AskedTopic::Configure(plan.topic),
        )
    }

    /// Requests that end replays are made only when all earlier requests are on disk, so that no crash leaves
    /// it open whether an unknown replay existed.
    pub(super) fn replays_may_end(&mut self, topic: usize) -> Check {
        if topic < WITHOUT_ARCHIVES { Ok(()) } else { self.settle() }
    }

    /// Returns a window whose end, if it has one, is in the past, now or soon.
    fn window(&mut self) -> String {
        let back = *self.dice.pick(&[0, 100, 5_000, 60_000, 3_600_000, 86_400_000]);
        let from = Time(self.now.0 - back - self.dice.below(200));
        let to = match self.dice.below(6) {
            0 => Some(from + self.dice.below(back + 1)),
            1 => Some(self.now + self.dice.below(3)),
            2 => Some(self.now + self.dice.below(2_000)),
            _ => None,
        };
        let moment = |time: Time| iso8601::write_exactly(time.0.cast_signed());
        let ending = to.map_or(String::new(), |to| format!(r#","EndingPoint":"{}""#, moment(to)));
        let policy = format!(r#"{{"PointType":"Timestamp","StartingPoint":"{}"{ending}}}"#, moment(from));
        self.windows.insert(policy.clone(), (from, to));
        policy
    }

    pub(super) fn set_archive(&mut self, topic: usize, archive: &str) -> Check {
        let input = shapes::SetTopicAttributesInput {
            topic_arn: text(TOPICS[topic].key().arn().to_string()),
            attribute_name: text("ArchivePolicy"),
            attribute_value: text(archive),
        };
        self.ask_topic(topic, Request::SetTopicAttributes(input), AskedTopic::Configure(topic))
    }

    /// Returns the replay of a subscription, according to the machine.
    fn known_replay(&self, plan: &Subscription) -> Result<Option<Known>, String> {
        let Some((id, _)) = self.subscription(plan) else { return Ok(None) };
        let sns = self.server.as_ref().ok_or("the server is not running")?.machine.sns();
        let Some(known) = sns.subscription(id) else { return Ok(None) };
        let Some(policy) = known.attribute("ReplayPolicy") else { return Ok(None) };
        let window = self.windows.get(policy).ok_or_else(|| format!("nobody has asked for {policy}"))?;
        let began = known.attribute("ReplayBegan").map(str::parse);
        Ok(Some(Known {
            subscription: id.0,
            began: began.unwrap_or(Ok(id.0)).map_err(|_| "a replay began with no number")?,
            window: *window,
            is_completed: known.attribute("ReplayStatus") == Some("Completed"),
        }))
    }

    /// A request to a topic may have begun replays, or ended its archive.
    pub(super) fn look_at_replays(&mut self, topic: usize) -> Check {
        let sns = self.server()?.machine.sns();
        let is_archived = sns.topic(&TOPICS[topic].key()).map(|topic| (topic.id().0, topic.is_archived()));
        if let Some((id, false)) = is_archived {
            let publishes = self.history.publishing.publishes.iter_mut();
            publishes
                .filter(|publish| publish.topic == id)
                .for_each(|publish| publish.archive_given_up = true);
        }
        let end = self.server()?.machine.end();
        for plan in SUBSCRIPTIONS.iter().filter(|plan| plan.topic == topic) {
            let Some(known) = self.known_replay(plan)? else { continue };
            let Known { subscription, began, window, .. } = known;
            if self.history.replay(subscription, began).is_some_and(|it| (it.from, it.to) == window) {
                continue;
            }
            let Some((id, _)) = is_archived else { continue };
            let mut replay = Replay::new(subscription, began, window, end);
            for (number, publish) in self.history.publishing.publishes.iter().enumerate() {
                if publish.topic == id && publish.archived && replay.covers(publish.at) {
                    replay.owe(number);
                }
            }
            self.history.replay_asked(replay)?;
        }
        Ok(())
    }

    /// A publish does not reach a subscription now, but through its replay.
    pub(super) fn owe(&mut self, plan: &Subscription, publish: usize) -> Check {
        let Some(known) = self.known_replay(plan)? else { return Ok(()) };
        let published = &self.history.publishing.publishes[publish];
        let (at, archived) = (published.at, published.archived);
        let replay = self.history.replay(known.subscription, known.began);
        let replay = replay.ok_or("a replay goes on that nobody has asked for")?;
        if archived && replay.covers(at) {
            replay.owe(publish);
        }
        Ok(())
    }

    /// The machine got records that it requested for replays.
    pub(super) fn take_recalled(&mut self) -> Check {
        for recalled in std::mem::take(&mut self.server()?.recalled) {
            self.recalled(&recalled)?;
        }
        Ok(())
    }

    fn recalled(&mut self, recalled: &Recalled) -> Check {
        if !recalled.is_wanted || recalled.records.is_empty() {
            return Ok(());
        }
        let end = self.server()?.machine.end();
        for plan in &SUBSCRIPTIONS[WITHOUT_REPLAYS..] {
            let Some(known) = self.known_replay(plan)? else { continue };
            if known.subscription != recalled.subscription.0 {
                continue;
            }
            for (head, tail) in &recalled.records {
                let malformed = |_| "what is read for a replay is no parcel".to_owned();
                let parcel = ParcelSent::decode(head).map_err(malformed)?;
                // A page of the store can reach beyond the window.
                if known.window.1.is_some_and(|to| to < parcel.at) {
                    break;
                }
                if parcel.at < known.window.0 {
                    continue;
                }
                let notification = Notification::decode(&tail.clone().into()).map_err(malformed)?;
                let publish = number_of(&notification).ok_or("what is replayed was not published")?;
                self.replayed(plan, &known, publish, parcel.number, recalled.next_seq, end)
                    .map_err(|what| format!("replay of {}: {what}", known.subscription))?;
            }
            return Ok(());
        }
        Err(format!("{recalled:?} was wanted for a replay that nobody has asked for"))
    }

    /// A replay passes a publish.
    fn replayed(
        &mut self,
        plan: &Subscription,
        known: &Known,
        publish: usize,
        number: u64,
        next_seq: u64,
        end: kernel::Position,
    ) -> Check {
        let now = self.now;
        self.history.publish_seen(publish, number)?;
        let published = &self.history.publishing.publishes[publish];
        if !published.archived {
            return Err(format!("publish {publish} is replayed, which nobody has archived"));
        }
        let (group, body, k, at) =
            (published.group.clone(), published.body.clone(), published.k, published.at);
        self.history.replay_comes_by((known.subscription, known.began), publish, number, now)?;
        let sns = self.server.as_ref().ok_or("the server is not running")?.machine.sns();
        let topic = sns.topic(&TOPICS[plan.topic].key()).ok_or("its topic is gone")?;
        // Messages that expired or left the window during the read are skipped.
        let since = topic.attribute("BeginningArchiveTime").and_then(iso8601::read);
        let since = since.and_then(|since| u64::try_from(since).ok()).map(Time);
        let keeps = topic.archive_millis().zip(since);
        let archive_began = topic.attribute("ArchiveSeries").and_then(|began| began.parse().ok());
        let is_due = keeps.is_some_and(|(millis, since)| at >= since && at + millis > now)
            && number >= archive_began.unwrap_or(0)
            && known.window.0 <= at
            && known.window.1.is_none_or(|to| at <= to);
        let subscription = sns.subscription(sns::SubscriptionId(known.subscription)).ok_or("it is gone")?;
        let (is_wanted, raw) = (super::publishing::wants(subscription, k)?, subscription.is_raw());
        trace!(self, "    replay {} comes by publish {publish}, {number}: {is_due} {is_wanted}", known.began);
        let mut message = None;
        if let Some((queue, queue_id)) = self.target_of(plan).filter(|_| is_due && is_wanted) {
            let fifo = QUEUES[queue].is_fifo();
            let delay = if fifo { 0 } else { QUEUES[queue].delay };
            // The topic is a FIFO topic, which does not pass its groups to standard queues.
            let group = group.filter(|_| fifo);
            // The queue accepts it even if it had the same message recently.
            let copy = self.history.send(queue, queue_id, group, None, body, delay, now, next_seq);
            self.history.replay_copy((known.subscription, known.began), publish, copy, raw, end);
            message = Some(copy);
            self.outcome.replayed += 1;
        }
        let replay = self.history.replay(known.subscription, known.began).ok_or("nobody has asked for it")?;
        replay.hand_on(publish, number, message, end);
        Ok(())
    }

    /// After all writes and reads, every replay must have progressed as far as possible.
    pub(super) fn check_replays(&mut self) -> Check {
        let now = self.now;
        for plan in &SUBSCRIPTIONS[WITHOUT_REPLAYS..] {
            let Some(known) = self.known_replay(plan)? else { continue };
            let must_be_over = known.window.1.is_none_or(|to| to < now);
            if known.is_completed != must_be_over {
                let what = if must_be_over { "is not" } else { "is" };
                return Err(format!(
                    "the replay of subscription {} of {:?} {what} completed at {now:?}",
                    known.subscription, known.window
                ));
            }
            self.history.check_replay(known.subscription, known.began, now)?;
        }
        Ok(())
    }

    /// After a start: replays whose beginning was lost never existed.
    pub(super) fn forget_lost_replays(&mut self) -> Check {
        let mut latest = std::collections::BTreeMap::new();
        for plan in &SUBSCRIPTIONS[WITHOUT_REPLAYS..] {
            latest.extend(self.known_replay(plan)?.map(|known| (known.subscription, known.began)));
        }
        self.history.forget_lost_replays(&latest)?;
        (WITHOUT_ARCHIVES..TOPICS.len()).try_for_each(|topic| self.look_at_replays(topic))
    }

    /// Ends all archives, so that their topics can be deleted.
    pub(super) fn give_up_archives(&mut self) -> Check {
        (WITHOUT_ARCHIVES..TOPICS.len()).try_for_each(|topic| self.set_archive(topic, "{}"))
    }
}
