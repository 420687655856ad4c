/* Reading JSON by pointer, and writing a string. */
#include "check.h"
#include <stdint.h>

#define REPLY "{\"total\": 750.5, \"list\": [1, {\"a/b\": \"x\", \"m~n\": true}], \"text\": \"q\\\"\\u00e9\\n\", \"none\": null}"

static void a_number_is_read_or_the_fallback_given(void) {
    CHECK(trophy_json_number(REPLY, "/total", -1) == 750.5);
    CHECK(trophy_json_number(REPLY, "/list/0", -1) == 1);
    CHECK(trophy_json_number("17", "", -1) == 17);
    CHECK(trophy_json_number(REPLY, "/text", -1) == -1);
    CHECK(trophy_json_number(REPLY, "/absent", -1) == -1);
    CHECK(trophy_json_number(REPLY, "total", -1) == -1);
    CHECK(trophy_json_number("{", "/total", -1) == -1);
    CHECK(trophy_json_number("\xff", "", -1) == -1);
    CHECK(trophy_json_number(NULL, "", -1) == -1);
    CHECK(trophy_json_number(REPLY, NULL, -1) == -1);
}

static void a_number_is_the_double_that_was_written(void) {
    static uint64_t state = 1;
    /* In C a constant may have more digits than a double, as on a 32-bit x86. */
    const double written = 0.9215686321258545;
    CHECK(trophy_json_number("0.9215686321258545", "", -1) == written);
    for (int i = 0; i < 1000; i++) {
        char text[64];
        double value;
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        value = (double)(state >> 11) / 9007199254740992.0;
        snprintf(text, sizeof text, "{\"value\": %.17g}", value);
        CHECK(trophy_json_number(text, "/value", -1) == value);
    }
}

static void a_string_comes_unescaped_and_other_values_as_json(void) {
    CHECK_JSON(REPLY, "/text", "q\"\xc3\xa9\n");
    CHECK_JSON(REPLY, "/list/1/a~1b", "x");
    CHECK_JSON(REPLY, "/list/1/m~0n", "true");
    CHECK_JSON(REPLY, "/list/0", "1");
    CHECK_JSON(REPLY, "/none", "null");
    CHECK_JSON(REPLY, "/list/1", "{\"a/b\": \"x\", \"m~n\": true}");
    CHECK_JSON(REPLY, "/list/2", NULL);
    CHECK_JSON(REPLY, "/list/00", NULL);
    CHECK_JSON("no json", "", NULL);
    CHECK_JSON("\"a\\u0000b\"", "", NULL);
    CHECK_JSON(NULL, "", NULL);
    CHECK_JSON(REPLY, NULL, NULL);
    CHECK_JSON("\"\xff\"", "", NULL);
}

static void length_counts_items_and_members(void) {
    CHECK(trophy_json_length(REPLY, "") == 4);
    CHECK(trophy_json_length(REPLY, "/list") == 2);
    CHECK(trophy_json_length("[]", "") == 0);
    CHECK(trophy_json_length(REPLY, "/text") == -1);
    CHECK(trophy_json_length(REPLY, "/absent") == -1);
    CHECK(trophy_json_length("[", "") == -1);
    CHECK(trophy_json_length(NULL, "") == -1);
    CHECK(trophy_json_length("[]", NULL) == -1);
}

static void a_quoted_string_is_json_and_reads_back(void) {
    static const char *const texts[] = {"", "a\"b\\c", "\x01\n\t\x7f", "caf\xc3\xa9 \xf0\x9f\x8f\x86", "</script>"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *quoted = trophy_json_quote(texts[i]);
        CHECK_JSON(quoted, "", texts[i]);
        trophy_string_free(quoted);
    }
    char *quoted = trophy_json_quote("a\"b");
    CHECK(quoted != NULL && strcmp(quoted, "\"a\\\"b\"") == 0);
    trophy_string_free(quoted);
    CHECK(trophy_json_quote(NULL) == NULL);
    CHECK(trophy_json_quote("\xff") == NULL);
}

int main(void) {
    RUN(a_number_is_read_or_the_fallback_given);
    RUN(a_number_is_the_double_that_was_written);
    RUN(a_string_comes_unescaped_and_other_values_as_json);
    RUN(length_counts_items_and_members);
    RUN(a_quoted_string_is_json_and_reads_back);
    return RESULT;
}
