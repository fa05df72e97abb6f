/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "mem/base/compat/socket.h"
#include "ending.h"
#include "gdb_wire.h"
#include "unix_socket.h"

enum { FIRST_BYTE_MS = 10000 }; /* gdb speaks first, and at once */

static bool listen_tcp(struct gdb_wire *w, const char *host, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int on = 1;
	char *end;
	unsigned long n = strtoul(port, &end, 10);

	if (!*port || *end || n > 65535) {
		errno = EINVAL;
		return false;
	}
	address.sin_port = htons((uint16_t)n);
	if (!*host || !strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
		errno = EINVAL;
		return false;
	}
	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return w->listener >= 0 && !setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) &&
	       !bind(w->listener, (struct sockaddr *)&address, sizeof address) && !listen(w->listener, 1);
}

static bool listen_unix(struct gdb_wire *w, const char *path)
{
	w->listener = unix_socket_listen(path, 0600);
	if (w->listener < 0)
		return false;
	w->path = strdup(path);
	return true;
}

void gdb_wire_hang_up(struct gdb_wire *w)
{
	if (w->in > STDERR_FILENO)
		close(w->in);
	w->in = w->out = -1;
	w->gone = true;
}

bool gdb_wire_open(struct gdb_wire *w, const char *place)
{
	char host[64];
	const char *colon = strrchr(place, ':');

	*w = (struct gdb_wire){ .listener = -1, .in = -1, .out = -1, .acks = true };
	if (!strcmp(place, "stdio")) {
		w->in = STDIN_FILENO;
		w->out = STDOUT_FILENO;
		return true;
	}
	if (!strncmp(place, "unix:", 5))
		return listen_unix(w, place + 5);
	if (!colon || (size_t)(colon - place) >= sizeof host) {
		errno = EINVAL;
		return false;
	}
	memcpy(host, place, (size_t)(colon - place));
	host[colon - place] = 0;
	return listen_tcp(w, host, colon + 1);
}

/* Wait at most MS milliseconds (-1: for ever) until FD is ready. False: it is not; a signal asks for the end,
 * perhaps. */
static bool ready(int fd, short events, int ms)
{
	struct pollfd p[2] = { { fd, events, 0 }, { ending_fd(), POLLIN, 0 } };

	return poll(p, 2, ms) > 0 && p[0].revents && !ending_signal();
}

/* More input, waiting for it at most MS milliseconds (-1: for ever). False: there is none; *end: nor will there be. */
static bool fill(struct gdb_wire *w, int ms, bool *end)
{
	ssize_t n;

	*end = false;
	if (w->in < 0 || w->have == sizeof w->input || !ready(w->in, POLLIN, ms))
		return false;
	n = read(w->in, w->input + w->have, sizeof w->input - w->have);
	*end = !n || (n < 0 && errno != EAGAIN && errno != EINTR);
	w->have += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* A browser, too, can be made to connect to a port of its own host: what it says must not be taken for commands. The
 * first byte of gdb is of a packet, an acknowledgement, or a break. */
static bool is_gdb(struct gdb_wire *w)
{
	bool end;

	w->have = 0;
	w->stranger = fill(w, FIRST_BYTE_MS, &end) ? w->input[0] : -1;
	return w->stranger == '+' || w->stranger == '-' || w->stranger == '$' || w->stranger == 3;
}

bool gdb_wire_accept(struct gdb_wire *w)
{
	int on = 1;

	if (w->listener < 0)
		return true;
	do
		if (ready(w->listener, POLLIN, -1))
			w->in = w->out = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		else
			errno = EINTR;
	while (w->in < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED) && !ending_signal());
	if (w->in < 0)
		return false;
	/* a Unix socket has no such thing, and needs none */
	setsockopt(w->in, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (is_gdb(w))
		return true;
	gdb_wire_hang_up(w);
	w->gone = false;
	errno = EPROTO;
	return false;
}

void gdb_wire_close(struct gdb_wire *w)
{
	gdb_wire_hang_up(w);
	if (w->listener >= 0)
		close(w->listener);
	if (w->path)
		unlink(w->path);
	free(w->path);
	free(w->sent);
}

/* A pipe that is ready takes PIPE_BUF bytes at once. */
static void put_bytes(struct gdb_wire *w, const char *data, size_t len)
{
	while (len && w->out >= 0) {
		ssize_t n = ready(w->out, POLLOUT, -1) ? write(w->out, data, len < PIPE_BUF ? len : PIPE_BUF) : -1;

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (ending_signal() || (errno != EINTR && errno != EAGAIN)) {
			gdb_wire_hang_up(w);
		}
	}
}

static void consume(struct gdb_wire *w, size_t n)
{
	memmove(w->input, w->input + n, w->have - n);
	w->have -= n;
}

/* The length of the packet at the beginning of the input, $ and checksum included; 0: no whole packet is there. */
static size_t whole_packet(const struct gdb_wire *w)
{
	const unsigned char *hash = w->have && *w->input == '$' ? memchr(w->input, '#', w->have) : NULL;
	size_t len = hash ? (size_t)(hash - w->input) + 3 : 0;

	return len <= w->have ? len : 0;
}

/* gdb sends a packet again if it has waited 2 seconds for the acknowledgement, as on a busy host: a second answer would
 * be taken for that of the next packet. gdb acknowledges an answer before it asks again, so an equal packet before that
 * is such a copy. */
static bool drop_copy(struct gdb_wire *w)
{
	size_t len = w->acks ? whole_packet(w) : 0;

	if (!len || len != w->request_length || memcmp(w->input, w->request, len))
		return false;
	consume(w, len);
	put_bytes(w, "+", 1);
	return true;
}

/* gdb has the packets that were sent to it. */
static void acknowledged(struct gdb_wire *w, unsigned packets)
{
	w->unacked -= packets < w->unacked ? packets : w->unacked;
	w->acks &= !w->last_ack;
}

void gdb_wire_end_acks(struct gdb_wire *w) { w->last_ack = true; }

/* A - that was sent before the answer is not about the answer: gdb has waited 2 seconds for it. After three of them gdb
 * gives up, and the answer would be taken for that of the packet that follows. */
static bool given_up(struct gdb_wire *w)
{
	bool impatient = false, end;

	while (fill(w, 0, &end))
		;
	while (w->have)
		if (*w->input == '+' || *w->input == '-') {
			impatient |= *w->input == '-';
			if (*w->input == '+')
				acknowledged(w, 1);
			consume(w, 1);
		} else if (!drop_copy(w)) {
			break;
		}
	return impatient && w->have && *w->input == '$';
}

/* $PAYLOAD#checksum; }, $, # and * in it are escaped. */
bool gdb_wire_put(struct gdb_wire *w, const char *payload, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char sum = 0;
	size_t n = 1;
	char *out;

	if (given_up(w))
		return false;
	out = malloc(2 * len + 4);
	if (!out) {
		gdb_wire_hang_up(w);
		return true;
	}
	out[0] = '$';
	for (size_t i = 0; i < len; i++) {
		if (strchr("}$#*", payload[i]) && payload[i]) {
			out[n++] = '}';
			out[n++] = (char)(payload[i] ^ 0x20);
		} else {
			out[n++] = payload[i];
		}
	}
	for (size_t i = 1; i < n; i++)
		sum = (unsigned char)(sum + (unsigned char)out[i]);
	out[n++] = '#';
	out[n++] = hex[sum >> 4];
	out[n++] = hex[sum & 15];
	free(w->sent);
	w->sent = out;
	w->sent_length = n;
	w->unacked++;
	put_bytes(w, out, n);
	return true;
}

int gdb_digit(int c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Wait for a whole packet at the beginning of the input. Its length; 0: gdb is gone, or a signal asks for the end. */
static size_t wait_packet(struct gdb_wire *w)
{
	bool end;

	for (;;) {
		size_t len = whole_packet(w);

		if (len && !(w->unacked && drop_copy(w)))
			return len;
		if (len)
			continue;
		if (w->have && *w->input != '$') { /* a break is nothing: the guest stands already */
			unsigned char c = *w->input;

			consume(w, 1);
			if (c == '+')
				acknowledged(w, 1);
			else if (c == '-' && w->acks && w->unacked)
				put_bytes(w, w->sent, w->sent_length);
			continue;
		}
		if (w->have == sizeof w->input)
			consume(w, w->have); /* no packet is that long */
		fill(w, -1, &end);
		if (end)
			gdb_wire_hang_up(w);
		if (w->gone || ending_signal())
			return 0;
	}
}

/* Unescape the payload of the packet of LEN bytes that the input begins with. False: its checksum is wrong. */
static bool unpack(struct gdb_wire *w, size_t len, size_t *payload)
{
	const unsigned char *hash = w->input + len - 3;
	int high = gdb_digit(hash[1]), low = gdb_digit(hash[2]);
	unsigned char sum = 0;
	size_t n = 0;

	for (const unsigned char *p = w->input + 1; p < hash; p++) {
		bool escape = *p == '}' && p + 1 < hash;

		sum = (unsigned char)(sum + *p);
		if (escape)
			sum = (unsigned char)(sum + *++p);
		if (n < GDB_PACKET)
			w->packet[n++] = (char)(escape ? *p ^ 0x20 : *p);
	}
	w->packet[n] = 0;
	*payload = n;
	return high >= 0 && low >= 0 && (high << 4 | low) == sum;
}

ptrdiff_t gdb_wire_get(struct gdb_wire *w)
{
	for (;;) {
		size_t len = wait_packet(w), payload;
		bool good;

		if (!len)
			return -1;
		acknowledged(w, w->unacked); /* a client that asks on has the answer */
		good = unpack(w, len, &payload) || !w->acks;
		memcpy(w->request, w->input, w->request_length = len);
		consume(w, len);
		if (w->acks)
			put_bytes(w, good ? "+" : "-", 1);
		if (good)
			return (ptrdiff_t)payload;
	}
}

bool gdb_wire_interrupted(struct gdb_wire *w)
{
	unsigned char *c;
	bool end;

	while (fill(w, 0, &end))
		;
	if (end || w->have == sizeof w->input) /* gdb says no more than a break meanwhile */
		gdb_wire_hang_up(w);
	c = memchr(w->input, 3, w->have);
	if (c)
		consume(w, (size_t)(c + 1 - w->input));
	return c || w->gone;
}

char *gdb_put_hex(char *out, const void *data, size_t len)
{
	for (const unsigned char *p = data; len--; p++)
		out += sprintf(out, "%02x", *p);
	return out;
}

size_t gdb_get_hex(const char *text, void *data, size_t len)
{
	unsigned char *out = data;
	size_t n = 0;

	while (n < len && gdb_digit(text[0]) >= 0 && gdb_digit(text[1]) >= 0) {
		out[n++] = (unsigned char)(gdb_digit(text[0]) << 4 | gdb_digit(text[1]));
		text += 2;
	}
	return n;
}
