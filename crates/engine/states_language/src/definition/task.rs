//! Reads the fields of a Task state.

use super::fields::Bounds;
use super::reader::{Node, Object, Reader};
use super::{Code, Pattern, QueryLanguage, Resource, ResultPath, Task};
use crate::template::Template;

const SECONDS: Bounds = Bounds::Whole(1, 99_999_999);

impl Object<'_> {
    pub(super) fn task(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<Task> {
        self.require(&["Resource"], reader);
        let node = self.get("Resource");
        let resource = node.and_then(|node| reader.resource(&node));
        let timeout = self.amount("TimeoutSeconds", SECONDS, language, reader);
        let heartbeat = self.amount("HeartbeatSeconds", SECONDS, language, reader);
        if let (Some(Template::Literal(timeout)), Some(Template::Literal(heartbeat))) = (&timeout, &heartbeat)
            && heartbeat.as_i64() >= timeout.as_i64()
        {
            reader.schema(&self.place, "HeartbeatSeconds must be smaller than TimeoutSeconds");
        }
        let parameters = self.payload(language, reader);
        let json_path = language == QueryLanguage::JsonPath;
        Some(Task {
            parameters,
            result_selector: if json_path {
                self.templated("ResultSelector", language, reader)
            } else {
                None
            },
            result_path: if json_path { self.result_path(reader) } else { ResultPath::Replaces },
            timeout,
            heartbeat,
            credentials: self.credentials(language, reader),
            resource: resource?,
        })
    }

    fn credentials(&mut self, language: QueryLanguage, reader: &mut Reader<'_>) -> Option<Template> {
        let node = self.get("Credentials")?;
        let members = reader.object(&node)?;
        if !members.has("RoleArn") && !members.has("RoleArn.$") {
            reader.schema(&node.place, "The field 'RoleArn' is required but was missing");
        }
        Some(reader.template(&node, language))
    }
}

impl Reader<'_> {
    fn resource(&mut self, node: &Node<'_>) -> Option<Resource> {
        let arn = self.text(node)?;
        let resource = Resource::parse(arn).filter(|resource| (self.recognizes)(resource));
        let Some(resource) = resource else {
            let message = format!(
                "The resource provided {arn} is not recognized. The value is not a valid resource ARN, or the \
                 resource is not available in this region."
            );
            self.schema(&node.place, message);
            return None;
        };
        if !(self.serves)(&resource) {
            let message = format!("The server does not serve the resource {arn}. A task of it fails.");
            self.warning(Code::ResourceNotServed, &node.place, message);
        }
        if self.express {
            // The blank at the end of the text for tokens is AWS's (facts/stepfunctions.md § 6).
            let refused = match (&resource, resource.pattern()) {
                (Resource::Activity(_), _) => Some("Activity ARN".to_owned()),
                (_, Pattern::RequestResponse) => None,
                (_, Pattern::WaitForTaskToken) => Some("'.waitForTaskToken' service integration ".to_owned()),
                (_, pattern) => Some(format!("'{}' service integration", pattern.suffix())),
            };
            if let Some(refused) = refused {
                self.schema(&node.place, format!("Express state machine does not support {refused}"));
            }
        }
        Some(resource)
    }
}
