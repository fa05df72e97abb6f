/* SPDX-License-Identifier: MIT */
/* The NOR flash chip (JESD68; Intel command set 0001h). Limits: flash.h. */
#include <stdlib.h>
#include "io/firmware/flash.h"

enum { ARRAY, STATUS, IDENTIFIER, QUERY, MODES };
enum {
	PROGRAM_10 = 0x10, ERASE = 0x20, PROGRAM_40 = 0x40, CLEAR_STATUS = 0x50, READ_STATUS = 0x70,
		READ_IDENTIFIER = 0x90, READ_QUERY = 0x98,
	CONFIRM = 0xd0, READ_ARRAY = 0xff,
};
enum { READY = 0x80, SEQUENCE_ERROR = 0x30 };
enum { QUERY_LEN = 0x31, MAKER = 0x89, DEVICE = 0x18 };

struct flash {
	u8 mode;       /* what a read gives */
	u8 command;    /* that waits for its second write; 0: none */
	u8 status;
	int array;     /* derived: number of the range that shows the array, -1: commands are seen */
	struct {
		struct space *mem;
		u64 base;
		struct ram *ram;
		void (*changed)(void *owner, u64 offset, u64 len);
		void *owner;
		const struct log *log;
	} wire;
};

static const struct field flash_fields[] = {
	FIELD_MAX(struct flash, mode, U8, MODES - 1),
	FIELD(struct flash, command, U8),
	FIELD(struct flash, status, U8),
	FIELD_END
};

/* In array mode a ROM lies over the chip's registers, and lets writes through to them. */
static void show(struct flash *f)
{
	bool array = f->mode == ARRAY;

	if (array == (f->array >= 0))
		return;
	if (!array) {
		space_remove(f->wire.mem, f->array);
		f->array = -1;
		return;
	}
	f->array = space_add_ram(f->wire.mem, "flash", f->wire.base, f->wire.ram->size, f->wire.ram, 0, true);
	space_rank(f->wire.mem, f->array, 1);
	space_write_through(f->wire.mem, f->array);
}

/* JESD68: the query, byte by byte from 10h. */
static u8 query(const struct flash *f, u64 offset)
{
	u32 blocks = (u32)(f->wire.ram->size / FLASH_BLOCK) - 1;
	u8 size = (u8)(63 - __builtin_clzll(f->wire.ram->size));
	const u8 table[QUERY_LEN] = {
		[0x10] = 'Q', 'R', 'Y', 0x01, 0x00, 0x31, 0x00, [0x1b] = 0x27, 0x36, [0x1f] = 1, [0x21] = 1,
			[0x27] = size, [0x2c] = 1,
		(u8)blocks, (u8)(blocks >> 8), FLASH_BLOCK >> 8 & 255, FLASH_BLOCK >> 16,
	};

	return offset < QUERY_LEN ? table[offset] : 0;
}

static u64 read_flash(void *owner, u64 offset, unsigned size)
{
	const struct flash *f = owner;

	(void)size;
	switch (f->mode) {
	case STATUS: return f->status;
	case IDENTIFIER: return offset & 1 ? DEVICE : MAKER;
	case QUERY: return query(f, offset);
	default: return f->wire.ram->host[offset];
	}
}

static void touch(struct flash *f, u64 offset, unsigned len)
{
	ram_touch(f->wire.ram, offset, len, f->wire.base + offset);
	f->status |= READY;
	if (f->wire.changed)
		f->wire.changed(f->wire.owner, offset, len);
}

static void second_write(struct flash *f, u64 offset, u8 value)
{
	u8 command = f->command, *at = f->wire.ram->host + offset;

	f->command = 0;
	if (command != ERASE) {
		*at &= value;
		touch(f, offset, 1);
	} else if (value == CONFIRM) {
		offset &= ~(u64)(FLASH_BLOCK - 1);
		memset(f->wire.ram->host + offset, 0xff, FLASH_BLOCK);
		touch(f, offset, FLASH_BLOCK);
	} else {
		f->status |= READY | SEQUENCE_ERROR;
	}
}

static void write_flash(void *owner, u64 offset, unsigned size, u64 value)
{
	struct flash *f = owner;

	(void)size;
	if (f->command) {
		second_write(f, offset, (u8)value);
		return;
	}
	switch ((u8)value) {
	case PROGRAM_10:
	case PROGRAM_40:
	case ERASE:
		f->command = (u8)value;
		f->mode = STATUS;
		break;
	case CLEAR_STATUS:
		f->status = 0;
		f->mode = ARRAY;
		break;
	case READ_STATUS:
		f->mode = STATUS;
		break;
	case READ_IDENTIFIER:
		f->mode = IDENTIFIER;
		break;
	case READ_QUERY:
		f->mode = QUERY;
		break;
	case READ_ARRAY:
		f->mode = ARRAY;
		break;
	default:
		log_line(f->wire.log, "flash: there is no command %02xh", (unsigned)(u8)value);
		f->mode = ARRAY;
	}
	show(f);
}

static const struct device_ops flash_ops = { read_flash, write_flash, 1, 1 };

struct flash *flash_new(struct space *mem, u64 base, struct ram *ram, void (*changed)(void *owner, u64 offset, u64 len),
	void *owner,
		const struct log *log)
{
	struct flash *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->wire.mem = mem;
	f->wire.base = base;
	f->wire.ram = ram;
	f->wire.changed = changed;
	f->wire.owner = owner;
	f->wire.log = log;
	f->array = -1;
	if (space_add_device(mem, "flash registers", base, ram->size, &flash_ops, f) < 0) {
		free(f);
		return NULL;
	}
	show(f);
	return f;
}

void flash_free(struct flash *flash)
{
	free(flash);
}

void flash_refresh(struct flash *flash)
{
	show(flash);
}

struct part flash_part(struct flash *flash)
{
	return (struct part){ .name = "flash", .state = flash, .fields = flash_fields };
}
