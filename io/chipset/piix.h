/* SPDX-License-Identifier: MIT */
/* The 82371SB (PIIX3) ISA bridge, function 0 of slot 1 (Intel 82371FB/82371SB data sheet): which IRQ a PCI interrupt
 * becomes, and reset control.
 *
 *     60h-63h  PIRQRC A..D: bit 7 not routed, bits 3-0 the IRQ        CF9h  reset control: 2 reset on its rise, 1 hard
 *
 * Its 8259s, 8254, 8237s and the edge/level control (4D0h) are devices of their own. Not modelled: X-bus chip selects,
 * bus timing. */
#ifndef IO_PIIX_H
#define IO_PIIX_H

#include "mem/base/line.h"
#include "mem/base/field.h"

#define PIIX_SLOT 1
#define PIIX_PIRQRC 0x60

struct piix;
struct pci_bus;

/* IRQ: lines n = 0..15, the level that the routed PIRQs drive on that IRQ. RESET pulses. NULL: no memory. */
struct piix *piix_new(struct pci_bus *pci, struct line irq, struct line reset);
void piix_free(struct piix *piix);
void piix_refresh(struct piix *piix);
struct part piix_part(struct piix *piix);
/* The level of PIRQA# + N. OWNER is the struct piix. */
void piix_pirq(void *owner, int n, bool level);

#endif
