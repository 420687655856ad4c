/* The signatures that programs are compiled against, written out once more: an ABI test. A signature that
 * differs from the header's does not compile. Add to it, never change it. */
#include <trophy.h>

typedef struct trophy_client trophy_client;
typedef void (*trophy_callback)(trophy_status status, const char *json, void *user_data);
typedef void (*trophy_ready_callback)(void *user_data);
typedef void (*trophy_log_callback)(trophy_log_level level, const char *message, void *user_data);
const char *trophy_version(void);
const char *trophy_status_name(trophy_status status);
void trophy_string_free(char *string);
void trophy_log_set_callback(trophy_log_level level, trophy_log_callback callback, void *user_data);
trophy_status trophy_client_new(const char *api_key, const char *options_json, trophy_client **out_client,
    char **out_json);
trophy_status trophy_client_for_tenant(const trophy_client *client, const char *tenant_id, trophy_client
    **out_client, char **out_json);
size_t trophy_client_dispatch(const trophy_client *client, int64_t timeout_ms);
size_t trophy_client_cancel(const trophy_client *client, const void *user_data);
trophy_status trophy_client_stats(const trophy_client *client, char **out_json);
trophy_status trophy_client_close(const trophy_client *client, int64_t timeout_ms, char **out_json);
void trophy_client_free(trophy_client *client);
trophy_status trophy_client_set_api_key(const trophy_client *client, const char *api_key, char **out_json);
trophy_status trophy_metrics_event(const trophy_client *client, const char *key, const char *user_json, double
    value, const char *attributes_json, const char *idempotency_key, const char *options_json, char
    **out_json);
trophy_status trophy_metrics_event_async(const trophy_client *client, const char *key, const char *user_json,
    double value, const char *attributes_json, const char *idempotency_key, const char *options_json,
    trophy_callback callback, void *user_data, char **out_json);
trophy_status trophy_metrics_event_enqueue(const trophy_client *client, const char *key, const char
    *user_json, double value, const char *attributes_json, const char *idempotency_key, const char
    *options_json, char **out_json);
trophy_status trophy_client_flush(const trophy_client *client, int64_t timeout_ms, char **out_json);
void trophy_client_on_ready(const trophy_client *client, trophy_ready_callback ready, void *user_data);
void trophy_client_on_delivery(const trophy_client *client, trophy_callback callback, void *user_data);
trophy_status trophy_call(const trophy_client *client, const char *operation, const char *args_json, char
    **out_json);
trophy_status trophy_call_async(const trophy_client *client, const char *operation, const char *args_json,
    trophy_callback callback, void *user_data, char **out_json);
trophy_status trophy_users_streak(const trophy_client *client, const char *id, const char *args_json, char
    **out_json);
trophy_status trophy_users_identify(const trophy_client *client, const char *id, const char *user_json, const
    char *args_json, char **out_json);
trophy_status trophy_users_single_metric(const trophy_client *client, const char *id, const char *key, const
    char *args_json, char **out_json);
trophy_status trophy_achievements_complete(const trophy_client *client, const char *key, const char
    *user_json, const char *args_json, char **out_json);
trophy_status trophy_streaks_list(const trophy_client *client, const char *args_json, char **out_json);
trophy_status trophy_webhook_verify(const uint8_t *body, size_t body_length, const char *signature, const char
    *secret, char **out_json);
double trophy_json_number(const char *json, const char *pointer, double fallback);
char *trophy_json_string(const char *json, const char *pointer);
int64_t trophy_json_length(const char *json, const char *pointer);
char *trophy_json_quote(const char *text);
trophy_status trophy_achievements_all(const trophy_client *client, const char *args_json, char **out_json);
trophy_status trophy_users_create(const trophy_client *client, const char *user_json, const char *args_json,
    char **out_json);
trophy_status trophy_users_get(const trophy_client *client, const char *id, const char *args_json, char
    **out_json);
trophy_status trophy_users_update(const trophy_client *client, const char *id, const char *user_json, const
    char *args_json, char **out_json);
trophy_status trophy_users_get_preferences(const trophy_client *client, const char *id, const char *args_json,
    char **out_json);
trophy_status trophy_users_update_preferences(const trophy_client *client, const char *id, const char
    *preferences_json, const char *args_json, char **out_json);
trophy_status trophy_users_all_metrics(const trophy_client *client, const char *id, const char *args_json,
    char **out_json);
trophy_status trophy_users_metric_event_summary(const trophy_client *client, const char *id, const char *key,
    const char *args_json, char **out_json);
trophy_status trophy_users_achievements(const trophy_client *client, const char *id, const char *args_json,
    char **out_json);
trophy_status trophy_users_points(const trophy_client *client, const char *id, const char *key, const char
    *args_json, char **out_json);
trophy_status trophy_users_points_boosts(const trophy_client *client, const char *id, const char *key, const
    char *args_json, char **out_json);
trophy_status trophy_users_points_event_summary(const trophy_client *client, const char *id, const char *key,
    const char *args_json, char **out_json);
trophy_status trophy_users_leaderboard(const trophy_client *client, const char *id, const char *key, const
    char *args_json, char **out_json);
trophy_status trophy_users_wrapped(const trophy_client *client, const char *id, const char *args_json, char
    **out_json);
trophy_status trophy_points_summary(const trophy_client *client, const char *key, const char *args_json, char
    **out_json);
trophy_status trophy_points_system(const trophy_client *client, const char *key, const char *args_json, char
    **out_json);
trophy_status trophy_points_boosts(const trophy_client *client, const char *key, const char *args_json, char
    **out_json);
trophy_status trophy_points_levels(const trophy_client *client, const char *key, const char *args_json, char
    **out_json);
trophy_status trophy_points_level_summary(const trophy_client *client, const char *key, const char *args_json,
    char **out_json);
trophy_status trophy_leaderboards_all(const trophy_client *client, const char *args_json, char **out_json);
trophy_status trophy_leaderboards_get(const trophy_client *client, const char *key, const char *args_json,
    char **out_json);
