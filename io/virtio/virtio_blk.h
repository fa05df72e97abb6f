/* SPDX-License-Identifier: MIT */
/* The virtio block device (virtio 1.2, 5.2): read, write, flush, discard, write zeroes, get ID; one queue.
 *
 * Data goes straight between the disk and RAM. A batch of up to BATCH bytes of requests is done at one instant,
 * VIRTIO_WORK_NS after it was asked for; the next comes as much later as its bytes take at 4 GB/s.
 *
 * Not modelled: several queues, lifetime, secure erase, zones. */
#ifndef IO_VIRTIO_BLK_H
#define IO_VIRTIO_BLK_H

#include "io/disk/disk.h"
#include "io/virtio/virtio.h"

struct virtio_blk;

/* NUMBER tells several apart. DISK stays the caller's, and must outlive the device. The caller attaches virtio_blk_pci.
 * NULL: no memory. */
struct virtio_blk *virtio_blk_new(struct clock *clock, unsigned number, struct disk *disk, const struct log *log);
void virtio_blk_free(struct virtio_blk *blk);
struct pci_function *virtio_blk_pci(struct virtio_blk *blk);
struct part virtio_blk_part(struct virtio_blk *blk);

#endif
