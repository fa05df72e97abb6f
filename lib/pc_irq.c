/* SPDX-License-Identifier: MIT */
/* The interrupt lines of the board.
 *
 *    ISA devices --IRQ n--+--> 8259 IRn and I/O APIC pin n (IRQ0: pin 2)
 *    PIRQA#..D# --router--+
 *    PIRQA#..D# --------------> I/O APIC pins 16..19
 *    HPET --------------------> I/O APIC pins of its choice, or in place of the PIT and the RTC
 *    NMI, unless port 70h masks it --> LINT1 of each local APIC, or the NMI pin */
#include "io/chipset/ioapic.h"
#include "io/chipset/piix.h"
#include "io/chipset/pic.h"
#include "lib/pc.h"

static bool irq_level(const struct pc *pc, int irq)
{
	return (pc->isa | pc->isa_sound | pc->isa_pirq) >> irq & 1;
}

static void drive_pin(struct pc *pc, int pin)
{
	bool level = pc->hpet_pins >> pin & 1;

	if (pin < 16 && pin != 0)
		level |= irq_level(pc, pin == 2 ? IRQ_TIMER : pin);
	else if (pin >= PIRQ_PIN && pin < PIRQ_PIN + 4)
		level |= pc->pirq >> (pin - PIRQ_PIN) & 1;
	if (pc->ioapic)
		ioapic_set_irq(pc->ioapic, pin, level);
}

static void drive_irq(struct pc *pc, int n)
{
	pic_set_irq(pc->pic, n, irq_level(pc, n));
	drive_pin(pc, n == IRQ_TIMER ? 2 : n);
}

void pc_isa_irq(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	pc->isa = (pc->isa & ~(1u << n)) | (u32)level << n;
	drive_irq(pc, n);
}

void pc_sound_irq(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	pc->isa_sound = (pc->isa_sound & ~(1u << n)) | (u32)level << n;
	drive_irq(pc, n);
}

void pc_pirq(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	pc->pirq = (pc->pirq & ~(1u << n)) | (u32)level << n;
	drive_pin(pc, PIRQ_PIN + n);
	piix_pirq(pc->piix, n, level);
}

void pc_routed_irq(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	pc->isa_pirq = (pc->isa_pirq & ~(1u << n)) | (u32)level << n;
	drive_irq(pc, n);
}

void pc_hpet_pin(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	if (n < 0 || n >= IOAPIC_PINS)
		return;
	pc->hpet_pins = (pc->hpet_pins & ~(1u << n)) | (u32)level << n;
	drive_pin(pc, n);
}

void pc_test_irq(void *owner, int n, bool level)
{
	if (n < 16)
		pc_isa_irq(owner, n, level);
	else
		pc_hpet_pin(owner, n, level);
}

/* In legacy replacement the HPET has the wires of the PIT and of the RTC (HPET specification 2.3.5). */
static void drive_timers(struct pc *pc)
{
	bool irq0 = pc->legacy ? pc->hpet_irq0 : pc->pit_out;
	bool irq8 = pc->legacy ? pc->hpet_irq8 : pc->rtc_out;

	if (irq0 != (pc->isa >> IRQ_TIMER & 1))
		pc_isa_irq(pc, IRQ_TIMER, irq0);
	if (irq8 != (pc->isa >> IRQ_RTC & 1))
		pc_isa_irq(pc, IRQ_RTC, irq8);
}

void pc_timer_wire(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	switch ((enum timer_wire)n) {
	case FROM_PIT: pc->pit_out = level; break;
	case FROM_RTC: pc->rtc_out = level; break;
	case FROM_HPET0: pc->hpet_irq0 = level; break;
	case FROM_HPET1: pc->hpet_irq8 = level; break;
	case LEGACY: pc->legacy = level; break;
	}
	drive_timers(pc);
}

void pc_nmi_mask(void *owner, int n, bool level)
{
	(void)n;
	((struct pc *)owner)->nmi_masked = level;
}

bool pc_nmi(struct pc *pc)
{
	const struct cpus *all = pc->v->cpu->all;

	for (unsigned i = 0; !pc->nmi_masked && i < all->count; i++) {
		struct cpu *c = all->cpu[i];

		if (c->apic) {
			apic_lint(c->apic, 1, true);
			apic_lint(c->apic, 1, false);
		} else {
			cpu_nmi(c, 0, true);
		}
	}
	return !pc->nmi_masked;
}
