/* SPDX-License-Identifier: MIT */
/* The cards in a PC's PCI slots: the network adapter in slot 3, virtio devices from 4 on. */
#include "io/net/e1000.h"
#include "io/net/ne2000.h"
#include "io/virtio/virtio_9p.h"
#include "io/virtio/virtio_blk.h"
#include "io/virtio/virtio_console.h"
#include "io/virtio/virtio_net.h"
#include "io/virtio/virtio_rng.h"
#include "lib/pc.h"

#define KIND(name) \
	static void name##_kind_free(void *device) { name##_free(device); } \
	static struct part name##_kind_part(void *device) { return name##_part(device); } \
	static const struct device_kind name##_kind = { name##_kind_free, NULL, name##_kind_part, NULL };

KIND(e1000)
KIND(ne2000)
KIND(virtio_9p)
KIND(virtio_blk)
KIND(virtio_console)
KIND(virtio_net)
KIND(virtio_rng)

static void net_out(void *owner, const void *frame, size_t len) { pc_output(owner, VCPU_NET, frame, len); }
static void console_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_CONSOLE, data, len); }
static void share_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_SHARE, data, len); }

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
		return error_set(
			pc->error,
			"the network adapter's address is one of several adapters: its first byte, %02x, is odd",
			mac[0]);
	if (!strcmp(kind, "virtio"))
		return pc_add(pc, &virtio_net_kind,
			      pc->virtio_net = virtio_net_new(&v->clock, mac, net_out, pc, &v->log)) &&
		       attach(pc, 3, virtio_net_pci(pc->virtio_net));
	if (!strcmp(kind, "e1000"))
		return pc_add(pc, &e1000_kind, pc->e1000 = e1000_new(&v->clock, mac, net_out, pc)) &&
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
		if (!pc_add(pc, &virtio_blk_kind, blk) || !attach(pc, 4, virtio_blk_pci(blk)))
			return false;
		snprintf(v->drives[i].path, sizeof v->drives[i].path, "scsi@%x/disk@0,0", virtio_blk_pci(blk)->slot);
	}
	return true;
}

static bool build_console(struct pc *pc)
{
	return pc_add(pc, &virtio_console_kind,
		      pc->console = virtio_console_new(&pc->v->clock, console_out, pc, &pc->v->log)) &&
	       attach(pc, 4, virtio_console_pci(pc->console));
}

static bool build_rng(struct pc *pc)
{
	struct virtio_rng *rng = virtio_rng_new(&pc->v->clock, pc->v->seed, &pc->v->log);

	return pc_add(pc, &virtio_rng_kind, rng) && attach(pc, 4, virtio_rng_pci(rng));
}

static bool build_share(struct pc *pc)
{
	const char *tag = pc->config->share;

	if (!*tag || strlen(tag) > P9_TAG_MAX)
		return error_set(pc->error, "the share's tag '%s' does not have 1 to %d bytes", tag, P9_TAG_MAX);
	return pc_add(pc, &virtio_9p_kind, pc->share = virtio_9p_new(&pc->v->clock, tag, share_out, pc, &pc->v->log)) &&
		attach(pc, 4, virtio_9p_pci(pc->share));
}

bool pc_build_cards(struct pc *pc)
{
	return build_nic(pc) && build_drives(pc) && (!pc->config->console || build_console(pc)) &&
		(!pc->config->rng || build_rng(pc)) &&
		(!pc->config->share || build_share(pc));
}

/* ---- input ---- */

int pc_cards_input(struct pc *pc, enum vcpu_channel channel, const void *data, size_t len)
{
	if (channel == VCPU_NET && (pc->virtio_net || pc->e1000 || pc->ne2000)) {
		bool taken = pc->virtio_net ? virtio_net_input(pc->virtio_net, data, len) :
			pc->e1000 ? e1000_input(pc->e1000, data, len) : ne2000_input(pc->ne2000, data, len);

		return taken ? 0
			     : machine_error(pc->v, "the network adapter cannot take a frame of %zu bytes now", len);
	}
	if (channel == VCPU_CONSOLE && pc->console)
		return virtio_console_input(pc->console, data, len)
			       ? 0
			       : machine_error(pc->v, "the console has no room for %zu bytes more", len);
	if (channel == VCPU_SHARE && pc->share)
		return virtio_9p_input(pc->share, data, len)
			       ? 0
			       : machine_error(pc->v, "the share waits for no such answer of %zu bytes", len);
	return machine_error(pc->v, "channel %d takes no input", (int)channel);
}
