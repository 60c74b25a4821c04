/* Reads one RTSP stream many times over, by TCP or UDP: takes packets in, counts them and what is missing, and does
 * nothing else, so that on a small machine there is time left for the server that is measured.
 *
 *     rtspread HOST PORT PATH tcp|udp READERS SECONDS
 *
 * Prints "ready" when every reader has had a packet, and SECONDS later "BYTES PACKETS LOST" of those seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 512 << 10, BATCH = 64, DATAGRAM = 2048 };

struct reader {
    int control, rtp, rtcp;
    int expected; /* the next sequence number, -1 before the first packet */
    size_t held;
    unsigned char *bytes; /* what came by TCP and is not taken apart yet */
};

static unsigned long long bytes, packets, lost;
static int is_tcp, waiting;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void take(struct reader *r, const unsigned char *p, size_t n) {
    if (n < 12) return;
    int sequence = p[2] << 8 | p[3];
    if (r->expected < 0)
        waiting--;
    else
        lost += (uint16_t)(sequence - r->expected) & 0x7fff;
    r->expected = (sequence + 1) & 0xffff;
    bytes += n - 12;
    packets++;
}

/* One request, and its whole answer into *answer*; the reader's sockets still wait. */
static void ask(struct reader *r, char *answer, size_t room, const char *method, const char *url, const char *more) {
    static int cseq;
    char text[2048];
    int n = snprintf(text, sizeof text, "%s %s RTSP/1.0\r\nCSeq: %d\r\n%s\r\n", method, url, ++cseq, more);
    if (send(r->control, text, n, 0) != n) fail("send");
    size_t got = 0;
    for (;;) {
        /* One byte at a time: what follows the answer to PLAY is media. */
        if (got + 1 >= room || recv(r->control, answer + got, 1, 0) != 1) fail("recv");
        answer[++got] = 0;
        if (got == 4 && answer[0] == '$') { /* gst-rtsp-server sends media ahead of its answer to PLAY */
            size_t size = (unsigned char)answer[2] << 8 | (unsigned char)answer[3];
            if (size >= room || (size && recv(r->control, answer, size, MSG_WAITALL) != (ssize_t)size)) fail("recv");
            got = 0;
            continue;
        }
        if (got < 4 || memcmp(answer + got - 4, "\r\n\r\n", 4)) continue;
        char *length = strcasestr(answer, "Content-Length:");
        size_t body = length ? strtoul(length + 15, NULL, 10) : 0;
        if (got + body >= room || (body && recv(r->control, answer + got, body, MSG_WAITALL) != (ssize_t)body))
            fail("recv");
        answer[got + body] = 0;
        break;
    }
    if (strncmp(answer, "RTSP/1.0 200", 12)) {
        fprintf(stderr, "%s: %.60s\n", method, answer);
        exit(1);
    }
}

static void value_of(const char *text, const char *key, const char *stops, char *out, size_t room) {
    char *at = strcasestr(text, key);
    if (!at) {
        *out = 0;
        return;
    }
    at += strlen(key);
    at += strspn(at, " ");
    snprintf(out, room, "%.*s", (int)strcspn(at, stops), at);
}

static int bind_udp(int port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), room = 4 << 20;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_ANY)}};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&a, sizeof a)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void open_reader(struct reader *r, struct sockaddr_in *server, const char *url) {
    static int port = 20000;
    char answer[16384], base[1024], control[512], track[2048], session[256], more[1024];
    *r = (struct reader){.control = socket(AF_INET, SOCK_STREAM, 0), .rtp = -1, .rtcp = -1, .expected = -1};
    int one = 1;
    setsockopt(r->control, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(r->control, (struct sockaddr *)server, sizeof *server)) fail("connect");
    ask(r, answer, sizeof answer, "DESCRIBE", url, "Accept: application/sdp\r\n");
    value_of(answer, "Content-Base:", "\r\n", base, sizeof base);
    char *media = strstr(answer, "\nm=");
    if (!media) fail("no media");
    value_of(media, "a=control:", "\r\n", control, sizeof control);
    snprintf(track, sizeof track, "%s%s", strstr(control, "://") ? "" : base, control);
    if (is_tcp) {
        snprintf(more, sizeof more, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
        r->bytes = malloc(ROOM);
    } else {
        while ((r->rtp = bind_udp(port)) < 0 || (r->rtcp = bind_udp(port + 1)) < 0) {
            if (r->rtp >= 0) close(r->rtp);
            if ((port += 2) > 30000) fail("bind");
        }
        snprintf(more, sizeof more, "Transport: RTP/AVP;unicast;client_port=%d-%d\r\n", port, port + 1);
        port += 2;
    }
    ask(r, answer, sizeof answer, "SETUP", track, more);
    value_of(answer, "Session:", ";\r\n", session, sizeof session);
    snprintf(more, sizeof more, "Session: %s\r\nRange: npt=0-\r\n", session);
    ask(r, answer, sizeof answer, "PLAY", base, more);
    fcntl(r->control, F_SETFL, O_NONBLOCK);
}

static void read_tcp(struct reader *r) {
    ssize_t n = recv(r->control, r->bytes + r->held, ROOM - r->held, 0);
    if (n == 0) {
        fprintf(stderr, "the server closed a connection\n");
        exit(1);
    }
    if (n < 0) return;
    size_t end = r->held + n, at = 0;
    while (end - at >= 4) {
        unsigned char *p = r->bytes + at;
        if (p[0] != '$') { /* an answer, or a request: none that we wait for */
            at++;
            continue;
        }
        size_t size = p[2] << 8 | p[3];
        if (end - at < 4 + size) break;
        if (p[1] == 0) take(r, p + 4, size);
        at += 4 + size;
    }
    memmove(r->bytes, r->bytes + at, end - at);
    r->held = end - at;
}

static void read_udp(struct reader *r) {
    static unsigned char data[BATCH][DATAGRAM];
    static struct mmsghdr headers[BATCH];
    static struct iovec iov[BATCH];
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){data[i], DATAGRAM};
            headers[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
        }
        int n = recvmmsg(r->rtp, headers, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) take(r, data[i], headers[i].msg_len);
        if (n < BATCH) return;
    }
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &server.sin_addr);
    is_tcp = !strcmp(argv[4], "tcp");
    int count = atoi(argv[5]);
    double seconds = atof(argv[6]), end = 0;
    char url[1024];
    snprintf(url, sizeof url, "rtsp://%s:%s%s", argv[1], argv[2], argv[3]);
    struct reader *readers = calloc(count, sizeof *readers);
    int poll = epoll_create1(0), opened = 0;
    waiting = count;
    while (!end || now() < end) {
        if (opened < count) {
            struct reader *r = &readers[opened++];
            open_reader(r, &server, url);
            struct epoll_event e = {.events = EPOLLIN, .data.ptr = r};
            epoll_ctl(poll, EPOLL_CTL_ADD, is_tcp ? r->control : r->rtp, &e);
        }
        struct epoll_event events[64];
        int n = epoll_wait(poll, events, 64, opened < count ? 2 : 20);
        for (int i = 0; i < n; i++) (is_tcp ? read_tcp : read_udp)(events[i].data.ptr);
        if (!end && opened == count && !waiting) {
            puts("ready");
            fflush(stdout);
            bytes = packets = lost = 0;
            end = now() + seconds;
        }
    }
    printf("%llu %llu %llu\n", bytes, packets, lost);
    return 0;
}
