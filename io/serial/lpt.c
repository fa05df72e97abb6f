/* SPDX-License-Identifier: MIT */
/* The parallel port (IBM PC Technical Reference) and a printer. Limits: lpt.h. */
#include <stdlib.h>
#include "io/serial/lpt.h"

enum { CONTROL_STROBE = 0x01, CONTROL_IRQ = 0x10, CONTROL_INPUT = 0x20, CONTROL_KEPT = 0x3f };
enum { STATUS_NOT_BUSY = 0x80, STATUS_NOT_ACK = 0x40, STATUS_SELECTED = 0x10, STATUS_NO_ERROR = 0x08 };
enum phase { READY, BUSY, ACKNOWLEDGE };

#define PHASE_NS 1000u

struct lpt {
	u8 data, control;
	u8 phase;
	struct event next;
	struct {
		struct clock *clock;
		struct line irq;
		void (*out)(void *owner, const void *data, size_t len);
		void *owner;
	} wire;
};

static const struct field lpt_fields[] = {
	FIELD(struct lpt, data, U8),
	FIELD(struct lpt, control, U8),
	FIELD_MAX(struct lpt, phase, U8, ACKNOWLEDGE),
	FIELD(struct lpt, next, EVENT),
	FIELD_END
};

static void lpt_drive(struct lpt *lpt)
{
	line_set(&lpt->wire.irq, lpt->phase == ACKNOWLEDGE && (lpt->control & CONTROL_IRQ));
}

static void enter(struct lpt *lpt, enum phase phase)
{
	lpt->phase = (u8)phase;
	clock_arm(lpt->wire.clock, &lpt->next, phase == READY ? CLOCK_NEVER : clock_in(lpt->wire.clock, PHASE_NS));
	lpt_drive(lpt);
}

static void next(void *owner, u64 late)
{
	struct lpt *lpt = owner;

	(void)late;
	enter(lpt, lpt->phase == BUSY ? ACKNOWLEDGE : READY);
}

static u64 lpt_read_port(void *owner, u64 offset, unsigned size)
{
	struct lpt *lpt = owner;

	(void)size;
	switch (offset) {
	case 0: return lpt->control & CONTROL_INPUT ? 0xff : lpt->data;
	case 1:
		return STATUS_SELECTED | STATUS_NO_ERROR | (lpt->phase == READY ? STATUS_NOT_BUSY : 0) |
			(lpt->phase == ACKNOWLEDGE ? 0 : STATUS_NOT_ACK) | 0x07;
	default: return lpt->control | 0xc0;
	}
}

static void lpt_write_port(void *owner, u64 offset, unsigned size, u64 value)
{
	struct lpt *lpt = owner;
	u8 rising = (u8)value & ~lpt->control;

	(void)size;
	if (offset == 0)
		lpt->data = (u8)value;
	if (offset != 2)
		return;
	lpt->control = (u8)value & CONTROL_KEPT;
	if (rising & CONTROL_STROBE) {
		if (lpt->wire.out)
			lpt->wire.out(lpt->wire.owner, &lpt->data, 1);
		enter(lpt, BUSY);
	}
	lpt_drive(lpt);
}

static const struct device_ops lpt_ops = { lpt_read_port, lpt_write_port, 1, 1 };

struct lpt *lpt_new(struct space *ports, struct clock *clock, u16 base, struct line irq,
		void (*out)(void *owner, const void *data, size_t len), void *owner)
{
	struct lpt *lpt = calloc(1, sizeof *lpt);

	if (!lpt)
		return NULL;
	lpt->wire.clock = clock;
	lpt->wire.irq = irq;
	lpt->wire.out = out;
	lpt->wire.owner = owner;
	lpt->control = 0x0c;
	if (space_add_device(ports, "lpt1", base, 3, &lpt_ops, lpt) < 0) {
		free(lpt);
		return NULL;
	}
	clock_add(clock, &lpt->next, "lpt1", next, lpt);
	return lpt;
}

void lpt_free(struct lpt *lpt)
{
	free(lpt);
}

void lpt_refresh(struct lpt *lpt)
{
	lpt_drive(lpt);
}

struct part lpt_part(struct lpt *lpt)
{
	return (struct part){ .name = "lpt1", .state = lpt, .fields = lpt_fields };
}
