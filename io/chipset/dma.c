/* SPDX-License-Identifier: MIT */
/* The two 8237As (Intel 8237A data sheet) and their page registers. Limits: dma.h. */
#include <stdlib.h>
#include "io/chipset/dma.h"

enum { STATUS = 8, COMMAND = 8, REQUEST = 9, MASK_ONE = 10, MODE = 11, CLEAR_FLIP_FLOP = 12, TEMPORARY = 13,
	MASTER_CLEAR = 13, CLEAR_MASK = 14,
       MASK_ALL = 15 };
enum { COMMAND_OFF = 4 };
/* mode: 7..6 demand, single, block, cascade 5 downwards 4 starts again at the end 3..2 verify, to memory, from memory
 * 1..0 channel */
enum { MODE_DOWN = 0x20, MODE_AGAIN = 0x10, MODE_TYPE = 0x0c, VERIFY = 0, TO_MEMORY = 4, FROM_MEMORY = 8 };

struct channel {
	u16 base_address, base_count, address, count; /* one less than there are to go */
	u8 mode;
};

struct controller {
	struct channel channel[4];
	u8 command, mask, reached, request; /* reached: terminal count, bit for each channel */
	bool high;                          /* flip-flop: the next byte is the upper one */
};

struct dma {
	struct controller controller[2];
	u8 page[16];
	struct space *mem;
};

#define CHANNEL_FIELDS(c, n) \
	FIELD(struct dma, controller[c].channel[n].base_address, U16), \
		FIELD(struct dma, controller[c].channel[n].base_count, U16), \
	FIELD(struct dma, controller[c].channel[n].address, U16), FIELD(struct dma, controller[c].channel[n].count, \
		U16), \
	FIELD(struct dma, controller[c].channel[n].mode, U8)
#define CONTROLLER_FIELDS(c) \
	CHANNEL_FIELDS(c, 0), CHANNEL_FIELDS(c, 1), CHANNEL_FIELDS(c, 2), CHANNEL_FIELDS(c, 3), \
	FIELD(struct dma, controller[c].command, U8), FIELD(struct dma, controller[c].mask, U8), \
	FIELD(struct dma, controller[c].reached, U8), FIELD(struct dma, controller[c].request, U8), \
		FIELD(struct dma, controller[c].high, BOOL)

static const struct field dma_fields[] = {
	CONTROLLER_FIELDS(0),
	CONTROLLER_FIELDS(1),
	FIELDS(struct dma, page, U8),
	FIELD_END
};

/* ---- transfers ---- */

static u64 address_of(const struct dma *dma, unsigned channel, u16 address)
{
	static const u8 pages[8] = { 7, 3, 1, 2, 15, 11, 9, 10 };
	u64 page = dma->page[pages[channel]];

	return channel < 4 ? page << 16 | address : (page & 0xfe) << 16 | (u64)address << 1;
}

static void end_of_process(struct controller *c, unsigned n)
{
	struct channel *ch = &c->channel[n];

	c->reached |= (u8)(1 << n);
	c->request &= (u8)~(1 << n);
	if (ch->mode & MODE_AGAIN) {
		ch->address = ch->base_address;
		ch->count = ch->base_count;
	} else {
		c->mask |= (u8)(1 << n);
	}
}

u32 dma_move(struct dma *dma, unsigned channel, void *data, u32 len, bool to_memory, bool *tc)
{
	struct controller *c = &dma->controller[channel >> 2];
	unsigned n = channel & 3, unit = channel < 4 ? 1 : 2;
	struct channel *ch = &c->channel[n];
	u8 type = ch->mode & MODE_TYPE, *at = data;
	u32 done = 0;

	if (c->command & COMMAND_OFF || c->mask >> n & 1 ||
	    (type != VERIFY && type != (to_memory ? TO_MEMORY : FROM_MEMORY)))
		return 0;
	while (done + unit <= len) {
		u64 addr = address_of(dma, channel, ch->address);

		if (type == TO_MEMORY)
			space_write_block(dma->mem, addr, at + done, unit);
		else if (type == FROM_MEMORY)
			space_read_block(dma->mem, addr, at + done, unit);
		done += unit;
		ch->address = (u16)(ch->address + (ch->mode & MODE_DOWN ? -1 : 1));
		if (ch->count-- == 0) {
			end_of_process(c, n);
			*tc = true;
			break;
		}
	}
	return done;
}

/* ---- registers ---- */

static u8 dma_read_register(struct controller *c, unsigned offset)
{
	struct channel *ch = &c->channel[offset >> 1 & 3];
	u16 value = offset & 1 ? ch->count : ch->address;
	u8 status;

	switch (offset) {
	case STATUS:
		status = (u8)(c->request << 4 | c->reached);
		c->reached = 0;
		return status;
	case TEMPORARY:
		return 0;
	case MASK_ALL:
		return c->mask | 0xf0;
	}
	if (offset > 7)
		return 0xff;
	c->high = !c->high;
	return (u8)(c->high ? value : value >> 8);
}

static void write_count(struct controller *c, unsigned offset, u8 value)
{
	struct channel *ch = &c->channel[offset >> 1];
	u16 *base = offset & 1 ? &ch->base_count : &ch->base_address;

	*base = c->high ? (u16)((*base & 0xff) | value << 8) : (u16)((*base & 0xff00) | value);
	*(offset & 1 ? &ch->count : &ch->address) = *base;
	c->high = !c->high;
}

static void dma_write_register(struct controller *c, unsigned offset, u8 value)
{
	u8 bit = (u8)(1 << (value & 3));

	switch (offset) {
	case COMMAND: c->command = value; break;
	case REQUEST: c->request = value & 4 ? c->request | bit : c->request & ~bit; break;
	case MASK_ONE: c->mask = value & 4 ? c->mask | bit : c->mask & ~bit; break;
	case MODE: c->channel[value & 3].mode = value; break;
	case CLEAR_FLIP_FLOP: c->high = false; break;
	case MASTER_CLEAR:
		c->command = c->reached = c->request = 0;
		c->mask = 15;
		c->high = false;
		break;
	case CLEAR_MASK: c->mask = 0; break;
	case MASK_ALL: c->mask = value & 15; break;
	default: write_count(c, offset, value);
	}
}

static u64 low_read(void *owner, u64 offset, unsigned size)
{
	(void)size;
	return dma_read_register(&((struct dma *)owner)->controller[0], (unsigned)offset);
}

static void low_write(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)size;
	dma_write_register(&((struct dma *)owner)->controller[0], (unsigned)offset, (u8)value);
}

static u64 high_read(void *owner, u64 offset, unsigned size)
{
	(void)size;
	return dma_read_register(&((struct dma *)owner)->controller[1], (unsigned)offset >> 1);
}

static void high_write(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)size;
	dma_write_register(&((struct dma *)owner)->controller[1], (unsigned)offset >> 1, (u8)value);
}

static u64 page_read(void *owner, u64 offset, unsigned size)
{
	(void)size;
	return ((struct dma *)owner)->page[offset & 15];
}

static void page_write(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)size;
	((struct dma *)owner)->page[offset & 15] = (u8)value;
}

static const struct device_ops low_ops = { low_read, low_write, 1, 1 };
static const struct device_ops high_ops = { high_read, high_write, 1, 1 };
static const struct device_ops page_ops = { page_read, page_write, 1, 1 };

struct dma *dma_new(struct space *ports, struct space *mem)
{
	struct dma *dma = calloc(1, sizeof *dma);

	if (!dma)
		return NULL;
	dma->mem = mem;
	dma->controller[0].mask = dma->controller[1].mask = 15;
	if (space_add_device(ports, "dma 8 bits", 0x00, 16, &low_ops, dma) < 0 ||
	    space_add_device(ports, "dma 16 bits", 0xc0, 32, &high_ops, dma) < 0 ||
	    space_add_device(ports, "dma pages", 0x80, 16, &page_ops, dma) < 0) {
		free(dma);
		return NULL;
	}
	return dma;
}

void dma_free(struct dma *dma)
{
	free(dma);
}

void dma_refresh(struct dma *dma)
{
	(void)dma; /* it drives no line */
}

struct part dma_part(struct dma *dma)
{
	return (struct part){ "dma", dma, dma_fields, NULL };
}
