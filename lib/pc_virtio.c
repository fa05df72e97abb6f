/* The virtio devices of a PC: from slot 4 on. */
#include "io/virtio_blk.h"
#include "lib/pc.h"

static void blk_free(void *device) { virtio_blk_free(device); }
static struct part blk_part(void *device) { return virtio_blk_part(device); }
static const struct device_kind blk_kind = { blk_free, NULL, blk_part, NULL };

/* The next free slot. */
static bool attach(struct pc *pc, struct pci_function *function)
{
	for (unsigned slot = 4; slot < 32; slot++)
		if (pci_attach(pc->pci, function, slot, 0))
			return true;
	return false;
}

bool pc_build_virtio(struct pc *pc)
{
	struct vcpu *v = pc->v;
	unsigned number = 0;

	for (unsigned i = 0; i < v->ndrives; i++) {
		struct virtio_blk *blk;

		if (v->drives[i].bus != VCPU_BUS_VIRTIO)
			continue;
		blk = virtio_blk_new(&v->clock, number++, v->drives[i].disk, &v->log);
		if (!pc_add(pc, &blk_kind, blk) || !attach(pc, virtio_blk_pci(blk)))
			return false;
	}
	return true;
}
