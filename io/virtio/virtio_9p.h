/* SPDX-License-Identifier: MIT */
/* The virtio 9P transport (virtio 1.2, 5.9 reserves its number; the layout is Linux's): one queue, whose chains
 * carry a request and room for its answer. Requests go out, answers come in later, in any order; what they say is
 * the business of whoever serves them.
 *
 *     9P message: size (32, itself included)  type (8)  tag (16)  ...
 *
 * The answer finds its request by the tag. At most VIRTIO_QUEUE_MAX requests are under way.
 *
 * Not modelled: messages beyond P9_MESSAGE_MAX; the file server is outside of the machine. */
#ifndef IO_VIRTIO_9P_H
#define IO_VIRTIO_9P_H

#include "io/virtio/virtio.h"

enum { P9_MESSAGE_MAX = 1 << 20, P9_TAG_MAX = 32 };

struct virtio_9p;

/* MOUNT_TAG, at most P9_TAG_MAX bytes, names the share to the guest. OUT gets each request, 7 to P9_MESSAGE_MAX bytes.
 * The caller attaches virtio_9p_pci. NULL: no memory. */
struct virtio_9p *virtio_9p_new(struct clock *clock, const char *mount_tag,
	void (*out)(void *owner, const void *data, size_t len), void *owner,
		const struct log *log);
void virtio_9p_free(struct virtio_9p *p9);
/* An answer. False, and nothing is taken: no request has its tag, or it is longer than the request has room for. */
bool virtio_9p_input(struct virtio_9p *p9, const void *data, size_t len);
struct pci_function *virtio_9p_pci(struct virtio_9p *p9);
struct part virtio_9p_part(struct virtio_9p *p9);

#endif
