//! The service's own description, to hold replies against.

use std::collections::BTreeMap;

use serde_json::Value;

/// The service's descriptions: operation id to status to schema.
pub struct Description {
    schemas: BTreeMap<String, BTreeMap<u16, jsonschema::Validator>>,
}

impl Description {
    pub fn read(folder: &std::path::Path) -> Self {
        let mut schemas: BTreeMap<String, BTreeMap<u16, _>> = BTreeMap::new();
        for file in ["application.json", "admin.json"] {
            let text = std::fs::read_to_string(folder.join("trophy-api").join(file)).unwrap();
            let document: Value = serde_json::from_str(&text).unwrap();
            for path in document["paths"].as_object().unwrap().values() {
                for operation in path.as_object().unwrap().values() {
                    let Some(id) = operation["operationId"].as_str() else {
                        continue;
                    };
                    for (status, reply) in operation["responses"].as_object().unwrap() {
                        let mut schema = reply["content"]["application/json"]["schema"].clone();
                        assert!(schema.is_object(), "{id} {status}");
                        schema["components"] = document["components"].clone();
                        let validator = jsonschema::draft202012::options()
                            .should_validate_formats(true)
                            .build(&schema)
                            .unwrap();
                        let of = schemas.entry(id.to_owned()).or_default();
                        of.insert(status.parse().unwrap(), validator);
                    }
                }
            }
        }
        Self { schemas }
    }

    /// Whether an operation may give this reply.
    pub fn check(&self, id: &str, status: u16, body: &Value) -> Result<(), String> {
        // The descriptions leave out the 202 of a replay, the 429 and, all but once, the 403.
        let as_if = match (id, status) {
            ("metrics_event", 202) => 201,
            (_, 403 | 429) => 401,
            _ => status,
        };
        let of = self.schemas.get(id);
        let of = of.ok_or_else(|| format!("{id} is not described"))?;
        let Some(schema) = of.get(&as_if) else {
            return Err(format!("{id} may not answer {status}: {body}"));
        };
        let faults: Vec<String> = schema
            .iter_errors(body)
            .map(|fault| format!("{}: {fault}", fault.instance_path))
            .collect();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(format!("{id} {status}: {}", faults.join("\n")))
        }
    }
}
