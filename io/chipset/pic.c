/* SPDX-License-Identifier: MIT */
/* The two 8259As (Intel 8259A data sheet): requests, priorities, acknowledge, command words. Limits: pic.h. */
#include <stdlib.h>
#include "io/chipset/pic.h"

enum { MASTER, SLAVE };

struct chip {
	u8 lines;          /* levels of IR0-IR7 now */
	u8 latch;          /* rising edges not yet acknowledged */
	u8 elcr;           /* 1: level */
	u8 imr, isr;
	u8 step;           /* ICW that is expected next: 2, 3, 4; 0: initialised */
	u8 icw1, icw2, icw3, icw4;
	u8 lowest;         /* the IR with the lowest priority, 0 to 7 */
	bool read_isr;     /* OCW3: the even port shows ISR instead of IRR */
	bool poll;         /* OCW3: the next read is an acknowledge */
	bool special_mask;
	bool rotate_aeoi;
};

struct pic {
	struct chip chip[2];
	bool out;          /* INTR */
	struct {
		struct line intr;
		const struct log *log;
	} wire;
};

#define CHIP_FIELDS(n) \
	FIELD(struct pic, chip[n].lines, U8), FIELD(struct pic, chip[n].latch, U8), \
		FIELD(struct pic, chip[n].elcr, U8), \
	FIELD(struct pic, chip[n].imr, U8), FIELD(struct pic, chip[n].isr, U8), \
		FIELD_MAX(struct pic, chip[n].step, U8, 4), \
	FIELD(struct pic, chip[n].icw1, U8), FIELD(struct pic, chip[n].icw2, U8), FIELD(struct pic, chip[n].icw3, U8), \
	FIELD(struct pic, chip[n].icw4, U8), FIELD_MAX(struct pic, chip[n].lowest, U8, 7), \
	FIELD(struct pic, chip[n].read_isr, BOOL), FIELD(struct pic, chip[n].poll, BOOL), \
	FIELD(struct pic, chip[n].special_mask, BOOL), FIELD(struct pic, chip[n].rotate_aeoi, BOOL)

static const struct field pic_fields[] = {
	CHIP_FIELDS(MASTER),
	CHIP_FIELDS(SLAVE),
	FIELD(struct pic, out, BOOL),
	FIELD_END
};

enum {
	ICW1_IC4 = 0x01, ICW1_SNGL = 0x02,
	ICW4_UPM = 0x01, ICW4_AEOI = 0x02, ICW4_SFNM = 0x10,
	CASCADE = 2, /* the master's input that the slave drives */
};

/* The data sheet: the input must stay high until the acknowledge, in both modes. */
static u8 irr(const struct chip *chip)
{
	return chip->lines & (chip->elcr | chip->latch);
}

/* 0 is the highest priority. */
static unsigned rank(const struct chip *chip, unsigned ir)
{
	return (ir - chip->lowest - 1) & 7;
}

/* The IR of highest priority in SET, or -1. */
static int highest(const struct chip *chip, u8 set)
{
	for (unsigned i = 0; i < 8; i++) {
		unsigned ir = (chip->lowest + 1 + i) & 7;

		if (set >> ir & 1)
			return (int)ir;
	}
	return -1;
}

/* In special mask mode a masked level in service blocks nobody, and is not what a non-specific EOI means. */
static u8 in_service(const struct chip *chip)
{
	return chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
}

/* The request that gets through, or -1. */
static int request(const struct pic *pic, int which)
{
	const struct chip *chip = &pic->chip[which];
	int want = highest(chip, irr(chip) & ~chip->imr), busy;

	if (want < 0 || chip->step)
		return -1;
	busy = highest(chip, in_service(chip));
	if (busy < 0 || rank(chip, (unsigned)want) < rank(chip, (unsigned)busy))
		return want;
	/* Special fully nested: more of the slave's requests come through while one of them is in service. */
	if (which == MASTER && (chip->icw4 & ICW4_SFNM) && want == CASCADE && busy == CASCADE)
		return want;
	return -1;
}

static void set_input(struct chip *chip, unsigned ir, bool level)
{
	u8 bit = (u8)(1u << ir);

	if (level && !(chip->lines & bit))
		chip->latch |= bit;
	if (!level)
		chip->latch &= ~bit;
	chip->lines = level ? chip->lines | bit : chip->lines & ~bit;
}

static void pic_update(struct pic *pic)
{
	bool out;

	set_input(&pic->chip[MASTER], CASCADE, request(pic, SLAVE) >= 0);
	out = request(pic, MASTER) >= 0;
	if (out == pic->out)
		return;
	pic->out = out;
	line_set(&pic->wire.intr, out);
}

void pic_set_irq(void *owner, int n, bool level)
{
	struct pic *pic = owner;

	if (n < 0 || n > 15 || n == CASCADE)
		return;
	set_input(&pic->chip[n >> 3], n & 7, level);
	pic_update(pic);
}

/* Acknowledge on one chip: the IR, or -1 if it was spurious. */
static int acknowledge(struct pic *pic, int which)
{
	struct chip *chip = &pic->chip[which];
	int ir = request(pic, which);

	if (ir < 0)
		return -1;
	chip->latch &= (u8)~(1u << ir);
	if (!(chip->icw4 & ICW4_AEOI))
		chip->isr |= 1u << ir;
	else if (chip->rotate_aeoi)
		chip->lowest = (u8)ir;
	/* INT falls during the acknowledge; the master must see an edge if another request is behind. */
	if (which == SLAVE)
		set_input(&pic->chip[MASTER], CASCADE, false);
	return ir;
}

u8 pic_acknowledge(struct pic *pic)
{
	struct chip *chip = &pic->chip[MASTER];
	int ir = acknowledge(pic, MASTER);

	if (ir == CASCADE && !(chip->icw1 & ICW1_SNGL) && (chip->icw3 & 1 << CASCADE)) {
		chip = &pic->chip[SLAVE];
		ir = acknowledge(pic, SLAVE);
	}
	pic_update(pic);
	return (chip->icw2 & 0xf8) | (ir < 0 ? 7 : (u8)ir);
}

static void write_icw1(struct pic *pic, struct chip *chip, u8 value)
{
	chip->icw1 = value;
	if (!(value & ICW1_IC4))
		chip->icw4 = 0;
	chip->step = 2;
	chip->latch = chip->imr = chip->isr = 0;
	chip->lowest = 7;
	chip->read_isr = chip->poll = chip->special_mask = chip->rotate_aeoi = false;
	pic_update(pic);
}

static void end_of_interrupt(struct chip *chip, int ir, bool rotate)
{
	if (ir < 0)
		return;
	chip->isr &= (u8)~(1u << ir);
	if (rotate)
		chip->lowest = (u8)ir;
}

/*  7   6   5   4   3   2 1 0
 *  R   SL  EOI 0   0   level  */
static void write_ocw2(struct chip *chip, u8 value)
{
	int level = value & 7;

	switch (value >> 5) {
	case 0: chip->rotate_aeoi = false; break;
	case 1: end_of_interrupt(chip, highest(chip, in_service(chip)), false); break;
	case 2: break;
	case 3: end_of_interrupt(chip, level, false); break;
	case 4: chip->rotate_aeoi = true; break;
	case 5: end_of_interrupt(chip, highest(chip, in_service(chip)), true); break;
	case 6: chip->lowest = (u8)level; break;
	case 7: end_of_interrupt(chip, level, true); break;
	}
}

/*  7   6    5   4   3   2   1   0
 *  0  ESMM SMM  0   1   P   RR  RIS  */
static void write_ocw3(struct chip *chip, u8 value)
{
	if (value & 0x40)
		chip->special_mask = value & 0x20;
	if (value & 0x04)
		chip->poll = true;
	if (value & 0x02)
		chip->read_isr = value & 0x01;
}

/* ICW2 to ICW4 and OCW1 share the odd port: the order tells them apart. */
static void write_odd(struct pic *pic, struct chip *chip, u8 value)
{
	switch (chip->step) {
	case 0:
	case 1:
		chip->imr = value;
		break;
	case 2:
		chip->icw2 = value;
		chip->step = !(chip->icw1 & ICW1_SNGL) ? 3 : chip->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	case 3:
		chip->icw3 = value;
		chip->step = chip->icw1 & ICW1_IC4 ? 4 : 0;
		break;
	default:
		chip->icw4 = value;
		chip->step = 0;
		if (!(value & ICW4_UPM))
			log_line(pic->wire.log, "pic: 8085 mode (ICW4 %02xh) is not modelled", value);
		break;
	}
}

static void write_chip(struct pic *pic, int which, u64 offset, u8 value)
{
	struct chip *chip = &pic->chip[which];

	if (offset)
		write_odd(pic, chip, value);
	else if (value & 0x10)
		write_icw1(pic, chip, value);
	else if (value & 0x08)
		write_ocw3(chip, value);
	else
		write_ocw2(chip, value);
	pic_update(pic);
}

static u8 read_chip(struct pic *pic, int which, u64 offset)
{
	struct chip *chip = &pic->chip[which];
	int ir;

	if (chip->poll) {
		chip->poll = false;
		ir = acknowledge(pic, which);
		pic_update(pic);
		return ir < 0 ? 7 : 0x80 | (u8)ir;
	}
	if (offset)
		return chip->imr;
	return chip->read_isr ? chip->isr : irr(chip);
}

static u64 read_master(void *owner, u64 offset, unsigned size)
{
	(void)size;
	return read_chip(owner, MASTER, offset);
}

static void write_master(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)size;
	write_chip(owner, MASTER, offset, (u8)value);
}

static u64 read_slave(void *owner, u64 offset, unsigned size)
{
	(void)size;
	return read_chip(owner, SLAVE, offset);
}

static void write_slave(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)size;
	write_chip(owner, SLAVE, offset, (u8)value);
}

static u64 read_elcr(void *owner, u64 offset, unsigned size)
{
	struct pic *pic = owner;

	(void)size;
	return pic->chip[offset].elcr;
}

/* Timer, keyboard, cascade, RTC and coprocessor are always edges. */
static void write_elcr(void *owner, u64 offset, unsigned size, u64 value)
{
	struct pic *pic = owner;

	(void)size;
	pic->chip[offset].elcr = (u8)value & (offset ? 0xde : 0xf8);
	pic_update(pic);
}

static const struct device_ops master_ops = { read_master, write_master, 1, 1 };
static const struct device_ops slave_ops = { read_slave, write_slave, 1, 1 };
static const struct device_ops elcr_ops = { read_elcr, write_elcr, 1, 1 };

struct pic *pic_new(struct space *ports, struct line intr, const struct log *log)
{
	struct pic *pic = calloc(1, sizeof *pic);

	if (!pic)
		return NULL;
	pic->wire.intr = intr;
	pic->wire.log = log;
	for (int i = 0; i < 2; i++) {
		pic->chip[i].lowest = 7;
		pic->chip[i].imr = 0xff; /* undefined in the data sheet: nothing comes before somebody asks */
	}
	if (space_add_device(ports, "pic master", 0x20, 2, &master_ops, pic) < 0 ||
	    space_add_device(ports, "pic slave", 0xa0, 2, &slave_ops, pic) < 0 ||
	    space_add_device(ports, "elcr", 0x4d0, 2, &elcr_ops, pic) < 0) {
		free(pic);
		return NULL;
	}
	return pic;
}

void pic_free(struct pic *pic)
{
	free(pic);
}

void pic_refresh(struct pic *pic)
{
	pic->out = request(pic, MASTER) >= 0;
	line_set(&pic->wire.intr, pic->out);
}

struct part pic_part(struct pic *pic)
{
	return (struct part){ .name = "pic", .state = pic, .fields = pic_fields };
}
