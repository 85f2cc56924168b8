//! GitHub's own description of the bodies of its webhooks, as a check of what the simulator sends.

use std::sync::OnceLock;

use serde_json::Value;

use super::schema::Schemas;

/// The schemas of the events that an App like ours hears of.
const DOCUMENT: &str = include_str!("../data/webhooks.json");

/// The description, read once.
pub(crate) struct Events {
    document: Value,
    schemas: Schemas,
}

impl Events {
    pub(crate) fn get() -> &'static Self {
        static EVENTS: OnceLock<Events> = OnceLock::new();
        EVENTS.get_or_init(|| {
            let document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON");
            let schemas = Schemas::of(&document);
            Self { document, schemas }
        })
    }

    /// Every way in which the body of this event departs from the description.
    pub(crate) fn check(&self, event: &str, body: &Value) -> Vec<String> {
        let action = body["action"].as_str().map(|action| format!("-{action}"));
        let name = format!("{event}{}", action.unwrap_or_default()).replace('_', "-");
        let content = "post/requestBody/content/application~1json/schema";
        let pointer = format!("/x-webhooks/{name}/{content}");
        if self.document.pointer(&pointer).is_none() {
            return vec![format!("webhook {name}: there is no such event")];
        }
        let errors = self.schemas.errors(&pointer, body);
        errors.into_iter().map(|(at, what)| format!("webhook {name}: {at}: {what}")).collect()
    }
}
