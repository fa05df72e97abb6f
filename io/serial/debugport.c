/* SPDX-License-Identifier: MIT */
/* Ports E9h, 402h and F4h, which emulators have. There is no data sheet: debugport.h has the ports. */
#include <stdlib.h>
#include "io/serial/debugport.h"

struct debugport {
	void (*out)(void *owner, const void *data, size_t len), (*firmware)(void *owner, const void *data, size_t len);
	void (*exit)(void *owner, u32 value);
	void *owner;
};

static u64 read_e9(void *owner, u64 offset, unsigned size)
{
	(void)owner, (void)offset, (void)size;
	return 0xe9;
}

static void write_e9(void *owner, u64 offset, unsigned size, u64 value)
{
	struct debugport *port = owner;
	u8 byte = (u8)value;

	(void)offset, (void)size;
	if (port->out)
		port->out(port->owner, &byte, 1);
}

static void write_402(void *owner, u64 offset, unsigned size, u64 value)
{
	struct debugport *port = owner;
	u8 byte = (u8)value;

	(void)offset, (void)size;
	if (port->firmware)
		port->firmware(port->owner, &byte, 1);
}

static void write_f4(void *owner, u64 offset, unsigned size, u64 value)
{
	struct debugport *port = owner;

	(void)size;
	if (!offset && port->exit)
		port->exit(port->owner, (u32)value);
}

static const struct device_ops e9_ops = { read_e9, write_e9, 1, 1 };
static const struct device_ops firmware_ops = { read_e9, write_402, 1, 1 };
static const struct device_ops f4_ops = { NULL, write_f4, 1, 4 };

struct debugport *debugport_new(struct space *ports, void (*out)(void *owner, const void *data, size_t len),
		void (*firmware)(void *owner, const void *data, size_t len),
		void (*exit)(void *owner, u32 value), void *owner)
{
	struct debugport *port = calloc(1, sizeof *port);

	if (!port)
		return NULL;
	*port = (struct debugport){ out, firmware, exit, owner };
	if (space_add_device(ports, "debug console", 0xe9, 1, &e9_ops, port) < 0 ||
	    space_add_device(ports, "firmware's console", 0x402, 1, &firmware_ops, port) < 0 ||
	    space_add_device(ports, "debug exit", 0xf4, 4, &f4_ops, port) < 0) {
		free(port);
		return NULL;
	}
	return port;
}

void debugport_free(struct debugport *debugport)
{
	free(debugport);
}
