"""Writes the OpenAPI files for generated requests, and has something happen: describe.py FOLDER OUT ORIGIN KEY.

What is changed in the copies: replies that the service gives and its files leave out; no servers, since the sandbox is
one; and the names of what there is: in a request's body instead of any string, since few of those would ever be
taken, in paths and queries beside it. What a reply may hold stays the same.
"""

import json
import sys
import urllib.request

FOLDER, OUT, ORIGIN, KEY = sys.argv[1:]


def ask(path, body=None):
    """A GET, or a POST of a body."""
    headers = {"X-API-KEY": KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(ORIGIN + path, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def there_are(path, name="id"):
    return [item[name] for item in ask(f"/admin/v1/{path}?limit=100") if name in item]


users = ["18", "19"]
# So that there is a past to be asked for: a streak, awards, ranks on earlier days.
for day in ("2026-03-02", "2026-03-03", "2026-03-05"):
    ask("/_sandbox/clock", {"now": f"{day}T12:00:00Z"})
    for user in users:
        event = {"user": {"id": user}, "value": 40 + int(user), "attributes": {"genre": "poem"}}
        for metric in there_are("metrics", "key"):
            ask(f"/v1/metrics/{metric}/event", event)
ask("/v1/achievements/onboarded/complete", {"user": {"id": "18"}})
metrics, boards, systems = (there_are(path, "key") for path in ("metrics", "leaderboards", "points"))
system = there_are("points")[0]
IDS = {
    "attribute": there_are("attributes"),
    "metric": there_are("metrics"),
    "achievement": there_are("achievements"),
    "leaderboard": there_are("leaderboards"),
    "system": [system],
    "level": there_are(f"points/{system}/levels"),
    "boost": there_are(f"points/{system}/boosts"),
    "trigger": there_are(f"points/{system}/triggers"),
    "tenant": there_are("tenants"),
}
# Of a property, by its name.
PROPERTIES = {
    "metricId": IDS["metric"],
    "pointsSystemId": IDS["system"],
    "attributeId": IDS["attribute"],
    "achievementId": IDS["achievement"],
    "userId": users,
    "tz": ["Europe/London", "Pacific/Auckland"],
    "signUpDate": ["2020-08-20", "2024-02-29T12:00:00Z"],
    "attributeValue": ["pro"],
}
# Of a parameter, by its name.
QUERY = {"userAttributes": ["plan:pro", "plan:free,city:London"], "userId": users, "run": ["2026-03-02"],
         "Tenant-ID": ["acme"], "Idempotency-Key": ["key-1"]}
KEYS = {"/achievements/": there_are("achievements", "key"), "/metrics/": metrics, "/points/": systems,
        "/leaderboards/": boards}


def known(schema, values):
    return {"anyOf": [{"type": "string", "enum": values}, schema]}


def resource(name):
    """The resource that a schema, or a path, is about: the last that it names."""
    found = [(name.lower().rfind(noun), noun) for noun in IDS if noun in name.lower()]
    return max(found)[1] if found else None


def is_request(component):
    """Whether a component, or "", an operation's own schema, is in requests only."""
    if component.endswith("Response") or component.startswith("Created"):
        return False
    return component.startswith(("Create", "Update", "Patch", "Batch", "Upserted", "Restore", "Reset")) or not component


def describe_schema(schema, component):
    """Goes through a schema of requests; `component` is the name of the one it is in."""
    if isinstance(schema, list):
        return [describe_schema(part, component) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: describe_schema(part, component) for name, part in schema.items()}
    for name, of in schema.get("properties", {}).items():
        if not isinstance(of, dict) or "string" not in of.get("type", ""):
            continue
        values = PROPERTIES.get(name)
        if name == "id" and "User" in component or name == "id" and component.endswith("StreaksRequest"):
            values = [*users, "new"]
        elif name == "id" and resource(component):
            values = IDS[resource(component)]
        elif name == "key" and component in ("BatchMetricEvent", "StreakMetricPreference", "StreakSettingsMetric"):
            values = metrics
        if values:
            schema["properties"][name] = {"enum": values}
    attributes = schema.get("properties", {}).get("attributes")
    if attributes and attributes.get("additionalProperties") == {"type": "string"}:
        names = ("genre",) if component in ("", "BatchMetricEvent") else ("plan", "city")
        few = {"type": "object", "properties": {name: {"enum": ["pro", "poem", "London"]} for name in names},
               "additionalProperties": False}
        schema["properties"]["attributes"] = few
    return schema


def describe_parameter(parameter, path):
    name, schema = parameter.get("name"), parameter.get("schema")
    # Examples are sent by preference, and nobody has what these name.
    parameter.pop("example", None)
    parameter.pop("examples", None)
    values = QUERY.get(name)
    if parameter.get("in") == "path":
        before = path.split("{%s}" % name)[0]
        if before.endswith("/users/"):
            values = users
        elif name == "systemId" or before == "/points/" and name == "id":
            values = IDS["system"]
        elif name == "id":
            values = IDS[resource(before.rstrip("s/"))]
        else:
            values = KEYS[next(noun for noun in KEYS if before.endswith(noun))]
    if name == "userIds":
        schema["items"] = known(schema["items"], users)
    elif values:
        parameter["schema"] = known(schema, values)


for file in ("application", "admin"):
    with open(f"{FOLDER}/{file}.json", encoding="utf-8") as text:
        api = json.load(text)
    components = api["components"]
    for name, schema in components["schemas"].items():
        if is_request(name):
            components["schemas"][name] = describe_schema(schema, name)
    for parameter in components.get("parameters", {}).values():
        describe_parameter(parameter, "")
    for path, item in api["paths"].items():
        item.pop("servers", None)
        for method, operation in item.items():
            if not isinstance(operation, dict):
                continue
            for parameter in operation.get("parameters", []):
                describe_parameter(parameter, path)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                body["schema"] = describe_schema(body["schema"], "")
            if operation["operationId"] == "metrics_event":
                # A replay.
                operation["responses"]["202"] = operation["responses"]["201"]
    api.pop("servers", None)
    with open(f"{OUT}/{file}.json", "w", encoding="utf-8") as text:
        json.dump(api, text)
