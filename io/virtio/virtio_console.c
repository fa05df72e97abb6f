/* SPDX-License-Identifier: MIT */
/* The virtio console (virtio 1.2, 5.3). Limits: virtio_console.h. */
#include <stdlib.h>
#include "io/virtio/virtio_console.h"

#define QUEUE 65536u       /* a power of two */
#define BATCH (1 * MiB)    /* bytes sent at one instant */

enum { RX, TX, QUEUES };

struct virtio_console {
	struct virtio v;          /* first */
	u8 queue[QUEUE];
	u32 head, count;
	void (*out)(void *owner, const void *data, size_t len);
	void *owner;
	struct virtio_chain chain;
};

static const struct field console_fields[] = {
	VIRTIO_FIELDS,
	FIELDS(struct virtio_console, queue, U8),
	FIELD_MAX(struct virtio_console, head, U32, QUEUE - 1), FIELD_MAX(struct virtio_console, count, U32, QUEUE),
	FIELD_END
};

static void send(struct virtio_console *con)
{
	struct virtio *v = &con->v;
	u64 bytes = 0;

	while (bytes < BATCH && virtio_peek(v, TX, 0, &con->chain)) {
		struct virtio_cursor at = virtio_out(&con->chain);
		u8 text[1024];
		size_t n;

		while (bytes < BATCH && (n = virtio_read(v, &at, text, sizeof text))) {
			if (con->out)
				con->out(con->owner, text, n);
			bytes += n;
		}
		bytes += 64;
		virtio_take(v, TX, 1);
		virtio_push(v, TX, con->chain.head, 0);
	}
	virtio_interrupt(v, TX);
	if (bytes >= BATCH)
		virtio_soon(v, bytes);
}

static void receive(struct virtio_console *con)
{
	struct virtio *v = &con->v;

	while (con->count && virtio_peek(v, RX, 0, &con->chain)) {
		struct virtio_cursor at = virtio_in(&con->chain);
		u32 done = 0;

		while (con->count && done < con->chain.in_len) {
			u32 run = QUEUE - con->head < con->count ? QUEUE - con->head : con->count;

			run = (u32)virtio_write(v, &at, con->queue + con->head, run);
			if (!run)
				return;
			con->head = (con->head + run) % QUEUE;
			con->count -= run;
			done += run;
		}
		virtio_take(v, RX, 1);
		virtio_push(v, RX, con->chain.head, done);
		if (!done) /* a buffer for nothing */
			break;
	}
	virtio_interrupt(v, RX);
}

static void run(void *owner)
{
	send(owner);
	receive(owner);
}

bool virtio_console_input(struct virtio_console *con, const void *data, size_t len)
{
	const u8 *bytes = data;

	if (len > QUEUE - con->count)
		return false;
	for (size_t i = 0; i < len; i++)
		con->queue[(con->head + con->count++) % QUEUE] = bytes[i];
	if (virtio_live(&con->v))
		virtio_soon(&con->v, VIRTIO_WORK_NS);
	return true;
}

struct virtio_console *virtio_console_new(struct clock *clock, void (*out)(void *owner, const void *data, size_t len),
	void *owner,
		const struct log *log)
{
	struct virtio_console *con = calloc(1, sizeof *con);

	if (!con)
		return NULL;
	con->out = out;
	con->owner = owner;
	virtio_init(&con->v, "virtio-con", 0, VIRTIO_CONSOLE, 0x078000, QUEUES, clock, run, NULL, con, log);
	con->v.config_size = 12; /* columns, rows, ports: all of features that are not offered */
	return con;
}

void virtio_console_free(struct virtio_console *con)
{
	free(con);
}

struct pci_function *virtio_console_pci(struct virtio_console *con)
{
	return &con->v.pci;
}

struct part virtio_console_part(struct virtio_console *con)
{
	return (struct part){
		.name = con->v.name, .state = con, .fields = console_fields, .post_load = virtio_post_load
	};
}
