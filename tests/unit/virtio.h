/* SPDX-License-Identifier: MIT */
/* The driver's side of a virtio device, for tests: a PCI bus with RAM and one device, found and set up as virtio 1.2
 * says (3.1.1, 4.1). */
#ifndef TEST_VIRTIO_H
#define TEST_VIRTIO_H

#include "device.h"
#include "io/virtio/virtio.h"

enum { RAM_SIZE = 4 * 1024 * 1024, RINGS = 0x10000, BUFFERS = 0x100000 };
enum { BAR0 = 0xc000, BAR1 = 0xe0100000u, BAR4 = 0xe0000000u };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };

static struct space ports;
static struct ram *test_ram;
static struct pci_bus *pci_bus;
static struct { unsigned count; u64 address; u32 data; } messages;
static u16 queue_next[VIRTIO_QUEUES]; /* available index */
static u16 queue_seen[VIRTIO_QUEUES]; /* used index */

static inline void on_message(void *owner, u64 address, u32 data)
{
	(void)owner;
	messages.count++;
	messages.address = address;
	messages.data = data;
}

/* The bus, and RAM as it is. */
static inline void virtio_bus(void)
{
	space_free(&ports);
	space_init(&ports);
	space_add_ram(&bus, "ram", 0, RAM_SIZE, test_ram, 0, false);
	pci_free(pci_bus);
	pci_bus = pci_new(&ports, &bus, wire(0), on_message, NULL);
}

/* Bus and RAM; the device is attached after this. */
static inline void virtio_fresh(void)
{
	fresh();
	ram_free(test_ram);
	test_ram = ram_new(RAM_SIZE);
	virtio_bus();
	memset(&messages, 0, sizeof messages);
	memset(queue_next, 0, sizeof queue_next);
	memset(queue_seen, 0, sizeof queue_seen);
}

static inline u32 config_get(unsigned slot, unsigned offset, unsigned size)
{
	space_write(&ports, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
	return (u32)space_read(&ports, 0xcfc + (offset & 3), size);
}

static inline void config_set(unsigned slot, unsigned offset, unsigned size, u32 value)
{
	space_write(&ports, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
	space_write(&ports, 0xcfc + (offset & 3), size, value);
}

enum { SLOT = 3 };

/* For tests that are cut (device.h). */
static inline unsigned virtio_parts(struct part *out, struct part device)
{
	out[0] = device;
	return 1 + pci_parts(pci_bus, out + 1, CUT_PARTS - 1);
}

static inline void virtio_refresh(void) { pci_refresh(pci_bus); }

static inline void place_bars(void)
{
	config_set(SLOT, PCI_BAR0, 4, BAR0);
	config_set(SLOT, PCI_BAR0 + 4, 4, BAR1);
	config_set(SLOT, PCI_BAR0 + 16, 4, BAR4);
	config_set(SLOT, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* Addresses of the three areas of queue Q: far apart, 256 entries. */
static inline u64 desc_of(unsigned q) { return RINGS + q * 0x4000; }
static inline u64 avail_of(unsigned q) { return desc_of(q) + 0x1000; }
static inline u64 used_of(unsigned q) { return desc_of(q) + 0x2000; }

/* Features; then all QUEUES with SIZE entries; then DRIVER_OK. */
static inline void driver_start(u64 features, unsigned queues, unsigned size)
{
	place_bars();
	out8(BAR4 + 0x14, 0);
	out8(BAR4 + 0x14, 1 | 2);
	for (unsigned i = 0; i < 2; i++) {
		out32(BAR4 + 0x08, i);
		out32(BAR4 + 0x0c, (u32)((features | VIRTIO_F_VERSION_1) >> (32 * i)));
	}
	out8(BAR4 + 0x14, 1 | 2 | 8);
	ck_assert_uint_eq(in8(BAR4 + 0x14), 1 | 2 | 8);
	for (unsigned q = 0; q < queues; q++) {
		out16(BAR4 + 0x16, (u16)q);
		out16(BAR4 + 0x18, (u16)size);
		ck_assert_uint_eq(in16(BAR4 + 0x18), size);
		space_write(&bus, BAR4 + 0x20, 8, desc_of(q));
		space_write(&bus, BAR4 + 0x28, 8, avail_of(q));
		space_write(&bus, BAR4 + 0x30, 8, used_of(q));
		out16(BAR4 + 0x1a, (u16)q); /* vector */
		out16(BAR4 + 0x1c, 1);
	}
	out8(BAR4 + 0x14, 1 | 2 | 8 | 4);
}

static inline void put_desc(u64 table, unsigned i, u64 addr, u32 len, u16 flags, u16 next)
{
	space_write(&bus, table + 16 * i, 8, addr);
	out32(table + 16 * i + 8, len);
	out16(table + 16 * i + 12, flags);
	out16(table + 16 * i + 14, next);
}

static inline void offer(unsigned q, unsigned size, u16 head)
{
	out16(avail_of(q) + 4 + 2 * (queue_next[q] % size), head);
	out16(avail_of(q) + 2, ++queue_next[q]);
}

static inline void kick(unsigned q)
{
	out16(BAR4 + 0x3000 + 4 * q, (u16)q);
}

/* The next used entry, if there is one. */
static inline bool used(unsigned q, unsigned size, u32 *head, u32 *len)
{
	u64 at = used_of(q) + 4 + 8 * (queue_seen[q] % size);

	if (in16(used_of(q) + 2) == queue_seen[q])
		return false;
	queue_seen[q]++;
	*head = in32(at);
	*len = in32(at + 4);
	return true;
}

#endif
