//! The list of services: the only file here that names them. A new service is its crate and its line.

use crate::house::services;

services! {
    sqs: Sqs = sqs::state::State,
    sns: Sns = sns::state::State,
    events: Events = eventbridge::state::State,
}

impl crate::Machine {
    /// What queues are, for whoever only looks.
    pub fn sqs(&self) -> &sqs::state::State {
        &self.house.sqs
    }

    /// What buses are, for whoever only looks.
    pub fn events(&self) -> &eventbridge::state::State {
        &self.house.events
    }

    /// What topics are, for whoever only looks.
    pub fn sns(&self) -> &sns::state::State {
        &self.house.sns
    }
}
