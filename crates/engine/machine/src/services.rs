//! The list of services: the only file here that names them. A new service is its crate, its model and its line.

use kernel::codec::Malformed;
use kernel::{Api, Asker, Call, Called, Extent, Refusal, Secret, Stored};
use wire::call::CallFault;

use crate::calls::Callable;
use crate::house::services;

/// Makes everything of the list: each service has the name of its crate, and in `wire` that of its variant.
macro_rules! list {
    ($($service:ident: $Service:ident),* $(,)?) => {
        services! { $($service: $Service = $service::state::State),* }
        spoken! { $($service: $Service),* }

        impl crate::Machine {
            $(
                #[doc = concat!("The state of `", stringify!($service), "`, for those who only look.")]
                pub fn $service(&self) -> &$service::state::State {
                    &self.house.$service
                }
            )*
        }
    };
}

/// Joins the services with their shapes on the wire: for clients, and for calls from one service to another.
macro_rules! spoken {
    ($($service:ident: $Service:ident),*) => {
        /// What must be remembered of a request until it is answered, by service.
        #[derive(Debug)]
        #[allow(missing_docs)] // Each is its service's.
        pub enum Plan {
            $($Service($service::operations::Plan)),*
        }

        /// Makes a command of a request. Needs no state, so it can run on any thread.
        ///
        /// Errors: a refusal that does not depend on the state.
        pub fn prepare(request: wire::Request, asker: &Asker<'_>) -> Result<(Command, Plan), Refusal> {
            match request {
                $(wire::Request::$Service(request) => {
                    let (command, plan) = $service::operations::prepare(request.whole(), asker)?;
                    Ok((Command::$Service(command), Plan::$Service(plan)))
                })*
            }
        }

        /// Makes the answer to a request of the reply. Answers for which records must be read are made by their service.
        pub fn present(
            reply: Reply,
            plan: &Plan,
            base: &str,
            secret: &Secret,
        ) -> Result<wire::Response, Malformed> {
            match (reply, plan) {
                $((Reply::$Service(reply), Plan::$Service(plan)) => {
                    let materials = <$service::state::State as Api>::materials(base, secret);
                    let response = $service::operations::present(reply, plan, &materials)?;
                    Ok(wire::Response::$Service(response.into()))
                })*
                _ => Err(Malformed),
            }
        }

        fn is_callable(command: &Command) -> bool {
            match command {
                $(Command::$Service(command) => <$service::state::State as Api>::is_callable(command)),*
            }
        }
    };
}

list! {
    sqs: Sqs,
    dynamodb: Dynamodb,
    sns: Sns,
    eventbridge: Eventbridge,
    kinesis: Kinesis,
    pipes: Pipes,
    scheduler: Scheduler,
    schemas: Schemas,
    stepfunctions: Stepfunctions,
}

/// For what a service has had records of the log read. Whoever reads them tells the machine with the event that this makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recall {
    /// For topics.
    Topics(sns::RecalledFor),
    /// For the replay of an archive to its bus.
    Buses(eventbridge::ReplayId),
    /// For a flow of an execution.
    Executions(stepfunctions::ExecutionId, u32),
    /// For a batch of a pipe.
    Pipes(pipes::BatchId),
}

impl Recall {
    /// As many of the records, from the first on, as could be read.
    pub fn read(self, records: Vec<Stored>) -> Event {
        match self {
            Recall::Topics(purpose) => Event::Sns(sns::Event::Recalled { purpose, records }),
            Recall::Buses(replay) => Event::Eventbridge(eventbridge::Event::Recalled { replay, records }),
            Recall::Executions(execution, flow) => {
                Event::Stepfunctions(stepfunctions::Event::Read(execution, flow, records))
            }
            Recall::Pipes(batch) => Event::Pipes(pipes::Event::Read(batch, records)),
        }
    }

    /// The first of the records cannot be read, since the bytes there are not those that were written.
    pub fn failed(self, extent: Extent) -> Event {
        match self {
            Recall::Topics(purpose) => Event::Sns(sns::Event::RecallFailed { purpose, extent }),
            Recall::Buses(replay) => Event::Eventbridge(eventbridge::Event::RecallFailed { replay, extent }),
            Recall::Executions(execution, flow) => {
                Event::Stepfunctions(stepfunctions::Event::Unreadable(execution, flow))
            }
            Recall::Pipes(batch) => Event::Pipes(pipes::Event::Unreadable(batch, extent)),
        }
    }
}

impl Callable for Services {
    type Command = Command;
    type Reply = Reply;
    type Plan = Plan;

    fn prepare_call(call: &Call) -> Result<(Command, Plan), Called> {
        let request = wire::call::request(&call.service, &call.operation, &call.input).map_err(unreadable)?;
        let asker = Asker { caller: &call.caller, base: &call.base, trace: None };
        let (command, plan) = prepare(request, &asker).map_err(Called::Refused)?;
        if !is_callable(&command) {
            return Err(Called::Impossible("the operation cannot be called from inside the server".into()));
        }
        Ok((command, plan))
    }

    fn present_call(reply: Reply, plan: &Plan, base: &str, secret: &Secret) -> Called {
        match present(reply, plan, base, secret) {
            Ok(response) => Called::Answered(wire::call::answer(&response)),
            Err(Malformed) => Called::Impossible("the answer cannot be made".into()),
        }
    }
}

/// What may lie behind a box: shapes of services with large ones do.
trait Whole<T> {
    fn whole(self) -> T;
}

impl<T> Whole<T> for T {
    fn whole(self) -> T {
        self
    }
}

impl<T> Whole<T> for Box<T> {
    fn whole(self) -> T {
        *self
    }
}

fn unreadable(fault: CallFault) -> Called {
    match fault {
        CallFault::Unknown => Called::Impossible("there is no such operation".into()),
        CallFault::Malformed(what) => Called::Impossible(what.into()),
    }
}
