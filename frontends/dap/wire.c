/* SPDX-License-Identifier: MIT */
/* The wire of the protocol: "Content-Length: N", an empty line, N bytes of JSON. The client is not trusted: a header has
 * at most 1 KiB, a message 16 MiB. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "mem/base/compat/text.h"
#include "dap.h"

enum { HEADER_MAX = 1024, MESSAGE_MAX = 16 << 20, READ_SIZE = 4096 };

static void lost(struct dap *d, const char *why)
{
	if (why)
		complain("the client's message %s", why);
	d->broken |= why != NULL;
	d->gone = true;
}

/* The first message of what has come in; NULL: it is not complete. */
static json_t *cut_message(struct dap *d)
{
	static const char field[] = "Content-Length:";
	char *end = d->len ? memmem(d->bytes, d->len < HEADER_MAX ? d->len : HEADER_MAX, "\r\n\r\n", 4) : NULL;
	char *at, *stop;
	size_t header, size = 0;
	json_t *message;

	if (!end) {
		if (d->len >= HEADER_MAX)
			lost(d, "has no header");
		return NULL;
	}
	*end = 0;
	at = strcasestr(d->bytes, field);
	errno = 0;
	if (at)
		size = strtoul(at + sizeof field - 1, &stop, 10);
	if (!at || !size || size > MESSAGE_MAX || errno) {
		lost(d, "has no Content-Length from 1 to 16777216");
		return NULL;
	}
	header = (size_t)(end - d->bytes) + 4;
	*end = '\r';
	if (d->len < header + size)
		return NULL;
	message = json_loadb(d->bytes + header, size, 0, NULL);
	d->len -= header + size;
	memmove(d->bytes, d->bytes + header + size, d->len);
	if (!json_is_object(message)) {
		json_decref(message);
		lost(d, "is no JSON object");
		return NULL;
	}
	return message;
}

/* Read what there is; WAIT for something. */
static void take(struct dap *d, bool wait)
{
	struct pollfd p = { .fd = d->in, .events = POLLIN };
	ssize_t n;

	if (!wait && poll(&p, 1, 0) <= 0)
		return;
	if (d->room - d->len < READ_SIZE)
		d->bytes = needed(realloc(d->bytes, d->room = 2 * d->room + 2 * READ_SIZE));
	do
		n = read(d->in, d->bytes + d->len, READ_SIZE);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		lost(d, d->len ? "is cut off" : NULL);
	else
		d->len += (size_t)n;
}

void wire_poll(struct dap *d)
{
	json_t *message;

	if (!d->gone)
		take(d, false);
	while (!d->gone && (message = cut_message(d)))
		json_array_append_new(d->queue, message);
}

json_t *wire_next(struct dap *d)
{
	json_t *message = json_array_get(d->queue, 0);

	if (message) {
		json_incref(message);
		json_array_remove(d->queue, 0);
		return message;
	}
	while (!d->gone && !(message = cut_message(d)) && !d->gone)
		take(d, true);
	return d->gone ? NULL : message;
}

bool wire_queued(const struct dap *d, const char *command)
{
	json_t *message;
	size_t i;

	json_array_foreach(d->queue, i, message)
		if (!command || !strcmp(dap_string(message, "command", ""), command))
			return true;
	return false;
}

static bool put(struct dap *d, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(d->out, data, len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			data += n, len -= (size_t)n;
	}
	return true;
}

void wire_send(struct dap *d, json_t *message)
{
	char header[64], *text;

	json_object_set_new(message, "seq", json_integer(++d->seq));
	text = needed(json_dumps(message, JSON_COMPACT));
	snprintf(header, sizeof header, "Content-Length: %zu\r\n\r\n", strlen(text));
	if (!d->gone && (!put(d, header, strlen(header)) || !put(d, text, strlen(text))))
		lost(d, NULL);
	free(text);
	json_decref(message);
}

void wire_event(struct dap *d, const char *name, json_t *body)
{
	json_t *message = json_pack("{s:s, s:s}", "type", "event", "event", name);

	if (body)
		json_object_set_new(message, "body", body);
	wire_send(d, message);
}
