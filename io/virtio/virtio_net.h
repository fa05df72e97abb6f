/* SPDX-License-Identifier: MIT */
/* The virtio network device (virtio 1.2, 5.1): one pair of queues and a control queue, checksum and TCP segmentation
 * offload, merged receive buffers.
 *
 * What leaves is always a whole frame with right checksums. With segmentation offload it may be an IP packet of up to
 * 64 KiB in one frame, a TCP segment as the guest made it: right, but larger than a wire takes; who puts it on one cuts
 * it. The same may come in, and the guest gets it as a packet to be cut into wire-sized segments, if it has said that
 * it takes such; otherwise it is dropped. Such a guest also gets TCP segments over IPv4 that have come one after the
 * other, in order, as one.
 *
 * Not modelled: several pairs of queues, RSS, notification coalescing, VLAN filters. */
#ifndef IO_VIRTIO_NET_H
#define IO_VIRTIO_NET_H

#include "io/virtio/virtio.h"

struct virtio_net;

/* OUT gets the frames that the guest sends. The caller attaches virtio_net_pci. NULL: no memory. */
struct virtio_net *virtio_net_new(struct clock *clock, const u8 mac[6],
	void (*out)(void *owner, const void *frame, size_t len), void *owner,
		const struct log *log);
void virtio_net_free(struct virtio_net *net);
/* A frame from outside. False, and nothing is taken: it is no frame, or there is no room now. */
bool virtio_net_input(struct virtio_net *net, const void *frame, size_t len);
struct pci_function *virtio_net_pci(struct virtio_net *net);
struct part virtio_net_part(struct virtio_net *net);

#endif
