// wanlink: a wide-area link between two network namespaces, for kernels without netem.
//
//   wanlink -a NS_A -b NS_B -A 10.8.0.1/24 -B 10.8.0.2/24
//           [--delay MS] [--jitter MS] [--loss PCT] [--burst N] [--dup PCT] [--reorder PCT] [--late MS]
//           [--corrupt PCT] [--rate MBIT] [--rate-ba MBIT] [--queue KB] [--mtu N] [--seed N]
//
// A TUN device named "wan" appears in each namespace; every IP packet is carried in user space to
// the other side after the one-way delay. Faults apply in both directions; --rate is A to B, and
// B to A too unless --rate-ba is given. --burst N makes losses come in runs of N packets on average
// at the same overall rate. A reordered packet comes up to --late MS after its turn. The link ends with the process (SIGINT or SIGTERM), which then prints
// what it did. Build: gcc -O2 -o wanlink wanlink.c    Needs root.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { SLOT = 9216 };
typedef struct { uint64_t due, seq; uint32_t len; uint8_t *data; } Packet;
typedef struct {
    int in, out;
    double rate;                 // bytes per nanosecond, 0 = unlimited
    uint64_t line_free;          // when the bottleneck has sent all it holds
    Packet *heap; size_t n, cap; // ordered by due time
    uint64_t seq, sent, lost, queue_drop, dup, reordered, corrupted;
    int in_burst;
} Direction;

static double delay_ms, jitter_ms, late_ms, loss, duplicate, reorder, corrupt, rate_ab, rate_ba = -1, burst = 1;
static uint64_t queue_bytes = 512 * 1024, rng = 1;
static int mtu = 1500;
static volatile sig_atomic_t stop;

static void on_signal(int s) { (void)s; stop = 1; }
static void die(const char *what) { perror(what); exit(1); }
static uint64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static double uniform(void) { rng ^= rng << 13; rng ^= rng >> 7; rng ^= rng << 17; return (rng >> 11) * (1.0 / 9007199254740992.0); }
static int chance(double pct) { return pct > 0 && uniform() * 100 < pct; }

static int tun_in(const char *ns, const char *cidr) {
    char path[128], cmd[256];
    snprintf(path, sizeof path, "/var/run/netns/%s", ns);
    int fd = open(path, O_RDONLY);
    if (fd < 0) die(path);
    if (setns(fd, CLONE_NEWNET)) die("setns");
    close(fd);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (tun < 0) die("/dev/net/tun");
    struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    strcpy(r.ifr_name, "wan");
    if (ioctl(tun, TUNSETIFF, &r)) die("TUNSETIFF");
    snprintf(cmd, sizeof cmd, "ip addr add %s dev wan && ip link set wan up mtu %d txqueuelen 10000 && ip link set lo up", cidr, mtu);
    if (system(cmd)) die(cmd);
    return tun;
}

static void push(Direction *d, Packet p) {
    if (d->n == d->cap) { d->cap = d->cap ? d->cap * 2 : 4096; d->heap = realloc(d->heap, d->cap * sizeof p); if (!d->heap) die("realloc"); }
    size_t i = d->n++;
    while (i) { size_t up = (i - 1) / 2; Packet *q = &d->heap[up]; if (q->due < p.due || (q->due == p.due && q->seq < p.seq)) break; d->heap[i] = *q; i = up; }
    d->heap[i] = p;
}
static Packet pop(Direction *d) {
    Packet top = d->heap[0], p = d->heap[--d->n];
    size_t i = 0;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= d->n) break;
        if (c + 1 < d->n && (d->heap[c + 1].due < d->heap[c].due || (d->heap[c + 1].due == d->heap[c].due && d->heap[c + 1].seq < d->heap[c].seq))) c++;
        if (p.due < d->heap[c].due || (p.due == d->heap[c].due && p.seq < d->heap[c].seq)) break;
        d->heap[i] = d->heap[c]; i = c;
    }
    d->heap[i] = p;
    return top;
}

static int lose(Direction *d) { // two-state model: mean run length = burst, overall rate = loss
    if (loss <= 0) return 0;
    double p = loss / 100;
    if (burst <= 1) return uniform() < p;
    if (d->in_burst) { if (uniform() < 1 / burst) d->in_burst = 0; }
    else if (uniform() < p / ((1 - p) * burst)) d->in_burst = 1;
    return d->in_burst;
}

static void schedule(Direction *d, const uint8_t *data, uint32_t len, uint64_t t) {
    uint64_t leaves = t;
    if (d->rate > 0) {
        if (d->line_free < t) d->line_free = t;
        if ((d->line_free - t) * d->rate > queue_bytes) { d->queue_drop++; return; }
        d->line_free += len / d->rate;
        leaves = d->line_free;
    }
    if (lose(d)) { d->lost++; return; }
    double extra = jitter_ms > 0 ? uniform() * jitter_ms : 0;
    if (chance(reorder)) { extra += late_ms > 0 ? uniform() * late_ms : 1 + uniform() * (delay_ms > 4 ? delay_ms / 2 : 2); d->reordered++; }
    Packet p = { leaves + (uint64_t)((delay_ms + extra) * 1e6), d->seq++, len, malloc(len) };
    if (!p.data) die("malloc");
    memcpy(p.data, data, len);
    if (chance(corrupt) && len > 28) {
        if (p.data[0] == 0x45 && p.data[9] == 17) p.data[26] = p.data[27] = 0; // UDP over IPv4: no checksum, so the flipped bit reaches the program
        p.data[28 + rng % (len - 28)] ^= 1 << (rng >> 32 & 7);
        d->corrupted++;
    }
    push(d, p);
    if (chance(duplicate)) { Packet q = p; q.seq = d->seq++; q.data = malloc(len); memcpy(q.data, p.data, len); push(d, q); d->dup++; }
}

static int take_in(Direction *d) {
    uint8_t buf[65536];
    int taken = 0;
    uint64_t t = now_ns();
    for (; taken < 64; taken++) { ssize_t n = read(d->in, buf, sizeof buf); if (n <= 0) break; schedule(d, buf, n, t); }
    return taken;
}
static void let_out(Direction *d) {
    uint64_t t = now_ns();
    while (d->n && d->heap[0].due <= t) { Packet p = pop(d); if (write(d->out, p.data, p.len) == (ssize_t)p.len) d->sent++; free(p.data); }
}
static void report(const char *name, Direction *d) {
    fprintf(stderr, "%s: %llu delivered, %llu lost, %llu dropped at the queue, %llu duplicated, %llu reordered, %llu corrupted\n", name,
            (unsigned long long)d->sent, (unsigned long long)d->lost, (unsigned long long)d->queue_drop, (unsigned long long)d->dup,
            (unsigned long long)d->reordered, (unsigned long long)d->corrupted);
}

int main(int argc, char **argv) {
    const char *a = 0, *b = 0, *ca = 0, *cb = 0;
    static struct option opts[] = { { "delay", 1, 0, 1 }, { "jitter", 1, 0, 2 }, { "loss", 1, 0, 3 }, { "burst", 1, 0, 4 }, { "dup", 1, 0, 5 }, { "reorder", 1, 0, 6 },
        { "corrupt", 1, 0, 7 }, { "rate", 1, 0, 8 }, { "rate-ba", 1, 0, 9 }, { "queue", 1, 0, 10 }, { "mtu", 1, 0, 11 }, { "seed", 1, 0, 12 }, { "late", 1, 0, 13 }, { 0, 0, 0, 0 } };
    for (int c; (c = getopt_long(argc, argv, "a:b:A:B:", opts, 0)) != -1;) switch (c) {
        case 'a': a = optarg; break; case 'b': b = optarg; break; case 'A': ca = optarg; break; case 'B': cb = optarg; break;
        case 1: delay_ms = atof(optarg); break; case 2: jitter_ms = atof(optarg); break; case 3: loss = atof(optarg); break; case 4: burst = atof(optarg); break;
        case 5: duplicate = atof(optarg); break; case 6: reorder = atof(optarg); break; case 7: corrupt = atof(optarg); break; case 8: rate_ab = atof(optarg); break;
        case 9: rate_ba = atof(optarg); break; case 10: queue_bytes = atoll(optarg) * 1024; break; case 11: mtu = atoi(optarg); break;
        case 12: rng = strtoull(optarg, 0, 10) * 0x9E3779B97F4A7C15ull + 1; break;
        case 13: late_ms = atof(optarg); break; default: return 2;
    }
    if (!a || !b || !ca || !cb || mtu > SLOT) { fprintf(stderr, "usage: wanlink -a NS -b NS -A CIDR -B CIDR [--delay MS ...]; see the head of wanlink.c\n"); return 2; }
    if (rate_ba < 0) rate_ba = rate_ab;
    int ta = tun_in(a, ca), tb = tun_in(b, cb), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    Direction ab = { .in = ta, .out = tb, .rate = rate_ab / 8000 }, ba = { .in = tb, .out = ta, .rate = rate_ba / 8000 };
    struct sigaction sa = { .sa_handler = on_signal };
    sigaction(SIGINT, &sa, 0); sigaction(SIGTERM, &sa, 0);
    puts("ready"); fflush(stdout);
    while (!stop) {
        let_out(&ab); let_out(&ba);
        if (take_in(&ab) + take_in(&ba)) continue;
        uint64_t due = 0;
        if (ab.n) due = ab.heap[0].due;
        if (ba.n && (!due || ba.heap[0].due < due)) due = ba.heap[0].due;
        struct itimerspec it = { .it_value = { due / 1000000000, due % 1000000000 } };
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &it, 0);
        struct pollfd p[3] = { { ta, POLLIN, 0 }, { tb, POLLIN, 0 }, { timer, POLLIN, 0 } };
        if (poll(p, 3, 1000) < 0 && errno != EINTR) die("poll");
        uint64_t ignored; if (read(timer, &ignored, 8) < 0 && errno != EAGAIN) die("timerfd");
    }
    report("A to B", &ab); report("B to A", &ba);
    return 0;
}
