/* SPDX-License-Identifier: MIT */
/* The 82441FX host bridge (Intel 440FX PCIset data sheet): PAM and SMRAM. Limits: i440fx.h. */
#include <stdlib.h>
#include "io/chipset/i440fx.h"
#include "io/chipset/pci.h"

enum { PAM0 = 0x59, PAM_COUNT = 7, SMRAM = 0x72, PAM_READ = 1, PAM_WRITE = 2 };
enum { G_SMRAME = 0x08, D_LCK = 0x10, D_OPEN = 0x40, SMRAM_RESET = 0x02 };
enum { SEGMENTS = 13, SEGMENT = 0x4000 };

#define SHADOW 0xc0000u
#define BIOS_ALIAS 0xe0000u
#define BIOS 0xf0000u
#define END 0x100000u
#define SMRAM_BASE 0xa0000u
#define SMRAM_SIZE 0x20000u

struct i440fx {
	struct pci_function pci;
	bool smiact;
	/* derived: what is laid over the RAM */
	struct segment { int range; u8 attributes; } segments[SEGMENTS];
	int smram;                /* number of its range, -1: the display is seen */
	struct {
		struct space *mem;
		struct ram *ram, *rom;
	} wire;
};

static const struct field i440fx_fields[] = {
	FIELD(struct i440fx, smiact, BOOL),
	FIELD_END
};

/* ---- PAM ---- */

/* Segment 0 is F0000-FFFFF, the others are C0000, C4000, ... */
static u64 segment_base(unsigned n)
{
	return n ? SHADOW + (n - 1) * SEGMENT : BIOS;
}

static u64 segment_size(unsigned n)
{
	return n ? SEGMENT : END - BIOS;
}

static u8 segment_attributes(const struct i440fx *b, unsigned n)
{
	u8 pam = b->pci.config[PAM0 + (n + 1) / 2];

	return (n % 2 ? pam : pam >> 4) & (PAM_READ | PAM_WRITE);
}

static int add_rom(struct i440fx *b, u64 base, u64 size)
{
	static const struct device_ops nothing_ops = { .max = 8 };
	u64 shown = b->wire.rom ? b->wire.rom->size : 0;

	if (base < BIOS_ALIAS || shown < END - base)
		return space_add_device(b->wire.mem, "nothing", base, size, &nothing_ops, NULL);
	return space_add_ram(b->wire.mem, "bios", base, size, b->wire.rom, shown - (END - base), true);
}

static void place_segment(struct i440fx *b, unsigned n)
{
	struct segment *s = &b->segments[n];
	u64 base = segment_base(n), size = segment_size(n);

	s->attributes = segment_attributes(b, n);
	if (s->range >= 0)
		space_remove(b->wire.mem, s->range);
	s->range = -1;
	if (s->attributes == PAM_READ)
		s->range = space_add_ram(b->wire.mem, "shadow", base, size, b->wire.ram, base, true);
	else if (!(s->attributes & PAM_READ))
		s->range = add_rom(b, base, size);
	space_rank(b->wire.mem, s->range, 1);
	if (s->attributes == PAM_WRITE)
		space_write_through(b->wire.mem, s->range);
}

/* ---- SMRAM ---- */

static void place_smram(struct i440fx *b)
{
	u8 smram = b->pci.config[SMRAM];
	bool seen = (smram & G_SMRAME) && ((smram & D_OPEN) || b->smiact);

	if (seen == (b->smram >= 0))
		return;
	if (b->smram >= 0)
		space_remove(b->wire.mem, b->smram);
	b->smram =
		seen ? space_add_ram(b->wire.mem, "smram", SMRAM_BASE, SMRAM_SIZE, b->wire.ram, SMRAM_BASE, false) : -1;
	space_rank(b->wire.mem, b->smram, 2); /* over the display's */
}

void i440fx_smiact(void *owner, int n, bool level)
{
	struct i440fx *b = owner;

	(void)n;
	b->smiact = level;
	place_smram(b);
}

/* ---- registers ---- */

static void place_all(struct i440fx *b)
{
	for (unsigned n = 0; n < SEGMENTS; n++)
		if (segment_attributes(b, n) != b->segments[n].attributes)
			place_segment(b, n);
	place_smram(b);
}

/* Locked, SMRAM is closed and stays so until reset; D_LCK itself can only be set. */
static void lock(struct i440fx *b)
{
	bool locked = b->pci.config[SMRAM] & D_LCK;

	if (locked)
		b->pci.config[SMRAM] &= (u8)~D_OPEN;
	pci_writable(&b->pci, SMRAM, 1, locked ? 0x20 : 0x78);
}

static void written(void *owner, unsigned offset, unsigned len)
{
	struct i440fx *b = owner;

	(void)offset, (void)len;
	lock(b);
	place_all(b);
}

struct i440fx *i440fx_new(struct pci_bus *pci, struct space *mem, struct ram *ram, struct ram *rom)
{
	struct i440fx *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->wire.mem = mem;
	b->wire.ram = ram;
	b->wire.rom = rom;
	b->smram = -1;
	pci_init(&b->pci, "i440fx", 0x8086, 0x1237, 0x060000);
	pci_subsystem(&b->pci, 0x1af4, 0x1100); /* by which firmware knows that there is fw_cfg */
	b->pci.config[PCI_REVISION] = 2;
	b->pci.config[SMRAM] = SMRAM_RESET;
	pci_writable(&b->pci, PAM0, 4, 0x33333330);
	pci_writable(&b->pci, PAM0 + 4, 3, 0x333333);
	b->pci.written = written;
	b->pci.owner = b;
	lock(b);
	for (unsigned n = 0; n < SEGMENTS; n++) {
		b->segments[n].range = -1;
		place_segment(b, n);
		if (b->segments[n].range < 0) {
			free(b);
			return NULL;
		}
	}
	pci_attach(pci, &b->pci, 0, 0);
	return b;
}

void i440fx_free(struct i440fx *bridge)
{
	free(bridge);
}

void i440fx_refresh(struct i440fx *bridge)
{
	lock(bridge);
	place_all(bridge);
}

struct part i440fx_part(struct i440fx *bridge)
{
	return (struct part){ .name = "host bridge", .state = bridge, .fields = i440fx_fields };
}
