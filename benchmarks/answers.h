/* What the mock upstream says, rendered once at the start, HTTP framing included. */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TOKENS = 25, TEXT_TOKENS = 256, MAX_CHUNK = 1024, MAX_REPLY = 8192 };

typedef struct {
    char bytes[MAX_REPLY];
    int len;
} Text;

/* Index: with logprobs, or for `ending` with the usage chunk. */
static Text whole[2], token_chunk[2][TEXT_TOKENS], opening, ending[2];

static const char *WORDS[] = {" the", " a", " student", " teacher", " answer", " where", " when", " it", " can", " may", " be",
                              " is", " trusted", " asked", " gate", " rules", " token", " by", " one", " and", " then"};

/* The text's words are drawn: who looks for a model that repeats itself (LiteLLM does) must find none. */
static const char *word(int number) {
    uint32_t drawn = (uint32_t)number * 2654435761u;
    drawn ^= drawn >> 15;
    drawn *= 2246822519u;
    return WORDS[(drawn >> 16) % (sizeof WORDS / sizeof *WORDS)];
}

static int token_logprobs(char *to, size_t room, int number) {
    const char *said = word(number);
    double logprob = -0.01 * (1 + number % 5);
    int len = snprintf(to, room, "{\"token\":\"%s\",\"logprob\":%.6f,\"bytes\":[", said, logprob);
    for (const char *c = said; *c; c++)
        len += snprintf(to + len, room - len, "%s%d", c == said ? "" : ",", *c);
    len += snprintf(to + len, room - len, "],\"top_logprobs\":[{\"token\":\"%s\",\"logprob\":%.6f}]}", said, logprob);
    return len;
}

static void make_whole(Text *text, bool logprobs) {
    char body[MAX_REPLY - 512];
    int len = snprintf(body, sizeof body,
                       "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,"
                       "\"model\":\"mock\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (int i = 0; i < TOKENS; i++)
        len += snprintf(body + len, sizeof body - len, "%s", word(i));
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

static void make_token_chunks(int number) {
    char delta[64], token[400], logprobs[512];
    snprintf(delta, sizeof delta, "{\"content\":\"%s\"}", word(number));
    token_logprobs(token, sizeof token, number);
    snprintf(logprobs, sizeof logprobs, "{\"content\":[%s]}", token);
    make_chunk(&token_chunk[false][number], delta, "null", "null");
    make_chunk(&token_chunk[true][number], delta, logprobs, "null");
}

static void make_texts(void) {
    Text role, finish, usage, done;
    make_whole(&whole[false], false);
    make_whole(&whole[true], true);
    for (int i = 0; i < TEXT_TOKENS; i++) make_token_chunks(i);
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
