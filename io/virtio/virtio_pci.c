/* SPDX-License-Identifier: MIT */
/* Virtio's registers on PCI (virtio 1.2; limits: virtio.h): the structures of 4.1.4 in memory, and the ports of
 * 0.9.5 (4.1.4.10). */
#include "io/virtio/virtio.h"

/*  BAR 0  ports          the legacy registers, then the device's configuration
 *  BAR 1  memory         MSI-X: vectors for each queue and for changes of configuration
 *  BAR 4  memory 0000h   common configuration        1000h  ISR status
 *                2000h   device configuration        3000h  notify queue n at 3000h + 4n */
enum { BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4, COMMON = 0x0000, ISR = 0x1000, DEVICE = 0x2000, NOTIFY = 0x3000,
	MODERN_SIZE = 0x4000 };
enum { LEGACY_SIZE = 128, LEGACY_CONFIG = 20, LEGACY_CONFIG_MSIX = 24, LEGACY_ALIGN = 4096 };

/* Vendor-specific capability (4.1.4): 2 length 3 type 4 BAR 8 offset 12 length, and 16: what two types have besides. */
enum { CAP_ID = 0x09, CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_PCI = 5 };
enum { CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_MORE = 16 };

/* Transitional device ids (4.1.2). */
static u16 device_id(unsigned type)
{
	switch (type) {
	case VIRTIO_NET: return 0x1000;
	case VIRTIO_BLK: return 0x1001;
	case VIRTIO_CONSOLE: return 0x1003;
	case VIRTIO_RNG: return 0x1005;
	default: return 0x1009;
	}
}

/* ---- what both interfaces do ---- */

static bool selected(const struct virtio *v)
{
	return v->queue_select < v->queues;
}

static u16 checked_vector(const struct virtio *v, u64 vector)
{
	return vector < v->pci.msix_count ? (u16)vector : VIRTIO_NO_VECTOR;
}

static u8 take_isr(struct virtio *v)
{
	u8 isr = v->isr;

	v->isr = 0;
	pci_irq(&v->pci, false);
	return isr;
}

static u64 config_read(const struct virtio *v, u64 offset, unsigned size)
{
	u64 value = 0;

	for (unsigned i = 0; i < size; i++)
		if (offset + i < v->config_size)
			value |= (u64)v->config[offset + i] << (8 * i);
	return value;
}

/* ---- 1.x ---- */

/*  00 device_feature_select  04 device_feature  08 driver_feature_select  0C driver_feature
 *  10 config_msix_vector  12 num_queues  14 device_status (8)  15 config_generation (8)
 *  16 queue_select  18 queue_size  1A queue_msix_vector  1C queue_enable  1E queue_notify_off
 *  20 queue_desc (64)  28 queue_driver (64)  30 queue_device (64) */
enum { COMMON_SIZE = 0x38 };

static u32 feature_word(u64 features, u32 select)
{
	return select < 2 ? (u32)(features >> (32 * select)) : 0;
}

static u64 common_read(const struct virtio *v, u64 offset, unsigned size)
{
	u8 r[COMMON_SIZE + 8] = { 0 };
	unsigned q = v->queue_select;

	put32(r + 0x00, v->device_features_select);
	put32(r + 0x04, feature_word(v->features, v->device_features_select));
	put32(r + 0x08, v->driver_features_select);
	put32(r + 0x0c, feature_word(v->driver_features, v->driver_features_select));
	put16(r + 0x10, v->config_vector);
	put16(r + 0x12, (u16)v->queues);
	r[0x14] = v->status;
	r[0x15] = v->generation;
	put16(r + 0x16, v->queue_select);
	if (selected(v)) {
		put16(r + 0x18, v->size[q]);
		put16(r + 0x1a, v->vector[q]);
		put16(r + 0x1c, v->enabled[q]);
		put16(r + 0x1e, (u16)q);
		put64(r + 0x20, v->desc[q]);
		put64(r + 0x28, v->avail[q]);
		put64(r + 0x30, v->used[q]);
	}
	return offset + size <= sizeof r ? get_size(r + offset, size) : 0;
}

static void queue_write(struct virtio *v, unsigned q, u64 offset, unsigned size, u64 value)
{
	u64 *const areas[3] = { &v->desc[q], &v->avail[q], &v->used[q] };

	switch (offset) {
	case 0x18:
		if (value && value <= VIRTIO_QUEUE_MAX && !(value & (value - 1)) && !v->enabled[q])
			v->size[q] = (u16)value;
		return;
	case 0x1a:
		v->vector[q] = checked_vector(v, value);
		return;
	case 0x1c:
		v->enabled[q] |= value == 1;
		return;
	}
	if (offset >= 0x20 && offset < COMMON_SIZE && offset % 4 == 0 && size == 4 && !v->enabled[q])
		put32((u8 *)areas[(offset - 0x20) / 8] + offset % 8, (u32)value);
}

static void common_write(struct virtio *v, u64 offset, unsigned size, u64 value)
{
	switch (offset) {
	case 0x00: v->device_features_select = (u32)value; break;
	case 0x08: v->driver_features_select = (u32)value; break;
	case 0x0c:
		if (v->driver_features_select < 2 && !(v->status & VIRTIO_FEATURES_OK))
			put32((u8 *)&v->driver_features + 4 * v->driver_features_select, (u32)value);
		break;
	case 0x10: v->config_vector = checked_vector(v, value); break;
	case 0x14: virtio_set_status(v, (u8)value); break;
	case 0x16: v->queue_select = (u16)value; break;
	default:
		if (selected(v))
			queue_write(v, v->queue_select, offset, size, value);
		break;
	}
}

static u64 modern_read(void *owner, u64 offset, unsigned size)
{
	struct virtio *v = owner;

	if (offset < COMMON + COMMON_SIZE)
		return common_read(v, offset, size);
	if (offset == ISR)
		return take_isr(v);
	if (offset >= DEVICE && offset < NOTIFY)
		return config_read(v, offset - DEVICE, size);
	return 0;
}

static void modern_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct virtio *v = owner;

	if (offset < COMMON + COMMON_SIZE)
		common_write(v, offset, size, value);
	else if (offset >= NOTIFY)
		virtio_notify(v, (unsigned)(offset - NOTIFY) / 4);
}

static const struct device_ops modern_ops = { modern_read, modern_write, 1, 4 };

/* A driver that cannot reach the memory goes through configuration space (4.1.4.9): bytes 16 to 19 of the capability
 * are a window to it. */
static unsigned window(const struct virtio *v, unsigned offset, unsigned len, u64 *at)
{
	unsigned cap = v->window, size = get32(&v->pci.config[cap + CAP_LENGTH]);

	*at = get32(&v->pci.config[cap + CAP_OFFSET]);
	if (offset > cap + CAP_MORE + 3 || offset + len <= cap + CAP_MORE || v->pci.config[cap + CAP_BAR] != BAR_MODERN)
		return 0;
	return (size == 1 || size == 2 || size == 4) && *at % size == 0 && *at < MODERN_SIZE ? size : 0;
}

static void window_read(void *owner, unsigned offset, unsigned len)
{
	struct virtio *v = owner;
	u64 at;
	unsigned size = window(v, offset, len, &at);

	if (size)
		put_size(&v->pci.config[v->window + CAP_MORE], size, modern_read(v, at, size));
}

static void window_write(void *owner, unsigned offset, unsigned len)
{
	struct virtio *v = owner;
	u64 at;
	unsigned size = window(v, offset, len, &at);

	if (size)
		modern_write(v, at, size, get_size(&v->pci.config[v->window + CAP_MORE], size));
}

/* ---- 0.9.5 ---- */

/*  00 device features  04 driver features  08 queue address, in pages of 4 KiB  0C queue size (16)  0E queue select (16)
 *  10 queue notify (16)  12 status (8)  13 ISR (8)  and with MSI-X on:  14 configuration vector (16)  16 queue vector (16) */
static unsigned legacy_config(const struct virtio *v)
{
	return pci_msix_on(&v->pci) ? LEGACY_CONFIG_MSIX : LEGACY_CONFIG;
}

static u64 legacy_read(void *owner, u64 offset, unsigned size)
{
	struct virtio *v = owner;
	unsigned q = v->queue_select, config = legacy_config(v);
	u8 r[LEGACY_CONFIG_MSIX + 8] = { 0 };

	if (offset >= config)
		return config_read(v, offset - config, size);
	if (offset == 0x13)
		return take_isr(v);
	put32(r + 0x00, (u32)v->features);
	put32(r + 0x04, (u32)v->driver_features);
	put16(r + 0x0e, v->queue_select);
	r[0x12] = v->status;
	put16(r + 0x14, v->config_vector);
	if (selected(v)) {
		put32(r + 0x08, v->enabled[q] ? (u32)(v->desc[q] / LEGACY_ALIGN) : 0);
		put16(r + 0x0c, v->size[q]);
		put16(r + 0x16, v->vector[q]);
	}
	return get_size(r + offset, size);
}

/* One block holds the three areas, the used ring on a page of its own (2.7.2). */
static void legacy_place(struct virtio *v, unsigned q, u32 page)
{
	u64 avail_end;

	v->enabled[q] = page;
	v->desc[q] = (u64)page * LEGACY_ALIGN;
	v->avail[q] = v->desc[q] + 16u * v->size[q];
	avail_end = v->avail[q] + 4 + 2u * v->size[q] + 2;
	v->used[q] = (avail_end + LEGACY_ALIGN - 1) & ~(u64)(LEGACY_ALIGN - 1);
	v->taken[q] = v->pushed[q] = v->signalled[q] = 0;
}

static void legacy_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct virtio *v = owner;
	unsigned q = v->queue_select, config = legacy_config(v);

	if (offset >= config) {
		for (unsigned i = 0; i < size && offset - config + i < v->config_writable; i++)
			v->config[offset - config + i] = (u8)(value >> (8 * i));
		return;
	}
	switch (offset) {
	case 0x04: v->driver_features = value & v->features & ~VIRTIO_F_VERSION_1; break;
	case 0x08:
		if (selected(v))
			legacy_place(v, q, (u32)value);
		break;
	case 0x0e: v->queue_select = (u16)value; break;
	case 0x10: virtio_notify(v, (unsigned)value); break;
	case 0x12: virtio_set_status(v, (u8)value); break;
	case 0x14: v->config_vector = checked_vector(v, value); break;
	case 0x16:
		if (selected(v))
			v->vector[q] = checked_vector(v, value);
		break;
	}
}

static const struct device_ops legacy_ops = { legacy_read, legacy_write, 1, 4 };

/* ---- the function ---- */

static unsigned structure(struct virtio *v, u8 type, u32 offset, u32 length, unsigned more)
{
	unsigned cap = pci_capability(&v->pci, CAP_ID, CAP_MORE + more);
	u8 *c = &v->pci.config[cap];

	c[2] = (u8)(CAP_MORE + more);
	c[3] = type;
	c[CAP_BAR] = BAR_MODERN;
	put32(c + CAP_OFFSET, offset);
	put32(c + CAP_LENGTH, length);
	return cap;
}

void virtio_pci_init(struct virtio *v, unsigned type, u32 pci_class)
{
	struct pci_function *f = &v->pci;
	unsigned notify;

	pci_init(f, v->pci_name, 0x1af4, device_id(type), pci_class);
	pci_subsystem(f, 0x1af4, (u16)type);
	pci_pin(f, 1);
	pci_bar_ports(f, BAR_LEGACY, LEGACY_SIZE, &legacy_ops, v);
	pci_bar_memory(f, BAR_MODERN, MODERN_SIZE, &modern_ops, v);
	pci_msix(f, BAR_MSIX, v->queues + 1);
	structure(v, CAP_COMMON, COMMON, COMMON_SIZE, 0);
	structure(v, CAP_ISR, ISR, 1, 0);
	structure(v, CAP_DEVICE, DEVICE, VIRTIO_CONFIG, 0);
	notify = structure(v, CAP_NOTIFY, NOTIFY, 4 * v->queues, 4);
	put32(&f->config[notify + CAP_MORE], 4); /* bytes between two queues */
	v->window = structure(v, CAP_PCI, 0, 0, 4);
	pci_writable(f, v->window + CAP_BAR, 1, 0xff);
	pci_writable(f, v->window + CAP_OFFSET, 4, ~0u);
	pci_writable(f, v->window + CAP_LENGTH, 4, ~0u);
	pci_writable(f, v->window + CAP_MORE, 4, ~0u);
	f->reading = window_read;
	f->written = window_write;
	f->owner = v;
}
