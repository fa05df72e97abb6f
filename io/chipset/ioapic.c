/* SPDX-License-Identifier: MIT */
/* The I/O APIC (Intel 82093AA data sheet): redirection entries, messages, EOI. Limits: ioapic.h. */
#include <stdlib.h>
#include "io/chipset/ioapic.h"

/*  63..56       16    15       14         13        12       11       10..8  7..0
 *  destination  mask  trigger  remoteIRR  polarity  pending  logical  mode   vector  */
enum {
	MODE_SHIFT = 8, MODE_FIXED = 0, MODE_LOWEST = 1,
	LOGICAL = 0x800, PENDING = 0x1000, POLARITY = 0x2000, REMOTE_IRR = 0x4000, LEVEL = 0x8000, MASKED = 0x10000,
	READ_ONLY = PENDING | REMOTE_IRR,
	LOW_BITS = 0x1ffff,
};
#define HIGH_BITS ((u64)0xff << 56)

enum { IOREGSEL = 0x00, IOWIN = 0x10, IOEOI = 0x40 };
enum { REG_ID, REG_VERSION, REG_ARBITRATION, REG_TABLE = 0x10 };

struct ioapic {
	u8 select;
	u8 id;                     /* 4 bits */
	u32 lines;                 /* levels of the pins */
	u64 entry[IOAPIC_PINS];
	struct {
		void (*msi)(void *owner, u64 address, u32 data);
		void *owner;
	} wire;
};

static const struct field ioapic_fields[] = {
	FIELD(struct ioapic, select, U8),
	FIELD_MAX(struct ioapic, id, U8, 15),
	FIELD(struct ioapic, lines, U32),
	FIELDS(struct ioapic, entry, U64),
	FIELD_END
};

static void send(struct ioapic *ioapic, u64 entry)
{
	u64 address = 0xfee00000u | (entry >> 56) << 12 | (entry & LOGICAL ? 4 : 0);
	u32 data = (u32)(entry & 0x7ff) | 1 << 14 | (u32)(entry & LEVEL);

	if (ioapic->wire.msi)
		ioapic->wire.msi(ioapic->wire.owner, address, data);
}

static bool is_level(u64 entry)
{
	unsigned mode = entry >> MODE_SHIFT & 7;

	return (entry & LEVEL) && (mode == MODE_FIXED || mode == MODE_LOWEST);
}

/* A level pin that is high sends, and waits for the end of interrupt before it sends again. */
static void serve_level(struct ioapic *ioapic, unsigned pin)
{
	u64 entry = ioapic->entry[pin];

	if (!is_level(entry) || (entry & (MASKED | REMOTE_IRR)) || !(ioapic->lines >> pin & 1))
		return;
	ioapic->entry[pin] |= REMOTE_IRR;
	send(ioapic, entry);
}

void ioapic_set_irq(void *owner, int n, bool level)
{
	struct ioapic *ioapic = owner;
	u32 bit;
	bool rise;

	if (n < 0 || n >= IOAPIC_PINS)
		return;
	bit = (u32)1 << n;
	rise = level && !(ioapic->lines & bit);
	ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
	if (is_level(ioapic->entry[n]))
		serve_level(ioapic, (unsigned)n);
	else if (rise && !(ioapic->entry[n] & MASKED)) /* the data sheet: a masked edge is not held */
		send(ioapic, ioapic->entry[n]);
}

void ioapic_eoi(struct ioapic *ioapic, u8 vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		if (!(ioapic->entry[pin] & REMOTE_IRR) || (u8)ioapic->entry[pin] != vector)
			continue;
		ioapic->entry[pin] &= ~(u64)REMOTE_IRR;
		serve_level(ioapic, pin);
	}
}

static u32 ioapic_read_register(const struct ioapic *ioapic)
{
	unsigned i = ioapic->select;

	switch (i) {
	case REG_ID:
	case REG_ARBITRATION:
		return (u32)ioapic->id << 24;
	case REG_VERSION:
		return (IOAPIC_PINS - 1) << 16 | 0x20;
	default:
		i -= REG_TABLE;
		if (i >= 2 * IOAPIC_PINS)
			return 0;
		return (u32)(ioapic->entry[i / 2] >> (i % 2 * 32));
	}
}

static void write_entry(struct ioapic *ioapic, unsigned i, u32 value)
{
	unsigned pin = i / 2;
	u64 entry = ioapic->entry[pin];

	if (i % 2) {
		ioapic->entry[pin] = (u32)entry | ((u64)value << 32 & HIGH_BITS);
		return;
	}
	entry = (entry & (HIGH_BITS | READ_ONLY)) | (value & LOW_BITS & ~(u32)READ_ONLY);
	if (!is_level(entry)) /* a known way to clear it without an end of interrupt: to edge and back */
		entry &= ~(u64)REMOTE_IRR;
	ioapic->entry[pin] = entry;
	serve_level(ioapic, pin);
}

static u64 read_ioapic(void *owner, u64 offset, unsigned size)
{
	struct ioapic *ioapic = owner;

	(void)size;
	switch (offset) {
	case IOREGSEL: return ioapic->select;
	case IOWIN: return ioapic_read_register(ioapic);
	default: return 0;
	}
}

static void write_ioapic(void *owner, u64 offset, unsigned size, u64 value)
{
	struct ioapic *ioapic = owner;

	(void)size;
	switch (offset) {
	case IOREGSEL:
		ioapic->select = (u8)value;
		break;
	case IOWIN:
		if (ioapic->select == REG_ID)
			ioapic->id = value >> 24 & 15;
		else if (ioapic->select >= REG_TABLE && ioapic->select < REG_TABLE + 2 * IOAPIC_PINS)
			write_entry(ioapic, ioapic->select - REG_TABLE, (u32)value);
		break;
	case IOEOI:
		ioapic_eoi(ioapic, (u8)value);
		break;
	default:
		break;
	}
}

static const struct device_ops ioapic_ops = { read_ioapic, write_ioapic, 4, 4 };

static void ioapic_post_load(void *state)
{
	struct ioapic *ioapic = state;

	ioapic->lines &= ((u32)1 << IOAPIC_PINS) - 1;
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		ioapic->entry[i] &= HIGH_BITS | LOW_BITS;
}

struct ioapic *ioapic_new(struct space *memory, u8 id, void (*msi)(void *owner, u64 address, u32 data), void *owner)
{
	struct ioapic *ioapic = calloc(1, sizeof *ioapic);

	if (!ioapic)
		return NULL;
	ioapic->wire.msi = msi;
	ioapic->wire.owner = owner;
	ioapic->id = id & 15;
	for (unsigned i = 0; i < IOAPIC_PINS; i++)
		ioapic->entry[i] = MASKED;
	if (space_add_device(memory, "ioapic", IOAPIC_BASE, 0x1000, &ioapic_ops, ioapic) < 0) {
		free(ioapic);
		return NULL;
	}
	return ioapic;
}

void ioapic_free(struct ioapic *ioapic)
{
	free(ioapic);
}

/* Its only output is a message, and messages that were sent are part of the receiver's state. */
void ioapic_refresh(struct ioapic *ioapic)
{
	(void)ioapic;
}

struct part ioapic_part(struct ioapic *ioapic)
{
	return (struct part){
		.name = "ioapic", .state = ioapic, .fields = ioapic_fields, .post_load = ioapic_post_load
	};
}
