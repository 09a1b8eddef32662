//! State machines of Step Functions: starting executions and waiting for their ends, ending tasks by their tokens, and workers of
//! activities.

mod activity;
mod token;

use std::marker::PhantomData;
use std::time::Duration;

use aws_sdk_sfn::types::ExecutionStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use activity::{Activity, ActivityWorker, RunningWorker, TaskFailure, TaskHandler};
pub use token::{TaskToken, Told};

use crate::backoff::Backoff;
use crate::clients::Clients;
use crate::fault::Fault;

/// An existing state machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StateMachine {
    /// Its ARN, perhaps with a version or an alias.
    pub arn: String,
}

impl StateMachine {
    /// The state machine with this ARN.
    pub fn at(arn: impl Into<String>) -> StateMachine {
        StateMachine { arn: arn.into() }
    }

    /// Creates a standard state machine if it is missing, or gives it this definition. May be repeated. Executions that run keep the
    /// definition with which they began.
    ///
    /// # Errors
    /// Those of Step Functions, such as `InvalidDefinition`.
    pub async fn ensure(
        clients: &Clients,
        name: &str,
        role: &str,
        definition: &Value,
    ) -> Result<StateMachine, Fault> {
        let definition = definition.to_string();
        let create = clients.sfn.create_state_machine().name(name).definition(&definition).role_arn(role);
        match create.send().await.map_err(Fault::from) {
            Ok(made) => Ok(StateMachine { arn: made.state_machine_arn }),
            Err(fault) if fault.code == "StateMachineAlreadyExists" => {
                let machine = StateMachine::find(clients, name).await?.ok_or(fault)?;
                let update = clients.sfn.update_state_machine().state_machine_arn(&machine.arn);
                update.definition(&definition).role_arn(role).send().await?;
                Ok(machine)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Returns the state machine with this name, if there is one.
    ///
    /// # Errors
    /// Those of Step Functions.
    pub async fn find(clients: &Clients, name: &str) -> Result<Option<StateMachine>, Fault> {
        let mut pages = clients.sfn.list_state_machines().into_paginator().items().send();
        while let Some(machine) = pages.next().await {
            let machine = machine?;
            if machine.name == name {
                return Ok(Some(StateMachine { arn: machine.state_machine_arn }));
            }
        }
        Ok(None)
    }
}

/// A state machine whose executions take an `I` and return an `O`.
///
/// **Guarantee**: [`start`](Self::start) with one name and one input starts one execution, however often it is repeated.
#[derive(Debug)]
pub struct Workflow<I, O> {
    clients: Clients,
    machine: StateMachine,
    types: PhantomData<fn(I) -> O>,
}

impl<I, O> Clone for Workflow<I, O> {
    fn clone(&self) -> Self {
        Workflow { clients: self.clients.clone(), machine: self.machine.clone(), types: PhantomData }
    }
}

/// Why a workflow has no result.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// Step Functions refused, or did not answer.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The execution ended without an output.
    #[error("the execution is {status}: {}: {}", error.as_deref().unwrap_or("no error"), cause.as_deref().unwrap_or("no cause"))]
    Ended {
        /// `FAILED`, `TIMED_OUT` or `ABORTED`.
        status: String,
        /// The name of the error.
        error: Option<String>,
        /// The explanation for people.
        cause: Option<String>,
    },
    /// The input cannot be written as JSON, or the output is none of the expected type.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

impl<I: Serialize, O: DeserializeOwned> Workflow<I, O> {
    /// The workflow that this state machine is.
    pub fn new(clients: &Clients, machine: &StateMachine) -> Workflow<I, O> {
        Workflow { clients: clients.clone(), machine: machine.clone(), types: PhantomData }
    }

    /// Starts an execution with this name, such as the id of an order, or finds the one that was started with it.
    ///
    /// # Errors
    /// Those of Step Functions. `ExecutionAlreadyExists`: the name belongs to an execution with another input.
    pub async fn start(&self, name: &str, input: &I) -> Result<Execution<O>, WorkflowError> {
        let text = serde_json::to_string(input)?;
        let start = self.clients.sfn.start_execution().state_machine_arn(&self.machine.arn);
        let arn = match start.name(name).input(&text).send().await.map_err(Fault::from) {
            Ok(started) => started.execution_arn,
            // AWS says so even if it is the same one, once that has ended.
            Err(fault) if fault.code == "ExecutionAlreadyExists" => {
                let known = self.named(name).describe().await?;
                let same = known.input.is_some_and(|known| {
                    serde_json::from_str::<Value>(&known).ok() == serde_json::from_str::<Value>(&text).ok()
                });
                if !same {
                    return Err(fault.into());
                }
                known.execution_arn
            }
            Err(fault) => return Err(fault.into()),
        };
        Ok(self.execution(arn))
    }

    /// The execution with this name. Nothing is asked.
    pub fn named(&self, name: &str) -> Execution<O> {
        // arn:aws:states:REGION:ACCOUNT:stateMachine:MACHINE[:VERSION]
        let parts: Vec<&str> = self.machine.arn.splitn(8, ':').collect();
        let arn = match parts[..] {
            [a, b, c, region, account, "stateMachine", machine, ..] => {
                format!("{a}:{b}:{c}:{region}:{account}:execution:{machine}:{name}")
            }
            // The service says what is wrong with it.
            _ => format!("{}:{name}", self.machine.arn),
        };
        self.execution(arn)
    }

    /// The execution with this ARN. Nothing is asked.
    pub fn execution(&self, arn: impl Into<String>) -> Execution<O> {
        Execution { clients: self.clients.clone(), arn: arn.into(), output: PhantomData }
    }
}

/// An execution that returns an `O`.
#[derive(Debug)]
pub struct Execution<O> {
    clients: Clients,
    arn: String,
    output: PhantomData<fn() -> O>,
}

/// How often an execution is looked at while its end is waited for: soon after it began, and ever less often.
const LOOKS: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));

impl<O: DeserializeOwned> Execution<O> {
    /// Returns its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Waits for its end and returns its output. Asks again while the server does not answer; a caller sets its own timeout.
    ///
    /// # Errors
    /// [`WorkflowError::Ended`]: it has failed, was stopped, or took too long.
    pub async fn wait(&self) -> Result<O, WorkflowError> {
        for look in 1.. {
            match self.look().await {
                Ok(Some(output)) => return Ok(output),
                Ok(None) => {}
                Err(WorkflowError::Fault(fault)) if fault.retryable => {
                    tracing::warn!(execution = self.arn, %fault, "cannot look at an execution");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOKS.delay(look)).await;
        }
        unreachable!("the numbers do not end before the wait does")
    }

    /// Returns its output, or nothing while it runs.
    ///
    /// # Errors
    /// [`WorkflowError::Ended`]: it has failed, was stopped, or took too long.
    pub async fn look(&self) -> Result<Option<O>, WorkflowError> {
        let described = self.describe().await?;
        match described.status {
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive => Ok(None),
            ExecutionStatus::Succeeded => {
                Ok(Some(serde_json::from_str(described.output.as_deref().unwrap_or("null"))?))
            }
            status => Err(WorkflowError::Ended {
                status: status.as_str().to_owned(),
                error: described.error,
                cause: described.cause,
            }),
        }
    }

    /// Stops it, if it runs.
    ///
    /// # Errors
    /// Those of Step Functions.
    pub async fn stop(&self, error: &str, cause: &str) -> Result<(), Fault> {
        let stop = self.clients.sfn.stop_execution().execution_arn(&self.arn).error(error).cause(cause);
        Ok(stop.send().await.map(drop)?)
    }

    /// Runs again what has failed of it. What has succeeded stays done.
    ///
    /// # Errors
    /// `ExecutionNotRedrivable`: it runs, has succeeded, or ended more than 14 days ago.
    pub async fn redrive(&self) -> Result<(), Fault> {
        Ok(self.clients.sfn.redrive_execution().execution_arn(&self.arn).send().await.map(drop)?)
    }

    async fn describe(
        &self,
    ) -> Result<aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput, Fault> {
        Ok(self.clients.sfn.describe_execution().execution_arn(&self.arn).send().await?)
    }
}
