//! The list of services: the only file here that names them. A new service is its crate and its line.

use kernel::codec::Malformed;
use kernel::{Api, Asker, Call, Called, Secret};
use wire::call::CallFault;

use crate::calls::Callable;
use crate::house::services;

services! {
    sqs: Sqs = sqs::state::State,
    sns: Sns = sns::state::State,
    events: Events = eventbridge::state::State,
    scheduler: Scheduler = scheduler::state::State,
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

    /// What schedules are, for whoever only looks.
    pub fn scheduler(&self) -> &scheduler::state::State {
        &self.house.scheduler
    }

    /// What topics are, for whoever only looks.
    pub fn sns(&self) -> &sns::state::State {
        &self.house.sns
    }
}

/// Lets the services call each other's operations: by their names here, in `wire`, and as crates.
macro_rules! callable {
    ($($Service:ident, $Shapes:ident, $service:ident);* $(;)?) => {
        /// What must be remembered of a call, by service.
        #[derive(Debug)]
        #[allow(missing_docs)] // Each is its service's.
        pub enum Plan {
            $($Service($service::operations::Plan)),*
        }

        impl Callable for Services {
            type Command = Command;
            type Reply = Reply;
            type Plan = Plan;

            fn prepare_call(call: &Call) -> Result<(Command, Plan), Called> {
                let request = wire::call::request(&call.service, &call.operation, &call.input);
                let asker = Asker { caller: &call.caller, base: &call.base, trace: None };
                match request.map_err(unreadable)? {
                    $(wire::Request::$Shapes(request) => {
                        let prepared = $service::operations::prepare(request, &asker);
                        let (command, plan) = prepared.map_err(Called::Refused)?;
                        if !<$service::state::State as Api>::is_callable(&command) {
                            return Err(Called::Impossible("the operation cannot be called from inside the server".into()));
                        }
                        Ok((Command::$Service(command), Plan::$Service(plan)))
                    })*
                }
            }

            fn present_call(reply: Reply, plan: &Plan, base: &str, secret: &Secret) -> Called {
                let response = match (reply, plan) {
                    $((Reply::$Service(reply), Plan::$Service(plan)) => {
                        let materials = <$service::state::State as Api>::materials(base, secret);
                        $service::operations::present(reply, plan, &materials).map(wire::Response::$Shapes)
                    })*
                    _ => Err(Malformed),
                };
                match response {
                    Ok(response) => Called::Answered(wire::call::answer(&response)),
                    Err(Malformed) => Called::Impossible("the answer cannot be made".into()),
                }
            }
        }
    };
}

callable! {
    Sqs, Sqs, sqs;
    Sns, Sns, sns;
    Events, Eventbridge, eventbridge;
    Scheduler, Scheduler, scheduler;
}

fn unreadable(fault: CallFault) -> Called {
    match fault {
        CallFault::Unknown => Called::Impossible("there is no such operation".into()),
        CallFault::Malformed(what) => Called::Impossible(what.into()),
    }
}
