//! Query and Scan: pages of a table or of an index. The engine's turn finds the items of a page; filters, projections and JSON are the HTTP
//! threads' work.

use api::Text;
use api::dynamodb::{ConsumedCapacity, QueryInput, QueryOutput, ScanInput, ScanOutput};
use api::{Json, Map};
use items::Fault;
use items::expression::{Condition, KeyCondition, Projection, key_conditions};
use items::legacy::key_tested;
use items::value::Item;
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::Faults;

use super::{Context, Decision, Reply, decided, shown_item, shown_key};
use crate::TableKey;
use crate::capacity::{self, Mode, Units};
use crate::contents::Held;
use crate::page::{Page, Range, read, start_key};
use crate::refusals::{invalid, of_fault, resource_missing, wrong};
use crate::rules::checking::{
    attributes, check_mixing, conditional, filter, item, mode, projected, scope, table, values,
};
use crate::rules::definition::{Definition, Index, Shows};
use crate::state::State;

/// `Select`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Select {
    #[default]
    Unsaid,
    All,
    Projected,
    Count,
    Some,
}

/// What is asked of a page.
#[derive(Clone, Debug)]
pub struct Look {
    table: TableKey,
    index: Option<Text>,
    select: Select,
    /// The attributes of items that the filter looks at; of a query, none of the key.
    filtered: Vec<Box<str>>,
    limit: Option<usize>,
    is_consistent: bool,
    start: Option<Vec<u8>>,
    forward: bool,
    what: Looked,
}

/// In which keys.
#[derive(Clone, Debug)]
enum Looked {
    Query(Vec<KeyCondition>),
    Scan(Option<(u32, u32)>),
}

/// What is shown of a page.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    table: Text,
    select: Select,
    filter: Option<Condition>,
    projection: Option<Projection>,
    is_consistent: bool,
    capacity: Mode,
}

fn select(text: Option<&Text>, faults: &mut Faults) -> Select {
    match text.map(|text| &**text) {
        None => Select::Unsaid,
        Some("ALL_ATTRIBUTES") => Select::All,
        Some("ALL_PROJECTED_ATTRIBUTES") => Select::Projected,
        Some("COUNT") => Select::Count,
        Some("SPECIFIC_ATTRIBUTES") => Select::Some,
        Some(other) => {
            let values = ["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"];
            faults.one_of(other, "select", &values);
            Select::Unsaid
        }
    }
}

/// What is selected and what is projected must agree (facts/dynamodb.md § 6).
fn check_select(select: Select, index: Option<&Text>, parameter: Option<&str>) -> Result<(), Refusal> {
    let goal = match select {
        Select::Projected if index.is_none() => {
            return Err(invalid(
                "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
            ));
        }
        Select::Some if parameter.is_none() => {
            return Err(invalid(
                "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
            ));
        }
        Select::Unsaid | Select::Some => return Ok(()),
        Select::Count => "only the Count",
        Select::All => "ALL_ATTRIBUTES",
        Select::Projected => "ALL_PROJECTED_ATTRIBUTES",
    };
    match parameter {
        Some(parameter) => {
            Err(invalid(format_args!("Cannot specify the {parameter} when choosing to get {goal}")))
        }
        None => Ok(()),
    }
}

impl Look {
    fn decide<'a>(&self, state: &State) -> Decision<'a> {
        decided(self.page(state).map(|page| Decision::answer(Reply::Page(Box::new(page)))))
    }

    fn page(&self, state: &State) -> Result<Page, Refusal> {
        let (table, contents) = state.table(&self.table).ok_or_else(resource_missing)?;
        let definition = &table.definition;
        let index = match &self.index {
            Some(name) => Some(definition.index(name).ok_or_else(|| {
                invalid(format_args!("The table does not have the specified index: {name}"))
            })?),
            None => None,
        };
        if let Some((_, index)) = index {
            self.check_index(index)?;
        }
        let at = index.map(|(at, _)| at);
        let key = index.map_or(&definition.key, |(_, index)| &index.key);
        let range = match &self.what {
            Looked::Query(conditions) => {
                if let Some(name) = self.filtered.iter().find(|name| key.has(name)) {
                    return Err(invalid(format_args!(
                        "Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
                    )));
                }
                Range::of_query(definition, key, conditions)?
            }
            Looked::Scan(segment) => Range::of_scan(*segment),
        };
        let range = self.after_start(definition, at, range)?;
        Ok(read(contents, at, &range, self.forward, self.limit))
    }

    fn check_index(&self, index: &Index) -> Result<(), Refusal> {
        if !index.is_global {
            return Ok(());
        }
        if self.is_consistent {
            return Err(invalid("Consistent reads are not supported on global secondary indexes"));
        }
        if self.select == Select::All && index.shows != Shows::All {
            return Err(wrong(format_args!(
                "Select type ALL_ATTRIBUTES is not supported for global secondary index {} because its projection type is not ALL",
                index.name
            )));
        }
        Ok(())
    }

    /// The part of the range behind `ExclusiveStartKey`.
    fn after_start(
        &self,
        definition: &Definition,
        index: Option<usize>,
        range: Range,
    ) -> Result<Range, Refusal> {
        let Some(start) = &self.start else { return Ok(range) };
        let Some(key) = start_key(definition, index, Item(start)) else {
            return Err(invalid(match self.what {
                Looked::Query(_) => "The provided starting key is invalid",
                Looked::Scan(_) => {
                    "The provided starting key is invalid: The provided key element does not match the schema"
                }
            }));
        };
        if !range.has(&key) {
            return Err(match self.what {
                Looked::Query(_) => invalid(
                    "The provided starting key is outside query boundaries based on provided conditions",
                ),
                Looked::Scan(segment) => {
                    let (segment, total) = segment.unwrap_or_default();
                    invalid(format_args!(
                        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: {total} Segment: {segment}"
                    ))
                }
            });
        }
        Ok(range.behind(key, self.forward))
    }
}

/// What an answer shows of a page: items, count, count before filters, last key, units.
struct Parts {
    items: Option<Vec<Json>>,
    count: Option<i32>,
    scanned: Option<i32>,
    last: Option<Map<Json>>,
    capacity: Option<ConsumedCapacity>,
}

fn present(reply: Reply, plan: &Presented) -> Result<Parts, Malformed> {
    let Reply::Page(page) = reply else { return Err(Malformed) };
    let definition: &Definition = &page.definition;
    let index = page.index.and_then(|at| definition.indexes.get(at));
    // A local index has the rest of an item from the table.
    let is_whole = index
        .is_some_and(|index| !index.is_global && (plan.projection.is_some() || plan.select == Select::All));
    let seen = index.filter(|_| !is_whole).and_then(|index| definition.shown_by(index));
    let mut items = Vec::new();
    let mut count = 0;
    for held in &page.items {
        let part = seen.as_ref().map(|seen| seen.apply(held.item()));
        let item = Item(part.as_deref().unwrap_or(held.content()));
        if plan.filter.as_ref().is_some_and(|filter| !filter.holds(item)) {
            continue;
        }
        count += 1;
        if plan.select != Select::Count {
            items.push(match &plan.projection {
                Some(projection) => shown_item(&projection.apply(item)),
                None => shown_item(item.0),
            });
        }
    }
    let bytes: usize = page.items.iter().map(Held::size).sum();
    let units = Units::of_index(definition, page.index, capacity::read(bytes, plan.is_consistent));
    let last = page.items.last().filter(|_| page.has_more).map(|held| {
        let names = definition.key.names().chain(index.into_iter().flat_map(|index| index.key.names()));
        shown_key(names, held.item())
    });
    Ok(Parts {
        items: (plan.select != Select::Count).then_some(items),
        count: Some(count),
        scanned: i32::try_from(page.items.len()).ok(),
        last,
        capacity: units.shown(&plan.table, plan.capacity, None),
    })
}

/// The names of attributes that a filter looks at.
fn roots(filter: Option<&Condition>) -> Vec<Box<str>> {
    let mut names = Vec::new();
    if let Some(filter) = filter {
        filter.each_path(&mut |path| names.push(path.root().into()));
    }
    names
}

/// Query.
#[derive(Clone, Debug)]
pub struct Query(Look);

impl Operation<State> for Query {
    type Input = QueryInput;
    type Output = QueryOutput;
    type Plan = Presented;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: QueryInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: QueryInput, asker: &Asker<'_>) -> Result<(Self, Presented), Refusal> {
        let mut faults = Faults::default();
        let table = table(input.table_name.as_ref(), asker, &mut faults)?;
        let select = select(input.select.as_ref(), &mut faults);
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        faults.refusal()?;
        if input.limit.is_some_and(|limit| limit < 1) {
            return Err(invalid(
                "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
            ));
        }
        let parameter = match (&input.projection_expression, &input.attributes_to_get) {
            (Some(_), _) => Some("ProjectionExpression"),
            (None, Some(_)) => Some("AttributesToGet"),
            (None, None) => None,
        };
        check_select(select, input.index_name.as_ref(), parameter)?;
        let read = read_query(&input).map_err(|fault| of_fault(&fault, false))?;
        let older = attributes(input.attributes_to_get.as_ref())?;
        let is_consistent = input.consistent_read.unwrap_or_default();
        let look = Look {
            table,
            index: input.index_name,
            select,
            filtered: roots(read.filter.as_ref()),
            limit: input.limit.and_then(|limit| limit.try_into().ok()),
            is_consistent,
            start: read.start,
            forward: input.scan_index_forward.unwrap_or(true),
            what: Looked::Query(read.conditions),
        };
        let plan = Presented {
            table: input.table_name.unwrap_or_default(),
            select,
            filter: read.filter,
            projection: read.projection.or(older),
            is_consistent,
            capacity,
        };
        Ok((Query(look), plan))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.decide(state)
    }

    fn present(reply: Reply, plan: &Presented, _: &()) -> Result<QueryOutput, Malformed> {
        let parts = present(reply, plan)?;
        Ok(QueryOutput {
            items: parts.items,
            count: parts.count,
            scanned_count: parts.scanned,
            last_evaluated_key: parts.last,
            consumed_capacity: parts.capacity,
        })
    }
}

/// What expressions and older parameters of a request say.
#[derive(Default)]
struct Expressions {
    conditions: Vec<KeyCondition>,
    filter: Option<Condition>,
    projection: Option<Projection>,
    start: Option<Vec<u8>>,
}

fn read_query(input: &QueryInput) -> Result<Expressions, Fault> {
    let expressions = [
        ("KeyConditionExpression", input.key_condition_expression.is_some()),
        ("FilterExpression", input.filter_expression.is_some()),
        ("ProjectionExpression", input.projection_expression.is_some()),
    ];
    check_mixing(
        &[
            ("KeyConditions", input.key_conditions.is_some()),
            ("QueryFilter", input.query_filter.is_some()),
            ("ConditionalOperator", input.conditional_operator.is_some()),
            ("AttributesToGet", input.attributes_to_get.is_some()),
        ],
        &expressions,
    )?;
    let mut scope =
        scope(input.expression_attribute_names.as_ref(), input.expression_attribute_values.as_ref(), false)?;
    if expressions.iter().all(|(_, is_given)| !is_given) {
        scope.check_needed()?;
    }
    let mut read = Expressions {
        filter: conditional("FilterExpression", input.filter_expression.as_ref(), &mut scope)?,
        projection: projected(input.projection_expression.as_ref(), &mut scope)?,
        ..Expressions::default()
    };
    match (&input.key_condition_expression, &input.key_conditions) {
        (Some(text), _) => read.conditions = key_conditions(text, &mut scope)?,
        (None, Some(conditions)) => {
            if !(1..=2).contains(&conditions.0.len()) {
                return Err(Fault::invalid("Conditions can be of length 1 or 2 only"));
            }
            for (name, condition) in &conditions.0 {
                let list = values(condition.attribute_value_list.as_ref())?.unwrap_or_default();
                let operator = condition.comparison_operator.as_deref().unwrap_or_default();
                read.conditions.push(key_tested(name, operator, list)?);
            }
        }
        (None, None) => {
            return Err(Fault::invalid(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            ));
        }
    }
    scope.check_used()?;
    if read.filter.is_none() {
        let older = input.query_filter.as_ref();
        read.filter = filter("QueryFilter", older, input.conditional_operator.as_ref())?;
    }
    read.start = input.exclusive_start_key.as_ref().map(item).transpose()?;
    Ok(read)
}

/// Scan.
#[derive(Clone, Debug)]
pub struct Scan(Look);

/// Segments of a scan (facts/dynamodb.md § 10).
const SEGMENTS: i32 = 1_000_000;

impl Operation<State> for Scan {
    type Input = ScanInput;
    type Output = ScanOutput;
    type Plan = Presented;

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ScanInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Self::prepare_with_plan(input, asker).map(|(command, _)| command)
    }

    fn prepare_with_plan(input: ScanInput, asker: &Asker<'_>) -> Result<(Self, Presented), Refusal> {
        let mut faults = Faults::default();
        let table = table(input.table_name.as_ref(), asker, &mut faults)?;
        let select = select(input.select.as_ref(), &mut faults);
        let capacity = mode(input.return_consumed_capacity.as_ref(), &mut faults);
        if let Some(limit) = input.limit {
            faults.range(limit, "limit", 1, i32::MAX);
        }
        if let Some(total) = input.total_segments {
            faults.range(total, "totalSegments", 1, SEGMENTS);
        }
        if let Some(segment) = input.segment {
            faults.range(segment, "segment", 0, SEGMENTS - 1);
        }
        faults.refusal()?;
        let segment = segment(input.segment, input.total_segments)?;
        let parameter = match (&input.projection_expression, &input.attributes_to_get) {
            (Some(_), _) => Some("ProjectionExpression"),
            (None, Some(_)) => Some("AttributesToGet"),
            (None, None) => None,
        };
        check_select(select, input.index_name.as_ref(), parameter)?;
        let read = read_scan(&input).map_err(|fault| of_fault(&fault, false))?;
        let older = attributes(input.attributes_to_get.as_ref())?;
        let is_consistent = input.consistent_read.unwrap_or_default();
        let look = Look {
            table,
            index: input.index_name,
            select,
            filtered: Vec::new(),
            limit: input.limit.and_then(|limit| limit.try_into().ok()),
            is_consistent,
            start: read.start,
            forward: true,
            what: Looked::Scan(segment),
        };
        let plan = Presented {
            table: input.table_name.unwrap_or_default(),
            select,
            filter: read.filter,
            projection: read.projection.or(older),
            is_consistent,
            capacity,
        };
        Ok((Scan(look), plan))
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        self.0.decide(state)
    }

    fn present(reply: Reply, plan: &Presented, _: &()) -> Result<ScanOutput, Malformed> {
        let parts = present(reply, plan)?;
        Ok(ScanOutput {
            items: parts.items,
            count: parts.count,
            scanned_count: parts.scanned,
            last_evaluated_key: parts.last,
            consumed_capacity: parts.capacity,
        })
    }
}

fn segment(segment: Option<i32>, total: Option<i32>) -> Result<Option<(u32, u32)>, Refusal> {
    match (segment, total) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(invalid(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        )),
        (None, Some(_)) => Err(invalid(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        )),
        (Some(segment), Some(total)) if segment >= total => Err(invalid(format_args!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not less than TotalSegments: {total}"
        ))),
        // Both were checked to be in range.
        (Some(segment), Some(total)) => Ok(segment.try_into().ok().zip(total.try_into().ok())),
    }
}

fn read_scan(input: &ScanInput) -> Result<Expressions, Fault> {
    let expressions = [
        ("FilterExpression", input.filter_expression.is_some()),
        ("ProjectionExpression", input.projection_expression.is_some()),
    ];
    check_mixing(
        &[
            ("ScanFilter", input.scan_filter.is_some()),
            ("ConditionalOperator", input.conditional_operator.is_some()),
            ("AttributesToGet", input.attributes_to_get.is_some()),
        ],
        &expressions,
    )?;
    let mut scope =
        scope(input.expression_attribute_names.as_ref(), input.expression_attribute_values.as_ref(), true)?;
    if expressions.iter().all(|(_, is_given)| !is_given) {
        scope.check_needed()?;
    }
    let mut read = Expressions {
        filter: conditional("FilterExpression", input.filter_expression.as_ref(), &mut scope)?,
        projection: projected(input.projection_expression.as_ref(), &mut scope)?,
        ..Expressions::default()
    };
    scope.check_used()?;
    if read.filter.is_none() {
        read.filter = filter("ScanFilter", input.scan_filter.as_ref(), input.conditional_operator.as_ref())?;
    }
    read.start = input.exclusive_start_key.as_ref().map(item).transpose()?;
    Ok(read)
}
