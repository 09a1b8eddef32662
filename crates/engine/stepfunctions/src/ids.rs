//! What names state machines, executions and activities.

use kernel::codec::{Malformed, Reader, put_str};
use kernel::{Arn, Refusal};

use crate::refusals;

/// A state machine's number: from the counter that the whole server shares, never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct MachineId(pub u64);

/// The number of a text of a definition, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct DefinitionId(pub u64);

/// An execution's number, from the same counter: later executions have higher numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ExecutionId(pub u64);

/// An activity's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct ActivityId(pub u64);

/// Account, region and name of a state machine or an activity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MachineKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// Up to 80 characters.
    pub name: String,
}

impl MachineKey {
    /// The state machine's ARN.
    pub fn arn(&self) -> String {
        self.arn_of(&format!("stateMachine:{}", self.name))
    }

    /// The ARN of a version, or of an alias.
    pub fn qualified_arn(&self, qualifier: &str) -> String {
        self.arn_of(&format!("stateMachine:{}:{qualifier}", self.name))
    }

    /// The ARN of an execution of the state machine.
    pub fn execution_arn(&self, execution: &str) -> String {
        self.arn_of(&format!("execution:{}:{execution}", self.name))
    }

    /// The ARN of an express execution of the state machine: of its name and an id.
    pub fn express_arn(&self, execution: &str) -> String {
        self.arn_of(&format!("express:{}:{execution}", self.name))
    }

    /// The ARN of the activity of this name.
    pub fn activity_arn(&self) -> String {
        self.arn_of(&format!("activity:{}", self.name))
    }

    fn arn_of(&self, resource: &str) -> String {
        Arn::new("states", &self.region, &self.account, resource).to_string()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for part in [&self.account, &self.region, &self.name] {
            put_str(out, part);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(MachineKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}

/// What an ARN of this service names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// A state machine, perhaps with the number of a version or the name of an alias.
    Machine(MachineKey, Option<String>),
    /// An execution of a state machine, by its name.
    Execution(MachineKey, String),
    /// An activity.
    Activity(MachineKey),
}

impl Named {
    /// Reads an ARN.
    ///
    /// Errors: it is none of Step Functions (facts/stepfunctions.md § 2: the text about resource types is recorded).
    pub fn parse(arn: &str) -> Result<Named, Refusal> {
        let prefix = || refusals::invalid_arn(&format!("Invalid ARN prefix: {arn}"));
        let parsed = arn.parse::<Arn>().map_err(|_| prefix())?;
        if parsed.service != "states" {
            return Err(prefix());
        }
        let mut parts = parsed.resource.splitn(4, ':');
        let (kind, first, second) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let key = |name: &str| MachineKey {
            account: parsed.account.clone(),
            region: parsed.region.clone(),
            name: name.to_owned(),
        };
        match (kind, first, second, parts.next()) {
            ("stateMachine", Some(name), qualifier, None) => {
                Ok(Named::Machine(key(name), qualifier.map(str::to_owned)))
            }
            ("execution", Some(machine), Some(name), None) => {
                Ok(Named::Execution(key(machine), name.to_owned()))
            }
            ("activity", Some(name), None, None) => Ok(Named::Activity(key(name))),
            _ => Err(wrong_type(kind)),
        }
    }

    /// An ARN of a state machine.
    ///
    /// Errors: it names something else.
    pub fn machine(arn: &str) -> Result<(MachineKey, Option<String>), Refusal> {
        match Named::parse(arn)? {
            Named::Machine(key, qualifier) => Ok((key, qualifier)),
            other => Err(wrong_type(other.kind())),
        }
    }

    /// An ARN of an execution.
    ///
    /// Errors: it names something else.
    pub fn execution(arn: &str) -> Result<(MachineKey, String), Refusal> {
        match Named::parse(arn)? {
            Named::Execution(key, name) => Ok((key, name)),
            other => Err(wrong_type(other.kind())),
        }
    }

    /// An ARN of an activity.
    ///
    /// Errors: it names something else.
    pub fn activity(arn: &str) -> Result<MachineKey, Refusal> {
        match Named::parse(arn)? {
            Named::Activity(key) => Ok(key),
            other => Err(wrong_type(other.kind())),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Named::Machine(..) => "stateMachine",
            Named::Execution(..) => "execution",
            Named::Activity(_) => "activity",
        }
    }
}

fn wrong_type(kind: &str) -> Refusal {
    refusals::invalid_arn(&format!("Resource type not valid in this context: {kind}"))
}
