//! Reads the fields of a Map state, inline or distributed.

use super::fields::Bounds;
use super::reader::{Object, Reader};
use super::{Distributed, ItemBatcher, ItemReader, Items, Map, QueryLanguage, ResultPath, ResultWriter};
use crate::jsonpath::Path;

const COUNT: Bounds = Bounds::Whole(0, i64::MAX);
/// Bounds of `MaxItems` (recorded: github.com/floci-io/floci/issues/3733).
const MAX_ITEMS: Bounds = Bounds::Whole(0, 100_000_000);
const BATCH_BYTES: Bounds = Bounds::Whole(0, 262_144);
const LABEL: usize = 40;

impl Object<'_> {
    pub(super) fn map(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<Map> {
        self.at_most_one(&["ItemProcessor", "Iterator"], reader);
        if !self.has("Iterator") {
            self.require(&["ItemProcessor"], reader);
        }
        let node = self.get("ItemProcessor").or_else(|| self.get("Iterator"));
        let mut processor = node.and_then(|node| reader.object(&node));
        let (distributed, express_child) =
            processor.as_mut().map_or((false, false), |object| object.mode(reader));
        let express = reader.express;
        reader.express |= express_child;
        let flow = processor.and_then(|mut object| {
            object.get("Comment");
            let flow = object.flow(reader);
            object.close(reader);
            flow
        });
        reader.express = express;
        let json_path = language == QueryLanguage::JsonPath;
        // `Parameters` is the older name of `ItemSelector`.
        let selector = match (json_path, self.has("ItemSelector")) {
            (true, false) => "Parameters",
            _ => "ItemSelector",
        };
        self.at_most_one(&["ItemSelector", "Parameters"], reader);
        let item_selector = self.templated(selector, language, reader);
        let distributed =
            if distributed { Some(self.distributed(express_child, language, reader)) } else { None };
        Some(Map {
            distributed,
            items: self.items(language, reader),
            item_selector,
            max_concurrency: self.amount("MaxConcurrency", COUNT, language, reader),
            result_selector: if json_path {
                self.templated("ResultSelector", language, reader)
            } else {
                None
            },
            result_path: if json_path { self.result_path(reader) } else { ResultPath::Replaces },
            processor: flow?,
        })
    }

    fn items(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Items {
        match language {
            QueryLanguage::Jsonata => {
                self.templated("Items", language, reader).map_or(Items::Input, Items::Template)
            }
            QueryLanguage::JsonPath => {
                let path = self.get("ItemsPath").and_then(|node| {
                    let path = reader.path(&node)?;
                    if !path.is_reference() {
                        reader.schema(&node.place, "Value is not a Reference Path");
                    }
                    Some(path)
                });
                path.or_else(|| Path::parse("$").ok()).map_or(Items::Input, Items::Path)
            }
        }
    }

    /// `ProcessorConfig`: whether the Map is distributed, and whether its children are express executions.
    fn mode(&mut self, reader: &mut Reader<'_>) -> (bool, bool) {
        let config = self.get("ProcessorConfig").and_then(|node| reader.object(&node));
        let Some(mut config) = config else { return (false, false) };
        let mode = config.get("Mode").and_then(|node| reader.one_of(&node, &["INLINE", "DISTRIBUTED"]));
        let kind =
            config.get("ExecutionType").and_then(|node| reader.one_of(&node, &["STANDARD", "EXPRESS"]));
        let distributed = mode == Some("DISTRIBUTED");
        if distributed {
            config.require(&["ExecutionType"], reader);
            if reader.express {
                reader.schema(&config.place, "Express state machine does not support Distributed Map");
            }
        }
        config.close(reader);
        (distributed, distributed && kind == Some("EXPRESS"))
    }

    fn distributed(
        &mut self,
        express: bool,
        language: QueryLanguage,
        reader: &mut Reader<'_>,
    ) -> Distributed {
        let label = self.get("Label").and_then(|node| {
            let label = reader.text(&node)?;
            if label.chars().count() > LABEL {
                reader.schema(&node.place, format!("Maximum length is {LABEL}"));
            }
            Some(label.to_owned())
        });
        Distributed {
            express,
            label,
            item_reader: self.item_reader(language, reader),
            item_batcher: self.item_batcher(language, reader),
            result_writer: self.result_writer(language, reader),
            tolerated_count: self.amount("ToleratedFailureCount", COUNT, language, reader),
            tolerated_percentage: self.amount(
                "ToleratedFailurePercentage",
                Bounds::Number(0.0, 100.0),
                language,
                reader,
            ),
        }
    }

    fn item_reader(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<ItemReader> {
        let node = self.get("ItemReader")?;
        let mut object = reader.object(&node)?;
        object.check_language(language, reader);
        object.require(&["Resource"], reader);
        let resource = object.get("Resource").and_then(|node| reader.text(&node).map(str::to_owned));
        let parameters = object.payload(language, reader);
        let config = object.get("ReaderConfig").and_then(|node| reader.object(&node));
        let mut members = serde_json::Map::new();
        let mut max_items = None;
        if let Some(mut config) = config {
            members = config.members.clone();
            config.check_language(language, reader);
            max_items = config.amount("MaxItems", MAX_ITEMS, language, reader);
            for (name, allowed) in [
                ("InputType", &["CSV", "JSON", "JSONL", "PARQUET", "MANIFEST"][..]),
                ("CSVHeaderLocation", &["FIRST_ROW", "GIVEN"]),
                ("CSVDelimiter", &["COMMA", "PIPE", "SEMICOLON", "SPACE", "TAB"]),
                ("Transformation", &["NONE", "LOAD_AND_FLATTEN"]),
                ("ManifestType", &["ATHENA_DATA", "S3_INVENTORY"]),
            ] {
                config.get(name).map(|node| reader.one_of(&node, allowed));
            }
            config.get("CSVHeaders").map(|node| reader.items(&node));
            config.get("ItemsPointer").map(|node| reader.text(&node));
            config.close(reader);
        }
        object.close(reader);
        Some(ItemReader { resource: resource?, parameters, config: members, max_items })
    }

    fn item_batcher(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<ItemBatcher> {
        let node = self.get("ItemBatcher")?;
        let mut object = reader.object(&node)?;
        object.check_language(language, reader);
        let batcher = ItemBatcher {
            batch_input: object.templated("BatchInput", language, reader),
            max_items: object.amount("MaxItemsPerBatch", COUNT, language, reader),
            max_bytes: object.amount("MaxInputBytesPerBatch", BATCH_BYTES, language, reader),
        };
        object.close(reader);
        Some(batcher)
    }

    fn result_writer(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<ResultWriter> {
        let node = self.get("ResultWriter")?;
        let mut object = reader.object(&node)?;
        object.check_language(language, reader);
        let resource = object.get("Resource").and_then(|node| reader.text(&node).map(str::to_owned));
        let parameters = object.payload(language, reader);
        let config = object.get("WriterConfig").and_then(|node| reader.object(&node));
        let mut members = serde_json::Map::new();
        if let Some(mut config) = config {
            members = config.members.clone();
            for (name, allowed) in
                [("Transformation", &["NONE", "COMPACT", "FLATTEN"][..]), ("OutputType", &["JSON", "JSONL"])]
            {
                config.get(name).map(|node| reader.one_of(&node, allowed));
            }
            config.close(reader);
        }
        object.close(reader);
        Some(ResultWriter { resource, parameters, config: members })
    }
}
