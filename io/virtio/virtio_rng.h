/* SPDX-License-Identifier: MIT */
/* The virtio entropy device (virtio 1.2, 5.4). Its bytes come from a generator that starts from the machine's seed:
 * a run with the same seed gets the same bytes. They have the statistics of random bytes and no cryptographic
 * strength.
 *
 * Not modelled: buffers of more than 64 KiB are filled up to 64 KiB. */
#ifndef IO_VIRTIO_RNG_H
#define IO_VIRTIO_RNG_H

#include "io/virtio/virtio.h"

struct virtio_rng;

/* The caller attaches virtio_rng_pci. NULL: no memory. */
struct virtio_rng *virtio_rng_new(struct clock *clock, u64 seed, const struct log *log);
void virtio_rng_free(struct virtio_rng *rng);
struct pci_function *virtio_rng_pci(struct virtio_rng *rng);
struct part virtio_rng_part(struct virtio_rng *rng);

#endif
