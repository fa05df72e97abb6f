/* SPDX-License-Identifier: MIT */
/* The fw_cfg device (QEMU's specification of fw_cfg). Limits: fwcfg.h. */
#include <stdlib.h>
#include "io/firmware/fwcfg.h"

#define PORT 0x510u
#define DMA_MAX (16 * MiB)

enum { ITEMS_MAX = 64, NAME_ROOM = 56, ENTRY = 64, HAS_ALL = 1 /* selector and data */ | 2 /* DMA */ };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16, DMA_REQUEST = 16 /* bytes */ };

struct item {
	u16 key;
	u8 *data;
	u32 len;
};

struct fwcfg {
	u16 selected;
	u32 at;           /* offset in the item */
	u32 dma_high;
	/* set once */
	struct item items[ITEMS_MAX];
	unsigned nitems;
	u16 nfiles;
	struct {
		struct space *mem;
	} wire;
};

static const struct field fwcfg_fields[] = {
	FIELD(struct fwcfg, selected, U16),
	FIELD(struct fwcfg, at, U32),
	FIELD(struct fwcfg, dma_high, U32),
	FIELD_END
};

static u32 big32(u32 v) { return __builtin_bswap32(v); }
static u64 big64(u64 v) { return __builtin_bswap64(v); }

static struct item *find(struct fwcfg *fw, u16 key)
{
	for (unsigned i = 0; i < fw->nitems; i++)
		if (fw->items[i].key == key)
			return &fw->items[i];
	return NULL;
}

static void select_item(struct fwcfg *fw, u16 key)
{
	fw->selected = key;
	fw->at = 0;
}

/* What LEN bytes of the selected item are from here on: *AVAILABLE of them exist, zeroes follow. */
static const u8 *take(struct fwcfg *fw, u32 len, u32 *available)
{
	const struct item *item = find(fw, fw->selected);
	u32 left = item && fw->at < item->len ? item->len - fw->at : 0;
	const u8 *data = left ? item->data + fw->at : NULL;

	*available = len < left ? len : left;
	fw->at += *available;
	return data;
}

/* ---- DMA ---- */

static u32 transfer(struct fwcfg *fw, u32 control, u32 len, u64 address)
{
	static const u8 zeroes[PAGE_SIZE];
	const u8 *data;
	u32 available;

	if (control & DMA_SELECT)
		select_item(fw, (u16)(control >> 16));
	if (control & DMA_READ) {
		if (len > DMA_MAX)
			return DMA_ERROR;
		data = take(fw, len, &available);
		if (available)
			space_write_block(fw->wire.mem, address, data, available);
		for (u32 done = available, run; done < len; done += run) {
			run = len - done < sizeof zeroes ? len - done : sizeof zeroes;
			space_write_block(fw->wire.mem, address + done, zeroes, run);
		}
		return 0;
	}
	if (control & DMA_SKIP)
		take(fw, len, &available);
	return control & DMA_WRITE && !(control & DMA_SKIP) ? DMA_ERROR : 0;
}

static void dma(struct fwcfg *fw, u64 request)
{
	u8 r[DMA_REQUEST], control[4];

	space_read_block(fw->wire.mem, request, r, sizeof r);
	put32(control, big32(transfer(fw, big32(get32(r)), big32(get32(r + 4)), big64(get64(r + 8)))));
	space_write_block(fw->wire.mem, request, control, sizeof control);
}

/* ---- ports ---- */

static u64 read_ports(void *owner, u64 offset, unsigned size)
{
	struct fwcfg *fw = owner;
	const u8 *data;
	u32 available;

	if (offset != 1 || size != 1)
		return ~(u64)0;
	data = take(fw, 1, &available);
	return available ? *data : 0;
}

static void write_ports(void *owner, u64 offset, unsigned size, u64 value)
{
	if (!offset && size == 2)
		select_item(owner, (u16)value);
}

static u64 read_dma(void *owner, u64 offset, unsigned size)
{
	static const char signature[8] = "QEMU CFG";

	(void)owner;
	return get_size(signature + offset, size);
}

static void write_dma(void *owner, u64 offset, unsigned size, u64 value)
{
	struct fwcfg *fw = owner;

	if (size != 4)
		return;
	if (!offset) {
		fw->dma_high = big32((u32)value);
		return;
	}
	dma(fw, (u64)fw->dma_high << 32 | big32((u32)value));
	fw->dma_high = 0;
}

static const struct device_ops port_ops = { read_ports, write_ports, 1, 2 };
static const struct device_ops dma_ops = { read_dma, write_dma, 1, 4 };

/* ---- items ---- */

bool fwcfg_add(struct fwcfg *fw, u16 key, const void *data, u32 len)
{
	struct item *item = &fw->items[fw->nitems];

	if (fw->nitems == ITEMS_MAX)
		return false;
	*item = (struct item){ .key = key, .data = malloc(len + 1), .len = len };
	if (!item->data)
		return false;
	if (len)
		memcpy(item->data, data, len);
	fw->nitems++;
	return true;
}

bool fwcfg_add_number(struct fwcfg *fw, u16 key, u64 value, unsigned size)
{
	u8 bytes[8];

	put64(bytes, value);
	return fwcfg_add(fw, key, bytes, size);
}

/* The directory, big-endian:  0 count   4 entries:  0 length   4 key   8 name, with a 0 */
bool fwcfg_add_file(struct fwcfg *fw, const char *name, const void *data, u32 len)
{
	struct item *directory = find(fw, FWCFG_DIRECTORY);
	u16 key = FWCFG_FILES + fw->nfiles;
	u8 *bytes = realloc(directory->data, directory->len + ENTRY), *entry = bytes + directory->len;

	if (!bytes)
		return false;
	directory->data = bytes;
	if (strlen(name) >= NAME_ROOM || !fwcfg_add(fw, key, data, len))
		return false;
	memset(entry, 0, ENTRY);
	put32(entry, big32(len));
	entry[4] = (u8)(key >> 8);
	entry[5] = (u8)key;
	strcpy((char *)entry + 8, name);
	directory->len += ENTRY;
	put32(bytes, big32(++fw->nfiles));
	return true;
}

void fwcfg_change_file(struct fwcfg *fw, const char *name, const void *data)
{
	const struct item *directory = find(fw, FWCFG_DIRECTORY);

	for (u16 n = 0; n < fw->nfiles; n++) {
		struct item *item = find(fw, FWCFG_FILES + n);

		if (!strcmp((const char *)directory->data + 4 + n * ENTRY + 8, name))
			memcpy(item->data, data, item->len);
	}
}

struct fwcfg *fwcfg_new(struct space *ports, struct space *mem)
{
	struct fwcfg *fw = calloc(1, sizeof *fw);

	if (!fw)
		return NULL;
	fw->wire.mem = mem;
	if (space_add_device(ports, "fw_cfg", PORT, 2, &port_ops, fw) < 0 ||
	    space_add_device(ports, "fw_cfg dma", PORT + 4, 8, &dma_ops, fw) < 0 ||
	    !fwcfg_add(fw, FWCFG_SIGNATURE, "QEMU", 4) || !fwcfg_add_number(fw, FWCFG_ID, HAS_ALL, 4) ||
	    !fwcfg_add_number(fw, FWCFG_DIRECTORY, 0, 4)) {
		fwcfg_free(fw);
		return NULL;
	}
	return fw;
}

void fwcfg_free(struct fwcfg *fw)
{
	for (unsigned i = 0; i < fw->nitems; i++)
		free(fw->items[i].data);
	free(fw);
}

struct part fwcfg_part(struct fwcfg *fw)
{
	return (struct part){ .name = "fw_cfg", .state = fw, .fields = fwcfg_fields };
}
