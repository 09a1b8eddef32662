//! DescribeLimits, DescribeAccountSettings and UpdateAccountSettings.

use api::kinesis::{
    DescribeAccountSettingsInput, DescribeAccountSettingsOutput, DescribeLimitsInput, DescribeLimitsOutput,
    MinimumThroughputBillingCommitmentOutput, Response, UpdateAccountSettingsInput,
    UpdateAccountSettingsOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Time};
use resources::Faults;

use super::{Context, Decision, Materials, Reply, answer, answered, count, shown, text};
use crate::ids::AccountKey;
use crate::records::{AccountDeclared, Record};
use crate::rules::checking;
use crate::state::State;
use crate::{StreamKey, limits};

fn key_of(asker: &Asker<'_>) -> AccountKey {
    AccountKey { account: asker.caller.account.clone(), region: asker.caller.region.clone() }
}

/// DescribeLimits.
#[derive(Clone, Debug)]
pub struct DescribeLimits(StreamKey);

impl Operation<State> for DescribeLimits {
    type Input = DescribeLimitsInput;
    type Output = DescribeLimitsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(_: DescribeLimitsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let AccountKey { account, region } = key_of(asker);
        Ok(DescribeLimits(StreamKey { account, region, name: String::new() }))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let (mut open, mut on_demand) = (0, 0);
        for stream in state.streams_of(self.0.clone()) {
            // The shards of on-demand streams do not count (API reference, "DescribeLimits").
            match stream.is_on_demand {
                true => on_demand += 1,
                false => open += state.open_shards(stream.id),
            }
        }
        answer(Response::DescribeLimits(DescribeLimitsOutput {
            shard_limit: count(limits::SHARDS),
            open_shard_count: count(open),
            on_demand_stream_count: count(on_demand),
            on_demand_stream_count_limit: count(limits::ON_DEMAND_STREAMS),
            channel_count: Some(0),
            channel_count_limit: count(limits::CHANNELS),
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DescribeLimitsOutput, Malformed> {
        answered!(reply, DescribeLimits)
    }
}

/// A commitment must be kept for a day at least (API reference, "UpdateAccountSettings").
const COMMITTED_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// The commitment of an account, as answers show it.
fn commitment(account: Option<&AccountDeclared>, now: Time) -> MinimumThroughputBillingCommitmentOutput {
    let none = MinimumThroughputBillingCommitmentOutput { status: text("DISABLED"), ..Default::default() };
    let Some(account) = account else { return none };
    let ends = account.since + COMMITTED_MILLIS;
    match account.is_committed {
        true => MinimumThroughputBillingCommitmentOutput {
            status: text("ENABLED"),
            started_at: shown(account.since),
            ended_at: None,
            earliest_allowed_end_at: shown(ends),
        },
        false => MinimumThroughputBillingCommitmentOutput { ended_at: shown(account.since.min(now)), ..none },
    }
}

/// DescribeAccountSettings.
#[derive(Clone, Debug)]
pub struct DescribeAccountSettings(AccountKey);

impl Operation<State> for DescribeAccountSettings {
    type Input = DescribeAccountSettingsInput;
    type Output = DescribeAccountSettingsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(_: DescribeAccountSettingsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(DescribeAccountSettings(key_of(asker)))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let shown = commitment(state.account(&self.0), context.setting.now);
        answer(Response::DescribeAccountSettings(DescribeAccountSettingsOutput {
            minimum_throughput_billing_commitment: Some(shown),
        }))
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<DescribeAccountSettingsOutput, Malformed> {
        answered!(reply, DescribeAccountSettings)
    }
}

/// UpdateAccountSettings. The commitment is remembered and shown, and has no effect: nothing is billed.
#[derive(Clone, Debug)]
pub struct UpdateAccountSettings(AccountKey, bool);

impl Operation<State> for UpdateAccountSettings {
    type Input = UpdateAccountSettingsInput;
    type Output = UpdateAccountSettingsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateAccountSettingsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let mut faults = Faults::default();
        if input.minimum_throughput_billing_commitment.is_none() {
            faults.missing("minimumThroughputBillingCommitment");
        }
        let given = input.minimum_throughput_billing_commitment.unwrap_or_default();
        let path = "minimumThroughputBillingCommitment.status";
        let status = checking::one_of(given.status.as_ref(), path, &["ENABLED", "DISABLED"], &mut faults);
        let is_committed = status == "ENABLED";
        faults.refusal()?;
        Ok(UpdateAccountSettings(key_of(asker), is_committed))
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let setting = &context.setting;
        let known = state.account(&self.0);
        let reply = |account: &AccountDeclared| {
            Reply::Answer(Box::new(Response::UpdateAccountSettings(UpdateAccountSettingsOutput {
                minimum_throughput_billing_commitment: Some(commitment(Some(account), setting.now)),
            })))
        };
        if let Some(known) = known.filter(|known| known.is_committed == self.1) {
            return Decision::answer(reply(known));
        }
        let account = AccountDeclared {
            id: known.map_or_else(|| setting.numbers.draw(), |known| known.id),
            key: self.0.clone(),
            is_committed: self.1,
            since: setting.now,
        };
        let reply = reply(&account);
        Decision::done(vec![Record::AccountDeclared(account).into()], reply)
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<UpdateAccountSettingsOutput, Malformed> {
        answered!(reply, UpdateAccountSettings)
    }
}
