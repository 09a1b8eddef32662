//! The list of services: the only file here that names them. A new service is its crate and its line.

use crate::house::services;

services! {
    sqs: Sqs = sqs::state::State,
    sns: Sns = sns::state::State,
}

impl crate::Machine {
    /// What queues are, for whoever only looks.
    pub fn sqs(&self) -> &sqs::state::State {
        &self.house.sqs
    }

    /// What topics are, for whoever only looks.
    pub fn sns(&self) -> &sns::state::State {
        &self.house.sns
    }
}
