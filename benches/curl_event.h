/* An event as a C programmer writes it with libcurl; for the easy and the multi handle. */
#ifndef CURL_EVENT_H
#define CURL_EVENT_H

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

struct curl_event {
    char url[256], body[256];
    struct curl_slist *headers;
    char *reply;
    size_t used, room;
};

static size_t curl_event_receive(char *data, size_t size, size_t count, void *user_data)
{
    struct curl_event *event = user_data;
    size *= count;
    if (event->room - event->used <= size) {
        event->room = 2 * event->room + size + 1;
        event->reply = realloc(event->reply, event->room);
        if (event->reply == NULL)
            return 0;
    }
    memcpy(event->reply + event->used, data, size);
    event->used += size;
    event->reply[event->used] = '\0';
    return size;
}

/* What is the same for all events of a handle. */
static void curl_event_setup(CURL *handle, struct curl_event *event, const char *base_url, const char *ca)
{
    snprintf(event->url, sizeof event->url, "%s" PATH, base_url);
    curl_easy_setopt(handle, CURLOPT_URL, event->url);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "libcurl");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, curl_event_receive);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, event);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, event);
    if (ca != NULL)
        curl_easy_setopt(handle, CURLOPT_CAINFO, ca);
}

static void curl_event_prepare(CURL *handle, struct curl_event *event, unsigned number)
{
    char key[80];
    snprintf(key, sizeof key, "Idempotency-Key: %08x-%04x-4%03x-8%03x-%08x%04x", (unsigned)rand(), rand() & 0xffff,
             rand() & 0xfff, rand() & 0xfff, (unsigned)rand(), rand() & 0xffff);
    event->headers = curl_slist_append(NULL, "X-API-KEY: " API_KEY);
    event->headers = curl_slist_append(event->headers, key);
    event->headers = curl_slist_append(event->headers, "Content-Type: application/json");
    int length = snprintf(event->body, sizeof event->body,
                          "{\"user\":{\"id\":\"%u\"},\"value\":%g,\"attributes\":{\"genre\":\"%s\"}}",
                          1000000 + number, 750.0, "poem");
    event->used = 0;
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, event->headers);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, (long)length);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, event->body);
}

static void curl_event_finish(CURL *handle, struct curl_event *event)
{
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (status != 201 || event->used == 0)
        fail("curl", "not the reply expected");
    curl_slist_free_all(event->headers);
    event->headers = NULL;
}

#endif
