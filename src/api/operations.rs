//! THE TABLE: one row for each of the service's 85 operations. A new endpoint is one more row here,
//! and nothing else: `trophy_call`, the header's `TROPHY_OP_*` macros and the tests follow from it.
//!
//! Source: the service's OpenAPI files, version 1.27.0; docs/api-version.md says how the next comes in.
//! This file depends on nothing, since build.rs takes it in to write the header.

/// One operation: how its arguments become a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// The service's operation id.
    pub name: &'static str,
    pub api: Api,
    pub method: Method,
    /// Below the API's base URL; `{name}` is a path parameter.
    pub path: &'static str,
    pub query: &'static [Query],
    pub body: Body,
    /// Whether the operation takes the `Tenant-ID` header.
    pub tenant: bool,
}

/// The two APIs of the service, each with a base URL of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Application,
    Admin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// A query parameter.
#[derive(Debug, PartialEq, Eq)]
pub struct Query {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    Integer,
    Boolean,
    /// `true` sends "true"; `false` leaves it out, as the service knows only "true"; a string goes as it is.
    OnlyTrue,
    /// An array of strings, sent as a repeated parameter.
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    None,
    Object,
    Array,
}

/// The operation the library exists for: see `event.rs`.
pub const EVENT: &str = "metrics_event";
/// The batch form of [`EVENT`], for admin keys.
pub const EVENT_BATCH: &str = "admin_metrics_batch_events";
/// The operation whose body is a user in an object of its own.
pub const COMPLETION: &str = "achievements_complete";

/// Finds an operation by its id, among those that this build has.
pub fn find(name: &str) -> Option<&'static Operation> {
    let admin = if cfg!(feature = "admin") {
        ADMIN
    } else {
        WITHOUT_ADMIN
    };
    let mut all = APPLICATION.iter().chain(admin);
    all.find(|operation| operation.name == name)
}

/// All that the service has, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    APPLICATION.iter().chain(ADMIN)
}

impl Operation {
    /// The names of its path parameters, in the order of the path.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    const fn query(mut self, query: &'static [Query]) -> Self {
        self.query = query;
        self
    }

    const fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// For tenants and application-api-keys, which belong to the whole organisation.
    const fn without_tenant(mut self) -> Self {
        self.tenant = false;
        self
    }
}

impl Method {
    pub const fn as_str(self) -> &'static str {
        match self {
            Get => "GET",
            Post => "POST",
            Put => "PUT",
            Patch => "PATCH",
            Delete => "DELETE",
        }
    }

    /// Whether sending it twice does what sending it once does (RFC 9110, 9.2.2). PATCH is among
    /// them, since the service's PATCH operations set values and never add to them.
    pub const fn is_repeatable(self) -> bool {
        !matches!(self, Post)
    }
}

use Body::{Array, Object};
use Method::{Delete, Get, Patch, Post, Put};

const fn row(api: Api, method: Method, name: &'static str, path: &'static str) -> Operation {
    Operation {
        name,
        api,
        method,
        path,
        query: &[],
        body: Body::None,
        tenant: true,
    }
}

const fn app(method: Method, name: &'static str, path: &'static str) -> Operation {
    row(Api::Application, method, name, path)
}

const fn admin(method: Method, name: &'static str, path: &'static str) -> Operation {
    row(Api::Admin, method, name, path)
}

const fn optional(name: &'static str, kind: Kind) -> Query {
    Query {
        name,
        kind,
        required: false,
    }
}

const fn required(name: &'static str, kind: Kind) -> Query {
    Query {
        name,
        kind,
        required: true,
    }
}

/// A period to sum over: `startDate` and `endDate` are dates, `aggregation` is daily, weekly or monthly.
const PERIOD: &[Query] = &[
    required("aggregation", Kind::String),
    required("startDate", Kind::String),
    required("endDate", Kind::String),
];
/// A page of a list.
const PAGE: &[Query] = &[
    optional("limit", Kind::Integer),
    optional("skip", Kind::Integer),
];
const IDS: &[Query] = &[required("ids", Kind::List)];
const USER_ATTRIBUTES: &[Query] = &[optional("userAttributes", Kind::String)];
const INCLUDE_FINISHED: &[Query] = &[optional("includeFinished", Kind::Boolean)];

/// What the queue delivers batches with.
const BATCH: Operation = admin(Post, EVENT_BATCH, "/metrics/events").body(Array);

#[rustfmt::skip] // A row a line.
pub const APPLICATION: &[Operation] = &[
    app(Get, "achievements_all", "/achievements").query(USER_ATTRIBUTES),
    app(Post, "achievements_complete", "/achievements/{key}/complete").body(Object),
    app(Post, "metrics_event", "/metrics/{key}/event").body(Object),
    app(Post, "users_create", "/users").body(Object),
    app(Get, "users_get", "/users/{id}"),
    app(Put, "users_identify", "/users/{id}").body(Object),
    app(Patch, "users_update", "/users/{id}").body(Object),
    app(Get, "users_get_preferences", "/users/{id}/preferences"),
    app(Patch, "users_update_preferences", "/users/{id}/preferences").body(Object),
    app(Get, "users_all_metrics", "/users/{id}/metrics"),
    app(Get, "users_single_metric", "/users/{id}/metrics/{key}"),
    app(Get, "users_metric_event_summary", "/users/{id}/metrics/{key}/event-summary").query(PERIOD),
    app(Get, "users_achievements", "/users/{id}/achievements").query(&[
        optional("includeIncomplete", Kind::OnlyTrue),
    ]),
    app(Get, "users_streak", "/users/{id}/streak").query(&[optional("historyPeriods", Kind::Integer)]),
    app(Get, "streaks_list", "/streaks").query(&[required("userIds", Kind::List)]),
    app(Get, "users_points", "/users/{id}/points/{key}").query(&[optional("awards", Kind::Integer)]),
    app(Get, "users_points_boosts", "/users/{id}/points/{key}/boosts"),
    app(Get, "users_points_event_summary", "/users/{id}/points/{key}/event-summary").query(PERIOD),
    app(Get, "users_leaderboard", "/users/{id}/leaderboards/{key}").query(&[
        optional("run", Kind::String),
        optional("numEvents", Kind::Integer),
    ]),
    app(Get, "users_wrapped", "/users/{id}/wrapped").query(&[optional("year", Kind::Integer)]),
    app(Get, "points_summary", "/points/{key}/summary").query(USER_ATTRIBUTES),
    app(Get, "points_system", "/points/{key}"),
    app(Get, "points_boosts", "/points/{key}/boosts").query(INCLUDE_FINISHED),
    app(Get, "points_levels", "/points/{key}/levels"),
    app(Get, "points_level_summary", "/points/{key}/level-summary"),
    app(Get, "leaderboards_all", "/leaderboards").query(INCLUDE_FINISHED),
    app(Get, "leaderboards_get", "/leaderboards/{key}").query(&[
        optional("offset", Kind::Integer),
        optional("limit", Kind::Integer),
        optional("run", Kind::String),
        optional("userId", Kind::String),
        optional("userAttributes", Kind::String),
    ]),
];

/// What is left of [`ADMIN`] in a build without the feature `admin`.
const WITHOUT_ADMIN: &[Operation] = &[BATCH];

#[rustfmt::skip] // A row a line.
pub const ADMIN: &[Operation] = &[
    admin(Get, "admin_attributes_list", "/attributes").query(PAGE),
    admin(Post, "admin_attributes_create", "/attributes").body(Array),
    admin(Patch, "admin_attributes_update", "/attributes").body(Array),
    admin(Delete, "admin_attributes_delete", "/attributes").query(IDS),
    admin(Get, "admin_attributes_get", "/attributes/{id}"),
    admin(Get, "admin_metrics_list", "/metrics").query(PAGE),
    admin(Post, "admin_metrics_create", "/metrics").body(Array),
    admin(Patch, "admin_metrics_update", "/metrics").body(Array),
    admin(Delete, "admin_metrics_delete", "/metrics").query(IDS),
    admin(Get, "admin_metrics_get", "/metrics/{id}"),
    BATCH,
    admin(Get, "admin_points_systems_list", "/points").query(PAGE),
    admin(Post, "admin_points_systems_create", "/points").body(Array),
    admin(Patch, "admin_points_systems_update", "/points").body(Array),
    admin(Delete, "admin_points_systems_delete", "/points").query(IDS),
    admin(Get, "admin_points_systems_get", "/points/{id}"),
    admin(Get, "admin_points_boosts_list", "/points/{systemId}/boosts").query(PAGE),
    admin(Post, "admin_points_boosts_create", "/points/{systemId}/boosts").body(Array),
    admin(Patch, "admin_points_boosts_update", "/points/{systemId}/boosts").body(Array),
    admin(Delete, "admin_points_boosts_delete", "/points/{systemId}/boosts").query(IDS),
    admin(Get, "admin_points_boosts_get", "/points/{systemId}/boosts/{id}"),
    admin(Get, "admin_points_levels_list", "/points/{systemId}/levels").query(PAGE),
    admin(Post, "admin_points_levels_create", "/points/{systemId}/levels").body(Array),
    admin(Patch, "admin_points_levels_update", "/points/{systemId}/levels").body(Array),
    admin(Delete, "admin_points_levels_delete", "/points/{systemId}/levels").query(IDS),
    admin(Get, "admin_points_levels_get", "/points/{systemId}/levels/{id}"),
    admin(Get, "admin_points_triggers_list", "/points/{systemId}/triggers").query(PAGE),
    admin(Post, "admin_points_triggers_create", "/points/{systemId}/triggers").body(Array),
    admin(Patch, "admin_points_triggers_update", "/points/{systemId}/triggers").body(Array),
    admin(Delete, "admin_points_triggers_delete", "/points/{systemId}/triggers").query(IDS),
    admin(Get, "admin_points_triggers_get", "/points/{systemId}/triggers/{id}"),
    admin(Get, "admin_leaderboards_list", "/leaderboards").query(PAGE),
    admin(Post, "admin_leaderboards_create", "/leaderboards").body(Array),
    admin(Patch, "admin_leaderboards_update", "/leaderboards").body(Array),
    admin(Delete, "admin_leaderboards_delete", "/leaderboards").query(IDS),
    admin(Get, "admin_leaderboards_get", "/leaderboards/{id}"),
    admin(Post, "admin_streaks_freezes_create", "/streaks/freezes").body(Object),
    admin(Post, "admin_streaks_pauses_create", "/streaks/pauses").body(Object),
    admin(Delete, "admin_streaks_pauses_delete", "/streaks/pauses").query(IDS),
    admin(Post, "admin_streaks_restore", "/streaks/restore").body(Object),
    admin(Post, "admin_application_api_keys_create", "/application-api-keys").body(Array).without_tenant(),
    admin(Delete, "admin_application_api_keys_delete", "/application-api-keys").query(IDS).without_tenant(),
    admin(Get, "admin_tenants_list", "/tenants").query(PAGE).without_tenant(),
    admin(Post, "admin_tenants_create", "/tenants").body(Array).without_tenant(),
    admin(Patch, "admin_tenants_update", "/tenants").body(Array).without_tenant(),
    admin(Delete, "admin_tenants_delete", "/tenants").query(IDS).without_tenant(),
    admin(Get, "admin_tenants_get", "/tenants/{id}").without_tenant(),
    admin(Get, "admin_achievements_list", "/achievements").query(PAGE),
    admin(Post, "admin_achievements_create", "/achievements").body(Array),
    admin(Patch, "admin_achievements_update", "/achievements").body(Array),
    admin(Delete, "admin_achievements_delete", "/achievements").query(IDS),
    admin(Get, "admin_achievements_get", "/achievements/{id}"),
    admin(Get, "admin_environments_list", "/environments"),
    admin(Get, "admin_settings_get", "/settings"),
    admin(Patch, "admin_settings_update", "/settings").body(Object),
    admin(Get, "admin_streaks_settings_get", "/streaks/settings"),
    admin(Patch, "admin_streaks_settings_update", "/streaks/settings").body(Object),
    admin(Post, "admin_streaks_reset", "/streaks/reset").body(Object),
];
