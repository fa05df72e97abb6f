/* What is in a PC's PCI slots: the network adapter in slot 3, virtio devices from 4 on. */
#include "io/e1000.h"
#include "io/ne2000.h"
#include "io/virtio_blk.h"
#include "io/virtio_net.h"
#include "lib/pc.h"

static void blk_free(void *device) { virtio_blk_free(device); }
static struct part blk_part(void *device) { return virtio_blk_part(device); }
static const struct device_kind blk_kind = { blk_free, NULL, blk_part, NULL };

static void e1000_kind_free(void *device) { e1000_free(device); }
static struct part e1000_kind_part(void *device) { return e1000_part(device); }
static const struct device_kind e1000_kind = { e1000_kind_free, NULL, e1000_kind_part, NULL };

static void ne2000_kind_free(void *device) { ne2000_free(device); }
static struct part ne2000_kind_part(void *device) { return ne2000_part(device); }
static const struct device_kind ne2000_kind = { ne2000_kind_free, NULL, ne2000_kind_part, NULL };

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
	if (!strcmp(kind, "e1000"))
		return pc_add(pc, &e1000_kind, pc->e1000 = e1000_new(&v->clock, mac, net_out, pc, &v->log)) &&
			attach(pc, 3, e1000_pci(pc->e1000));
	if (!strcmp(kind, "ne2000"))
		return pc_add(pc, &ne2000_kind, pc->ne2000 = ne2000_new(&v->clock, mac, net_out, pc)) &&
			attach(pc, 3, ne2000_pci(pc->ne2000));
	return error_set(pc->error, "there is no network adapter '%s', only virtio, e1000, ne2000 and none", kind);
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
		else if (pc->e1000)
			taken = e1000_input(pc->e1000, data, len);
		else if (pc->ne2000)
			taken = ne2000_input(pc->ne2000, data, len);
		else
			break;
		return taken ? 0 : machine_error(pc->v, "the network adapter cannot take a frame of %zu bytes now", len);
	default:
		break;
	}
	return machine_error(pc->v, "channel %d takes no input", (int)channel);
}
