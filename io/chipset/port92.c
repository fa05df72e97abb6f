/* SPDX-License-Identifier: MIT */
/* System control port A (IBM PS/2 Hardware Interface Technical Reference). Limits: port92.h. */
#include <stdlib.h>
#include "io/chipset/port92.h"

struct port92 {
	u8 value; /* bit 1 A20, bit 0 reset */
	struct {
		struct line a20, reset;
	} wire;
};

static const struct field port92_fields[] = {
	FIELD(struct port92, value, U8),
	FIELD_END
};

static u64 read_92(void *owner, u64 offset, unsigned size)
{
	struct port92 *port92 = owner;

	(void)offset, (void)size;
	return port92->value;
}

/* Reset is pulsed when bit 0 rises. */
static void write_92(void *owner, u64 offset, unsigned size, u64 value)
{
	struct port92 *port92 = owner;
	bool reset = value & ~port92->value & 1;

	(void)offset, (void)size;
	port92->value = value & 3;
	line_set(&port92->wire.a20, port92->value & 2);
	if (!reset)
		return;
	line_set(&port92->wire.reset, true);
	line_set(&port92->wire.reset, false);
}

static const struct device_ops port92_ops = { read_92, write_92, 1, 1 };

struct port92 *port92_new(struct space *ports, struct line a20, struct line reset)
{
	struct port92 *port92 = calloc(1, sizeof *port92);

	if (!port92)
		return NULL;
	port92->wire.a20 = a20;
	port92->wire.reset = reset;
	if (space_add_device(ports, "port 92h", 0x92, 1, &port92_ops, port92) < 0) {
		free(port92);
		return NULL;
	}
	return port92;
}

void port92_free(struct port92 *port92)
{
	free(port92);
}

void port92_refresh(struct port92 *port92)
{
	line_set(&port92->wire.a20, port92->value & 2);
}

struct part port92_part(struct port92 *port92)
{
	return (struct part){ .name = "port92", .state = port92, .fields = port92_fields };
}
