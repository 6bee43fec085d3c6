/* The load generator: one kind of request, to one address on this machine, many times over.
 *
 *   load --port P --body FILE [--key K] [--path /v1/chat/completions]
 *        --rate R --seconds S                    open loop: R requests/s on a fixed schedule
 *        --connections C --seconds S             closed loop: C clients, each one request after another
 *        --connections C --requests N            the same, but N requests in all
 *        [--ramp-ms M]                           closed loop: clients start spread over M ms
 *        [--grace-s G]                           after the end, wait G s for answers (default 10)
 *
 * Prints one JSON object. Times are in microseconds. In the open loop a latency counts from when the request was due,
 * not from when it could be sent, so a server that stalls is charged for everyone who had to wait
 * (no coordinated omission). An answer that is an event stream also gives the time to its first event, the gaps
 * between reads that held an event, and is an error unless it ends with [DONE].
 *
 * One thread, epoll, keep-alive, TCP_NODELAY; loopback only; ends by itself.
 */
#define _GNU_SOURCE
#include "process.h"
#include "samples.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_CLIENTS = 4096, MAX_EVENTS = 256, HEAD_BYTES = 16384, READ_BYTES = 65536, MAX_REQUEST = 1 << 20 };

typedef enum { CLOSED, CONNECTING, IDLE, SENDING, HEAD, BODY } State;
typedef enum { REFUSED, STATUS, CUT, NOT_HTTP, NO_DONE, UNFINISHED, ERROR_KINDS } Error;
static const char *ERROR_NAMES[] = {"refused", "status", "cut", "not_http", "no_done", "unfinished"};

typedef struct {
    int fd;
    State state;
    bool reused, chunked, events, closes, done;
    size_t sent;
    char head[HEAD_BYTES];
    size_t head_len;
    long left;          /* of the body, or of the HTTP chunk */
    int chunk_state;    /* see read_chunked */
    int newlines;       /* in a row, at the end of what was read of an event stream */
    char tail[8];       /* its last bytes */
    long events_seen;
    int64_t began_ns, event_ns;
} Client;

static Client *clients[MAX_CLIENTS];
static int client_count, idle[MAX_CLIENTS], idle_count;
static int epoll_fd, timer_fd, port;
static char request[MAX_REQUEST];
static size_t request_len;

static double rate;
static int connections = 1, ramp_ms;
static long requests_wanted;
static double seconds = 3600, grace_s = 10;
static int64_t start_ns, stop_ns;

static long issued, answered, answered_in_time, reconnected, errors[ERROR_KINDS], events_total, bytes_total, bad_status;
static int64_t last_ns;
static Samples latency, first_event, gap;

/* ---- what is to be sent, and when ---- */

static int64_t due_ns(long number) { return start_ns + (int64_t)(number * (1e9 / rate)); }
static bool open_loop(void) { return rate > 0; }

static bool all_issued(int64_t now) { return (requests_wanted && issued >= requests_wanted) || now >= stop_ns; }

static void prepare_request(const char *path, const char *key, const char *file) {
    static char body[MAX_REQUEST - 4096];
    FILE *in = fopen(file, "rb");
    if (!in) die(file);
    size_t len = fread(body, 1, sizeof body, in);
    fclose(in);
    int head = snprintf(request, 4096,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nAccept: */*\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", path, port, key, len);
    memcpy(request + head, body, len);
    request_len = head + len;
}

/* ---- clients ---- */

static void watch(Client *client, int number, uint32_t what, int how) {
    struct epoll_event event = {.events = what, .data.u32 = number};
    epoll_ctl(epoll_fd, how, client->fd, &event);
}

static void hang_up(Client *client) {
    if (client->fd >= 0) close(client->fd);
    client->fd = -1;
    client->state = CLOSED;
}

static void start(int number, int64_t began);

static void rest(int number) { /* the client has nothing to do now */
    idle[idle_count++] = number;
}

static void failed(int number, Error kind) {
    errors[kind]++;
    last_ns = now_ns();
    hang_up(clients[number]);
    rest(number);
}

static void send_request(int number) {
    Client *client = clients[number];
    bool was_waiting = client->state == CONNECTING || client->state == SENDING;
    ssize_t n = send(client->fd, request + client->sent, request_len - client->sent, MSG_NOSIGNAL);
    if (n > 0) client->sent += n;
    if (client->sent == request_len) {
        client->state = HEAD;
        if (was_waiting) watch(client, number, EPOLLIN, EPOLL_CTL_MOD);
    } else if (n >= 0 || errno == EAGAIN) {
        client->state = SENDING;
        if (!was_waiting) watch(client, number, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    } else
        client->state = HEAD; /* broken: the read that follows says how */
}

static void open_connection(int number) {
    Client *client = clients[number];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (client->fd < 0) die("socket");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    client->reused = false;
    client->state = CONNECTING;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) return failed(number, REFUSED);
    watch(client, number, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

/* A request that counts from `began`. */
static void start(int number, int64_t began) {
    Client *client = clients[number];
    issued++;
    client->began_ns = client->event_ns = began;
    client->sent = client->head_len = 0;
    if (client->state == CLOSED) return open_connection(number);
    client->reused = true;
    send_request(number);
}

/* A server may close a connection that was idle; whoever used it just then tries again, once. */
static void read_ended(int number) {
    Client *client = clients[number];
    bool stale = client->reused && client->state <= HEAD && !client->head_len;
    if (!stale) return failed(number, CUT);
    reconnected++;
    hang_up(client);
    client->sent = 0;
    open_connection(number);
}

static int new_client(void) {
    Client *client = calloc(1, sizeof *client);
    if (!client) die("memory");
    client->fd = -1;
    clients[client_count] = client;
    return client_count++;
}

/* Gives work to idle clients: all that is due. */
static void give_work(int64_t now) {
    if (open_loop()) {
        while (!all_issued(due_ns(issued)) && due_ns(issued) <= now && (idle_count || client_count < MAX_CLIENTS))
            start(idle_count ? idle[--idle_count] : new_client(), due_ns(issued));
        return;
    }
    int64_t ramp_ns = ramp_ms * 1000000LL;
    while (client_count < connections && now >= start_ns + ramp_ns * client_count / connections) rest(new_client());
    for (int batch = idle_count; batch > 0 && idle_count && !all_issued(now); batch--) start(idle[--idle_count], now_ns());
}

/* When `give_work` has something to do by the clock alone; 0: never. */
static int64_t next_due(int64_t now) {
    if (all_issued(now)) return 0;
    if (open_loop()) return due_ns(issued) < stop_ns ? due_ns(issued) : 0;
    return client_count < connections ? start_ns + ramp_ms * 1000000LL * client_count / connections : 0;
}

/* ---- answers ---- */

static void finished(int number) {
    Client *client = clients[number];
    if (client->events && !client->done) return failed(number, NO_DONE);
    last_ns = now_ns();
    add_sample(&latency, last_ns - client->began_ns);
    answered++;
    if (last_ns <= stop_ns) answered_in_time++;
    client->state = IDLE;
    if (client->closes) hang_up(client);
    rest(number);
}

/* Counts events (they end with an empty line) and remembers how the stream ends. */
static void read_events(Client *client, const char *bytes, size_t len) {
    long seen = 0;
    for (const char *at = bytes, *end = bytes + len; at < end;) {
        const char *newline = memchr(at, '\n', end - at);
        if (newline != at) client->newlines = 0;
        if (!newline) break;
        if (++client->newlines == 2) seen++, client->newlines = 0;
        at = newline + 1;
    }
    size_t keep = len < sizeof client->tail ? len : sizeof client->tail;
    memmove(client->tail, client->tail + keep, sizeof client->tail - keep);
    memcpy(client->tail + sizeof client->tail - keep, bytes + len - keep, keep);
    client->done = !memcmp(client->tail, "[DONE]\n\n", 8);
    if (!seen) return;
    int64_t now = now_ns();
    if (client->events_seen)
        add_sample(&gap, now - client->event_ns);
    else
        add_sample(&first_event, now - client->began_ns);
    client->event_ns = now;
    client->events_seen += seen;
    events_total += seen;
}

static void body_bytes(Client *client, const char *bytes, size_t len) {
    bytes_total += len;
    if (client->events) read_events(client, bytes, len);
}

/* HTTP chunks. chunk_state 0: in the size; 1: in the data; 2: after it; 3: after the last. True at the end. */
static bool read_chunked(Client *client, const char *at, const char *end) {
    while (at < end) {
        if (client->chunk_state == 1) {
            long n = end - at < client->left ? end - at : client->left;
            body_bytes(client, at, n);
            at += n;
            if (!(client->left -= n)) client->chunk_state = 2;
            continue;
        }
        char c = *at++;
        if (client->chunk_state == 0) {
            if (c == '\n')
                client->chunk_state = client->left ? 1 : 3;
            else if (c != '\r')
                client->left = client->left * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        } else if (c == '\n') {
            if (client->chunk_state == 3) return true;
            client->chunk_state = 0, client->left = 0;
        }
    }
    return false;
}

static bool read_body(Client *client, const char *at, const char *end) {
    if (client->chunked) return read_chunked(client, at, end);
    body_bytes(client, at, end - at);
    return (client->left -= end - at) <= 0;
}

static const char *header(Client *client, const char *name) {
    const char *at = strcasestr(client->head, name);
    return at ? at + strlen(name) : "";
}

/* Reads the head that is complete in `head`. False if it is none, or not a 200. */
static bool understand_head(int number) {
    Client *client = clients[number];
    int status = 0;
    if (sscanf(client->head, "HTTP/1.%*d %d", &status) != 1) return failed(number, NOT_HTTP), false;
    if (status != 200) {
        if (!bad_status) fprintf(stderr, "load: status %d: %.400s\n", status, client->head);
        bad_status = status;
        return failed(number, STATUS), false;
    }
    client->chunked = !strncasecmp(header(client, "\r\ntransfer-encoding: "), "chunked", 7);
    client->events = !strncasecmp(header(client, "\r\ncontent-type: "), "text/event-stream", 17);
    client->closes = !strncasecmp(header(client, "\r\nconnection: "), "close", 5);
    client->left = client->chunked ? 0 : strtol(header(client, "\r\ncontent-length: "), NULL, 10);
    client->chunk_state = 0;
    client->newlines = client->events_seen = 0;
    client->done = false;
    client->state = BODY;
    return true;
}

static void on_readable(int number) {
    static char bytes[READ_BYTES];
    Client *client = clients[number];
    ssize_t n = recv(client->fd, bytes, sizeof bytes, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || client->state == IDLE) {
        if (client->state != IDLE) return read_ended(number);
        return hang_up(client); /* it stays in the list of idle ones, and connects when needed */
    }
    char *at = bytes, *end = bytes + n;
    if (client->state != BODY) {
        size_t room = HEAD_BYTES - 1 - client->head_len, before = client->head_len;
        size_t taken = (size_t)n < room ? (size_t)n : room;
        memcpy(client->head + before, bytes, taken);
        client->head[client->head_len += taken] = 0;
        char *blank = strstr(client->head, "\r\n\r\n");
        if (!blank) {
            if (client->head_len == HEAD_BYTES - 1) failed(number, NOT_HTTP);
            return;
        }
        blank[2] = 0; /* of the body, nothing is to be taken for a header */
        at = bytes + (blank + 4 - client->head - before);
        if (!understand_head(number)) return;
    }
    if (read_body(client, at, end)) finished(number);
}

static void on_writable(int number) {
    Client *client = clients[number];
    int error = 0;
    socklen_t len = sizeof error;
    if (client->state == CONNECTING && (getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error))
        return failed(number, REFUSED);
    if (client->state == CONNECTING || client->state == SENDING) send_request(number);
}

/* ---- the run ---- */

static void report(double elapsed_s) {
    printf("{\"seconds\":%.6f,\"issued\":%ld,\"answered\":%ld,\"per_s\":%.3f,\"events\":%ld,\"body_bytes\":%ld,", elapsed_s,
           issued, answered, answered_in_time ? answered_in_time / elapsed_s : 0, events_total, bytes_total);
    printf("\"clients\":%d,\"reconnected\":%ld,\"bad_status\":%ld,\"errors\":{", client_count, reconnected, bad_status);
    for (int i = 0; i < ERROR_KINDS; i++) printf("%s\"%s\":%ld", i ? "," : "", ERROR_NAMES[i], errors[i]);
    printf("},");
    print_samples("latency_us", &latency);
    printf(",");
    print_samples("first_event_us", &first_event);
    printf(",");
    print_samples("gap_us", &gap);
    printf("}\n");
}

static void run(void) {
    start_ns = now_ns() + 1000000;
    stop_ns = start_ns + (int64_t)(seconds * 1e9);
    int64_t give_up_ns = stop_ns + (int64_t)(grace_s * 1e9);
    for (int64_t now = now_ns();; now = now_ns()) {
        give_work(now);
        if ((all_issued(now) && idle_count == client_count) || now >= give_up_ns) break;
        arm_timer(timer_fd, next_due(now));
        struct epoll_event events[MAX_EVENTS];
        int n = epoll_wait(epoll_fd, events, MAX_EVENTS, idle_count && !open_loop() && !all_issued(now) ? 0 : 50);
        for (int i = 0; i < n; i++) {
            uint32_t number = events[i].data.u32;
            uint64_t expired;
            if (number == MAX_CLIENTS) {
                (void)!read(timer_fd, &expired, sizeof expired); /* give_work looks at the clock */
                continue;
            }
            if (events[i].events & EPOLLOUT) on_writable(number);
            if (clients[number]->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(number);
        }
    }
    errors[UNFINISHED] = client_count - idle_count;
    if (!requests_wanted || !last_ns || last_ns > stop_ns) last_ns = stop_ns;
    report((last_ns - start_ns) / 1e9);
}

int main(int argc, char **argv) {
    const char *path = "/v1/chat/completions", *key = "none", *body = NULL;
    static const struct option options[] = {
        {"port", 1, 0, 'p'}, {"path", 1, 0, 'P'}, {"body", 1, 0, 'b'}, {"key", 1, 0, 'k'}, {"rate", 1, 0, 'r'}, {"seconds", 1, 0, 's'},
        {"connections", 1, 0, 'c'}, {"requests", 1, 0, 'n'}, {"ramp-ms", 1, 0, 'm'}, {"grace-s", 1, 0, 'g'}, {0, 0, 0, 0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'P': path = optarg; break;
        case 'b': body = optarg; break;
        case 'k': key = optarg; break;
        case 'r': rate = atof(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 'n': requests_wanted = atol(optarg); break;
        case 'm': ramp_ms = atoi(optarg); break;
        case 'g': grace_s = atof(optarg); break;
        default: return 2;
    }
    if (!port || !body || connections > MAX_CLIENTS) return fprintf(stderr, "load: --port and --body are needed; see the top of load.c\n"), 2;
    raise_file_limit();
    prepare_request(path, key, body);
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = MAX_CLIENTS};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event);
    run();
    return 0;
}
