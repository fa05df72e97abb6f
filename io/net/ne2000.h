/* SPDX-License-Identifier: MIT */
/* The RTL8029AS, an NE2000 on PCI: National's DP8390 network interface controller (DP8390D data sheet) with 32 KiB of
 * buffer memory.
 *
 *     0000h  address PROM: every byte twice, then 57h 57h            4000h..BFFFh  buffer memory
 *     ports  0..Fh registers in four pages   10h..17h data   18h..1Fh a read resets
 *
 * A frame takes its time at 10 Mbit/s, each way. Not modelled: collisions, loopback but that nothing leaves. A frame
 * that finds the ring full waits; nothing overflows. */
#ifndef IO_NE2000_H
#define IO_NE2000_H

#include "io/chipset/pci.h"
#include "mem/base/clock.h"

struct ne2000;

/* OUT gets the frames that the guest sends. The caller attaches ne2000_pci. NULL: no memory. */
struct ne2000 *ne2000_new(struct clock *clock, const u8 mac[6], void (*out)(void *owner, const void *frame, size_t len),
			  void *owner);
void ne2000_free(struct ne2000 *ne);
/* A frame from outside. False, and nothing is taken: it is no frame for a wire, or there is no room now. */
bool ne2000_input(struct ne2000 *ne, const void *frame, size_t len);
struct pci_function *ne2000_pci(struct ne2000 *ne);
struct part ne2000_part(struct ne2000 *ne);

#endif
