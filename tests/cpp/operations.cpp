// The 26 functions of one operation each, and calls by name: method, path, query and body on the wire.
#include "check.hpp"

using namespace trophy;

static const char *const id = "a/b";
static const char *const key = "k";

static void check_wire(int line, const Result<Json> &reply, const char *method, const char *target,
                       const char *body = "null") {
  if (!reply) {
    check_same(__FILE__, line, reply.error().message(), "");
    return;
  }
  check_same(__FILE__, line, reply->string("/method"), method);
  check_same(__FILE__, line, reply->string("/target"), std::string("/app") + target);
  check_same(__FILE__, line, reply->string("/body"), body);
}

#define WIRE(...) check_wire(__LINE__, __VA_ARGS__)

static void every_function_sends_its_operation() {
  const Client client = make_client();
  const Object period{{"aggregation", "daily"}, {"startDate", "2026-01-01"}, {"endDate", "2026-01-31"}};
  const Object name{{"name", "Ada"}};

  WIRE(client.achievements_all(Object{{"userAttributes", "plan:pro"}}), "GET",
       "/achievements?userAttributes=plan%3Apro");
  WIRE(client.achievements_complete(key, User("42")), "POST", "/achievements/k/complete",
       R"({"user":{"id":"42"}})");
  WIRE(client.users_create(User("42").name("Ada")), "POST", "/users", R"({"id":"42","name":"Ada"})");
  WIRE(client.users_get(id), "GET", "/users/a%2Fb");
  WIRE(client.users_identify(id, name), "PUT", "/users/a%2Fb", R"({"name":"Ada"})");
  WIRE(client.users_update(id, name), "PATCH", "/users/a%2Fb", R"({"name":"Ada"})");
  WIRE(client.users_get_preferences(id), "GET", "/users/a%2Fb/preferences");
  WIRE(client.users_update_preferences(id, Object{{"notifications", Object()}}), "PATCH", "/users/a%2Fb/preferences",
       R"({"notifications":{}})");
  WIRE(client.users_all_metrics(id), "GET", "/users/a%2Fb/metrics");
  WIRE(client.users_single_metric(id, key), "GET", "/users/a%2Fb/metrics/k");
  WIRE(client.users_metric_event_summary(id, key, period), "GET",
       "/users/a%2Fb/metrics/k/event-summary?aggregation=daily&startDate=2026-01-01&endDate=2026-01-31");
  WIRE(client.users_achievements(id, Object{{"includeIncomplete", true}}), "GET",
       "/users/a%2Fb/achievements?includeIncomplete=true");
  WIRE(client.users_streak(id, Object{{"historyPeriods", 14}}), "GET", "/users/a%2Fb/streak?historyPeriods=14");
  WIRE(client.streaks_list(Object{{"userIds", Array{"42", "43"}}}), "GET", "/streaks?userIds=42&userIds=43");
  WIRE(client.users_points(id, key, Object{{"awards", 20}}), "GET", "/users/a%2Fb/points/k?awards=20");
  WIRE(client.users_points_boosts(id, key), "GET", "/users/a%2Fb/points/k/boosts");
  WIRE(client.users_points_event_summary(id, key, period), "GET",
       "/users/a%2Fb/points/k/event-summary?aggregation=daily&startDate=2026-01-01&endDate=2026-01-31");
  WIRE(client.users_leaderboard(id, key, Object{{"run", "2026-01-05"}}), "GET",
       "/users/a%2Fb/leaderboards/k?run=2026-01-05");
  WIRE(client.users_wrapped(id, Object{{"year", 2025}}), "GET", "/users/a%2Fb/wrapped?year=2025");
  WIRE(client.points_summary(key, Object{{"userAttributes", "plan:pro"}}), "GET",
       "/points/k/summary?userAttributes=plan%3Apro");
  WIRE(client.points_system(key), "GET", "/points/k");
  WIRE(client.points_boosts(key, Object{{"includeFinished", true}}), "GET", "/points/k/boosts?includeFinished=true");
  WIRE(client.points_levels(key), "GET", "/points/k/levels");
  WIRE(client.points_level_summary(key), "GET", "/points/k/level-summary");
  WIRE(client.leaderboards_all(Object{{"includeFinished", true}}), "GET", "/leaderboards?includeFinished=true");
  WIRE(client.leaderboards_get(key, Object{{"offset", 5}, {"limit", 10}}), "GET",
       "/leaderboards/k?offset=5&limit=10");
}

static void any_operation_goes_by_name() {
  const Client client = make_client();
  WIRE(client.call(TROPHY_OP_LEADERBOARDS_ALL), "GET", "/leaderboards");
  const auto admin = client.call(TROPHY_OP_ADMIN_TENANTS_CREATE, Object{{"body", Array{Object{{"name", "acme"}}}}});
  SAME(admin->string("/target"), "/admin/tenants");
  SAME(admin->string("/body"), R"([{"name":"acme"}])");
  HOLDS(client.call("no_such_operation").error().message(), "no_such_operation");
}

int main() {
  RUN(every_function_sends_its_operation);
  RUN(any_operation_goes_by_name);
  return RESULT;
}
