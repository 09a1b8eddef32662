//! What partners of AWS are for: here are none, and no account is one.
//!
//! Customers see no event sources. What only a partner may ask is refused as AWS refuses an account that is not registered as one.

use api::eventbridge::{
    ActivateEventSourceInput, ActivateEventSourceOutput, CreatePartnerEventSourceInput,
    CreatePartnerEventSourceOutput, DeactivateEventSourceInput, DeactivateEventSourceOutput,
    DeletePartnerEventSourceInput, DeletePartnerEventSourceOutput, DescribeEventSourceInput,
    DescribeEventSourceOutput, DescribePartnerEventSourceInput, DescribePartnerEventSourceOutput,
    ListEventSourcesInput, ListEventSourcesOutput, ListPartnerEventSourceAccountsInput,
    ListPartnerEventSourceAccountsOutput, ListPartnerEventSourcesInput, ListPartnerEventSourcesOutput,
    PutPartnerEventsInput, PutPartnerEventsOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::{Context, Decision, Reply};
use crate::refusals;
use crate::rules::constraints::{BUS_NAME, Constraints};
use crate::rules::pages;
use crate::state::State;

/// Operations that find nothing, or are refused: `prepare` says which.
macro_rules! without_partners {
    ($($Operation:ident($Input:ident) -> $Output:ident: $prepare:expr;)*) => {$(
        impl Operation<State> for $Operation {
            type Input = $Input;
            type Output = $Output;
            type Plan = ();

            const DEMAND: Demand = Demand::Nothing;

            fn prepare(input: $Input, _: &Asker<'_>) -> Result<Self, Refusal> {
                let prepare: fn($Input) -> Result<(), Refusal> = $prepare;
                prepare(input).map(|()| $Operation)
            }

            fn decide<'a>(&'a self, _: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
                Decision::answer(Reply::Done)
            }

            fn present(reply: Reply, _: &(), (): &()) -> Result<$Output, Malformed> {
                reply.done()
            }
        }
    )*};
}

fn missing(name: Option<&api::Text>) -> Result<(), Refusal> {
    Constraints::default().required_text("name", name, BUS_NAME).check()?;
    let name = name.map(|name| &**name).unwrap_or_default();
    Err(refusals::missing(format_args!("Event source {name} does not exist.")))
}

/// ActivateEventSource.
#[derive(Clone, Debug)]
pub struct ActivateEventSource;
/// DeactivateEventSource.
#[derive(Clone, Debug)]
pub struct DeactivateEventSource;
/// DescribeEventSource.
#[derive(Clone, Debug)]
pub struct DescribeEventSource;
/// ListEventSources.
#[derive(Clone, Debug)]
pub struct ListEventSources;
/// CreatePartnerEventSource.
#[derive(Clone, Debug)]
pub struct CreatePartnerEventSource;
/// DeletePartnerEventSource.
#[derive(Clone, Debug)]
pub struct DeletePartnerEventSource;
/// DescribePartnerEventSource.
#[derive(Clone, Debug)]
pub struct DescribePartnerEventSource;
/// ListPartnerEventSources.
#[derive(Clone, Debug)]
pub struct ListPartnerEventSources;
/// ListPartnerEventSourceAccounts.
#[derive(Clone, Debug)]
pub struct ListPartnerEventSourceAccounts;
/// PutPartnerEvents.
#[derive(Clone, Debug)]
pub struct PutPartnerEvents;

without_partners! {
    ActivateEventSource(ActivateEventSourceInput) -> ActivateEventSourceOutput: |input| missing(input.name.as_ref());
    DeactivateEventSource(DeactivateEventSourceInput) -> DeactivateEventSourceOutput: |input| missing(input.name.as_ref());
    DescribeEventSource(DescribeEventSourceInput) -> DescribeEventSourceOutput: |input| missing(input.name.as_ref());
    CreatePartnerEventSource(CreatePartnerEventSourceInput) -> CreatePartnerEventSourceOutput: |_| Err(refusals::partners_only());
    DeletePartnerEventSource(DeletePartnerEventSourceInput) -> DeletePartnerEventSourceOutput: |_| Err(refusals::partners_only());
    DescribePartnerEventSource(DescribePartnerEventSourceInput) -> DescribePartnerEventSourceOutput: |_| Err(refusals::partners_only());
    ListPartnerEventSources(ListPartnerEventSourcesInput) -> ListPartnerEventSourcesOutput: |_| Err(refusals::partners_only());
    ListPartnerEventSourceAccounts(ListPartnerEventSourceAccountsInput) -> ListPartnerEventSourceAccountsOutput: |_| Err(refusals::partners_only());
    PutPartnerEvents(PutPartnerEventsInput) -> PutPartnerEventsOutput: |_| Err(refusals::partners_only());
}

impl Operation<State> for ListEventSources {
    type Input = ListEventSourcesInput;
    type Output = ListEventSourcesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListEventSourcesInput, _: &Asker<'_>) -> Result<Self, Refusal> {
        pages::page(input.next_token.as_ref(), input.limit)?;
        Ok(ListEventSources)
    }

    fn decide<'a>(&'a self, _: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        Decision::answer(Reply::Done)
    }

    fn present(_: Reply, _: &(), (): &()) -> Result<ListEventSourcesOutput, Malformed> {
        Ok(ListEventSourcesOutput { event_sources: Some(Vec::new()), next_token: None })
    }
}
