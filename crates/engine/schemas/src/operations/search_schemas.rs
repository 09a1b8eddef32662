//! SearchSchemas: schemas of a registry whose names or contents contain words.

use api::schemas::{
    SearchSchemaSummary, SearchSchemaVersionSummary, SearchSchemasInput, SearchSchemasOutput,
};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::registries::known;
use super::schemas::after;
use super::{Context, Decision, Found, Reply, shown, text};
use crate::records::{SchemaDeclared, VersionDeclared};
use crate::rules::names;
use crate::rules::pages::{self, Page};
use crate::state::State;
use crate::{RegistryKey, limits, refusals};

/// SearchSchemas.
#[derive(Clone, Debug)]
pub struct SearchSchemas {
    registry: RegistryKey,
    /// In small letters.
    words: Vec<String>,
    page: Page,
}

impl Operation<State> for SearchSchemas {
    type Input = SearchSchemasInput;
    type Output = SearchSchemasOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: SearchSchemasInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let registry = names::registry(input.registry_name.as_ref(), asker)?;
        let words = input.keywords.as_deref().unwrap_or_default().split_whitespace();
        let words: Vec<String> = words.map(str::to_lowercase).collect();
        if words.is_empty() {
            return Err(refusals::bad_request("Keywords is missing."));
        }
        Ok(SearchSchemas { registry, words, page: pages::page(input.next_token.as_deref(), input.limit)? })
    }

    /// Tells those with all of the words, by name. A page looks at a bounded number of bytes.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        if let Err(refusal) = known(state, &self.registry) {
            return refusal.into();
        }
        let mut theirs = state.schemas_from(&self.registry, after(&self.registry, &self.page, ""));
        // Which schemas one page looks at.
        let mut bytes = 0;
        let looked_at = theirs.by_ref().take_while(|schema| {
            let before = bytes;
            bytes += newest(schema, state).map(|version| version.content.len()).sum::<usize>();
            before < limits::SEARCHED_BYTES
        });
        let looked_at = looked_at.count();
        let all = state.schemas_from(&self.registry, after(&self.registry, &self.page, ""));
        let named = all.map(|schema| (schema.key.name.clone(), self.found(schema, state)));
        Decision::answer(Reply::Found(self.page.fill_some(named, looked_at)))
    }

    fn present(reply: Reply, _: &(), _: &()) -> Result<SearchSchemasOutput, Malformed> {
        let Reply::Found(listed) = reply else { return Err(Malformed) };
        let summary = |Found { schema, versions }: Found| SearchSchemaSummary {
            registry_name: text(schema.key.registry.name.clone()),
            schema_arn: text(schema.key.arn()),
            schema_name: text(schema.key.name),
            schema_versions: Some(
                versions
                    .into_iter()
                    .map(|(key, created, dialect)| SearchSchemaVersionSummary {
                        created_date: shown(created),
                        schema_version: text(key.version.to_string()),
                        r#type: text(dialect.name()),
                    })
                    .collect(),
            ),
        };
        Ok(SearchSchemasOutput {
            next_token: listed.next_token.map(Into::into),
            schemas: Some(listed.items.into_iter().map(summary).collect()),
        })
    }
}

impl SearchSchemas {
    /// The versions of a schema that contain the words, or all if its name does.
    fn found(&self, schema: &SchemaDeclared, state: &State) -> Option<Found> {
        let contains = |text: &str| {
            let text = text.to_lowercase();
            self.words.iter().all(|word| text.contains(word.as_str()))
        };
        let is_named = contains(&schema.key.name);
        let told = |version: &VersionDeclared| (version.key, version.created, version.dialect);
        let mut versions: Vec<_> = match is_named {
            true => state.versions_of(schema.id).rev().map(told).collect(),
            false => newest(schema, state).filter(|version| contains(&version.content)).map(told).collect(),
        };
        versions.reverse();
        (!versions.is_empty()).then(|| Found { schema: schema.clone(), versions })
    }
}

/// The versions of a schema that a search looks at, the newest first.
fn newest<'s>(schema: &SchemaDeclared, state: &'s State) -> impl Iterator<Item = &'s VersionDeclared> {
    let mut bytes = 0;
    state.versions_of(schema.id).rev().take_while(move |version| {
        let before = bytes;
        bytes += version.content.len();
        before < limits::SEARCHED_BYTES
    })
}
