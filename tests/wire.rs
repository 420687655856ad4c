//! Each of the 85 operations on the wire: method, path, query and body, for ids with `/`, a space and `é`.

mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::Echo;
use trophy::api::operations::{self, Body, Kind, Operation};
use trophy::client::Client;

/// Operation, arguments; method, target and body as they must be sent. From the service's OpenAPI files.
#[rustfmt::skip]
const EXPECTED: &[(&str, &str, &str, &str, &str)] = &[
    ("achievements_all", r#"{"userAttributes":"a&b é"}"#, "GET", "/app/achievements?userAttributes=a%26b%20%C3%A9", ""),
    ("achievements_complete", r#"{"key":"key/b é","body":{"user":{"id":"é"}}}"#, "POST", "/app/achievements/key%2Fb%20%C3%A9/complete", r#"{"user":{"id":"é"}}"#),
    ("metrics_event", r#"{"key":"key/b é","body":{"user":{"id":"é"},"value":2.5}}"#, "POST", "/app/metrics/key%2Fb%20%C3%A9/event", r#"{"user":{"id":"é"},"value":2.5}"#),
    ("users_create", r#"{"body":{"name":"é \"q\""}}"#, "POST", "/app/users", r#"{"name":"é \"q\""}"#),
    ("users_get", r#"{"id":"id/b é"}"#, "GET", "/app/users/id%2Fb%20%C3%A9", ""),
    ("users_identify", r#"{"id":"id/b é","body":{"name":"é \"q\""}}"#, "PUT", "/app/users/id%2Fb%20%C3%A9", r#"{"name":"é \"q\""}"#),
    ("users_update", r#"{"id":"id/b é","body":{"name":"é \"q\""}}"#, "PATCH", "/app/users/id%2Fb%20%C3%A9", r#"{"name":"é \"q\""}"#),
    ("users_get_preferences", r#"{"id":"id/b é"}"#, "GET", "/app/users/id%2Fb%20%C3%A9/preferences", ""),
    ("users_update_preferences", r#"{"id":"id/b é","body":{"name":"é \"q\""}}"#, "PATCH", "/app/users/id%2Fb%20%C3%A9/preferences", r#"{"name":"é \"q\""}"#),
    ("users_all_metrics", r#"{"id":"id/b é"}"#, "GET", "/app/users/id%2Fb%20%C3%A9/metrics", ""),
    ("users_single_metric", r#"{"id":"id/b é","key":"key/b é"}"#, "GET", "/app/users/id%2Fb%20%C3%A9/metrics/key%2Fb%20%C3%A9", ""),
    ("users_metric_event_summary", r#"{"id":"id/b é","key":"key/b é","aggregation":"a&b é","startDate":"a&b é","endDate":"a&b é"}"#, "GET", "/app/users/id%2Fb%20%C3%A9/metrics/key%2Fb%20%C3%A9/event-summary?aggregation=a%26b%20%C3%A9&startDate=a%26b%20%C3%A9&endDate=a%26b%20%C3%A9", ""),
    ("users_achievements", r#"{"id":"id/b é","includeIncomplete":true}"#, "GET", "/app/users/id%2Fb%20%C3%A9/achievements?includeIncomplete=true", ""),
    ("users_streak", r#"{"id":"id/b é","historyPeriods":7}"#, "GET", "/app/users/id%2Fb%20%C3%A9/streak?historyPeriods=7", ""),
    ("streaks_list", r#"{"userIds":["a/b","c,d"]}"#, "GET", "/app/streaks?userIds=a%2Fb&userIds=c%2Cd", ""),
    ("users_points", r#"{"id":"id/b é","key":"key/b é","awards":7}"#, "GET", "/app/users/id%2Fb%20%C3%A9/points/key%2Fb%20%C3%A9?awards=7", ""),
    ("users_points_boosts", r#"{"id":"id/b é","key":"key/b é"}"#, "GET", "/app/users/id%2Fb%20%C3%A9/points/key%2Fb%20%C3%A9/boosts", ""),
    ("users_points_event_summary", r#"{"id":"id/b é","key":"key/b é","aggregation":"a&b é","startDate":"a&b é","endDate":"a&b é"}"#, "GET", "/app/users/id%2Fb%20%C3%A9/points/key%2Fb%20%C3%A9/event-summary?aggregation=a%26b%20%C3%A9&startDate=a%26b%20%C3%A9&endDate=a%26b%20%C3%A9", ""),
    ("users_leaderboard", r#"{"id":"id/b é","key":"key/b é","run":"a&b é","numEvents":7}"#, "GET", "/app/users/id%2Fb%20%C3%A9/leaderboards/key%2Fb%20%C3%A9?run=a%26b%20%C3%A9&numEvents=7", ""),
    ("users_wrapped", r#"{"id":"id/b é","year":7}"#, "GET", "/app/users/id%2Fb%20%C3%A9/wrapped?year=7", ""),
    ("points_summary", r#"{"key":"key/b é","userAttributes":"a&b é"}"#, "GET", "/app/points/key%2Fb%20%C3%A9/summary?userAttributes=a%26b%20%C3%A9", ""),
    ("points_system", r#"{"key":"key/b é"}"#, "GET", "/app/points/key%2Fb%20%C3%A9", ""),
    ("points_boosts", r#"{"key":"key/b é","includeFinished":true}"#, "GET", "/app/points/key%2Fb%20%C3%A9/boosts?includeFinished=true", ""),
    ("points_levels", r#"{"key":"key/b é"}"#, "GET", "/app/points/key%2Fb%20%C3%A9/levels", ""),
    ("points_level_summary", r#"{"key":"key/b é"}"#, "GET", "/app/points/key%2Fb%20%C3%A9/level-summary", ""),
    ("leaderboards_all", r#"{"includeFinished":true}"#, "GET", "/app/leaderboards?includeFinished=true", ""),
    ("leaderboards_get", r#"{"key":"key/b é","offset":7,"limit":7,"run":"a&b é","userId":"a&b é","userAttributes":"a&b é"}"#, "GET", "/app/leaderboards/key%2Fb%20%C3%A9?offset=7&limit=7&run=a%26b%20%C3%A9&userId=a%26b%20%C3%A9&userAttributes=a%26b%20%C3%A9", ""),
    ("admin_attributes_list", r#"{"limit":7,"skip":7}"#, "GET", "/admin/attributes?limit=7&skip=7", ""),
    ("admin_attributes_create", r#"{"body":[{"name":"é \"q\""}]}"#, "POST", "/admin/attributes", r#"[{"name":"é \"q\""}]"#),
    ("admin_attributes_update", r#"{"body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/attributes", r#"[{"name":"é \"q\""}]"#),
    ("admin_attributes_delete", r#"{"ids":["a/b","c,d"]}"#, "DELETE", "/admin/attributes?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_attributes_get", r#"{"id":"id/b é"}"#, "GET", "/admin/attributes/id%2Fb%20%C3%A9", ""),
    ("admin_metrics_list", r#"{"limit":7,"skip":7}"#, "GET", "/admin/metrics?limit=7&skip=7", ""),
    ("admin_metrics_create", r#"{"body":[{"name":"é \"q\""}]}"#, "POST", "/admin/metrics", r#"[{"name":"é \"q\""}]"#),
    ("admin_metrics_update", r#"{"body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/metrics", r#"[{"name":"é \"q\""}]"#),
    ("admin_metrics_delete", r#"{"ids":["a/b","c,d"]}"#, "DELETE", "/admin/metrics?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_metrics_get", r#"{"id":"id/b é"}"#, "GET", "/admin/metrics/id%2Fb%20%C3%A9", ""),
    ("admin_metrics_batch_events", r#"{"body":[{"key":"k","user":{"id":"é"},"value":1,"idempotencyKey":"i"}]}"#, "POST", "/admin/metrics/events", r#"[{"key":"k","user":{"id":"é"},"value":1,"idempotencyKey":"i"}]"#),
    ("admin_points_systems_list", r#"{"limit":7,"skip":7}"#, "GET", "/admin/points?limit=7&skip=7", ""),
    ("admin_points_systems_create", r#"{"body":[{"name":"é \"q\""}]}"#, "POST", "/admin/points", r#"[{"name":"é \"q\""}]"#),
    ("admin_points_systems_update", r#"{"body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/points", r#"[{"name":"é \"q\""}]"#),
    ("admin_points_systems_delete", r#"{"ids":["a/b","c,d"]}"#, "DELETE", "/admin/points?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_points_systems_get", r#"{"id":"id/b é"}"#, "GET", "/admin/points/id%2Fb%20%C3%A9", ""),
    ("admin_points_boosts_list", r#"{"systemId":"systemId/b é","limit":7,"skip":7}"#, "GET", "/admin/points/systemId%2Fb%20%C3%A9/boosts?limit=7&skip=7", ""),
    ("admin_points_boosts_create", r#"{"systemId":"systemId/b é","body":[{"name":"é \"q\""}]}"#, "POST", "/admin/points/systemId%2Fb%20%C3%A9/boosts", r#"[{"name":"é \"q\""}]"#),
    ("admin_points_boosts_update", r#"{"systemId":"systemId/b é","body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/points/systemId%2Fb%20%C3%A9/boosts", r#"[{"name":"é \"q\""}]"#),
    ("admin_points_boosts_delete", r#"{"systemId":"systemId/b é","ids":["a/b","c,d"]}"#, "DELETE", "/admin/points/systemId%2Fb%20%C3%A9/boosts?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_points_boosts_get", r#"{"systemId":"systemId/b é","id":"id/b é"}"#, "GET", "/admin/points/systemId%2Fb%20%C3%A9/boosts/id%2Fb%20%C3%A9", ""),
    ("admin_points_levels_list", r#"{"systemId":"systemId/b é","limit":7,"skip":7}"#, "GET", "/admin/points/systemId%2Fb%20%C3%A9/levels?limit=7&skip=7", ""),
    ("admin_points_levels_create", r#"{"systemId":"systemId/b é","body":[{"name":"é \"q\""}]}"#, "POST", "/admin/points/systemId%2Fb%20%C3%A9/levels", r#"[{"name":"é \"q\""}]"#),
    ("admin_points_levels_update", r#"{"systemId":"systemId/b é","body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/points/systemId%2Fb%20%C3%A9/levels", r#"[{"name":"é \"q\""}]"#),
    ("admin_points_levels_delete", r#"{"systemId":"systemId/b é","ids":["a/b","c,d"]}"#, "DELETE", "/admin/points/systemId%2Fb%20%C3%A9/levels?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_points_levels_get", r#"{"systemId":"systemId/b é","id":"id/b é"}"#, "GET", "/admin/points/systemId%2Fb%20%C3%A9/levels/id%2Fb%20%C3%A9", ""),
    ("admin_points_triggers_list", r#"{"systemId":"systemId/b é","limit":7,"skip":7}"#, "GET", "/admin/points/systemId%2Fb%20%C3%A9/triggers?limit=7&skip=7", ""),
    ("admin_points_triggers_create", r#"{"systemId":"systemId/b é","body":[{"name":"é \"q\""}]}"#, "POST", "/admin/points/systemId%2Fb%20%C3%A9/triggers", r#"[{"name":"é \"q\""}]"#),
    ("admin_points_triggers_update", r#"{"systemId":"systemId/b é","body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/points/systemId%2Fb%20%C3%A9/triggers", r#"[{"name":"é \"q\""}]"#),
    ("admin_points_triggers_delete", r#"{"systemId":"systemId/b é","ids":["a/b","c,d"]}"#, "DELETE", "/admin/points/systemId%2Fb%20%C3%A9/triggers?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_points_triggers_get", r#"{"systemId":"systemId/b é","id":"id/b é"}"#, "GET", "/admin/points/systemId%2Fb%20%C3%A9/triggers/id%2Fb%20%C3%A9", ""),
    ("admin_leaderboards_list", r#"{"limit":7,"skip":7}"#, "GET", "/admin/leaderboards?limit=7&skip=7", ""),
    ("admin_leaderboards_create", r#"{"body":[{"name":"é \"q\""}]}"#, "POST", "/admin/leaderboards", r#"[{"name":"é \"q\""}]"#),
    ("admin_leaderboards_update", r#"{"body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/leaderboards", r#"[{"name":"é \"q\""}]"#),
    ("admin_leaderboards_delete", r#"{"ids":["a/b","c,d"]}"#, "DELETE", "/admin/leaderboards?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_leaderboards_get", r#"{"id":"id/b é"}"#, "GET", "/admin/leaderboards/id%2Fb%20%C3%A9", ""),
    ("admin_streaks_freezes_create", r#"{"body":{"name":"é \"q\""}}"#, "POST", "/admin/streaks/freezes", r#"{"name":"é \"q\""}"#),
    ("admin_streaks_pauses_create", r#"{"body":{"name":"é \"q\""}}"#, "POST", "/admin/streaks/pauses", r#"{"name":"é \"q\""}"#),
    ("admin_streaks_pauses_delete", r#"{"ids":["a/b","c,d"]}"#, "DELETE", "/admin/streaks/pauses?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_streaks_restore", r#"{"body":{"name":"é \"q\""}}"#, "POST", "/admin/streaks/restore", r#"{"name":"é \"q\""}"#),
    ("admin_application_api_keys_create", r#"{"body":[{"name":"é \"q\""}]}"#, "POST", "/admin/application-api-keys", r#"[{"name":"é \"q\""}]"#),
    ("admin_application_api_keys_delete", r#"{"ids":["a/b","c,d"]}"#, "DELETE", "/admin/application-api-keys?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_tenants_list", r#"{"limit":7,"skip":7}"#, "GET", "/admin/tenants?limit=7&skip=7", ""),
    ("admin_tenants_create", r#"{"body":[{"name":"é \"q\""}]}"#, "POST", "/admin/tenants", r#"[{"name":"é \"q\""}]"#),
    ("admin_tenants_update", r#"{"body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/tenants", r#"[{"name":"é \"q\""}]"#),
    ("admin_tenants_delete", r#"{"ids":["a/b","c,d"]}"#, "DELETE", "/admin/tenants?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_tenants_get", r#"{"id":"id/b é"}"#, "GET", "/admin/tenants/id%2Fb%20%C3%A9", ""),
    ("admin_achievements_list", r#"{"limit":7,"skip":7}"#, "GET", "/admin/achievements?limit=7&skip=7", ""),
    ("admin_achievements_create", r#"{"body":[{"name":"é \"q\""}]}"#, "POST", "/admin/achievements", r#"[{"name":"é \"q\""}]"#),
    ("admin_achievements_update", r#"{"body":[{"name":"é \"q\""}]}"#, "PATCH", "/admin/achievements", r#"[{"name":"é \"q\""}]"#),
    ("admin_achievements_delete", r#"{"ids":["a/b","c,d"]}"#, "DELETE", "/admin/achievements?ids=a%2Fb&ids=c%2Cd", ""),
    ("admin_achievements_get", r#"{"id":"id/b é"}"#, "GET", "/admin/achievements/id%2Fb%20%C3%A9", ""),
    ("admin_environments_list", "{}", "GET", "/admin/environments", ""),
    ("admin_settings_get", "{}", "GET", "/admin/settings", ""),
    ("admin_settings_update", r#"{"body":{"name":"é \"q\""}}"#, "PATCH", "/admin/settings", r#"{"name":"é \"q\""}"#),
    ("admin_streaks_settings_get", "{}", "GET", "/admin/streaks/settings", ""),
    ("admin_streaks_settings_update", r#"{"body":{"name":"é \"q\""}}"#, "PATCH", "/admin/streaks/settings", r#"{"name":"é \"q\""}"#),
    ("admin_streaks_reset", r#"{"body":{"name":"é \"q\""}}"#, "POST", "/admin/streaks/reset", r#"{"name":"é \"q\""}"#),
];

#[test]
fn every_operation_is_on_the_wire_as_the_service_expects_it() {
    // given
    let echo = Echo::start();
    let options = format!(
        r#"{{"base_url":"{}","admin_base_url":"{}","tenant_id":"acme"}}"#,
        echo.url(),
        echo.admin_url()
    );
    let client = Client::new(Some("admin.test"), Some(&options)).unwrap();
    for (operation, args, method, target, body) in EXPECTED {
        // when
        let reply = client.call(operation, Some(args)).unwrap();
        // then
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["method"], *method, "{operation}");
        assert_eq!(reply["target"], *target, "{operation}");
        let received = echo.received().pop().unwrap();
        assert_eq!(received.body, *body, "{operation}");
        let headers = &reply["headers"];
        assert_eq!(headers["x-api-key"], "admin.test", "{operation}");
        let for_all = operation.contains("_tenants_") || operation.contains("_api_keys_");
        let tenant = if for_all { Value::Null } else { "acme".into() };
        assert_eq!(headers["tenant-id"], tenant, "{operation}");
        let json = (!body.is_empty()).then_some("application/json");
        assert_eq!(headers["content-type"].as_str(), json, "{operation}");
        let keyed = *operation == "metrics_event";
        assert_eq!(headers["idempotency-key"].is_string(), keyed, "{operation}");
    }
    assert_eq!(echo.received().len(), EXPECTED.len());
}

#[test]
fn none_is_left_out() {
    let expected: Vec<_> = EXPECTED.iter().map(|row| row.0).collect();
    let table: Vec<_> = operations::all().map(|operation| operation.name).collect();
    assert_eq!(expected, table);
    assert_eq!(expected.len(), 85);
}

/// A file of the service's description, where it is.
fn shared(name: &str) -> Option<String> {
    let shared = env::var_os("TROPHY_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let text = fs::read_to_string(shared.join("trophy-api").join(name)).ok();
    if text.is_none() {
        println!("skipped: no {name} in {}", shared.display());
    }
    text
}

#[test]
fn the_table_is_the_services_own() {
    let Some(theirs) = shared("operations.tsv") else {
        return;
    };
    // api, operation, method, path, query (! = required), body schema, …
    let theirs: BTreeMap<_, _> = theirs
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|row| (row[1].to_owned(), row))
        .collect();
    assert_eq!(theirs.len(), operations::all().count());
    for ours in operations::all() {
        let row = &theirs[ours.name];
        let api = format!("{:?}", ours.api).to_lowercase();
        assert_eq!(
            (api.as_str(), ours.method.as_str(), ours.path),
            (row[0], row[2], row[3])
        );
        let query: Vec<_> = ours
            .query
            .iter()
            .map(|query| format!("{}{}", query.name, if query.required { "!" } else { "" }))
            .collect();
        let their_query: Vec<_> = row[4]
            .split(',')
            .filter(|query| *query != "-")
            .filter_map(|query| Some(query.split_once(':')?.0))
            .collect();
        assert_eq!(query, their_query, "{}", ours.name);
    }
}

/// One operation as a line: what the table says of it, and what the OpenAPI file says, must be the same.
fn line(
    name: &str,
    method: &str,
    path: &str,
    query: impl Iterator<Item = String>,
    body: Body,
    tenant: bool,
) -> String {
    let query: Vec<String> = query.collect();
    let query = query.join(",");
    format!("{name} {method} {path} query={query} body={body:?} tenant={tenant}")
}

fn line_of_table(ours: &Operation) -> String {
    let query = ours.query.iter().map(|query| {
        let kind = match query.kind {
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
            Kind::OnlyTrue => "only true",
            Kind::List => "array",
        };
        format!("{}:{kind}:{}", query.name, query.required)
    });
    line(
        ours.name,
        ours.method.as_str(),
        ours.path,
        query,
        ours.body,
        ours.tenant,
    )
}

/// Follows a `$ref` of a document.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

/// The operations of an OpenAPI file, a line each.
fn lines_of_file(document: &Value) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(name) = operation["operationId"].as_str() else {
                continue;
            };
            let parameters: Vec<&Value> = [&item["parameters"], &operation["parameters"]]
                .into_iter()
                .filter_map(Value::as_array)
                .flatten()
                .map(|parameter| resolved(document, parameter))
                .collect();
            let query = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| {
                    let schema = &parameter["schema"];
                    let kind = match &schema["enum"] {
                        only if *only == serde_json::json!(["true"]) => "only true",
                        _ => schema["type"].as_str().unwrap(),
                    };
                    let required = parameter["required"] == true;
                    format!("{}:{kind}:{required}", parameter["name"].as_str().unwrap())
                });
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let schema = resolved(document, schema);
            let body = match schema["type"].as_str() {
                Some("array") => Body::Array,
                None if schema.is_null() => Body::None,
                _ => Body::Object,
            };
            let tenant = parameters.iter().any(|p| p["name"] == "Tenant-ID");
            let method = method.to_uppercase();
            lines.insert(
                name.to_owned(),
                line(name, &method, path, query, body, tenant),
            );
        }
    }
    lines
}

#[test]
fn the_table_says_what_the_openapi_files_say() {
    let mut theirs = BTreeMap::new();
    for file in ["application.json", "admin.json"] {
        let Some(text) = shared(file) else {
            return;
        };
        theirs.extend(lines_of_file(&serde_json::from_str(&text).unwrap()));
    }
    let ours: BTreeMap<String, String> = operations::all()
        .map(|operation| (operation.name.to_owned(), line_of_table(operation)))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn the_guide_names_the_version_of_the_files() {
    let guide =
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/api-version.md"))
            .unwrap();
    let first = guide.lines().find(|line| line.contains("version")).unwrap();
    let named = first.split("**").nth(1).unwrap();
    assert_eq!(named.split('.').count(), 3, "{first}");
    for file in ["application.json", "admin.json"] {
        let Some(text) = shared(file) else {
            return;
        };
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["info"]["version"], named, "{file}");
    }
}
