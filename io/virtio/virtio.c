/* SPDX-License-Identifier: MIT */
/* Split rings, chains and the life of a device (virtio 1.2, chapter 2). Limits: virtio.h. */
#include <stdio.h>
#include <stdlib.h>
#include "io/virtio/virtio.h"

/* Split virtqueue (2.7), SIZE entries:
 *
 *   descriptor, 16 bytes     0 address   8 length (32)   12 flags (16)   14 next (16)
 *   available ring           0 flags (16)   2 index (16)   4 heads (16 each)          then used_event (16)
 *   used ring                0 flags (16)   2 index (16)   4 { head (32), length (32) }  then avail_event (16) */
enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_SIZE = 16 };
enum { AVAIL_NO_INTERRUPT = 1 };

/* ---- RAM ---- */

static struct space *mem(const struct virtio *v)
{
	return pci_memory(&v->pci);
}

static void broken(struct virtio *v, const char *what)
{
	if (v->status & VIRTIO_NEEDS_RESET)
		return;
	log_line(v->log, "%s: the driver gives %s: the device stops until it is reset", v->name, what);
	v->status |= VIRTIO_NEEDS_RESET;
	if (v->status & VIRTIO_DRIVER_OK)
		virtio_config_changed(v);
}

void virtio_broken(struct virtio *v, const char *what)
{
	broken(v, what);
}

/* LEN bytes of a ring, which must be in RAM; zeroes if they are not. */
static bool ring_read(struct virtio *v, u64 addr, void *out, u64 len)
{
	u64 run = len;
	const u8 *from = space_view(mem(v), addr, &run, false);

	memset(out, 0, len);
	if (!from || run < len) {
		broken(v, "a ring that is not in RAM");
		return false;
	}
	memcpy(out, from, len);
	return true;
}

static bool ring_write(struct virtio *v, u64 addr, const void *in, u64 len)
{
	u64 run = len;
	u8 *to = space_view(mem(v), addr, &run, true);

	if (!to || run < len) {
		broken(v, "a ring that is not in RAM");
		return false;
	}
	memcpy(to, in, len);
	space_written(mem(v), addr, len);
	return true;
}

static u16 ring_read16(struct virtio *v, u64 addr)
{
	u8 bytes[2];

	ring_read(v, addr, bytes, sizeof bytes);
	return get16(bytes);
}

/* ---- chains ---- */

/* Add the descriptors from INDEX on, of a table of COUNT at TABLE, to C. *INDIRECT: there may be a descriptor of a
 * table, which ends the chain here; its address and length come back in *TABLE and *COUNT. */
static bool walk(struct virtio *v, struct virtio_chain *c, u64 *table, u32 *count, u32 index, bool *indirect)
{
	for (;;) {
		u8 d[DESC_SIZE];
		u16 flags;
		u32 len;

		if (index >= *count)
			return broken(v, "a descriptor beyond its table"), false;
		if (!ring_read(v, *table + (u64)index * DESC_SIZE, d, sizeof d))
			return false;
		len = get32(d + 8);
		flags = get16(d + 12);
		if (flags & DESC_INDIRECT) {
			if (!*indirect || (flags & DESC_NEXT) || !len || len % DESC_SIZE ||
			    !virtio_has(v, VIRTIO_F_INDIRECT))
				return broken(v, "an indirect descriptor that is not allowed"), false;
			*table = get64(d);
			*count = len / DESC_SIZE;
			return true;
		}
		if (c->out + c->in == VIRTIO_SEGMENTS)
			return broken(v, "a chain that is too long"), false;
		if (!(flags & DESC_WRITE) && c->in)
			return broken(v, "a buffer to read behind one to write"), false;
		c->segment[c->out + c->in].addr = get64(d);
		c->segment[c->out + c->in].len = len;
		if (flags & DESC_WRITE) {
			c->in++;
			c->in_len += len;
		} else {
			c->out++;
			c->out_len += len;
		}
		if (!(flags & DESC_NEXT)) {
			*indirect = false;
			return true;
		}
		index = get16(d + 14);
	}
}

bool virtio_chain_at(struct virtio *v, unsigned q, u16 head, struct virtio_chain *c)
{
	bool indirect = true;
	u64 table = v->desc[q];
	u32 count = v->size[q];

	c->head = head;
	c->out = c->in = 0;
	c->out_len = c->in_len = 0;
	if (!walk(v, c, &table, &count, head, &indirect))
		return false;
	if (!indirect)
		return true;
	indirect = false;
	return walk(v, c, &table, &count, 0, &indirect);
}

bool virtio_peek(struct virtio *v, unsigned q, unsigned n, struct virtio_chain *c)
{
	u16 waiting, head;

	if (!virtio_live(v) || !v->enabled[q])
		return false;
	waiting = (u16)(ring_read16(v, v->avail[q] + 2) - v->taken[q]);
	if (waiting > v->size[q])
		return broken(v, "an available index that is too far"), false;
	if (n >= waiting || (v->status & VIRTIO_NEEDS_RESET))
		return false;
	head = ring_read16(v, v->avail[q] + 4 + 2 * ((v->taken[q] + n) & (v->size[q] - 1u)));
	return !(v->status & VIRTIO_NEEDS_RESET) && virtio_chain_at(v, q, head, c);
}

void virtio_take(struct virtio *v, unsigned q, unsigned n)
{
	u8 event[2];

	v->taken[q] = (u16)(v->taken[q] + n);
	if (!virtio_has(v, VIRTIO_F_EVENT_IDX))
		return;
	put16(event, v->taken[q]); /* avail_event: notify for the next one */
	ring_write(v, v->used[q] + 4 + 8 * (u64)v->size[q], event, sizeof event);
}

void virtio_push(struct virtio *v, unsigned q, u16 head, u32 written)
{
	u8 entry[8], index[2];

	if (v->status & VIRTIO_NEEDS_RESET)
		return;
	put32(entry, head);
	put32(entry + 4, written);
	if (!ring_write(v, v->used[q] + 4 + 8 * (v->pushed[q] & (v->size[q] - 1u)), entry, sizeof entry))
		return;
	put16(index, ++v->pushed[q]);
	ring_write(v, v->used[q] + 2, index, sizeof index);
}

static void interrupt(struct virtio *v, u8 cause, u16 vector)
{
	if (pci_msix_on(&v->pci)) {
		if (vector != VIRTIO_NO_VECTOR)
			pci_message(&v->pci, vector);
		return;
	}
	v->isr |= cause;
	pci_irq(&v->pci, true);
}

void virtio_interrupt(struct virtio *v, unsigned q)
{
	u16 old = v->signalled[q], new = v->pushed[q], event;

	if (old == new || (v->status & VIRTIO_NEEDS_RESET))
		return;
	v->signalled[q] = new;
	if (virtio_has(v, VIRTIO_F_EVENT_IDX)) { /* did we pass the entry that the driver waits for? (2.7.7.1) */
		event = ring_read16(v, v->avail[q] + 4 + 2 * (u64)v->size[q]);
		if ((u16)(new - event - 1) >= (u16)(new - old))
			return;
	} else if (ring_read16(v, v->avail[q]) & AVAIL_NO_INTERRUPT) {
		return;
	}
	interrupt(v, VIRTIO_ISR_QUEUE, v->vector[q]);
}

/* ---- what is in the chains ---- */

struct virtio_cursor virtio_out(const struct virtio_chain *c)
{
	return (struct virtio_cursor){ .chain = c, .segment = 0, .end = c->out };
}

struct virtio_cursor virtio_in(const struct virtio_chain *c)
{
	return (struct virtio_cursor){ .chain = c, .segment = c->out, .end = c->out + c->in };
}

u8 *virtio_view(struct virtio *v, struct virtio_cursor *at, u64 *len, bool write)
{
	u64 left;
	u8 *view;

	while (at->segment < at->end && at->at == at->chain->segment[at->segment].len) {
		at->segment++;
		at->at = 0;
	}
	if (at->segment == at->end || !*len)
		return NULL;
	at->viewed = at->chain->segment[at->segment].addr + at->at;
	left = at->chain->segment[at->segment].len - at->at;
	if (*len > left)
		*len = left;
	view = space_view(mem(v), at->viewed, len, write);
	if (!view) {
		broken(v, "a buffer that is not in RAM");
		return NULL;
	}
	at->at += (u32)*len;
	return view;
}

void virtio_viewed(struct virtio *v, const struct virtio_cursor *at, u64 len)
{
	space_written(mem(v), at->viewed, len);
}

size_t virtio_read(struct virtio *v, struct virtio_cursor *at, void *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		u64 run = len - done;
		const u8 *from = virtio_view(v, at, &run, false);

		if (!from)
			break;
		memcpy((u8 *)out + done, from, run);
		done += run;
	}
	return done;
}

size_t virtio_write(struct virtio *v, struct virtio_cursor *at, const void *in, size_t len)
{
	size_t done = 0;

	while (done < len) {
		u64 run = len - done;
		u8 *to = virtio_view(v, at, &run, true);

		if (!to)
			break;
		memcpy(to, (const u8 *)in + done, run);
		virtio_viewed(v, at, run);
		done += run;
	}
	return done;
}

/* ---- life ---- */

bool virtio_legacy(const struct virtio *v)
{
	return !virtio_has(v, VIRTIO_F_VERSION_1);
}

bool virtio_live(const struct virtio *v)
{
	return (v->status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK && pci_master(&v->pci);
}

void virtio_soon(struct virtio *v, u64 ns)
{
	u64 when = clock_in(v->clock, ns);

	if (when < v->work.when)
		clock_arm(v->clock, &v->work, when);
}

void virtio_notify(struct virtio *v, unsigned q)
{
	if (q < v->queues && virtio_live(v))
		virtio_soon(v, VIRTIO_WORK_NS);
}

void virtio_config_changed(struct virtio *v)
{
	v->generation++;
	interrupt(v, VIRTIO_ISR_CONFIG, v->config_vector);
}

static void work(void *owner, u64 late)
{
	struct virtio *v = owner;

	(void)late;
	if (virtio_live(v))
		v->run(v->owner);
}

static void virtio_reset(struct virtio *v)
{
	v->driver_features = 0;
	v->device_features_select = v->driver_features_select = 0;
	v->status = v->isr = 0;
	v->config_vector = VIRTIO_NO_VECTOR;
	v->queue_select = 0;
	for (unsigned q = 0; q < VIRTIO_QUEUES; q++) {
		v->size[q] = VIRTIO_QUEUE_MAX;
		v->vector[q] = VIRTIO_NO_VECTOR;
		v->enabled[q] = false;
		v->desc[q] = v->avail[q] = v->used[q] = 0;
		v->taken[q] = v->pushed[q] = v->signalled[q] = 0;
	}
	clock_arm(v->clock, &v->work, CLOCK_NEVER);
}

void virtio_set_status(struct virtio *v, u8 status)
{
	bool was = virtio_live(v);

	if (!status) {
		virtio_reset(v);
		pci_irq(&v->pci, false);
		if (v->reset)
			v->reset(v->owner);
		return;
	}
	/* A driver of 1.x may ask whether its choice of features is fine (3.1.1); it must know VERSION_1. */
	if ((status & VIRTIO_FEATURES_OK) && !(v->status & VIRTIO_FEATURES_OK) &&
			(virtio_legacy(v) || (v->driver_features & ~v->features)))
		status &= (u8)~VIRTIO_FEATURES_OK;
	v->status = status | (v->status & VIRTIO_NEEDS_RESET);
	if (!was && virtio_live(v))
		virtio_soon(v, VIRTIO_WORK_NS); /* what came before is there already */
}

void virtio_post_load(void *state)
{
	struct virtio *v = state;

	for (unsigned q = 0; q < VIRTIO_QUEUES; q++)
		if (!v->size[q] || v->size[q] > VIRTIO_QUEUE_MAX || (v->size[q] & (v->size[q] - 1)))
			v->size[q] = VIRTIO_QUEUE_MAX;
}

void virtio_init(struct virtio *v, const char *name, unsigned number, unsigned type, u32 pci_class, unsigned queues,
	struct clock *clock,
		void (*run)(void *owner), void (*reset_device)(void *owner), void *owner, const struct log *log)
{
	snprintf(v->name, sizeof v->name, "%.12s %u", name, number);
	snprintf(v->pci_name, sizeof v->pci_name, "%s pci", v->name);
	snprintf(v->work_name, sizeof v->work_name, "%s work", v->name);
	v->features = VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1;
	v->queues = queues;
	v->clock = clock;
	v->log = log;
	v->run = run;
	v->reset = reset_device;
	v->owner = owner;
	clock_add(clock, &v->work, v->work_name, work, v);
	virtio_reset(v);
	virtio_pci_init(v, type, pci_class);
}

struct part virtio_part(struct virtio *v)
{
	static const struct field virtio_fields[] = { VIRTIO_FIELDS, FIELD_END };

	return (struct part){ .name = v->name, .state = v, .fields = virtio_fields, .post_load = virtio_post_load };
}
