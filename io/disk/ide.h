/* SPDX-License-Identifier: MIT */
/* The IDE function of the PIIX3 (82371SB data sheet; ATA8-APT for the cable; "Programming Interface for Bus Master IDE
 * Controller" 1.0): two channels with two drives each.
 *
 *     primary    1F0h-1F7h, 3F6h, IRQ 14          PCI configuration  40h, 42h  IDETIM: bit 15 lets the channel decode its ports
 *     secondary  170h-177h, 376h, IRQ 15                             BAR 4     bus master registers, 8 for each channel
 *
 * Commands take virtual time; what a drive does to its disk happens at the end of it.
 *
 * Not modelled: timing registers change nothing; the native PCI mode, which this chip does not have; a second pending
 * interrupt, of the drive that had the command before. */
#ifndef IO_IDE_H
#define IO_IDE_H

#include "io/disk/ata.h"
#include "io/chipset/pci.h"
#include "mem/base/line.h"

struct ide;

/* DRIVES: primary master, primary slave, secondary master, secondary slave; NULL: none there. They stay the caller's.
 * READY: both channels decode their ports from the beginning, as firmware leaves them. NULL: no memory. */
struct ide *ide_new(struct space *ports, struct pci_bus *pci, unsigned slot, unsigned number, struct clock *clock,
		struct line irq14, struct line irq15, struct ata_drive *const drives[4], bool ready);
void ide_free(struct ide *ide);
void ide_refresh(struct ide *ide);
struct part ide_part(struct ide *ide);

#endif
