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
	w->listener = unix_socket_listen(path);
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

/* More input, waiting for it at most MS milliseconds (-1: for ever). False: there is none. */
static bool fill(struct gdb_wire *w, int ms)
{
	ssize_t n;

	if (w->in < 0 || w->have == sizeof w->input || !ready(w->in, POLLIN, ms))
		return false;
	n = read(w->in, w->input + w->have, sizeof w->input - w->have);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		gdb_wire_hang_up(w);
		return false;
	}
	w->have += (size_t)n;
	return true;
}

/* A browser, too, can be made to connect to a port of its own host: what it says must not be taken for commands. The
 * first byte of gdb is of a packet, an acknowledgement, or a break. */
static bool is_gdb(struct gdb_wire *w)
{
	w->have = 0;
	w->stranger = fill(w, FIRST_BYTE_MS) ? w->input[0] : -1;
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

/* $PAYLOAD#checksum; }, $, # and * in it are escaped. */
void gdb_wire_put(struct gdb_wire *w, const char *payload, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char *out = malloc(2 * len + 4);
	unsigned char sum = 0;
	size_t n = 1;

	if (!out) {
		gdb_wire_hang_up(w);
		return;
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
	put_bytes(w, out, n);
	free(out);
}

static void consume(struct gdb_wire *w, size_t n)
{
	memmove(w->input, w->input + n, w->have - n);
	w->have -= n;
}

int gdb_digit(int c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

ptrdiff_t gdb_wire_get(struct gdb_wire *w)
{
	for (;;) {
		unsigned char *end, sum = 0;
		size_t start = 0, len = 0;

		while (start < w->have && w->input[start] != '$') /* acknowledgements, and breaks: it stands already */
			start++;
		consume(w, start);
		end = w->have ? memchr(w->input, '#', w->have) : NULL;
		if (!end || end + 2 >= w->input + w->have) {
			if (w->have == sizeof w->input)
				consume(w, w->have); /* no packet is that long */
			if (!fill(w, -1) && (w->gone || ending_signal()))
				return -1;
			continue;
		}
		for (unsigned char *p = w->input + 1; p < end; p++) {
			sum = (unsigned char)(sum + *p);
			if (len == GDB_PACKET)
				continue;
			if (*p == '}' && p + 1 < end) {
				sum = (unsigned char)(sum + *++p);
				w->packet[len++] = (char)(*p ^ 0x20);
			} else {
				w->packet[len++] = (char)*p;
			}
		}
		start = (size_t)(end + 3 - w->input);
		if (w->acks && (gdb_digit(end[1]) << 4 | gdb_digit(end[2])) != sum) {
			consume(w, start);
			put_bytes(w, "-", 1);
			continue;
		}
		consume(w, start);
		if (w->acks)
			put_bytes(w, "+", 1);
		w->packet[len] = 0;
		return (ptrdiff_t)len;
	}
}

bool gdb_wire_interrupted(struct gdb_wire *w)
{
	unsigned char *c;

	while (fill(w, 0))
		;
	if (w->have == sizeof w->input) /* gdb says no more than a break meanwhile */
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
