/* SPDX-License-Identifier: MIT */
/* The virtio entropy device (virtio 1.2, 5.4). Limits: virtio_rng.h. */
#include <stdlib.h>
#include "io/virtio/virtio_rng.h"

#define REQUEST_MAX 65536u /* bytes that one buffer gets; the driver sees how many */

struct virtio_rng {
	struct virtio v;          /* first */
	u64 count;                /* words given out */
	u64 seed;                 /* configuration */
	struct virtio_chain chain;
};

static const struct field rng_fields[] = { VIRTIO_FIELDS, FIELD(struct virtio_rng, count, U64), FIELD_END };

static void run(void *owner)
{
	struct virtio_rng *rng = owner;
	unsigned budget = VIRTIO_QUEUE_MAX;

	while (budget-- && virtio_peek(&rng->v, 0, 0, &rng->chain)) {
		struct virtio_cursor at = virtio_in(&rng->chain);
		u32 left = rng->chain.in_len < REQUEST_MAX ? (u32)rng->chain.in_len : REQUEST_MAX, done = 0, n;

		do {
			u64 word = hash64(rng->seed, &rng->count, sizeof rng->count);

			rng->count++;
			n = (u32)virtio_write(&rng->v, &at, &word, left - done < 8 ? left - done : 8);
			done += n;
		} while (n == 8 && done < left);
		virtio_take(&rng->v, 0, 1);
		virtio_push(&rng->v, 0, rng->chain.head, done);
	}
	virtio_interrupt(&rng->v, 0);
}

struct virtio_rng *virtio_rng_new(struct clock *clock, u64 seed, const struct log *log)
{
	struct virtio_rng *rng = calloc(1, sizeof *rng);

	if (!rng)
		return NULL;
	rng->seed = seed;
	virtio_init(&rng->v, "virtio-rng", 0, VIRTIO_RNG, 0x00ff00, 1, clock, run, NULL, rng, log);
	return rng;
}

void virtio_rng_free(struct virtio_rng *rng)
{
	free(rng);
}

struct pci_function *virtio_rng_pci(struct virtio_rng *rng)
{
	return &rng->v.pci;
}

struct part virtio_rng_part(struct virtio_rng *rng)
{
	return (struct part){ .name = rng->v.name, .state = rng, .fields = rng_fields, .post_load = virtio_post_load };
}
