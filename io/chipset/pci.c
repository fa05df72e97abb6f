/* SPDX-License-Identifier: MIT */
/* The PCI bus (PCI Local Bus Specification 3.0): configuration space, base address registers, pins, MSI-X. Limits:
 * pci.h. */
#include <stdlib.h>
#include "io/chipset/pci.h"

#define SLOTS 32
#define FUNCTIONS (SLOTS * 8)
#define ADDRESS_PORT 0xcf8u
#define ADDRESS_KEPT 0x80fffffcu
#define CAPABILITIES_START 0x40u

enum { BAR_IO = 1, BAR_PREFETCH = 8, ROM_ENABLE = 1 };
enum { STATUS_INTERRUPT = 0x08, STATUS_CAPABILITIES = 0x10 };
enum { COMMAND_WRITABLE = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | 0x40 | 0x100 |
	PCI_COMMAND_NO_INTX };
enum { MSIX_ID = 0x11, MSIX_LEN = 12, MSIX_CONTROL = 2, MSIX_ENABLE = 0x8000, MSIX_MASK = 0x4000, MSIX_BAR = 4 * KiB,
	MSIX_PENDING = 0x800 };

struct pci_bus {
	u32 address;      /* CF8h */
	struct {
		struct pci_function *at[FUNCTIONS];
		struct space *ports, *mem;
		struct line pirq;
		void (*message)(void *owner, u64 address, u32 data);
		void *owner;
		const struct device_ops *bytes;
		void *bytes_owner;
	} wire;
	u8 driven;        /* derived: levels of PIRQA# to PIRQD# */
};

static const struct field bus_fields[] = {
	FIELD(struct pci_bus, address, U32),
	FIELD_END
};

static const struct field function_fields[] = {
	FIELDS(struct pci_function, config, U8),
	FIELD(struct pci_function, pin_level, BOOL),
	FIELDS(struct pci_function, msix_table, U8),
	FIELD(struct pci_function, msix_pending, U32),
	FIELD_END
};

/* ---- interrupt pins ---- */

static u16 command(const struct pci_function *f)
{
	return get16(&f->config[PCI_COMMAND]);
}

/* INTA# of slot 1 is PIRQA#, and every slot begins one further. */
static unsigned pirq_of(const struct pci_function *f)
{
	return (f->slot - 1 + f->config[PCI_INT_PIN] - 1) & 3;
}

static u8 pirq_levels(const struct pci_bus *bus)
{
	u8 levels = 0;

	for (unsigned i = 0; i < FUNCTIONS; i++) {
		const struct pci_function *f = bus->wire.at[i];

		if (f && f->pin_level && f->config[PCI_INT_PIN] && !(command(f) & PCI_COMMAND_NO_INTX) &&
		    !pci_msix_on(f))
			levels |= (u8)(1 << pirq_of(f));
	}
	return levels;
}

static void pci_drive(struct pci_bus *bus, u8 changed)
{
	for (int i = 0; i < 4; i++)
		if (bus->wire.pirq.set && (changed >> i & 1))
			bus->wire.pirq.set(bus->wire.pirq.owner, bus->wire.pirq.n + i, bus->driven >> i & 1);
}

static void update_pins(struct pci_bus *bus)
{
	u8 levels = pirq_levels(bus), changed = levels ^ bus->driven;

	bus->driven = levels;
	pci_drive(bus, changed);
}

void pci_irq(struct pci_function *f, bool level)
{
	if (level == f->pin_level)
		return;
	f->pin_level = level;
	f->config[PCI_STATUS] = (u8)((f->config[PCI_STATUS] & ~STATUS_INTERRUPT) | (level ? STATUS_INTERRUPT : 0));
	update_pins(f->bus);
}

/* ---- MSI-X ---- */

/*  table, 16 bytes a vector:  0 address   8 data   12 bit 0: masked
 *  from 800h: pending bits */
static bool msix_open(const struct pci_function *f, unsigned vector)
{
	u16 control = get16(&f->config[f->msix_cap + MSIX_CONTROL]);

	return (control & MSIX_ENABLE) && !(control & MSIX_MASK) && pci_master(f) &&
	       !(f->msix_table[16 * vector + 12] & 1);
}

static void msix_send_pending(struct pci_function *f)
{
	for (unsigned vector = 0; vector < f->msix_count; vector++) {
		const u8 *entry = &f->msix_table[16 * vector];

		if (!(f->msix_pending >> vector & 1) || !msix_open(f, vector))
			continue;
		f->msix_pending &= ~((u32)1 << vector);
		if (f->bus->wire.message)
			f->bus->wire.message(f->bus->wire.owner, get64(entry) & ~(u64)3, get32(entry + 8));
	}
}

bool pci_msix_on(const struct pci_function *f)
{
	return f->msix_cap && (get16(&f->config[f->msix_cap + MSIX_CONTROL]) & MSIX_ENABLE);
}

void pci_message(struct pci_function *f, unsigned vector)
{
	if (vector >= f->msix_count)
		return;
	f->msix_pending |= (u32)1 << vector;
	msix_send_pending(f);
}

static u64 msix_read(void *owner, u64 offset, unsigned size)
{
	const struct pci_function *f = owner;

	(void)size;
	if (offset < 16u * f->msix_count)
		return get32(&f->msix_table[offset]);
	return offset == MSIX_PENDING ? f->msix_pending : 0;
}

static void msix_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct pci_function *f = owner;

	(void)size;
	if (offset >= 16u * f->msix_count)
		return;
	put32(&f->msix_table[offset], (u32)value & (offset % 16 == 12 ? 1 : ~(u32)0));
	msix_send_pending(f);
}

static const struct device_ops msix_ops = { msix_read, msix_write, 4, 4 };

void pci_msix(struct pci_function *f, unsigned n, unsigned vectors)
{
	u8 *cap;

	f->msix_cap = (u8)pci_capability(f, MSIX_ID, MSIX_LEN);
	f->msix_count = (u8)(vectors < PCI_VECTORS ? vectors : PCI_VECTORS);
	cap = &f->config[f->msix_cap];
	put16(cap + 2, (u16)(f->msix_count - 1));
	put32(cap + 4, n);
	put32(cap + 8, MSIX_PENDING | n);
	pci_writable(f, f->msix_cap + MSIX_CONTROL, 2, MSIX_ENABLE | MSIX_MASK);
	pci_bar_memory(f, n, MSIX_BAR, &msix_ops, f);
	for (unsigned vector = 0; vector < f->msix_count; vector++)
		f->msix_table[16 * vector + 12] = 1;
}

/* ---- ranges ---- */

static unsigned bar_offset(unsigned n)
{
	return n == PCI_BAR_ROM ? PCI_ROM : PCI_BAR0 + 4 * n;
}

/* Where BAR N decodes now; 0: nowhere. Nothing can be at 0, and nothing wraps: ones are what sizes are asked with. */
static u64 decoded(const struct pci_function *f, unsigned n)
{
	const struct pci_bar *bar = &f->bars[n];
	u64 at = pci_config32(f, bar_offset(n)), last;

	if (!(command(f) & (bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) || (n == PCI_BAR_ROM && !(at & ROM_ENABLE)))
		return 0;
	at &= ~(bar->size - 1) & ~(u64)(bar->io ? 3 : 15);
	last = at + (bar->size - 1);
	return last >= (bar->io ? 0x10000u : 0xffffffffu) ? 0 : at;
}

static struct space *space_of(const struct pci_function *f, const struct pci_bar *bar)
{
	return bar->io ? f->bus->wire.ports : f->bus->wire.mem;
}

static void place(struct pci_function *f, unsigned n)
{
	struct pci_bar *bar = &f->bars[n];
	struct space *space = space_of(f, bar);
	u64 at = decoded(f, n);

	if (at == bar->placed)
		return;
	if (bar->range >= 0)
		space_remove(space, bar->range);
	bar->range = -1;
	bar->placed = at;
	if (!at)
		return;
	if (bar->ram)
		bar->range = space_add_ram(space, f->name, at, bar->size, bar->ram, 0, n == PCI_BAR_ROM);
	else
		bar->range = space_add_device(space, f->name, at, bar->size, bar->ops, bar->owner);
	/* Under all that was there before; of two that are laid over each other, the lower slot's is seen. */
	space_rank(space, bar->range, -1 - (int)((f->slot * 8 + f->number) * PCI_BARS + n));
}

static void place_all(struct pci_function *f)
{
	for (unsigned n = 0; n < PCI_BARS; n++)
		if (f->bars[n].size)
			place(f, n);
}

static void bar_init(struct pci_function *f, unsigned n, struct pci_bar bar, u32 type)
{
	unsigned offset = bar_offset(n);
	u32 mask = (u32)~(bar.size - 1);

	bar.range = -1;
	f->bars[n] = bar;
	put32(&f->config[offset], type);
	put32(&f->writable[offset], (mask & ~(bar.io ? 3u : 15u)) | (n == PCI_BAR_ROM ? ROM_ENABLE : 0));
}

void pci_bar_ports(struct pci_function *f, unsigned n, u32 size, const struct device_ops *ops, void *owner)
{
	bar_init(f, n, (struct pci_bar){ .size = size, .io = true, .ops = ops, .owner = owner }, BAR_IO);
}

void pci_bar_memory(struct pci_function *f, unsigned n, u64 size, const struct device_ops *ops, void *owner)
{
	bar_init(f, n, (struct pci_bar){ .size = size, .ops = ops, .owner = owner }, 0);
}

void pci_bar_ram(struct pci_function *f, unsigned n, struct ram *ram)
{
	bar_init(f, n, (struct pci_bar){ .size = ram->size, .ram = ram }, n == PCI_BAR_ROM ? 0 : BAR_PREFETCH);
}

/* ---- configuration space ---- */

static u32 config_read(struct pci_function *f, unsigned offset, unsigned size)
{
	if (f->reading)
		f->reading(f->owner, offset, size);
	return (u32)get_size(&f->config[offset], size);
}

static bool touches(unsigned offset, unsigned size, unsigned from, unsigned to)
{
	return offset < to && offset + size > from;
}

static void config_write(struct pci_function *f, unsigned offset, unsigned size, u32 value)
{
	for (unsigned i = 0; i < size; i++) {
		u8 *byte = &f->config[offset + i], in = (u8)(value >> 8 * i), writable = f->writable[offset + i];

		*byte = (u8)((*byte & ~writable & ~(in & f->clearable[offset + i])) | (in & writable));
	}
	if (touches(offset, size, PCI_COMMAND, PCI_COMMAND + 2) || touches(offset, size, PCI_BAR0, PCI_BAR0 + 24) ||
			touches(offset, size, PCI_ROM, PCI_ROM + 4))
		place_all(f);
	msix_send_pending(f); /* it may have been let go */
	update_pins(f->bus);
	if (f->written)
		f->written(f->owner, offset, size);
}

/* CF8h:  31      23..16  15..11  10..8     7..2
 *        enable  bus     slot    function  register */
static struct pci_function *addressed(const struct pci_bus *bus)
{
	return bus->address >> 31 && !(bus->address >> 16 & 0xff) ? bus->wire.at[bus->address >> 8 & 0xff] : NULL;
}

static u64 address_read(void *owner, u64 offset, unsigned size)
{
	const struct pci_bus *bus = owner;

	if (size == 4)
		return bus->address;
	return bus->wire.bytes ? bus->wire.bytes->read(bus->wire.bytes_owner, offset, size) : ~(u64)0;
}

static void address_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct pci_bus *bus = owner;

	if (size == 4)
		bus->address = (u32)value & ADDRESS_KEPT;
	else if (bus->wire.bytes)
		bus->wire.bytes->write(bus->wire.bytes_owner, offset, size, value);
}

static u64 data_read(void *owner, u64 offset, unsigned size)
{
	struct pci_bus *bus = owner;
	struct pci_function *f = addressed(bus);

	return f ? config_read(f, (bus->address & 0xfc) + (unsigned)offset, size) : ~(u64)0;
}

static void data_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct pci_bus *bus = owner;
	struct pci_function *f = addressed(bus);

	if (f)
		config_write(f, (bus->address & 0xfc) + (unsigned)offset, size, (u32)value);
}

static const struct device_ops address_ops = { address_read, address_write, 1, 4 };
static const struct device_ops data_ops = { data_read, data_write, 1, 4 };

/* ---- describing a function ---- */

void pci_init(struct pci_function *f, const char *name, u16 vendor, u16 device, u32 class)
{
	*f = (struct pci_function){ .name = name };
	put16(&f->config[PCI_ID], vendor);
	put16(&f->config[PCI_ID + 2], device);
	put32(&f->config[PCI_REVISION], class << 8);
	pci_writable(f, PCI_COMMAND, 2, COMMAND_WRITABLE);
	put16(&f->clearable[PCI_STATUS], 0xf900);
	pci_writable(f, 0x0c, 2, 0xffff); /* cache line size, latency */
	pci_writable(f, PCI_INT_LINE, 1, 0xff);
}

void pci_subsystem(struct pci_function *f, u16 vendor, u16 device)
{
	put16(&f->config[PCI_SUBSYSTEM], vendor);
	put16(&f->config[PCI_SUBSYSTEM + 2], device);
}

void pci_pin(struct pci_function *f, unsigned pin)
{
	f->config[PCI_INT_PIN] = (u8)pin;
}

unsigned pci_capability(struct pci_function *f, u8 id, unsigned len)
{
	unsigned at = f->capabilities_end ? f->capabilities_end : CAPABILITIES_START;

	len = (len + 3) & ~3u;
	if (at + len > sizeof f->config)
		return 0;
	f->config[at] = id;
	f->config[at + 1] = f->config[PCI_CAPABILITIES];
	f->config[PCI_CAPABILITIES] = (u8)at;
	f->config[PCI_STATUS] |= STATUS_CAPABILITIES;
	f->capabilities_end = at + len;
	return at;
}

void pci_writable(struct pci_function *f, unsigned offset, unsigned len, u32 mask)
{
	for (unsigned i = 0; i < len; i++)
		f->writable[offset + i] = (u8)(mask >> 8 * i);
}

/* Header type, bit 7 of function 0: there are others. */
static void mark_multifunction(struct pci_function *const *slot)
{
	for (unsigned number = 1; number < 8; number++)
		if (slot[0] && slot[number])
			slot[0]->config[PCI_HEADER] = slot[0]->initial[PCI_HEADER] |= 0x80;
}

bool pci_attach(struct pci_bus *bus, struct pci_function *f, unsigned slot, unsigned number)
{
	unsigned place = slot * 8 + number;

	if (slot >= SLOTS || number >= 8 || bus->wire.at[place])
		return false;
	f->slot = slot;
	f->number = number;
	f->bus = bus;
	bus->wire.at[place] = f;
	memcpy(f->initial, f->config, sizeof f->config);
	mark_multifunction(&bus->wire.at[slot * 8]);
	return true;
}

/* ---- state ---- */

void pci_reset(struct pci_function *f)
{
	memcpy(f->config, f->initial, sizeof f->config);
	f->pin_level = false;
	f->msix_pending = 0;
	memset(f->msix_table, 0, sizeof f->msix_table);
	for (unsigned vector = 0; vector < f->msix_count; vector++)
		f->msix_table[16 * vector + 12] = 1;
	place_all(f);
	update_pins(f->bus);
}

static struct part function_part(struct pci_function *f)
{
	return (struct part){ .name = f->name, .state = f, .fields = function_fields };
}

bool pci_master(const struct pci_function *f)
{
	return command(f) & PCI_COMMAND_MASTER;
}

struct space *pci_memory(const struct pci_function *f)
{
	return f->bus->wire.mem;
}

/* ---- the bus ---- */

struct pci_bus *pci_new(struct space *ports, struct space *mem, struct line pirq,
	void (*message)(void *owner, u64 address, u32 data),
		void *owner)
{
	struct pci_bus *bus = calloc(1, sizeof *bus);

	if (!bus)
		return NULL;
	bus->wire.ports = ports;
	bus->wire.mem = mem;
	bus->wire.pirq = pirq;
	bus->wire.message = message;
	bus->wire.owner = owner;
	if (space_add_device(ports, "pci address", ADDRESS_PORT, 4, &address_ops, bus) < 0 ||
			space_add_device(ports, "pci data", ADDRESS_PORT + 4, 4, &data_ops, bus) < 0) {
		free(bus);
		return NULL;
	}
	return bus;
}

void pci_free(struct pci_bus *bus)
{
	free(bus);
}

void pci_bytes(struct pci_bus *bus, const struct device_ops *ops, void *owner)
{
	bus->wire.bytes = ops;
	bus->wire.bytes_owner = owner;
}

void pci_refresh(struct pci_bus *bus)
{
	for (unsigned i = 0; i < FUNCTIONS; i++)
		if (bus->wire.at[i])
			place_all(bus->wire.at[i]);
	bus->driven = pirq_levels(bus);
	pci_drive(bus, 15);
}

unsigned pci_parts(struct pci_bus *bus, struct part *out, unsigned max)
{
	unsigned n = 0;

	if (n < max)
		out[n++] = (struct part){ .name = "pci", .state = bus, .fields = bus_fields };
	for (unsigned i = 0; i < FUNCTIONS && n < max; i++)
		if (bus->wire.at[i])
			out[n++] = function_part(bus->wire.at[i]);
	return n;
}
