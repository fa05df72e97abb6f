/* The controllers of a PC's drives.
 *
 *   IDE       PCI slot 1 function 1, IRQ 14 and 15 */
#include "io/ata.h"
#include "io/ide.h"
#include "lib/pc.h"

DEVICE_KIND(ide)

static void ata_kind_free(void *device) { ata_free(device); }
static struct part ata_kind_part(void *device) { return ata_part(device); }
static const struct device_kind ata_kind = { ata_kind_free, NULL, ata_kind_part, NULL };

/* The drives of BUS in their places. Returns how many; -1: no memory. */
static int build_ata(struct pc *pc, enum vcpu_bus bus, const char *const names[], struct ata_drive *out[])
{
	struct vcpu *v = pc->v;
	int n = 0;

	for (unsigned i = 0; i < v->ndrives; i++) {
		const struct drive *drive = &v->drives[i];

		if (drive->bus != bus)
			continue;
		out[n] = ata_new(names[n], drive->disk, drive->cdrom, bus == VCPU_BUS_AHCI, &v->log);
		if (!pc_add(pc, &ata_kind, out[n++]))
			return -1;
	}
	return n;
}

static bool build_ide(struct pc *pc)
{
	static const char *const names[] = { "ide0 master", "ide0 slave", "ide1 master", "ide1 slave" };
	struct vcpu *v = pc->v;
	struct line irq14 = { pc_isa_irq, pc, IRQ_IDE }, irq15 = { pc_isa_irq, pc, IRQ_IDE + 1 };
	struct ata_drive *drives[4] = { NULL };
	int n = build_ata(pc, VCPU_BUS_IDE, names, drives);

	return !n || (n > 0 && pc_add(pc, &ide_kind, ide_new(&v->io, pc->pci, 1, 1, &v->clock, irq14, irq15, drives, true, &v->log)));
}

bool pc_build_drives(struct pc *pc)
{
	return build_ide(pc);
}
