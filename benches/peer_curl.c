/* The same call as a C programmer writes it with libcurl: one easy handle, reused; headers and body for each. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "curl_event.h"
#include "peer.h"

static CURL *handle;
static struct curl_event event;

void peer_begin(const char *base_url, const char *ca)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    handle = curl_easy_init();
    curl_event_setup(handle, &event, base_url, ca);
}

void peer_event(unsigned number)
{
    curl_event_prepare(handle, &event, number);
    CURLcode code = curl_easy_perform(handle);
    if (code != CURLE_OK)
        fail("curl", curl_easy_strerror(code));
    curl_event_finish(handle, &event);
}
