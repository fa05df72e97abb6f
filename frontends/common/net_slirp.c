/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include "mem/base/compat/text.h"
#include "net_slirp.h"

static void say(char **error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vasprintf(error, format, ap) < 0)
		*error = NULL;
	va_end(ap);
}

#if HAVE_SLIRP
#include <arpa/inet.h>
#include <libslirp.h>

/* The network, as libslirp's users know it: 10.0.2.0/24, gateway .2, DNS .3, the guest .15; fec0::/64, gateway ::2,
 * DNS ::3. A run in which nobody outside takes part is the same every time on hosts that have an IPv6 DNS server, and
 * on those that have none: advertisements name it. */
#define NETWORK 0x0a000200u
#define NETMASK 0xffffff00u
#define PREFIX6(host) { { { 0xfe, 0xc0, [15] = (host) } } }
enum { ADVERTISEMENTS_MS = 600000 };

struct timer {
	struct timer *next;
	SlirpTimerCb fire;
	void *owner;
	int64_t when; /* ms of virtual time; -1: not armed */
};

struct net_slirp {
	Slirp *slirp;
	void (*arrived)(void *owner, const void *frame, size_t len);
	void *owner;
	uint64_t ns;          /* virtual time, as last heard */
	struct timer *timers;
	/* For the callbacks of a poll. */
	struct pollfd *add;
	const struct pollfd *have;
	unsigned count, max;
};

/* ---- what libslirp asks of us ---- */

static ssize_t send_packet(const void *frame, size_t len, void *opaque)
{
	struct net_slirp *s = opaque;

	s->arrived(s->owner, frame, len);
	return (ssize_t)len;
}

static void guest_error(const char *text, void *opaque)
{
	(void)text, (void)opaque;
}

static int64_t clock_get_ns(void *opaque)
{
	return (int64_t)((struct net_slirp *)opaque)->ns;
}

static void *timer_new(SlirpTimerCb fire, void *owner, void *opaque)
{
	struct net_slirp *s = opaque;
	struct timer *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	*t = (struct timer){ s->timers, fire, owner, -1 };
	return s->timers = t;
}

static void timer_free(void *timer, void *opaque)
{
	struct net_slirp *s = opaque;

	for (struct timer **t = &s->timers; *t; t = &(*t)->next) {
		if (*t != timer)
			continue;
		*t = (*t)->next;
		free(timer);
		return;
	}
}

/* The one timer is that of router advertisements that nobody asked for. libslirp draws its time from 200 to 600 s
 * ahead; here it is always the latest of them. */
static void timer_mod(void *timer, int64_t when, void *opaque)
{
	const struct net_slirp *s = opaque;

	(void)when;
	if (timer)
		((struct timer *)timer)->when = (int64_t)(s->ns / 1000000) + ADVERTISEMENTS_MS;
}

static void ignore_fd(int fd, void *opaque)
{
	(void)fd, (void)opaque;
}

static void notify(void *opaque)
{
	(void)opaque;
}

static const SlirpCb callbacks = {
	.send_packet = send_packet, .guest_error = guest_error, .clock_get_ns = clock_get_ns,
	.timer_new = timer_new, .timer_free = timer_free, .timer_mod = timer_mod,
	.register_poll_fd = ignore_fd, .unregister_poll_fd = ignore_fd, .notify = notify,
};

/* ---- polling ---- */

static const struct { int slirp; short host; } poll_bits[] = {
	{ SLIRP_POLL_IN, POLLIN }, { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
		{ SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};

static int add_poll(int fd, int events, void *opaque)
{
	struct net_slirp *s = opaque;
	short host = 0;

	if (s->count == s->max)
		return -1;
	for (size_t i = 0; i < sizeof poll_bits / sizeof *poll_bits; i++)
		host |= events & poll_bits[i].slirp ? poll_bits[i].host : 0;
	s->add[s->count] = (struct pollfd){ .fd = fd, .events = host & (POLLIN | POLLOUT | POLLPRI) };
	return (int)s->count++;
}

static int get_revents(int index, void *opaque)
{
	struct net_slirp *s = opaque;
	int events = 0;

	if (index < 0 || (unsigned)index >= s->count)
		return 0;
	for (size_t i = 0; i < sizeof poll_bits / sizeof *poll_bits; i++)
		events |= s->have[index].revents & poll_bits[i].host ? poll_bits[i].slirp : 0;
	return events;
}

unsigned net_slirp_poll(struct net_slirp *s, struct pollfd *fds, unsigned max, int64_t *wait)
{
	uint32_t ms = *wait < 0 || *wait > 1000000000 ? 1000 : (uint32_t)(*wait / 1000000);
	uint32_t before = ms;

	s->add = fds;
	s->max = max;
	s->count = 0;
	slirp_pollfds_fill(s->slirp, &ms, add_poll, s);
	if (ms < before)
		*wait = (int64_t)ms * 1000000;
	return s->count;
}

void net_slirp_work(struct net_slirp *s, const struct pollfd *fds, unsigned count, uint64_t ns)
{
	s->ns = ns;
	s->have = fds;
	s->count = count;
	slirp_pollfds_poll(s->slirp, 0, get_revents, s);
	for (struct timer *t = s->timers, *next; t; t = next) {
		next = t->next;
		if (t->when < 0 || t->when > (int64_t)(ns / 1000000))
			continue;
		t->when = -1;
		t->fire(t->owner);
	}
}

void net_slirp_input(struct net_slirp *s, const void *frame, size_t len, uint64_t ns)
{
	s->ns = ns;
	slirp_input(s->slirp, frame, (int)len);
}

/* ---- options ---- */

/* "[ADDRESS]:PORT" up to the end of TEXT. */
static bool parse_end(const char *text, struct in_addr *address, int *port)
{
	const char *colon = strrchr(text, ':');
	char host[64], *end;
	long n;

	if (!colon || (size_t)(colon - text) >= sizeof host)
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = 0;
	n = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end || n < 1 || n > 65535)
		return false;
	*port = (int)n;
	return !*host || inet_pton(AF_INET, host, address) == 1;
}

/* "tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT" */
static bool forward(struct net_slirp *s, char *spec, char **error)
{
	struct in_addr host = { htonl(INADDR_LOOPBACK) }, guest = { htonl(NETWORK | 15) };
	bool udp = !strncmp(spec, "udp:", 4);
	char *minus = strchr(spec, '-');
	int host_port, guest_port;

	if (minus)
		*minus = 0;
	if (!minus || (!udp && strncmp(spec, "tcp:", 4)) || !parse_end(spec + 4, &host, &host_port) ||
	    !parse_end(minus + 1, &guest, &guest_port)) {
		if (minus)
			*minus = '-';
		say(error, "hostfwd=%s: that is not tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT", spec);
		return false;
	}
	if (slirp_add_hostfwd(s->slirp, udp, host, host_port, guest, guest_port) < 0) {
		say(error, "hostfwd: port %d of the host is not free", host_port);
		return false;
	}
	return true;
}

static bool parse(struct net_slirp *s, char *options, SlirpConfig *config, char **error)
{
	for (int pass = 0; pass < 2; pass++) { /* libslirp wants its configuration first, forwards later */
		char *copy = strdup(options), *next = copy, *option;
		bool ok = copy;

		while (ok && (option = strsep(&next, ","))) {
			if (!strcmp(option, "restrict")) {
				config->restricted = 1;
			} else if (!strncmp(option, "hostfwd=", 8)) {
				ok = !pass || forward(s, option + 8, error);
			} else if (*option) {
				say(error,
				    "there is no option '%s' of the user network, only restrict and hostfwd=", option);
				ok = false;
			}
		}
		free(copy);
		if (!ok)
			return false;
		if (!pass)
			s->slirp = slirp_new(config, &callbacks, s);
		if (!s->slirp) {
			say(error, "libslirp cannot make a network");
			return false;
		}
	}
	return true;
}

struct net_slirp *net_slirp_new(const char *options, void (*arrived)(void *owner, const void *frame, size_t len),
				void *owner, char **error)
{
	SlirpConfig config = {
		.version = 4, .in_enabled = true, .vhostname = "vcpu",
		.vnetwork = { htonl(NETWORK) }, .vnetmask = { htonl(NETMASK) }, .vhost = { htonl(NETWORK | 2) },
		.vnameserver = { htonl(NETWORK | 3) }, .vdhcp_start = { htonl(NETWORK | 15) },
		.in6_enabled = true, .vprefix_addr6 = PREFIX6(0), .vprefix_len = 64, .vhost6 = PREFIX6(2),
		.vnameserver6 = PREFIX6(3),
	};
	struct net_slirp *s = calloc(1, sizeof *s);
	char *copy = strdup(options);
	bool ok = false;

	if (s && copy) {
		s->arrived = arrived;
		s->owner = owner;
		ok = parse(s, copy, &config, error);
	}
	free(copy);
	if (ok)
		return s;
	if (s)
		net_slirp_free(s);
	return NULL;
}

void net_slirp_free(struct net_slirp *s)
{
	if (s->slirp)
		slirp_cleanup(s->slirp);
	while (s->timers)
		timer_free(s->timers, s);
	free(s);
}

#else

struct net_slirp *net_slirp_new(const char *options, void (*arrived)(void *owner, const void *frame, size_t len),
				void *owner, char **error)
{
	(void)options, (void)arrived, (void)owner;
	say(error, "this program was built without libslirp, which the user network needs");
	return NULL;
}

void net_slirp_free(struct net_slirp *s) { (void)s; }
void net_slirp_input(struct net_slirp *s, const void *frame, size_t len, uint64_t ns) { (void)s, (void)frame, (void)len,
	(void)ns; }
unsigned net_slirp_poll(struct net_slirp *s, struct pollfd *fds, unsigned max, int64_t *wait) { (void)s, (void)fds,
	(void)max, (void)wait; return 0; }
void net_slirp_work(struct net_slirp *s, const struct pollfd *fds, unsigned count, uint64_t ns) { (void)s, (void)fds,
	(void)count, (void)ns; }

#endif
