//! Versions of schemas: they are listed, exported and deleted.

use api::schemas::{
    DeleteSchemaVersionInput, DeleteSchemaVersionOutput, ExportSchemaInput, ExportSchemaOutput,
    ListSchemaVersionsInput, ListSchemaVersionsOutput, SchemaVersionSummary,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::schemas::{schema, version};
use super::{Context, Decision, Reply, decided, done, text};
use crate::inference::{Dialect, read, write};
use crate::records::Record;
use crate::rules::pages::{self, Page};
use crate::rules::{content, names};
use crate::state::State;
use crate::{SchemaKey, VersionKey, refusals};

/// ListSchemaVersions.
#[derive(Clone, Debug)]
pub struct ListSchemaVersions {
    key: SchemaKey,
    page: Page,
    after: u64,
}

impl Operation<State> for ListSchemaVersions {
    type Input = ListSchemaVersionsInput;
    type Output = ListSchemaVersionsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListSchemaVersionsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = names::schema(input.registry_name.as_ref(), input.schema_name.as_ref(), asker)?;
        let page = pages::page(input.next_token.as_deref(), input.limit)?;
        let after =
            page.after_number().map_err(|_| refusals::bad_request("NextToken is not one of this list."))?;
        Ok(ListSchemaVersions { key, page, after: after.unwrap_or(0) })
    }

    /// Tells them, the oldest first.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(schema(state, &self.key).map(|schema| {
            let rest = state.versions_of(schema.id).filter(|version| version.key.version > self.after);
            let listed = rest.map(|it| (it.key.version.to_string(), (it.key, it.dialect)));
            Decision::answer(Reply::Versions(Box::new(schema.clone()), self.page.fill(listed)))
        }))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<ListSchemaVersionsOutput, Malformed> {
        let Reply::Versions(schema, listed) = reply else { return Err(Malformed) };
        let summary = |(key, dialect): (VersionKey, Dialect)| SchemaVersionSummary {
            schema_arn: text(schema.key.arn()),
            schema_name: text(schema.key.name.clone()),
            schema_version: text(key.version.to_string()),
            r#type: text(dialect.name()),
        };
        Ok(ListSchemaVersionsOutput {
            next_token: listed.next_token.map(Into::into),
            schema_versions: Some(listed.items.into_iter().map(summary).collect()),
        })
    }
}

/// DeleteSchemaVersion.
#[derive(Clone, Debug)]
pub struct DeleteSchemaVersion {
    key: SchemaKey,
    version: u64,
}

impl Operation<State> for DeleteSchemaVersion {
    type Input = DeleteSchemaVersionInput;
    type Output = DeleteSchemaVersionOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Delete;

    fn prepare(input: DeleteSchemaVersionInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = names::schema(input.registry_name.as_ref(), input.schema_name.as_ref(), asker)?;
        let version = names::version(input.schema_version.as_deref().unwrap_or_default())?;
        Ok(DeleteSchemaVersion { key, version })
    }

    /// A schema without versions would have no content: the last one goes with its schema.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(schema(state, &self.key).and_then(|schema| {
            let gone = version(state, schema, Some(self.version))?;
            if state.versions_of(schema.id).nth(1).is_none() {
                return Err(refusals::bad_request(format!(
                    "{} is the only version of {}. Delete the schema.",
                    self.version, self.key.name
                )));
            }
            let fact = state.versions.deletion(&gone.key).map(Record::VersionDeleted);
            Ok(done(fact.into_iter().collect(), Reply::Done))
        }))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<DeleteSchemaVersionOutput, Malformed> {
        reply.done()
    }
}

/// ExportSchema.
#[derive(Clone, Debug)]
pub struct ExportSchema {
    key: SchemaKey,
    version: Option<u64>,
}

impl Operation<State> for ExportSchema {
    type Input = ExportSchemaInput;
    type Output = ExportSchemaOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ExportSchemaInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let key = names::schema(input.registry_name.as_ref(), input.schema_name.as_ref(), asker)?;
        if content::dialect(input.r#type.as_deref())? != Dialect::Draft4 {
            return Err(refusals::bad_request("Schemas are exported as JSONSchemaDraft4 only."));
        }
        Ok(ExportSchema { key, version: input.schema_version.as_deref().map(names::version).transpose()? })
    }

    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        decided(schema(state, &self.key).and_then(|schema| {
            if !self.key.registry.is_discovered() {
                // Recorded by users of AWS.
                let text = "You cannot export non discovered or non aws managed schemas.";
                return Err(refusals::forbidden(text));
            }
            let version = version(state, schema, self.version)?;
            Ok(Decision::answer(Reply::Schema(Box::new(schema.clone()), version.clone())))
        }))
    }

    /// The discovered document says the same in the other language.
    fn present(reply: Reply, _: &(), _: &()) -> Result<ExportSchemaOutput, Malformed> {
        let Reply::Schema(schema, version) = reply else { return Err(Malformed) };
        let (subject, shape) = read(&version.content).ok_or(Malformed)?;
        Ok(ExportSchemaOutput {
            content: text(write(Dialect::Draft4, &subject, &shape)),
            schema_arn: text(schema.key.arn()),
            schema_name: text(schema.key.name),
            schema_version: text(version.key.version.to_string()),
            r#type: text(Dialect::Draft4.name()),
        })
    }
}
