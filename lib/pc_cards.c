/* What is in a PC's PCI slots: the network adapter in slot 3, virtio devices from 4 on. */
#include "io/virtio_blk.h"
#include "io/virtio_net.h"
#include "lib/pc.h"

static void blk_free(void *device) { virtio_blk_free(device); }
static struct part blk_part(void *device) { return virtio_blk_part(device); }
static const struct device_kind blk_kind = { blk_free, NULL, blk_part, NULL };

static void net_free(void *device) { virtio_net_free(device); }
static struct part net_part(void *device) { return virtio_net_part(device); }
static const struct device_kind net_kind = { net_free, NULL, net_part, NULL };

static void net_out(void *owner, const void *frame, size_t len) { pc_output(owner, VCPU_NET, frame, len); }

/* FUNCTION into the first free slot from FIRST on. */
static bool attach(struct pc *pc, unsigned first, struct pci_function *function)
{
	for (unsigned slot = first; slot < 32; slot++)
		if (pci_attach(pc->pci, function, slot, 0))
			return true;
	return false;
}

static bool build_nic(struct pc *pc)
{
	static const u8 none[6], usual[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
	struct vcpu *v = pc->v;
	const char *kind = pc->config->nic;
	const u8 *mac = memcmp(pc->config->mac, none, 6) ? pc->config->mac : usual;

	if (!kind || !strcmp(kind, "none"))
		return true;
	if (mac[0] & 1)
		return error_set(pc->error, "the network adapter's address is one of several adapters: its first byte, %02x, is odd", mac[0]);
	if (!strcmp(kind, "virtio"))
		return pc_add(pc, &net_kind, pc->virtio_net = virtio_net_new(&v->clock, mac, net_out, pc, &v->log)) &&
			attach(pc, 3, virtio_net_pci(pc->virtio_net));
	return error_set(pc->error, "there is no network adapter '%s', only virtio and none", kind);
}

static bool build_drives(struct pc *pc)
{
	struct vcpu *v = pc->v;
	unsigned number = 0;

	for (unsigned i = 0; i < v->ndrives; i++) {
		struct virtio_blk *blk;

		if (v->drives[i].bus != VCPU_BUS_VIRTIO)
			continue;
		blk = virtio_blk_new(&v->clock, number++, v->drives[i].disk, &v->log);
		if (!pc_add(pc, &blk_kind, blk) || !attach(pc, 4, virtio_blk_pci(blk)))
			return false;
	}
	return true;
}

bool pc_build_cards(struct pc *pc)
{
	return build_nic(pc) && build_drives(pc);
}

/* ---- input ---- */

int pc_cards_input(struct pc *pc, enum vcpu_channel channel, const void *data, size_t len)
{
	bool taken = false;

	switch (channel) {
	case VCPU_NET:
		if (pc->virtio_net)
			taken = virtio_net_input(pc->virtio_net, data, len);
		else
			break;
		return taken ? 0 : machine_error(pc->v, "the network adapter cannot take a frame of %zu bytes now", len);
	default:
		break;
	}
	return machine_error(pc->v, "channel %d takes no input", (int)channel);
}
