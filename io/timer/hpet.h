/* SPDX-License-Identifier: MIT */
/* The high precision event timers (IA-PC HPET specification 1.0a): one 64-bit counter at 100 MHz, three comparators,
 * at FED00000h.
 *
 * With legacy replacement, timer 0 is IRQ0 (GSI 2 of the I/O APIC) and timer 1 is IRQ8; the PIT and the RTC
 * interrupt are then to be cut off by the wiring, which is told by the `legacy` line.
 *
 * Not modelled: interrupts as messages (FSB); the comparators offer pins 16 to 23 only. */
#ifndef IO_HPET_H
#define IO_HPET_H

#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

#define HPET_BASE 0xfed00000u
#define HPET_HZ 100000000u
#define HPET_TIMERS 3

struct hpet;

/* Takes 1 KiB of MEMORY at HPET_BASE. Timer interrupts routed to I/O APIC pin N go to IOAPIC with n = N (its own n is
 * ignored), so do the ones of legacy replacement go to IRQ0 and IRQ8. LEGACY is high while legacy replacement is on.
 * NULL: no memory. */
struct hpet *hpet_new(struct space *memory, struct clock *clock, struct line ioapic, struct line irq0, struct line irq8,
		      struct line legacy);
void hpet_free(struct hpet *hpet);
void hpet_refresh(struct hpet *hpet);
struct part hpet_part(struct hpet *hpet);

#endif
