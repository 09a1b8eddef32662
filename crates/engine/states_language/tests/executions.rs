//! Whole executions over the public functions alone, as an engine would run them.

use serde_json::{Value, json};
use states_language::{
    Failure, Flow, Random, Reaction, Resource, Scope, State, StateMachine, Step, Target, Transition,
    Variables, Work,
};

/// Runs a flow to its end; tasks are done by a function.
struct Runner<'a> {
    tasks: &'a dyn Fn(&Resource, &Value) -> Result<Value, Failure>,
    /// The moment, which waits and retries move on.
    now: std::cell::Cell<i64>,
}

impl Runner<'_> {
    fn flow(
        &self,
        flow: &Flow,
        mut input: Value,
        outer: &Variables,
        item: Option<(usize, &Value)>,
    ) -> Result<Value, Failure> {
        let mut variables = outer.clone();
        let mut name = flow.start_at.clone();
        loop {
            let state = &flow.states[&name];
            let departure = self.state(state, &input, &variables, item)?;
            variables.extend(departure.assigned);
            match departure.to {
                Transition::End => return Ok(departure.output),
                Transition::Next(next) => (name, input) = (next, departure.output),
            }
        }
    }

    fn state(
        &self,
        state: &State,
        input: &Value,
        variables: &Variables,
        item: Option<(usize, &Value)>,
    ) -> Result<states_language::Departure, Failure> {
        let mut retries = [0u64; 8];
        loop {
            let mut context = json!({"Execution": {"Name": "run"}, "State": {"Name": state.name, "RetryCount": retries.iter().sum::<u64>()}});
            if let Some((index, value)) = item {
                context["Map"] = json!({"Item": {"Index": index, "Value": value}});
            }
            let (random, work) = (Random::new(1), Work::default());
            let scope = Scope::new(input, &context, variables, self.now.get(), &random, &work);
            let left = self.once(state, &scope, variables);
            let failure = match left {
                Ok(departure) => return Ok(departure),
                Err(failure) => failure,
            };
            match state.recover(&failure, &retries, 1.0, &scope)? {
                Reaction::Retry { retrier, delay_millis } => {
                    retries[retrier] += 1;
                    self.now.set(self.now.get() + delay_millis as i64);
                }
                Reaction::Caught { departure, .. } => return Ok(departure),
                Reaction::Fails(failure) => return Err(failure),
            }
        }
    }

    fn once(
        &self,
        state: &State,
        scope: &Scope<'_>,
        variables: &Variables,
    ) -> Result<states_language::Departure, Failure> {
        match state.enter(scope)? {
            Step::Leave(departure) => Ok(departure),
            Step::Fail(failure) => Err(failure),
            Step::Wait(until) => {
                self.now.set(self.now.get().max(until));
                state.finish(Value::Null, scope)
            }
            Step::Run(run) => state.finish((self.tasks)(run.resource, &run.payload)?, scope),
            Step::Branches(input) => {
                let states_language::Kind::Parallel(parallel) = &state.kind else { panic!() };
                let outputs =
                    parallel.branches.iter().map(|branch| self.flow(branch, input.clone(), variables, None));
                state.finish(outputs.collect::<Result<Value, _>>()?, scope)
            }
            Step::Iterate(iterations) => {
                let states_language::Kind::Map(map) = &state.kind else { panic!() };
                let items = iterations.items.unwrap_or_default();
                let mut outputs = Vec::new();
                for (index, item) in items.as_array().into_iter().flatten().enumerate() {
                    let mut context = scope.context.clone();
                    context["Map"] = json!({"Item": {"Index": index, "Value": item}});
                    let input = state.iteration_input(item, &scope.with_context(&context))?;
                    outputs.push(self.flow(&map.processor, input, variables, Some((index, item)))?);
                }
                state.finish(Value::Array(outputs), scope)
            }
        }
    }
}

fn run(
    definition: Value,
    input: Value,
    tasks: &dyn Fn(&Resource, &Value) -> Result<Value, Failure>,
) -> (Result<Value, Failure>, i64) {
    let (machine, diagnostics) = StateMachine::parse(
        &definition.to_string(),
        &Target { express: false, recognizes: &|_| true, serves: &|_| true },
    );
    let machine = machine.unwrap_or_else(|| panic!("{diagnostics}"));
    let runner = Runner { tasks, now: 0.into() };
    let end = runner.flow(&machine.flow, input, &Variables::new(), None);
    (end, runner.now.get())
}

/// An order: validated, paid with retries and a catcher, then reserved and told side by side, item by item, and shipped.
fn order() -> Value {
    let task = |action: &str, next: Option<&str>| {
        let mut task = json!({"Type": "Task", "Resource": format!("arn:aws:states:::orders:{action}")});
        match next {
            Some(next) => task["Next"] = json!(next),
            None => task["End"] = json!(true),
        }
        task
    };
    let mut pay = task("pay", Some("Side by side"));
    pay["Retry"] = json!([{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 2}]);
    pay["Catch"] = json!([{"ErrorEquals": ["States.ALL"], "Next": "Refused", "ResultPath": "$.error"}]);
    pay["Parameters"] = json!({"Amount.$": "$total", "Order.$": "$.id"});
    pay["ResultPath"] = json!("$.payment");
    json!({"StartAt": "Total", "States": {
        "Total": {"Type": "Pass", "QueryLanguage": "JSONata", "Assign": {"total": "{% $sum($states.input.items.(price * count)) %}"}, "Next": "Large?"},
        "Large?": {"Type": "Choice", "Choices": [{"Variable": "$total", "NumericGreaterThan": 100, "Next": "Cool off"}], "Default": "Pay"},
        "Cool off": {"Type": "Wait", "Seconds": 60, "Next": "Pay"},
        "Pay": pay,
        "Side by side": {"Type": "Parallel", "Next": "Ship", "ResultPath": "$.done", "Branches": [
            {"StartAt": "Reserve", "States": {"Reserve": {"Type": "Map", "ItemsPath": "$.items", "End": true,
                "ItemSelector": {"n.$": "$$.Map.Item.Index", "sku.$": "$$.Map.Item.Value.sku", "order.$": "$.id"},
                "ItemProcessor": {"StartAt": "Take", "States": {"Take": task("take", None)}}}}},
            {"StartAt": "Tell", "States": {"Tell": {"Type": "Pass", "Parameters": {"text.$": "States.Format('Order {}: {}', $.id, $total)"}, "OutputPath": "$.text", "End": true}}}]},
        "Ship": {"Type": "Succeed", "QueryLanguage": "JSONata", "Output": {"paid": "{% $states.input.payment.ok %}", "taken": "{% $states.input.done[0].sku %}", "told": "{% $states.input.done[1] %}"}},
        "Refused": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "States.Format('{} for {}', $.error.Cause, $.id)"}
    }})
}

#[test]
fn an_order_is_paid_after_retries_and_shipped() {
    let calls = std::cell::Cell::new(0);
    let tasks = |resource: &Resource, payload: &Value| {
        let Resource::Service { action, .. } = resource else { panic!() };
        match action.as_str() {
            "pay" if calls.replace(calls.get() + 1) < 2 => Err(Failure::new("Busy", "later")),
            "pay" => Ok(json!({"ok": payload["Amount"]})),
            _ => Ok(payload.clone()),
        }
    };
    let input = json!({"id": "o-1", "items": [{"sku": "a", "price": 50, "count": 2}, {"sku": "b", "price": 10.5, "count": 2}]});
    let (end, now) = run(order(), input, &tasks);
    assert_eq!(end, Ok(json!({"paid": 121, "taken": ["a", "b"], "told": "Order o-1: 121"})));
    assert_eq!(now, 60_000 + 1000 + 2000);
}

#[test]
fn an_order_that_is_not_paid_fails_with_what_was_caught() {
    let tasks = |_: &Resource, _: &Value| Err(Failure::new("Declined", "no money"));
    let input = json!({"id": "o-2", "items": [{"sku": "a", "price": 5, "count": 1}]});
    let (end, now) = run(order(), input, &tasks);
    let failure = end.unwrap_err();
    assert_eq!((failure.name(), failure.cause.as_deref()), ("Declined", Some("no money for o-2")));
    assert_eq!(now, 0);
}

#[test]
fn a_loop_counts_with_variables() {
    let definition = json!({"QueryLanguage": "JSONata", "StartAt": "Start", "States": {
        "Start": {"Type": "Pass", "Assign": {"n": 0, "all": []}, "Next": "More"},
        "More": {"Type": "Pass", "Assign": {"n": "{% $n + 1 %}", "all": "{% $append($all, $n) %}"}, "Next": "Enough?"},
        "Enough?": {"Type": "Choice", "Choices": [{"Condition": "{% $n < 50 %}", "Next": "More"}], "Default": "End"},
        "End": {"Type": "Succeed", "Output": "{% {'n': $n, 'sum': $sum($all)} %}"}}});
    let (end, _) = run(definition, json!({}), &|_, _| unreachable!("no task"));
    // Both variables see the values before the state: 0 to 49 are appended.
    assert_eq!(end, Ok(json!({"n": 50, "sum": 1225})));
}
