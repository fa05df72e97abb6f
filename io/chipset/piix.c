/* SPDX-License-Identifier: MIT */
/* The 82371SB ISA bridge (Intel 82371FB/82371SB data sheet): PIRQ routes, reset control. Limits: piix.h. */
#include <stdlib.h>
#include "io/chipset/pci.h"
#include "io/chipset/piix.h"

enum { ROUTE_OFF = 0x80, ROUTABLE = 0xdef8 /* IRQ 3-7, 9-12, 14, 15 */ };
enum { RESET_CPU = 0x04, RESET_KEPT = 0x0e };

struct piix {
	struct pci_function pci;
	u8 pirq;       /* levels of PIRQA# to PIRQD# */
	u8 reset;      /* CF9h */
	u16 driven;    /* derived: IRQs that they drive */
	struct {
		struct line irq, reset;
	} wire;
};

static const struct field piix_fields[] = {
	FIELD_MAX(struct piix, pirq, U8, 15),
	FIELD_MAX(struct piix, reset, U8, RESET_KEPT),
	FIELD_END
};

static u16 routed(const struct piix *piix)
{
	u16 irqs = 0;

	for (unsigned n = 0; n < 4; n++) {
		u8 route = piix->pci.config[PIIX_PIRQRC + n];

		if ((piix->pirq >> n & 1) && !(route & ROUTE_OFF))
			irqs |= (u16)(1u << (route & 15) & ROUTABLE);
	}
	return irqs;
}

static void piix_drive(struct piix *piix, u16 changed)
{
	for (int irq = 0; irq < 16; irq++)
		if (piix->wire.irq.set && (changed >> irq & 1))
			piix->wire.irq.set(piix->wire.irq.owner, irq, piix->driven >> irq & 1);
}

static void piix_update(struct piix *piix)
{
	u16 irqs = routed(piix), changed = irqs ^ piix->driven;

	piix->driven = irqs;
	piix_drive(piix, changed);
}

void piix_pirq(void *owner, int n, bool level)
{
	struct piix *piix = owner;

	piix->pirq = (u8)((piix->pirq & ~(1 << n)) | level << n);
	piix_update(piix);
}

static void written(void *owner, unsigned offset, unsigned len)
{
	(void)offset, (void)len;
	piix_update(owner);
}

/* CF8h-CFBh, byte by byte: CF9h is the reset control:
 *
 *      3          2        1
 *      full       reset    hard       resets when bit 2 rises */
static u64 read_control(void *owner, u64 offset, unsigned size)
{
	const struct piix *piix = owner;

	return size == 1 && offset == 1 ? piix->reset : ~(u64)0;
}

static void write_control(void *owner, u64 offset, unsigned size, u64 value)
{
	struct piix *piix = owner;
	bool reset = value & ~piix->reset & RESET_CPU;

	if (size != 1 || offset != 1)
		return;
	piix->reset = value & RESET_KEPT;
	if (!reset)
		return;
	line_set(&piix->wire.reset, true);
	line_set(&piix->wire.reset, false);
}

static const struct device_ops control_ops = { read_control, write_control, 1, 4 };

struct piix *piix_new(struct pci_bus *pci, struct line irq, struct line reset)
{
	struct piix *piix = calloc(1, sizeof *piix);

	if (!piix)
		return NULL;
	piix->wire.irq = irq;
	piix->wire.reset = reset;
	pci_init(&piix->pci, "piix3", 0x8086, 0x7000, 0x060100);
	pci_subsystem(&piix->pci, 0x1af4, 0x1100);
	put16(&piix->pci.config[PCI_COMMAND], PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_writable(&piix->pci, PCI_COMMAND, 2, 0x0108);
	put16(&piix->pci.config[PCI_STATUS], 0x0200);
	piix->pci.config[0x4c] = 0x4d;     /* ISA recovery times */
	put16(&piix->pci.config[0x4e], 3); /* X-bus chip selects */
	pci_writable(&piix->pci, 0x4c, 1, 0xff);
	pci_writable(&piix->pci, 0x4e, 2, 0xffff);
	put32(&piix->pci.config[PIIX_PIRQRC], 0x80808080);
	pci_writable(&piix->pci, PIIX_PIRQRC, 4, 0x8f8f8f8f);
	piix->pci.written = written;
	piix->pci.owner = piix;
	pci_attach(pci, &piix->pci, PIIX_SLOT, 0);
	pci_bytes(pci, &control_ops, piix);
	return piix;
}

void piix_free(struct piix *piix)
{
	free(piix);
}

void piix_refresh(struct piix *piix)
{
	piix->driven = routed(piix);
	piix_drive(piix, 0xffff);
}

struct part piix_part(struct piix *piix)
{
	return (struct part){ .name = "isa bridge", .state = piix, .fields = piix_fields };
}
