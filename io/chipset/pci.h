/* SPDX-License-Identifier: MIT */
/* The PCI bus (PCI Local Bus Specification 3.0): configuration space by mechanism 1 (ports CF8h and CFCh), base address
 * registers, interrupt pins, MSI-X.
 *
 *     device --- struct pci_function ---> bus ---> ports, memory (the ranges that its base address registers decode)
 *                                          |---> INTA#..INTD# --swizzle by slot--> PIRQA..PIRQD of the chipset
 *                                          `---> message (address, data) of MSI-X ---> APIC bus
 *
 * A function lives inside its device, which initialises it, describes its registers with the calls below, and then
 * attaches it. The bus saves, loads and refreshes the functions that are attached to it: the device's own part is only
 * what it remembers besides.
 *
 *     pci_init(&d->pci, "e1000 pci", 0x8086, 0x100e, 0x020000);
 *     pci_bar_memory(&d->pci, 0, 128 * KiB, &e1000_ops, d);
 *     pci_pin(&d->pci, 1);
 *     pci_attach(bus, &d->pci, slot, 0);
 *     ...
 *     pci_irq(&d->pci, d->icr & d->ims);
 *
 * What the chipset decodes (RAM, ROM, its own ports) wins over what a base address register says.
 *
 * Not modelled: bridges behind this bus, parity, latency, target aborts; reads of nothing give all ones. */
#ifndef IO_PCI_H
#define IO_PCI_H

#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

enum {
	PCI_ID = 0x00, PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_REVISION = 0x08, PCI_CLASS = 0x09, PCI_HEADER = 0x0e,
		PCI_BAR0 = 0x10,
	PCI_SUBSYSTEM = 0x2c, PCI_ROM = 0x30, PCI_CAPABILITIES = 0x34, PCI_INT_LINE = 0x3c, PCI_INT_PIN = 0x3d,
};
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4, PCI_COMMAND_NO_INTX = 0x400 };
enum { PCI_BARS = 7 /* six, and the expansion ROM */, PCI_BAR_ROM = 6, PCI_VECTORS = 32 };

struct pci_bus;

/* What one base address register decodes. */
struct pci_bar {
	u64 size;                     /* bytes, a power of two; 0: there is no such register */
	bool io;                      /* ports */
	const struct device_ops *ops; /* a device's registers, or */
	void *owner;
	struct ram *ram;              /* memory */
	int range;                    /* its number in the space, -1: not decoded now */
	u64 placed;
};

struct pci_function {
	/* What it remembers */
	u8 config[256];
	bool pin_level;               /* what the device drives, before Interrupt Disable */
	u8 msix_table[PCI_VECTORS * 16];
	u32 msix_pending;
	/* What it is, and how it is wired: set once */
	const char *name;
	u8 writable[256], clearable[256]; /* bits that a write changes; that a write of 1 clears */
	struct pci_bar bars[PCI_BARS];
	u8 msix_cap, msix_count;      /* offset of its capability (0: none); vectors */
	unsigned capabilities_end;    /* where the next one goes; 0: there are none yet */
	u8 initial[256];              /* config at attach */
	unsigned slot, number;
	struct pci_bus *bus;
	/* After LEN bytes at OFFSET were written by the guest (may be NULL). */
	void (*written)(void *owner, unsigned offset, unsigned len);
	/* Before they are read, to bring config[] up to date (may be NULL). */
	void (*reading)(void *owner, unsigned offset, unsigned len);
	void *owner;
};

/* PIRQ: lines n = 0..3 are PIRQA# to PIRQD#, levels (true: asserted). MESSAGE takes the writes that MSI-X makes. MEM is
 * what bus masters see. NULL: no memory. The bus owns none of its functions. */
struct pci_bus *pci_new(struct space *ports, struct space *mem, struct line pirq,
	void (*message)(void *owner, u64 address, u32 data),
		void *owner);
void pci_free(struct pci_bus *bus);
/* After a load: place the ranges of all functions, drive PIRQA# to PIRQD#. */
void pci_refresh(struct pci_bus *bus);
/* The bus's part and those of all functions, at most MAX. Returns how many. */
unsigned pci_parts(struct pci_bus *bus, struct part *out, unsigned max);
/* Accesses to CF8h-CFBh that are no dwords, and so not the bus's, go to OPS (its offset 1 is the chipset's reset
 * control, CF9h). */
void pci_bytes(struct pci_bus *bus, const struct device_ops *ops, void *owner);

/* Begin: all zero but vendor, device, class (base << 16 | sub << 8 | interface) and the writable bits that every
 * function has. NAME, which names the part, must outlive it. */
void pci_init(struct pci_function *f, const char *name, u16 vendor, u16 device, u32 class);
void pci_subsystem(struct pci_function *f, u16 vendor, u16 device);
void pci_pin(struct pci_function *f, unsigned pin); /* 1 INTA# .. 4 INTD# */
/* Registers of OPS at offset 0 of BAR N; SIZE a power of two, at least 4 (ports) or 16 (memory). */
void pci_bar_ports(struct pci_function *f, unsigned n, u32 size, const struct device_ops *ops, void *owner);
void pci_bar_memory(struct pci_function *f, unsigned n, u64 size, const struct device_ops *ops, void *owner);
void pci_bar_ram(struct pci_function *f, unsigned n, struct ram *ram); /* prefetchable; N = PCI_BAR_ROM: read-only */
/* Room for a capability of LEN bytes (its first two are filled in); returns its offset, 0 if there is none left. */
unsigned pci_capability(struct pci_function *f, u8 id, unsigned len);
void pci_writable(struct pci_function *f, unsigned offset, unsigned len, u32 mask);
/* MSI-X with VECTORS (at most PCI_VECTORS) whose table and pending bits are BAR N (4 KiB of memory, which this call
 * makes). */
void pci_msix(struct pci_function *f, unsigned n, unsigned vectors);

/* Put the function at SLOT (0..31), NUMBER (0..7); false: the place is taken. It must be set up completely. */
bool pci_attach(struct pci_bus *bus, struct pci_function *f, unsigned slot, unsigned number);
/* Back to the values at attach, and undecoded. */
void pci_reset(struct pci_function *f);

/* The level of the function's interrupt pin. */
void pci_irq(struct pci_function *f, bool level);
/* The guest has turned MSI-X on: the pin is dead, use pci_message. */
bool pci_msix_on(const struct pci_function *f);
void pci_message(struct pci_function *f, unsigned vector);
/* May it be a bus master? And what it then sees. */
bool pci_master(const struct pci_function *f);
struct space *pci_memory(const struct pci_function *f);

static inline u32 pci_config32(const struct pci_function *f, unsigned offset)
{
	return (u32)f->config[offset] | (u32)f->config[offset + 1] << 8 | (u32)f->config[offset + 2] << 16 |
	       (u32)f->config[offset + 3] << 24;
}

#endif
