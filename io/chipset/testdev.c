/* SPDX-License-Identifier: MIT */
/* QEMU's pc-testdev, which has no data sheet: kvm-unit-tests uses it. Limits: testdev.h. */
#include <stdlib.h>
#include "io/chipset/testdev.h"

enum { MEMORY = 0x10000 };
#define MEMORY_BASE 0xff000000u

struct testdev {
	u32 ioport, levels;
	u8 memory[MEMORY];
	struct { struct line irq; } wire;
};

static const struct field testdev_fields[] = {
	FIELD(struct testdev, ioport, U32),
	FIELD(struct testdev, levels, U32),
	FIELDS(struct testdev, memory, U8),
	FIELD_END
};

static u64 testdev_read_register(void *owner, u64 offset, unsigned size)
{
	const struct testdev *t = owner;

	(void)size;
	return t->ioport >> (8 * (offset & 3));
}

static void testdev_write_register(void *owner, u64 offset, unsigned size, u64 value)
{
	struct testdev *t = owner;
	unsigned shift = 8 * (offset & 3);
	u32 mask = (u32)((((u64)1 << 8 * size) - 1) << shift);

	t->ioport = (t->ioport & ~mask) | ((u32)(value << shift) & mask);
}

static void set_line(struct testdev *t, int n, bool level)
{
	struct line line = t->wire.irq;

	line.n = n;
	line_set(&line, level);
}

static void write_irq(void *owner, u64 offset, unsigned size, u64 value)
{
	struct testdev *t = owner;

	(void)size;
	t->levels = (t->levels & ~(1u << offset)) | (u32)(value & 1) << offset;
	set_line(t, (int)offset, value & 1);
}

static u64 read_memory(void *owner, u64 offset, unsigned size)
{
	const struct testdev *t = owner;

	return get_size(t->memory + offset, size);
}

static void write_memory(void *owner, u64 offset, unsigned size, u64 value)
{
	struct testdev *t = owner;

	put_size(t->memory + offset, size, value);
}

static const struct device_ops register_ops = { testdev_read_register, testdev_write_register, 1, 4 };
static const struct device_ops byte_ops = { testdev_read_register, testdev_write_register, 1, 1 };
static const struct device_ops page_ops = { NULL, NULL, 1, 4 };
static const struct device_ops irq_ops = { NULL, write_irq, 1, 1 };
static const struct device_ops memory_ops = { read_memory, write_memory, 1, 8 };

struct testdev *testdev_new(struct space *ports, struct space *memory, struct line irq)
{
	struct testdev *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->wire.irq = irq;
	if (space_add_device(ports, "test register", 0xe0, 4, &register_ops, t) < 0 ||
	    space_add_device(ports, "test page", 0xe4, 4, &page_ops, t) < 0 ||
	    space_add_device(ports, "test register, by bytes", 0xe8, 4, &byte_ops, t) < 0 ||
	    space_add_device(ports, "test interrupts", 0x2000, TESTDEV_IRQS, &irq_ops, t) < 0 ||
	    space_add_device(memory, "test memory", MEMORY_BASE, MEMORY, &memory_ops, t) < 0) {
		free(t);
		return NULL;
	}
	return t;
}

void testdev_free(struct testdev *testdev)
{
	free(testdev);
}

void testdev_refresh(struct testdev *testdev)
{
	for (int i = 0; i < TESTDEV_IRQS; i++)
		if (testdev->levels >> i & 1)
			set_line(testdev, i, true);
}

struct part testdev_part(struct testdev *testdev)
{
	return (struct part){ .name = "testdev", .state = testdev, .fields = testdev_fields };
}
