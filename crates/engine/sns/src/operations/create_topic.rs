//! CreateTopic: a topic is made, or is there already as it is asked for.

use std::collections::BTreeMap;

use api::sns::{CreateTopicInput, CreateTopicOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::data_protection_policy;
use super::{Context, Decision, Reply, Setting};
use crate::records::{Record, TopicDeclared};
use crate::rules::topic_attributes::{self, Fault};
use crate::rules::{pairs, tags};
use crate::state::State;
use crate::{TopicId, TopicKey, limits, refusals};

/// CreateTopic.
#[derive(Clone, Debug)]
pub struct CreateTopic {
    /// Which.
    pub topic: TopicKey,
    /// What it is to have, as it was given.
    pub attributes: BTreeMap<String, String>,
    /// What it is to be marked with.
    pub tags: BTreeMap<String, String>,
    /// What is to be done about personal data.
    pub data_protection_policy: Option<String>,
}

impl Operation<State> for CreateTopic {
    type Input = CreateTopicInput;
    type Output = CreateTopicOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateTopicInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let name = input.name.as_deref().unwrap_or_default().to_owned();
        let topic =
            TopicKey { account: asker.caller.account.clone(), region: asker.caller.region.clone(), name };
        let tags = tags::check(input.tags.as_deref())?;
        let policy = input.data_protection_policy.as_deref();
        let mut topic = CreateTopic::new(topic, pairs(&input.attributes), tags)?;
        topic.data_protection_policy =
            policy.map(|policy| data_protection_policy::check(policy, &topic.topic)).transpose()?;
        Ok(topic)
    }

    /// Makes it. If it is there, what was given must be as it is (facts/sns.md § 2).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        match self.try_decide(state, &context.setting) {
            Ok(decision) => decision,
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<CreateTopicOutput, Malformed> {
        let Reply::Topic(arn) = reply else { return Err(Malformed) };
        Ok(CreateTopicOutput { topic_arn: Some(arn.into()) })
    }
}

impl CreateTopic {
    /// Checks what can be checked without knowing the topics that exist.
    pub fn new(
        topic: TopicKey,
        mut attributes: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> Result<Self, Refusal> {
        let fifo = match attributes.remove("FifoTopic").map(|fifo| fifo.to_ascii_lowercase()).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(refusals::invalid("Attributes Reason: FifoTopic: Must be true or false.")),
        };
        check_name(&topic.name, fifo)?;
        tags::check_count(&tags)?;
        Ok(CreateTopic { topic, attributes, tags, data_protection_policy: None })
    }

    fn try_decide(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'_>, Refusal> {
        let reply = Reply::Topic(self.topic.arn().to_string());
        let mut attributes = BTreeMap::new();
        for (name, given) in &self.attributes {
            topic_attributes::set(&mut attributes, name, given, &self.topic, setting.now).map_err(
                |fault| match fault {
                    Fault::Unknown => {
                        refusals::invalid(format_args!("Attributes Reason: Unknown attribute {name}"))
                    }
                    Fault::Value(text) => refusals::invalid(format_args!("Attributes Reason: {text}")),
                },
            )?;
        }
        if let Some(topic) = state.topic(&self.topic) {
            let in_force = &topic.declared.attributes;
            let same = |name: &String| topic_attributes::says_the_same(in_force, name, attributes.get(name));
            if !self.attributes.keys().all(same) {
                let text = "Attributes Reason: Topic already exists with different attributes";
                return Err(refusals::invalid(text));
            }
            if self.tags.iter().any(|(key, value)| topic.declared.tags.get(key) != Some(value)) {
                return Err(refusals::invalid("Tags Reason: Topic already exists with different tags"));
            }
            return Ok(Decision::answer(reply));
        }
        let of_kind = state.topics_of(&self.topic.account, &self.topic.region, self.topic.is_fifo());
        let most = if self.topic.is_fifo() { limits::FIFO_TOPICS } else { limits::TOPICS };
        if setting.limits.quotas && of_kind >= most {
            // In which words AWS refuses is not known.
            let text = "The limit of topics per account has been reached";
            return Err(Refusal::new("TopicLimitExceededException", text));
        }
        if let Some(policy) = &self.data_protection_policy {
            attributes.insert("DataProtectionPolicy".to_owned(), policy.clone());
        }
        let declared = TopicDeclared {
            id: TopicId(setting.numbers.draw()),
            key: self.topic.clone(),
            attributes,
            tags: self.tags.clone(),
            created: setting.now,
            subscriptions_deleted: 0,
        };
        Ok(super::done(vec![Record::TopicDeclared(Box::new(declared))], reply))
    }
}

/// Letters, digits, hyphens and underscores; `.fifo` at the end of a FIFO topic's name and of no other.
fn check_name(name: &str, fifo: bool) -> Result<(), Refusal> {
    let rest = if fifo { name.strip_suffix(".fifo") } else { Some(name) };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match rest {
        Some(rest)
            if !rest.is_empty() && name.len() <= limits::NAME_CHARACTERS && rest.bytes().all(legal) =>
        {
            Ok(())
        }
        _ => Err(refusals::invalid("Topic Name")),
    }
}
