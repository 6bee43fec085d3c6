/* What the mock upstream says, rendered once at the start, HTTP framing included. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TOKENS = 23, MAX_CHUNK = 1024, MAX_REPLY = 8192 };

typedef struct {
    char bytes[MAX_REPLY];
    int len;
} Text;

/* Index: with logprobs, or for `ending` with the usage chunk. */
static Text whole[2], token_chunk[2], opening, ending[2];

static const char *WORDS[] = {" the", " student", " answers", " where", " it", " can", " be", " trusted"};

static int token_logprobs(char *to, size_t room, int number) {
    const char *word = WORDS[number % 8];
    double logprob = -0.01 * (1 + number % 5);
    int len = snprintf(to, room, "{\"token\":\"%s\",\"logprob\":%.6f,\"bytes\":[", word, logprob);
    for (const char *c = word; *c; c++)
        len += snprintf(to + len, room - len, "%s%d", c == word ? "" : ",", *c);
    len += snprintf(to + len, room - len, "],\"top_logprobs\":[{\"token\":\"%s\",\"logprob\":%.6f}]}", word, logprob);
    return len;
}

static void make_whole(Text *text, bool logprobs) {
    char body[MAX_REPLY - 512];
    int len = snprintf(body, sizeof body,
                       "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,"
                       "\"model\":\"mock\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (int i = 0; i < TOKENS; i++)
        len += snprintf(body + len, sizeof body - len, "%s", WORDS[i % 8]);
    len += snprintf(body + len, sizeof body - len, "\"},\"logprobs\":");
    if (logprobs) {
        len += snprintf(body + len, sizeof body - len, "{\"content\":[");
        for (int i = 0; i < TOKENS; i++) {
            if (i) body[len++] = ',';
            len += token_logprobs(body + len, sizeof body - len, i);
        }
        len += snprintf(body + len, sizeof body - len, "]}");
    } else
        len += snprintf(body + len, sizeof body - len, "null");
    len += snprintf(body + len, sizeof body - len,
                    ",\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":%d,"
                    "\"total_tokens\":%d}}", TOKENS, 40 + TOKENS);
    text->len = snprintf(text->bytes, sizeof text->bytes,
                         "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len, body);
}

/* An SSE event in HTTP chunk framing; `last` adds the chunk of length 0. */
static void make_event(Text *text, const char *payload, bool last) {
    text->len = snprintf(text->bytes, sizeof text->bytes, "%zx\r\ndata: %s\n\n\r\n%s",
                         strlen("data: \n\n") + strlen(payload), payload, last ? "0\r\n\r\n" : "");
}

static void make_chunk(Text *text, const char *delta, const char *logprobs, const char *finish) {
    char payload[MAX_CHUNK];
    snprintf(payload, sizeof payload,
             "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\","
             "\"choices\":[{\"index\":0,\"delta\":%s,\"logprobs\":%s,\"finish_reason\":%s}]}", delta, logprobs, finish);
    make_event(text, payload, false);
}

static void make_texts(void) {
    Text role, finish, usage, done;
    char logprobs[512] = "{\"content\":[";
    int len = strlen(logprobs);
    len += token_logprobs(logprobs + len, sizeof logprobs - len, 0);
    snprintf(logprobs + len, sizeof logprobs - len, "]}");
    make_whole(&whole[false], false);
    make_whole(&whole[true], true);
    make_chunk(&token_chunk[false], "{\"content\":\" the\"}", "null", "null");
    make_chunk(&token_chunk[true], "{\"content\":\" the\"}", logprobs, "null");
    make_chunk(&role, "{\"role\":\"assistant\",\"content\":\"\"}", "null", "null");
    make_chunk(&finish, "{}", "null", "\"stop\"");
    make_event(&usage,
               "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\","
               "\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":100,\"total_tokens\":140}}", false);
    make_event(&done, "[DONE]", true);
    opening.len = snprintf(opening.bytes, sizeof opening.bytes,
                           "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                           "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n%s", role.bytes);
    for (int with = 0; with < 2; with++)
        ending[with].len = snprintf(ending[with].bytes, sizeof ending[with].bytes, "%s%s%s", finish.bytes,
                                    with ? usage.bytes : "", done.bytes);
}


#endif
