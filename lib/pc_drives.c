/* SPDX-License-Identifier: MIT */
/* The controllers of a PC's drives.
 *
 *   IDE       PCI slot 1 function 1, IRQ 14 and 15
 *   AHCI      from PCI slot 4 on
 *   floppy    IRQ 6, DMA channel 2
 *
 * What firmware must know of them is in CMOS:
 *   10h  7..4 kind of floppy drive 0   3..0 of drive 1
 *   14h  equipment: 7..6 floppy drives less 1   0 there are floppy drives
 *   38h  7..4 the third to start from   0 floppy disks need no signature
 *   3Dh  7..4 the second, 3..0 the first to start from: 1 floppy, 2 disk, 3 CD-ROM, 4 network */
#include "io/disk/ahci.h"
#include "io/disk/ata.h"
#include "io/disk/fdc.h"
#include "io/firmware/fwcfg.h"
#include "io/disk/ide.h"
#include "lib/pc.h"

DEVICE_KIND(ahci)
DEVICE_KIND(ide)

static void ata_kind_free(void *device) { ata_free(device); }
static struct part ata_kind_part(void *device) { return ata_part(device); }
static const struct device_kind ata_kind = { ata_kind_free, NULL, ata_kind_part, NULL };

/* The drives of BUS in their places, of which each UNITS share a cable. Returns how many; -1: no memory. */
static int build_ata(struct pc *pc, enum vcpu_bus bus, const char *controller, int units, const char *const names[],
		     struct ata_drive *out[])
{
	struct vcpu *v = pc->v;
	int n = 0;

	for (unsigned i = 0; i < v->ndrives; i++) {
		struct drive *drive = &v->drives[i];

		if (drive->bus != bus)
			continue;
		snprintf(drive->path, sizeof drive->path, "%s/drive@%x/disk@%x", controller, (unsigned)(n / units),
			 (unsigned)(n % units));
		out[n] = pc->media.ata[i] = ata_new(names[n], drive->disk, drive->cdrom, bus == VCPU_BUS_AHCI, &v->log);
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
	int n = build_ata(pc, VCPU_BUS_IDE, "ide@1,1", 2, names, drives);

	if (!n && !pc->config->ide)
		return true;
	return n >= 0 && pc_add(pc, &ide_kind, ide_new(&v->io, pc->pci, 1, 1, &v->clock, irq14, irq15, drives, true));
}

static bool build_ahci(struct pc *pc)
{
	static const char *const names[AHCI_PORTS] = { "sata0", "sata1", "sata2", "sata3", "sata4", "sata5" };
	struct ata_drive *drives[AHCI_PORTS] = { NULL };
	int n = build_ata(pc, VCPU_BUS_AHCI, "pci8086,2922@4", 1, names, drives);

	return !n || (n > 0 && pc_add(pc, &ahci_kind, ahci_new(pc->pci, 4, &pc->v->clock, drives)));
}

static u8 cmos_read(struct vcpu *v, u8 index)
{
	space_write(&v->io, 0x70, 1, index);
	return (u8)space_read(&v->io, 0x71, 1);
}

static void cmos_write(struct vcpu *v, u8 index, u8 value)
{
	space_write(&v->io, 0x70, 1, index);
	space_write(&v->io, 0x71, 1, value);
}

DEVICE_KIND(fdc)

static bool build_floppy(struct pc *pc)
{
	struct vcpu *v = pc->v;
	struct line irq6 = { pc_isa_irq, pc, IRQ_FLOPPY };
	struct disk *disks[2] = { NULL };
	bool present[2] = { false };
	struct fdc *fdc;
	unsigned n = 0;

	for (unsigned i = 0; i < v->ndrives; i++) {
		if (v->drives[i].bus != VCPU_BUS_FLOPPY)
			continue;
		snprintf(v->drives[i].path, sizeof v->drives[i].path, "isa@1/fdc@03f0/floppy@%u", n);
		pc->media.place[i] = (u8)n;
		present[n] = true;
		disks[n++] = v->drives[i].disk;
	}
	if (!n)
		return true;
	fdc = pc->media.fdc = fdc_new(&v->io, &v->clock, irq6, pc->dma, disks, present, &v->log);
	if (!pc_add(pc, &fdc_kind, fdc))
		return false;
	cmos_write(v, 0x10, (u8)(fdc_type(fdc, 0) << 4 | fdc_type(fdc, 1)));
	cmos_write(v, 0x14, (u8)((cmos_read(v, 0x14) & 0x3e) | (n - 1) << 6 | 1));
	return true;
}

static const char *boot_order(const struct pc *pc)
{
	return pc->config->boot ? pc->config->boot : "cda";
}

static void set_boot_order(struct pc *pc)
{
	static const char letters[] = "acdn";
	const char *order = boot_order(pc);
	u16 nibbles = 0;

	for (unsigned i = 0; i < 3 && order[i]; i++) {
		const char *at = strchr(letters, order[i]);

		if (at)
			nibbles |= (u16)((at - letters + 1) << 4 * i);
	}
	cmos_write(pc->v, 0x38, (u8)(nibbles >> 8 << 4 | 1));
	cmos_write(pc->v, 0x3d, (u8)nibbles);
}

/* CMOS knows kinds of drives only; and of a kind, firmware has an order of its own. Here they come as they were given,
 * behind a kernel. */
bool pc_describe_drives(struct pc *pc)
{
	char text[64 + VCPU_DRIVES * (sizeof pc->v->drives->path + 16)];
	size_t len = 0;

	if (pc_kernel_rom(pc))
		len = (size_t)snprintf(text, sizeof text, "/rom@%s\n", pc_kernel_rom(pc));
	for (const char *letter = boot_order(pc); *letter; letter++) {
		for (unsigned i = 0; i < pc->v->ndrives; i++) {
			const struct drive *drive = &pc->v->drives[i];

			if (drive->bus == VCPU_BUS_SHELF)
				continue;
			if (*letter == (drive->cdrom                    ? 'd'
					: drive->bus == VCPU_BUS_FLOPPY ? 'a'
									: 'c') &&
			    len < sizeof text)
				len += (size_t)snprintf(text + len, sizeof text - len, "/pci@i0cf8/%s\n", drive->path);
		}
	}
	return !len || len >= sizeof text || fwcfg_add_file(pc->fwcfg, "bootorder", text, (u32)len + 1);
}

bool pc_build_drives(struct pc *pc)
{
	if (pc->v->ndrives)
		set_boot_order(pc);
	return build_ide(pc) && build_ahci(pc) && build_floppy(pc);
}
