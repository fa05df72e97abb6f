/* SPDX-License-Identifier: MIT */
/* A SATA host controller: Serial ATA AHCI 1.3.1, PCI class 010601h, with up to six drives, each on its port.
 *
 *     host --- command list in memory: 32 slots, each a FIS (the registers), a packet for ATAPI, regions of memory
 *          --- received FISes in memory, PxIS bits, INTA#
 *
 * A port works on one command at a time; queued ones (READ and WRITE FPDMA QUEUED) in the order of their slots after
 * the last one. Each takes virtual time; its data moves at the end of that. A command that fails stops the port until
 * the host starts it again (6.2.2).
 *
 * Not modelled: port multipliers, enclosures, hot plugging, power states of the link, command completion coalescing,
 * 64-bit addresses beyond what memory has. */
#ifndef IO_AHCI_H
#define IO_AHCI_H

#include "io/disk/ata.h"
#include "io/chipset/pci.h"

#define AHCI_PORTS 6

struct ahci;

/* DRIVES: NULL for a port without one; they stay the caller's. SLOT: the first free one from it on. NULL: no memory or
 * no slot. */
struct ahci *ahci_new(struct pci_bus *pci, unsigned slot, struct clock *clock,
		      struct ata_drive *const drives[AHCI_PORTS]);
void ahci_free(struct ahci *ahci);
void ahci_refresh(struct ahci *ahci);
struct part ahci_part(struct ahci *ahci);

#endif
