//! The service's 85 operations: one row each. To add one, add a row.

use crate::admin::achievements::Achievement;
use crate::admin::attributes::Attribute;
use crate::admin::leaderboards::Leaderboard;
use crate::admin::metrics::Metric;
use crate::admin::points::{Boost, Level, PointsSystem, Trigger, create_systems};
use crate::admin::tenants::Tenant;
use crate::admin::{batches, create, delete, get, keys, list, settings, update};
use crate::admin::{streak_settings, streaks as their};
use crate::call::{Answer, Call};
use crate::limits::Tier::{self, One, Two};
use crate::service::Books;
use crate::world::World;
use crate::{achievements, events, leaderboards, metrics, points, preferences, streaks};
use crate::{users, wrapped};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Application,
    Admin,
}

#[derive(Clone, Copy)]
pub enum Handler {
    Plain(fn(&mut World, &Call) -> Answer),
    /// One that counts events, so writes into the ledger and may meet a poisoned one.
    Counting(fn(&mut World, &mut Books, &Call) -> Answer),
}

pub struct Operation {
    pub id: &'static str,
    pub api: Api,
    pub method: &'static str,
    pub path: &'static str,
    pub tier: Tier,
    /// Whether it answers a malformed request with 400, as some do, or with 422.
    pub knows_400: bool,
    pub handler: Handler,
}

const fn app(
    id: &'static str,
    method: &'static str,
    path: &'static str,
    tier: Tier,
    handler: fn(&mut World, &Call) -> Answer,
) -> Operation {
    row(
        id,
        Api::Application,
        method,
        path,
        tier,
        Handler::Plain(handler),
    )
}

const fn admin(
    id: &'static str,
    method: &'static str,
    path: &'static str,
    handler: fn(&mut World, &Call) -> Answer,
) -> Operation {
    row(id, Api::Admin, method, path, One, Handler::Plain(handler))
}

const fn row(
    id: &'static str,
    api: Api,
    method: &'static str,
    path: &'static str,
    tier: Tier,
    handler: Handler,
) -> Operation {
    Operation {
        id,
        api,
        method,
        path,
        tier,
        knows_400: false,
        handler,
    }
}

const fn with_400(operation: Operation) -> Operation {
    Operation {
        knows_400: true,
        ..operation
    }
}

#[rustfmt::skip]
pub static OPERATIONS: [Operation; 85] = [
    app("achievements_all", "GET", "/achievements", Two, achievements::all),
    app("achievements_complete", "POST", "/achievements/{key}/complete", One, achievements::complete_by_key),
    with_400(row("metrics_event", Api::Application, "POST", "/metrics/{key}/event", One, Handler::Counting(events::single))),
    with_400(app("users_create", "POST", "/users", Two, users::create)),
    with_400(app("users_get", "GET", "/users/{id}", Two, users::get)),
    with_400(app("users_identify", "PUT", "/users/{id}", Two, users::identify)),
    with_400(app("users_update", "PATCH", "/users/{id}", Two, users::update)),
    app("users_get_preferences", "GET", "/users/{id}/preferences", Two, preferences::get),
    app("users_update_preferences", "PATCH", "/users/{id}/preferences", Two, preferences::update),
    app("users_all_metrics", "GET", "/users/{id}/metrics", Two, metrics::all),
    app("users_single_metric", "GET", "/users/{id}/metrics/{key}", Two, metrics::single),
    app("users_metric_event_summary", "GET", "/users/{id}/metrics/{key}/event-summary", Two, metrics::event_summary),
    app("users_achievements", "GET", "/users/{id}/achievements", Two, achievements::of_user),
    app("users_streak", "GET", "/users/{id}/streak", Two, streaks::get),
    app("streaks_list", "GET", "/streaks", Two, streaks::list),
    app("users_points", "GET", "/users/{id}/points/{key}", Two, points::of_user),
    app("users_points_boosts", "GET", "/users/{id}/points/{key}/boosts", Two, points::boosts_of_user),
    app("users_points_event_summary", "GET", "/users/{id}/points/{key}/event-summary", Two, points::event_summary),
    app("users_leaderboard", "GET", "/users/{id}/leaderboards/{key}", Two, leaderboards::of_user),
    app("users_wrapped", "GET", "/users/{id}/wrapped", Two, wrapped::get),
    app("points_summary", "GET", "/points/{key}/summary", Two, points::points_summary),
    app("points_system", "GET", "/points/{key}", Two, points::system),
    app("points_boosts", "GET", "/points/{key}/boosts", Two, points::boosts),
    app("points_levels", "GET", "/points/{key}/levels", Two, points::levels),
    app("points_level_summary", "GET", "/points/{key}/level-summary", Two, points::level_summary),
    app("leaderboards_all", "GET", "/leaderboards", Two, leaderboards::all),
    app("leaderboards_get", "GET", "/leaderboards/{key}", Two, leaderboards::get),

    admin("admin_attributes_list", "GET", "/attributes", list::<Attribute>),
    admin("admin_attributes_create", "POST", "/attributes", create::<Attribute>),
    admin("admin_attributes_update", "PATCH", "/attributes", update::<Attribute>),
    admin("admin_attributes_delete", "DELETE", "/attributes", delete::<Attribute>),
    admin("admin_attributes_get", "GET", "/attributes/{id}", get::<Attribute>),
    admin("admin_metrics_list", "GET", "/metrics", list::<Metric>),
    admin("admin_metrics_create", "POST", "/metrics", create::<Metric>),
    admin("admin_metrics_update", "PATCH", "/metrics", update::<Metric>),
    admin("admin_metrics_delete", "DELETE", "/metrics", delete::<Metric>),
    admin("admin_metrics_get", "GET", "/metrics/{id}", get::<Metric>),
    with_400(row("admin_metrics_batch_events", Api::Admin, "POST", "/metrics/events", One, Handler::Counting(batches::create))),
    admin("admin_points_systems_list", "GET", "/points", list::<PointsSystem>),
    admin("admin_points_systems_create", "POST", "/points", create_systems),
    admin("admin_points_systems_update", "PATCH", "/points", update::<PointsSystem>),
    admin("admin_points_systems_delete", "DELETE", "/points", delete::<PointsSystem>),
    admin("admin_points_systems_get", "GET", "/points/{id}", get::<PointsSystem>),
    admin("admin_points_boosts_list", "GET", "/points/{id}/boosts", list::<Boost>),
    admin("admin_points_boosts_create", "POST", "/points/{id}/boosts", create::<Boost>),
    admin("admin_points_boosts_update", "PATCH", "/points/{id}/boosts", update::<Boost>),
    admin("admin_points_boosts_delete", "DELETE", "/points/{id}/boosts", delete::<Boost>),
    admin("admin_points_boosts_get", "GET", "/points/{id}/boosts/{part}", get::<Boost>),
    admin("admin_points_levels_list", "GET", "/points/{id}/levels", list::<Level>),
    admin("admin_points_levels_create", "POST", "/points/{id}/levels", create::<Level>),
    admin("admin_points_levels_update", "PATCH", "/points/{id}/levels", update::<Level>),
    admin("admin_points_levels_delete", "DELETE", "/points/{id}/levels", delete::<Level>),
    admin("admin_points_levels_get", "GET", "/points/{id}/levels/{part}", get::<Level>),
    admin("admin_points_triggers_list", "GET", "/points/{id}/triggers", list::<Trigger>),
    admin("admin_points_triggers_create", "POST", "/points/{id}/triggers", create::<Trigger>),
    admin("admin_points_triggers_update", "PATCH", "/points/{id}/triggers", update::<Trigger>),
    admin("admin_points_triggers_delete", "DELETE", "/points/{id}/triggers", delete::<Trigger>),
    admin("admin_points_triggers_get", "GET", "/points/{id}/triggers/{part}", get::<Trigger>),
    admin("admin_leaderboards_list", "GET", "/leaderboards", list::<Leaderboard>),
    admin("admin_leaderboards_create", "POST", "/leaderboards", create::<Leaderboard>),
    admin("admin_leaderboards_update", "PATCH", "/leaderboards", update::<Leaderboard>),
    admin("admin_leaderboards_delete", "DELETE", "/leaderboards", delete::<Leaderboard>),
    admin("admin_leaderboards_get", "GET", "/leaderboards/{id}", get::<Leaderboard>),
    with_400(admin("admin_streaks_freezes_create", "POST", "/streaks/freezes", their::create_freezes)),
    admin("admin_streaks_pauses_create", "POST", "/streaks/pauses", their::create_pauses),
    admin("admin_streaks_pauses_delete", "DELETE", "/streaks/pauses", their::delete_pauses),
    with_400(admin("admin_streaks_restore", "POST", "/streaks/restore", their::restore)),
    admin("admin_application_api_keys_create", "POST", "/application-api-keys", keys::create),
    admin("admin_application_api_keys_delete", "DELETE", "/application-api-keys", keys::delete),
    admin("admin_tenants_list", "GET", "/tenants", list::<Tenant>),
    admin("admin_tenants_create", "POST", "/tenants", create::<Tenant>),
    admin("admin_tenants_update", "PATCH", "/tenants", update::<Tenant>),
    admin("admin_tenants_delete", "DELETE", "/tenants", delete::<Tenant>),
    admin("admin_tenants_get", "GET", "/tenants/{id}", get::<Tenant>),
    admin("admin_achievements_list", "GET", "/achievements", list::<Achievement>),
    admin("admin_achievements_create", "POST", "/achievements", create::<Achievement>),
    admin("admin_achievements_update", "PATCH", "/achievements", update::<Achievement>),
    admin("admin_achievements_delete", "DELETE", "/achievements", delete::<Achievement>),
    admin("admin_achievements_get", "GET", "/achievements/{id}", get::<Achievement>),
    admin("admin_environments_list", "GET", "/environments", settings::environments),
    admin("admin_settings_get", "GET", "/settings", settings::get),
    admin("admin_settings_update", "PATCH", "/settings", settings::update),
    admin("admin_streaks_settings_get", "GET", "/streaks/settings", streak_settings::get),
    admin("admin_streaks_settings_update", "PATCH", "/streaks/settings", streak_settings::update),
    with_400(admin("admin_streaks_reset", "POST", "/streaks/reset", their::reset)),
];

pub fn find(id: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.id == id)
}
