/* libtrophy's blocking call. */
#include <stdio.h>
#include <trophy.h>

#include "peer.h"

static trophy_client *client;

void peer_begin(const char *base_url, const char *ca)
{
    char options[1024], *json = NULL;
    snprintf(options, sizeof options, "{\"base_url\":\"%s/v1\"%s%s%s}", base_url, ca != NULL ? ",\"ca_file\":\"" : "",
             ca != NULL ? ca : "", ca != NULL ? "\"" : "");
    if (trophy_client_new(API_KEY, options, &client, &json) != TROPHY_STATUS_OK)
        fail("trophy", json);
    trophy_string_free(json);
}

void peer_event(unsigned number)
{
    char user[64], *json = NULL;
    snprintf(user, sizeof user, "{\"id\":\"%u\"}", 1000000 + number);
    if (trophy_metrics_event(client, "words-written", user, 750, "{\"genre\":\"poem\"}", NULL, NULL, &json)
        != TROPHY_STATUS_OK)
        fail("trophy", json);
    trophy_string_free(json);
}
