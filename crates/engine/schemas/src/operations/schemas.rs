//! Schemas: they are made, shown, listed, changed and deleted.

use std::ops::Bound;
use std::sync::Arc;

use api::schemas::{
    CreateSchemaInput, CreateSchemaOutput, DeleteSchemaInput, DeleteSchemaOutput, DescribeSchemaInput,
    DescribeSchemaOutput, ListSchemasInput, ListSchemasOutput, SchemaSummary, UpdateSchemaInput,
    UpdateSchemaOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::tags::Tags;

use super::registries::{known, own};
use super::tags::check;
use super::{Context, Decision, Reply, Setting, decided, done, shown, text};
use crate::discovery::added;
use crate::inference::Dialect;
use crate::records::{Record, SchemaDeclared, VersionDeclared};
use crate::rules::pages::{self, Page};
use crate::rules::{content, names};
use crate::state::State;
use crate::{RegistryKey, SchemaKey, VersionKey, limits, refusals};

/// A schema that was made or changed, in an answer. The shapes have different names and the same members.
macro_rules! changed {
    ($output:ident, $schema:ident, $version:ident) => {
        $output {
            description: $schema.description.map(Into::into),
            last_modified: shown($schema.modified),
            schema_arn: text($schema.key.arn()),
            schema_name: text($schema.key.name),
            schema_version: text($version.key.version.to_string()),
            tags: super::tags($schema.tags),
            r#type: text($version.dialect.name()),
            version_created_date: shown($version.created),
        }
    };
}

/// A schema that is there.
pub(super) fn schema<'s>(state: &'s State, key: &SchemaKey) -> Result<&'s SchemaDeclared, Refusal> {
    known(state, &key.registry)?;
    state.schema(key).ok_or_else(|| refusals::missing("Schema", &key.name))
}

/// One version of a schema, or the latest.
pub(super) fn version<'s>(
    state: &'s State,
    schema: &SchemaDeclared,
    version: Option<u64>,
) -> Result<&'s VersionDeclared, Refusal> {
    let found = match version {
        Some(version) => state.versions.get(&VersionKey { schema: schema.id, version }),
        None => state.versions_of(schema.id).next_back(),
    };
    found.ok_or_else(|| {
        let version = version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        refusals::missing("Schema version", &format!("{version} of {}", schema.key.name))
    })
}

/// CreateSchema.
#[derive(Clone, Debug)]
pub struct CreateSchema {
    key: SchemaKey,
    description: Option<String>,
    dialect: Dialect,
    content: Arc<str>,
    tags: Tags,
}

impl Operation<State> for CreateSchema {
    type Input = CreateSchemaInput;
    type Output = CreateSchemaOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateSchemaInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = names::schema(input.registry_name.as_ref(), input.schema_name.as_ref(), asker)?;
        let dialect = content::dialect(input.r#type.as_deref())?;
        let given = input.content.as_deref().unwrap_or_default();
        content::check(given, dialect)?;
        Ok(CreateSchema {
            key,
            description: names::description(input.description.as_ref())?,
            dialect,
            content: given.into(),
            tags: check(input.tags.as_ref())?,
        })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.create(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<CreateSchemaOutput, Malformed> {
        let Reply::Schema(schema, version) = reply else { return Err(Malformed) };
        Ok(changed!(CreateSchemaOutput, schema, version))
    }
}

impl CreateSchema {
    fn create<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        let registry = own(state, &self.key.registry)?;
        if state.schema(&self.key).is_some() {
            return Err(refusals::exists("Schema", &self.key.name));
        }
        if setting.limits.quotas && state.schemas_in(&registry.key).count() >= limits::SCHEMAS {
            return Err(refusals::quota_exceeded("schemas of a registry", limits::SCHEMAS));
        }
        if !state.has_room_for(&self.content) {
            return Err(refusals::no_room());
        }
        let schema = SchemaDeclared {
            id: setting.numbers.draw(),
            key: self.key.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            modified: setting.now,
            latest: 0,
            token: 0,
        };
        Ok(with_version(schema, self.dialect, self.content.clone(), setting))
    }
}

/// A schema gets another version, which is the answer.
fn with_version<'a>(
    schema: SchemaDeclared,
    dialect: Dialect,
    content: Arc<str>,
    setting: &Setting<'_>,
) -> Decision<'a> {
    let facts = added(schema, dialect, content, setting);
    match &facts[..] {
        [Record::SchemaDeclared(schema), Record::VersionDeclared(version)] => {
            let reply = Reply::Schema(Box::new(schema.clone()), version.clone());
            done(facts, reply)
        }
        _ => done(facts, Reply::Done),
    }
}

/// UpdateSchema.
#[derive(Clone, Debug)]
pub struct UpdateSchema {
    key: SchemaKey,
    description: Option<String>,
    dialect: Option<Dialect>,
    content: Option<Arc<str>>,
    token: u64,
}

impl Operation<State> for UpdateSchema {
    type Input = UpdateSchemaInput;
    type Output = UpdateSchemaOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: UpdateSchemaInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = names::schema(input.registry_name.as_ref(), input.schema_name.as_ref(), asker)?;
        let dialect = input.r#type.as_deref().map(|given| content::dialect(Some(given))).transpose()?;
        if let (Some(given), Some(dialect)) = (&input.content, dialect) {
            content::check(given, dialect)?;
        }
        let token = input.client_token_id.as_deref().filter(|token| !token.is_empty());
        if token.is_some_and(|token| token.chars().count() > 36) {
            return Err(refusals::bad_request("ClientTokenId is longer than 36 characters."));
        }
        Ok(UpdateSchema {
            key,
            description: names::description(input.description.as_ref())?,
            dialect,
            content: input.content.as_deref().map(Into::into),
            token: token.map_or(0, kernel::token_hash),
        })
    }

    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        decided(self.update(state, &context.setting))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<UpdateSchemaOutput, Malformed> {
        let Reply::Schema(schema, version) = reply else { return Err(Malformed) };
        Ok(changed!(UpdateSchemaOutput, schema, version))
    }
}

impl UpdateSchema {
    /// What is not said stays. A content that differs from the latest version's is a new version.
    fn update<'a>(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'a>, Refusal> {
        own(state, &self.key.registry)?;
        let known = schema(state, &self.key)?;
        let latest = version(state, known, None)?;
        if self.token != 0 && self.token == known.token {
            return Ok(Decision::answer(Reply::Schema(Box::new(known.clone()), latest.clone())));
        }
        let dialect = self.dialect.unwrap_or(latest.dialect);
        let content = self.content.clone().unwrap_or_else(|| latest.content.clone());
        let changed = SchemaDeclared {
            description: self.description.clone().or_else(|| known.description.clone()),
            token: self.token,
            modified: setting.now,
            ..known.clone()
        };
        if (dialect, &content) == (latest.dialect, &latest.content) {
            let reply = Reply::Schema(Box::new(changed.clone()), latest.clone());
            return Ok(done(vec![Record::SchemaDeclared(changed)], reply));
        }
        if self.dialect.is_none() || self.content.is_none() {
            // Only what was given with its type has been checked.
            content::check(&content, dialect)?;
        }
        if state.versions_of(known.id).count() >= limits::VERSIONS {
            return Err(refusals::quota_exceeded("versions of a schema", limits::VERSIONS));
        }
        if !state.has_room_for(&content) {
            return Err(refusals::no_room());
        }
        Ok(with_version(changed, dialect, content, setting))
    }
}

/// DescribeSchema.
#[derive(Clone, Debug)]
pub struct DescribeSchema {
    key: SchemaKey,
    version: Option<u64>,
}

impl Operation<State> for DescribeSchema {
    type Input = DescribeSchemaInput;
    type Output = DescribeSchemaOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: DescribeSchemaInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = names::schema(input.registry_name.as_ref(), input.schema_name.as_ref(), asker)?;
        Ok(DescribeSchema { key, version: input.schema_version.as_deref().map(names::version).transpose()? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let found = schema(state, &self.key).and_then(|schema| {
            Ok(Reply::Schema(Box::new(schema.clone()), version(state, schema, self.version)?.clone()))
        });
        decided(found.map(Decision::answer))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DescribeSchemaOutput, Malformed> {
        let Reply::Schema(schema, version) = reply else { return Err(Malformed) };
        Ok(DescribeSchemaOutput {
            content: text(&*version.content),
            description: schema.description.map(Into::into),
            last_modified: shown(schema.modified),
            schema_arn: text(schema.key.arn()),
            schema_name: text(schema.key.name),
            schema_version: text(version.key.version.to_string()),
            tags: super::tags(schema.tags),
            r#type: text(version.dialect.name()),
            version_created_date: shown(version.created),
        })
    }
}

/// DeleteSchema.
#[derive(Clone, Debug)]
pub struct DeleteSchema(SchemaKey);

impl Operation<State> for DeleteSchema {
    type Input = DeleteSchemaInput;
    type Output = DeleteSchemaOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteSchemaInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        names::schema(input.registry_name.as_ref(), input.schema_name.as_ref(), asker).map(DeleteSchema)
    }

    /// Its versions go with it. Discovered schemas can be deleted, too: they come again with the next event.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let schema = schema(state, &self.0);
        decided(schema.map(|schema| done(state.deletion_of_schema(schema), Reply::Done)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeleteSchemaOutput, Malformed> {
        reply.done()
    }
}

/// ListSchemas.
#[derive(Clone, Debug)]
pub struct ListSchemas {
    registry: RegistryKey,
    prefix: String,
    page: Page,
}

impl Operation<State> for ListSchemas {
    type Input = ListSchemasInput;
    type Output = ListSchemasOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListSchemasInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let registry = names::registry(input.registry_name.as_ref(), asker)?;
        let prefix = input.schema_name_prefix.as_deref().unwrap_or_default().to_owned();
        Ok(ListSchemas { registry, prefix, page: pages::page(input.next_token.as_deref(), input.limit)? })
    }

    /// Tells them, by name.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        if let Err(refusal) = known(state, &self.registry) {
            return refusal.into();
        }
        let theirs = state.schemas_from(&self.registry, after(&self.registry, &self.page, &self.prefix));
        let theirs = theirs.take_while(|schema| schema.key.name.starts_with(&self.prefix));
        let named = theirs
            .map(|schema| (schema.key.name.clone(), (schema.clone(), state.versions_of(schema.id).count())));
        Decision::answer(Reply::Schemas(self.page.fill(named)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListSchemasOutput, Malformed> {
        let Reply::Schemas(listed) = reply else { return Err(Malformed) };
        let summary = |(schema, versions): (SchemaDeclared, usize)| SchemaSummary {
            last_modified: shown(schema.modified),
            schema_arn: text(schema.key.arn()),
            schema_name: text(schema.key.name),
            tags: super::tags(schema.tags),
            version_count: versions.try_into().ok(),
        };
        Ok(ListSchemasOutput {
            next_token: listed.next_token.map(Into::into),
            schemas: Some(listed.items.into_iter().map(summary).collect()),
        })
    }
}

/// Where a page of a registry's schemas begins.
pub(super) fn after(registry: &RegistryKey, page: &Page, prefix: &str) -> Bound<SchemaKey> {
    let key = |name: &str| SchemaKey { registry: registry.clone(), name: name.to_owned() };
    match page.after.as_deref().filter(|after| *after >= prefix) {
        Some(after) => Bound::Excluded(key(after)),
        None => Bound::Included(key(prefix)),
    }
}
