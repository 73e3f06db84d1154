/* Many small PLCs for bench/acquisition.py: Modbus TCP servers in one process, cheap enough never to be what is measured.
 *
 * plcs COUNT ARRIVALS: prints "PORT PORT ...\n" once all listen on loopback, then answers functions 3 and 4 until it is
 * ended. Register 0 counts seconds, register 1 says "running" for 50 s of each minute, register n holds n + seconds:
 * every value changes every second. Each question is noted in the file ARRIVALS as two 64-bit words, the monotonic time
 * in ns and the number of the PLC, so that the period is judged where it matters, at the PLC.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST = 1024, MOST = 4096, QUESTION = 12 };

struct peer {
    int plc;    /* number of the PLC that this socket belongs to */
    int listens;
    int held;   /* bytes of an incomplete question */
    unsigned char bytes[LONGEST];
};

static struct peer peers[MOST];
static volatile sig_atomic_t ended;

static void end(int number) { ended = number; }

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static unsigned value(int address, int64_t second) {
    if (address == 1) return second % 60 < 50;
    return (unsigned)(address + second) & 0xFFFF;
}

static int answer(const unsigned char *asked, unsigned char *out, int64_t second) {
    int function = asked[7], start = asked[8] << 8 | asked[9], count = asked[10] << 8 | asked[11];
    memcpy(out, asked, 8);
    out[4] = 0;
    if ((function != 3 && function != 4) || count < 1 || count > 125) {
        out[5] = 3, out[7] |= 0x80, out[8] = 1;
        return 9;
    }
    out[5] = (unsigned char)(3 + 2 * count), out[8] = (unsigned char)(2 * count);
    for (int i = 0; i < count; i++) {
        unsigned v = value(start + i, second);
        out[9 + 2 * i] = (unsigned char)(v >> 8), out[10 + 2 * i] = (unsigned char)v;
    }
    return 9 + 2 * count;
}

static int serve(int fd, FILE *arrivals) {
    struct peer *peer = &peers[fd];
    ssize_t got = read(fd, peer->bytes + peer->held, (size_t)(LONGEST - peer->held));
    if (got <= 0) return 0;
    peer->held += (int)got;
    int64_t arrived[2] = {now_ns(), peer->plc};
    while (peer->held >= QUESTION) {
        unsigned char out[LONGEST];
        int size = answer(peer->bytes, out, arrived[0] / 1000000000);
        fwrite(arrived, sizeof arrived, 1, arrivals);
        if (write(fd, out, (size_t)size) != size) return 0;
        peer->held -= QUESTION;
        memmove(peer->bytes, peer->bytes + QUESTION, (size_t)peer->held);
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int count = atoi(argv[1]), one = 1, epoll = epoll_create1(0);
    FILE *arrivals = fopen(argv[2], "wb");
    if (!arrivals) return 2;
    struct sigaction ask = {.sa_handler = end};
    sigaction(SIGTERM, &ask, NULL);
    for (int plc = 0; plc < count; plc++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in at = {.sin_family = AF_INET};
        socklen_t size = sizeof at;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (fd < 0 || fd >= MOST || bind(fd, (struct sockaddr *)&at, size) || listen(fd, 16)) return 1;
        getsockname(fd, (struct sockaddr *)&at, &size);
        printf("%d%c", ntohs(at.sin_port), plc == count - 1 ? '\n' : ' ');
        peers[fd].plc = plc, peers[fd].listens = 1;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
    fflush(stdout);
    while (!ended) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (!peers[fd].listens) {
                if (!serve(fd, arrivals)) close(fd);
                continue;
            }
            int with = accept(fd, NULL, NULL);
            if (with < 0 || with >= MOST) continue;
            setsockopt(with, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            peers[with] = (struct peer){.plc = peers[fd].plc};
            struct epoll_event event = {.events = EPOLLIN, .data.fd = with};
            epoll_ctl(epoll, EPOLL_CTL_ADD, with, &event);
        }
    }
    return fclose(arrivals) != 0;
}
