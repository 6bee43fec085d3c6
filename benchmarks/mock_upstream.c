/* The mock upstream: an OpenAI-compatible engine that costs next to nothing, so that a benchmark
 * measures what stands in front of it.
 *
 *   mock_upstream PORT        listens on 127.0.0.1 (0: any port); prints one line when ready; ends on SIGTERM
 *
 *   POST /v1/chat/completions  one fixed answer of TOKENS tokens (3.3 KB with logprobs), or as SSE if
 *                              the body says "stream": true; logprobs and the usage chunk where asked
 *   GET  /set?chunks=N&interval_us=U   how streams are from now on: N tokens, one every U microseconds;
 *                              U = 0 is a burst: every event at once, still one write each
 *   GET  /stats                counters: requests, streams, chunks, connections, left
 *   GET  anything else         200, for those who probe /health or /v1/models
 *
 * One thread, epoll, keep-alive, TCP_NODELAY. A request body needs a Content-Length.
 */
#define _GNU_SOURCE
#include "answers.h"
#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_FDS = 16384, MAX_EVENTS = 256, IN_BYTES = 256 * 1024 };

/* A connection. `rest` is what the socket did not take yet; while it is not empty, nothing new is made. */
typedef struct Conn {
    int fd;
    char *in;
    size_t in_len;
    const char *rest;
    size_t rest_len;
    char rest_bytes[MAX_CHUNK];
    bool streaming, logprobs, usage, waits_for_room;
    int sent;             /* tokens of the running stream that were sent */
    int chunks;           /* of how many */
    int64_t interval_ns;  /* 0: burst */
    int64_t began_ns, due_ns;
    struct Conn *before, *after; /* in the queue of paced streams, by due time */
    bool queued;
} Conn;

static Conn *conns[MAX_FDS];
static Conn *queue_head, *queue_tail;
static int epoll_fd, timer_fd;
static int stream_chunks = 100;
static int64_t stream_interval_ns;
static long requests, streams, chunks, connections, open_connections, left;

/* ---- connections ---- */

static void watch_room(Conn *conn, bool wanted) {
    if (conn->waits_for_room == wanted) return;
    conn->waits_for_room = wanted;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.fd = conn->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

static void unqueue(Conn *conn) {
    if (!conn->queued) return;
    conn->queued = false;
    *(conn->before ? &conn->before->after : &queue_head) = conn->after;
    *(conn->after ? &conn->after->before : &queue_tail) = conn->before;
}

/* All streams of a run have the same interval, so who is appended is due after all others. */
static void enqueue(Conn *conn) {
    conn->queued = true;
    conn->before = queue_tail;
    conn->after = NULL;
    *(queue_tail ? &queue_tail->after : &queue_head) = conn;
    queue_tail = conn;
}

static void hang_up(Conn *conn) {
    if (conn->streaming) left++;
    unqueue(conn);
    open_connections--;
    conns[conn->fd] = NULL;
    close(conn->fd);
    free(conn->in);
    free(conn);
}

/* True if all of it went out; else the rest is kept (texts that live for ever by reference). */
static bool say(Conn *conn, const char *bytes, size_t len, bool lasting) {
    ssize_t n = write(conn->fd, bytes, len);
    if (n == (ssize_t)len) return true;
    size_t taken = n > 0 ? (size_t)n : 0;
    conn->rest_len = len - taken;
    if (lasting)
        conn->rest = bytes + taken;
    else
        conn->rest = memcpy(conn->rest_bytes, bytes + taken, conn->rest_len);
    watch_room(conn, true);
    return false;
}

static bool say_text(Conn *conn, const Text *text) { return say(conn, text->bytes, text->len, true); }

static bool flush_rest(Conn *conn) {
    if (!conn->rest_len) return true;
    ssize_t n = write(conn->fd, conn->rest, conn->rest_len);
    if (n > 0) conn->rest += n, conn->rest_len -= n;
    if (!conn->rest_len) watch_room(conn, false);
    return !conn->rest_len;
}

static void end_stream(Conn *conn) {
    conn->streaming = false;
    chunks += 1 + conn->usage;
    say_text(conn, &ending[conn->usage]);
}

/* Sends what is due of a stream; the last token's event is followed by the ending at once. */
static void pump(Conn *conn, int64_t now) {
    int due = conn->interval_ns ? 1 + (int)((now - conn->began_ns) / conn->interval_ns) : conn->chunks;
    if (due > conn->chunks) due = conn->chunks;
    while (conn->sent < due) {
        const Text *chunk = &token_chunk[conn->logprobs][conn->sent++ % TEXT_TOKENS];
        chunks++;
        if (!say_text(conn, chunk)) return;
    }
    if (conn->sent == conn->chunks) {
        end_stream(conn);
    } else if (!conn->queued) {
        conn->due_ns = conn->began_ns + conn->sent * conn->interval_ns;
        enqueue(conn);
    }
}

static void begin_stream(Conn *conn) {
    streams++;
    chunks++;
    conn->streaming = true;
    conn->sent = 0;
    conn->chunks = stream_chunks;
    conn->interval_ns = stream_interval_ns;
    conn->began_ns = now_ns();
    if (say_text(conn, &opening)) pump(conn, conn->began_ns);
}

/* ---- requests ---- */

static const char *find(const char *in, size_t len, const char *what) { return memmem(in, len, what, strlen(what)); }

/* Whether the JSON has "key": true, with or without a space. */
static bool says_true(const char *body, size_t len, const char *key) {
    const char *at = find(body, len, key), *end = body + len;
    if (!at) return false;
    for (at += strlen(key); at < end && (*at == ' ' || *at == ':');) at++;
    return end - at >= 4 && !memcmp(at, "true", 4);
}

static long content_length(const char *head, const char *end) {
    for (const char *line = head; line < end; line++) {
        if (end - line > 15 && !strncasecmp(line, "content-length:", 15)) return strtol(line + 15, NULL, 10);
        if (!(line = memchr(line, '\n', end - line))) break;
    }
    return 0;
}

static void reply_json(Conn *conn, const char *body) {
    char text[MAX_CHUNK];
    int len = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
    say(conn, text, len, false);
}

static void control(Conn *conn, const char *line) {
    char body[512];
    long number, interval_us;
    if (sscanf(line, "GET /set?chunks=%ld&interval_us=%ld", &number, &interval_us) == 2) {
        stream_chunks = number;
        stream_interval_ns = interval_us * 1000;
    }
    if (!strncmp(line, "GET /v1/models", 14))
        snprintf(body, sizeof body, "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\",\"owned_by\":\"bench\"}]}");
    else
        snprintf(body, sizeof body,
                 "{\"requests\":%ld,\"streams\":%ld,\"chunks\":%ld,\"connections\":%ld,\"open\":%ld,\"left\":%ld}",
                 requests, streams, chunks, connections, open_connections, left);
    reply_json(conn, body);
}

/* Answers one request, if there is a whole one; returns how many bytes it took. */
static size_t take_request(Conn *conn, const char *in, size_t len) {
    const char *end = find(in, len, "\r\n\r\n");
    if (!end) return 0;
    const char *body = end + 4;
    long body_len = content_length(in, end + 2);
    if ((size_t)(body - in) + body_len > len) return 0;
    if (!strncmp(in, "POST ", 5)) {
        requests++;
        conn->logprobs = says_true(body, body_len, "\"logprobs\"");
        if (says_true(body, body_len, "\"stream\"")) {
            conn->usage = says_true(body, body_len, "\"include_usage\"");
            begin_stream(conn);
        } else
            say_text(conn, &whole[conn->logprobs]);
    } else
        control(conn, in);
    return body - in + body_len;
}

static void take_requests(Conn *conn) {
    size_t used = 0, took;
    while (!conn->streaming && !conn->rest_len && used < conn->in_len) {
        if (!(took = take_request(conn, conn->in + used, conn->in_len - used))) break;
        used += took;
    }
    conn->in_len -= used;
    if (used && conn->in_len) memmove(conn->in, conn->in + used, conn->in_len);
}

static void on_readable(Conn *conn) {
    if (conn->in_len == IN_BYTES) return hang_up(conn); /* a longer request than we are made for */
    ssize_t n = read(conn->fd, conn->in + conn->in_len, IN_BYTES - conn->in_len);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return hang_up(conn);
    conn->in_len += n;
    take_requests(conn);
}

static void on_room(Conn *conn) {
    if (!flush_rest(conn)) return;
    if (conn->streaming) pump(conn, now_ns());
    take_requests(conn);
}

static void on_timer(void) {
    uint64_t expired;
    if (read(timer_fd, &expired, sizeof expired) < 0) return;
    int64_t now = now_ns();
    while (queue_head && queue_head->due_ns <= now) {
        Conn *conn = queue_head;
        unqueue(conn);
        if (!conn->rest_len) pump(conn, now); /* else on_room goes on with it */
        if (!conn->streaming) take_requests(conn);
    }
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Conn *conn = calloc(1, sizeof *conn);
        if (!conn || !(conn->in = malloc(IN_BYTES))) die("memory");
        conn->fd = fd;
        conns[fd] = conn;
        connections++;
        open_connections++;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) die("listen");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: mock_upstream PORT\n"), 2;
    raise_file_limit();
    signal(SIGPIPE, SIG_IGN);
    make_texts();
    int listener = listen_on(atoi(argv[1]));
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int own[] = {listener, timer_fd};
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = own[i]};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, own[i], &event);
    }
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &len);
    printf("mock upstream on 127.0.0.1:%d: %d bytes an answer, %d an event\n", ntohs(address.sin_port), whole[true].len,
           token_chunk[true][0].len);
    fflush(stdout);
    for (struct epoll_event events[MAX_EVENTS];;) {
        int n = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(listener);
            } else if (fd == timer_fd) {
                on_timer();
            } else {
                if (conns[fd] && events[i].events & EPOLLOUT) on_room(conns[fd]);
                if (conns[fd] && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(conns[fd]);
            }
        }
        arm_timer(timer_fd, queue_head ? queue_head->due_ns : 0);
    }
}
