/* SPDX-License-Identifier: MIT */
/* The virtio 9P transport (virtio 1.2, 5.9). Limits: virtio_9p.h. */
#include <stdlib.h>
#include "io/virtio/virtio_9p.h"

#define F_MOUNT_TAG 1u
enum { HEADER = 7 };

struct virtio_9p {
	struct virtio v;                         /* first */
	bool waiting[VIRTIO_QUEUE_MAX];          /* of each head: its request went out, */
	u16 tag[VIRTIO_QUEUE_MAX];               /* with this tag */
	void (*out)(void *owner, const void *data, size_t len);
	void *owner;
	struct virtio_chain chain;
	u8 message[P9_MESSAGE_MAX];
};

static const struct field p9_fields[] = {
	VIRTIO_FIELDS,
	FIELDS(struct virtio_9p, waiting, BOOL), FIELDS(struct virtio_9p, tag, U16),
	FIELD_END
};

static void run(void *owner)
{
	struct virtio_9p *p9 = owner;
	struct virtio *v = &p9->v;
	unsigned budget = VIRTIO_QUEUE_MAX;

	while (budget-- && virtio_peek(v, 0, 0, &p9->chain)) {
		struct virtio_cursor at = virtio_out(&p9->chain);
		size_t len = virtio_read(v, &at, p9->message, sizeof p9->message);
		u32 size = len < HEADER ? 0 : get32(p9->message);

		if (size < HEADER || size > len || p9->waiting[p9->chain.head]) {
			virtio_broken(v, "a 9P request without its bytes, or twice");
			return;
		}
		p9->waiting[p9->chain.head] = true;
		p9->tag[p9->chain.head] = get16(p9->message + 5);
		virtio_take(v, 0, 1);
		if (p9->out)
			p9->out(p9->owner, p9->message, size);
	}
}

bool virtio_9p_input(struct virtio_9p *p9, const void *data, size_t len)
{
	struct virtio *v = &p9->v;
	struct virtio_cursor at;
	unsigned head = 0;
	u16 tag;

	if (len < HEADER || get32(data) != len)
		return false;
	tag = get16((const u8 *)data + 5);
	while (head < VIRTIO_QUEUE_MAX && !(p9->waiting[head] && p9->tag[head] == tag))
		head++;
	if (head == VIRTIO_QUEUE_MAX || !virtio_live(v) || !virtio_chain_at(v, 0, (u16)head, &p9->chain) ||
	    p9->chain.in_len < len)
		return false;
	p9->waiting[head] = false;
	at = virtio_in(&p9->chain);
	virtio_write(v, &at, data, len);
	virtio_push(v, 0, (u16)head, (u32)len);
	virtio_interrupt(v, 0);
	return true;
}

static void virtio_9p_reset(void *owner)
{
	struct virtio_9p *p9 = owner;

	memset(p9->waiting, 0, sizeof p9->waiting);
}

struct virtio_9p *virtio_9p_new(struct clock *clock, const char *mount_tag,
	void (*out)(void *owner, const void *data, size_t len), void *owner,
		const struct log *log)
{
	struct virtio_9p *p9 = calloc(1, sizeof *p9);
	size_t len = strlen(mount_tag);

	if (!p9)
		return NULL;
	if (len > P9_TAG_MAX)
		len = P9_TAG_MAX;
	p9->out = out;
	p9->owner = owner;
	virtio_init(&p9->v, "virtio-9p", 0, VIRTIO_9P, 0x00ff00, 1, clock, run, virtio_9p_reset, p9, log);
	p9->v.features |= F_MOUNT_TAG;
	p9->v.config_size = 2 + (unsigned)len;
	put16(p9->v.config, (u16)len);
	memcpy(p9->v.config + 2, mount_tag, len);
	return p9;
}

void virtio_9p_free(struct virtio_9p *p9)
{
	free(p9);
}

struct pci_function *virtio_9p_pci(struct virtio_9p *p9)
{
	return &p9->v.pci;
}

struct part virtio_9p_part(struct virtio_9p *p9)
{
	return (struct part){ .name = p9->v.name, .state = p9, .fields = p9_fields, .post_load = virtio_post_load };
}
