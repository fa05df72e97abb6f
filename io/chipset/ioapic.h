/* SPDX-License-Identifier: MIT */
/* The I/O APIC (Intel 82093AA data sheet): 24 pins, each with a redirection entry, at FEC00000h. Version 20h: it has
 * the EOI register.
 *
 * What it sends is the message that a PCI device would write as an MSI:
 *
 *     address  FEE00000h | destination << 12 | logical << 2      data  vector | delivery mode << 8 | level assert << 14 | level << 15
 *
 * Not modelled: the APIC bus and its arbitration; the polarity bit is stored and has no effect, and the delivery
 * status is always idle. */
#ifndef IO_IOAPIC_H
#define IO_IOAPIC_H

#include "mem/base/field.h"
#include "mem/space.h"

#define IOAPIC_PINS 24
#define PIRQ_PIN 16 /* a PC wires PIRQA# to this pin, the others to those that follow */
#define IOAPIC_BASE 0xfec00000u

struct ioapic;

/* Takes 4 KiB of MEMORY at IOAPIC_BASE. ID is its initial APIC ID. NULL: no memory. */
struct ioapic *ioapic_new(struct space *memory, u8 id, void (*msi)(void *owner, u64 address, u32 data), void *owner);
void ioapic_free(struct ioapic *ioapic);
/* The level of pin N (0 to 23), high is asserted. OWNER is the struct ioapic: for struct line. */
void ioapic_set_irq(void *owner, int n, bool level);
/* A local APIC broadcast the end of the level-triggered interrupt VECTOR. */
void ioapic_eoi(struct ioapic *ioapic, u8 vector);
void ioapic_refresh(struct ioapic *ioapic);
struct part ioapic_part(struct ioapic *ioapic);

#endif
