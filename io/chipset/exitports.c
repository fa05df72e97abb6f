/* SPDX-License-Identifier: MIT */
/* Ports by which guests of Bochs and of QEMU end the run. There is no data sheet: exitports.h has the ports. */
#include <stdlib.h>
#include "io/chipset/exitports.h"

enum { SLP_EN = 1 << 13, SLP_TYP = 7 << 10 };

struct exitports {
	u8 said; /* letters of the word */
	struct { struct line off; void (*exit)(void *owner, u32 value); void *owner; } wire;
};

static const struct field exitports_fields[] = {
	FIELD(struct exitports, said, U8),
	FIELD_END
};

static void write_8900(void *owner, u64 offset, unsigned size, u64 value)
{
	static const char word[] = "Shutdown";
	struct exitports *e = owner;

	(void)offset, (void)size;
	if (e->said >= sizeof word - 1 || value != (u8)word[e->said])
		e->said = value == (u8)word[0];
	else
		e->said++;
	if (e->said == sizeof word - 1)
		line_set(&e->wire.off, true);
}

static void write_b004(void *owner, u64 offset, unsigned size, u64 value)
{
	struct exitports *e = owner;

	if (!offset && size == 2 && (value & (SLP_EN | SLP_TYP)) == SLP_EN)
		line_set(&e->wire.off, true);
}

static void write_501(void *owner, u64 offset, unsigned size, u64 value)
{
	struct exitports *e = owner;

	(void)size;
	if (!offset)
		e->wire.exit(e->wire.owner, (u32)value);
}

static const struct device_ops shutdown_ops = { NULL, write_8900, 1, 1 };
static const struct device_ops pm_ops = { NULL, write_b004, 1, 2 };
static const struct device_ops exit_ops = { NULL, write_501, 1, 4 };

struct exitports *exitports_new(struct space *ports, struct line off, void (*exit)(void *owner, u32 value), void *owner)
{
	struct exitports *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->wire.off = off;
	e->wire.exit = exit;
	e->wire.owner = owner;
	if (space_add_device(ports, "shutdown port", 0x8900, 1, &shutdown_ops, e) < 0 ||
	    space_add_device(ports, "old PM1a_CNT", 0xb004, 2, &pm_ops, e) < 0 ||
	    space_add_device(ports, "debug exit at 501h", 0x501, 4, &exit_ops, e) < 0) {
		free(e);
		return NULL;
	}
	return e;
}

void exitports_free(struct exitports *e) { free(e); }
void exitports_refresh(struct exitports *e) { (void)e; }

struct part exitports_part(struct exitports *e)
{
	return (struct part){ .name = "exitports", .state = e, .fields = exitports_fields };
}
