/* SPDX-License-Identifier: MIT */
/* The Intel 82540EM gigabit Ethernet controller (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
 * Manual, "8254x"): legacy and extended transmit descriptors, checksums and TCP segmentation, VLAN tags, address
 * filters, interrupt moderation on virtual time; EEPROM by its pins and by EERD; the PHY is a Marvell 88E1011 whose
 * link is up at 1000 Mbit/s from the start.
 *
 * Work is done WORK_NS after a tail pointer moved or a frame came.
 *
 * Not modelled: flow control, wake-up, the flash, loopback, packet split; statistics beyond frames and bytes. A frame
 * that finds no descriptor waits in the queue; nothing overruns. */
#ifndef IO_E1000_H
#define IO_E1000_H

#include "io/chipset/pci.h"
#include "mem/base/clock.h"

struct e1000;

/* OUT gets the frames that the guest sends, 14 to 16 KiB bytes. The caller attaches e1000_pci. NULL: no memory. */
struct e1000 *e1000_new(struct clock *clock, const u8 mac[6], void (*out)(void *owner, const void *frame, size_t len),
			void *owner);
void e1000_free(struct e1000 *e);
/* A frame from outside. False, and nothing is taken: it is no frame for a wire, or there is no room now. */
bool e1000_input(struct e1000 *e, const void *frame, size_t len);
struct pci_function *e1000_pci(struct e1000 *e);
struct part e1000_part(struct e1000 *e);

#endif
