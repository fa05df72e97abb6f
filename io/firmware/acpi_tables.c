/* SPDX-License-Identifier: MIT */
/* The ACPI tables (ACPI specification 2.0, chapter 5): RSDP, RSDT, XSDT, FADT, FACS, MADT, HPET. acpi_dsdt.c has the
 * DSDT. */
#include <stdlib.h>
#include "io/chipset/acpi.h"
#include "io/timer/hpet.h"
#include "io/chipset/ioapic.h"
#include "io/firmware/mptable.h"

/* The tables of ACPI 2.0 (chapter 5 of the specification), one after the other:
 *
 *     RSDP -+-> RSDT (32-bit addresses) -+-> FADT -+-> FACS
 *           +-> XSDT (64-bit addresses) -+         +-> DSDT (acpi_dsdt.c)
 *                                        +-> MADT
 *                                        +-> HPET
 *
 * They are put together in a buffer of the host's, where a pointer is the offset behind the RSDP's place and checksums
 * are missing. Whoever knows where they will lie fills those in: acpi_tables_place here, or firmware by following a
 * script. */
#define LAPIC_BASE 0xfee00000u
#define HEADER 36u /* of every table but RSDP and FACS */

enum { POINTERS_MAX = 16, SUMS_MAX = 12 };

struct acpi_tables {
	u8 bytes[ACPI_TABLES_MAX];
	u32 used;
	bool full;
	struct { u32 at, size; } pointers[POINTERS_MAX];
	struct { u32 at, start, len; } sums[SUMS_MAX];
	unsigned npointers, nsums;
};

/* LEN zeroed bytes at a multiple of ALIGN. NULL when they no longer fit: the build has failed. */
static u8 *allocate(struct acpi_tables *b, u32 len, u32 align)
{
	u32 at = (b->used + align - 1) / align * align;

	if (b->full || len > sizeof b->bytes || at > sizeof b->bytes - len) {
		b->full = true;
		return NULL;
	}
	b->used = at + len;
	return b->bytes + at;
}

/* Let the SIZE bytes at P point to TARGET. */
static void point(struct acpi_tables *b, u8 *p, unsigned size, const u8 *target)
{
	put_size(p, size, (u64)(target - b->bytes) - ACPI_RSDP_ROOM);
	b->pointers[b->npointers].at = (u32)(p - b->bytes);
	b->pointers[b->npointers++].size = size;
}

/* Let the byte at P make the sum of LEN bytes from START zero. */
static void sum_up(struct acpi_tables *b, const u8 *p, const u8 *start, u32 len)
{
	b->sums[b->nsums].at = (u32)(p - b->bytes);
	b->sums[b->nsums].start = (u32)(start - b->bytes);
	b->sums[b->nsums++].len = len;
}

/*  0 signature 4 length 8 revision 9 checksum 10 OEM ID 16 OEM table ID 24 OEM revision 28 creator 32 creator revision
 * */
static u8 *table(struct acpi_tables *b, const char *signature, u8 revision, u32 len)
{
	u8 *t = allocate(b, len, 16);

	if (!t)
		return NULL;
	memcpy(t, signature, 4);
	put32(t + 4, (u32)len);
	t[8] = revision;
	memcpy(t + 10, "VCPU  ", 6);
	memcpy(t + 16, "VCPUPC  ", 8);
	put32(t + 24, 1);
	memcpy(t + 28, "VCPU", 4);
	put32(t + 32, 1);
	sum_up(b, t + 9, t, len);
	return t;
}

/* Generic address structure: space (0 memory, 1 I/O), width in bits, offset, access size (1 byte, 2 word, 3 dword),
 * address. */
static void gas(u8 *p, u8 space, u8 width, u8 access, u64 at)
{
	p[0] = space;
	p[1] = width;
	p[3] = access;
	put64(p + 4, at);
}

static u8 *build_dsdt(struct acpi_tables *b, const struct acpi_system *system)
{
	u32 len = acpi_dsdt(NULL, system);
	u8 *t = table(b, "DSDT", 2, HEADER + len);

	if (t)
		acpi_dsdt(t + HEADER, system);
	return t;
}

/* Firmware ACPI control structure: 64 bytes at a multiple of 64. */
static u8 *build_facs(struct acpi_tables *b)
{
	u8 *t = allocate(b, 64, 64);

	if (!t)
		return NULL;
	memcpy(t, "FACS", 4);
	put32(t + 4, 64);
	t[32] = 1; /* version */
	return t;
}

/* Fixed ACPI description table, revision 3 (ACPI 2.0), 244 bytes; offsets are those of the specification's table 5-5.
 * */
static u8 *build_fadt(struct acpi_tables *b, u16 pm, const u8 *facs, const u8 *dsdt)
{
	enum {
		WBINVD = 1 << 0, PROC_C1 = 1 << 2, SLP_BUTTON_IS_A_DEVICE = 1 << 5, RTC_WAKE_NOT_FIXED = 1 << 6,
			TMR_VAL_EXT = 1 << 8,
		RESET_REG_SUP = 1 << 10,
		LEGACY_DEVICES = 1 << 0, HAS_8042 = 1 << 1,
	};
	u8 *t = table(b, "FACP", 3, 244);

	if (!t)
		return NULL;
	point(b, t + 36, 4, facs);
	point(b, t + 40, 4, dsdt);
	t[45] = 1;                     /* preferred profile: desktop */
	put16(t + 46, ACPI_SCI_IRQ);
	put32(t + 48, ACPI_SMI_PORT);
	t[52] = ACPI_ON;
	t[53] = ACPI_OFF;
	put32(t + 56, pm);     /* PM1a event block */
	put32(t + 64, pm + 4u); /* PM1a control block */
	put32(t + 76, pm + 8u); /* PM timer */
	t[88] = 4;                     /* their lengths */
	t[89] = 2;
	t[91] = 4;
	put16(t + 96, 0xffff);         /* no C2, no C3 */
	put16(t + 98, 0xffff);
	t[108] = 0x32;                 /* century in the RTC */
	put16(t + 109, LEGACY_DEVICES | HAS_8042);
	put32(t + 112, WBINVD | PROC_C1 | SLP_BUTTON_IS_A_DEVICE | RTC_WAKE_NOT_FIXED | TMR_VAL_EXT | RESET_REG_SUP);
	gas(t + 116, 1, 8, 1, ACPI_RESET_PORT);
	t[128] = ACPI_RESET_VALUE;
	point(b, t + 132, 8, facs);
	point(b, t + 140, 8, dsdt);
	gas(t + 148, 1, 32, 2, pm);
	gas(t + 172, 1, 16, 2, pm + 4u);
	gas(t + 208, 1, 32, 3, pm + 8u);
	return t;
}

/* Multiple APIC description table: processors, I/O APIC, and the two ISA interrupts that are not what they seem. */
static u8 *build_madt(struct acpi_tables *b, unsigned cpus)
{
	enum { ACTIVE_HIGH = 1, LEVEL_TRIGGERED = 3 << 2 };
	u8 *t = table(b, "APIC", 3, HEADER + 8 + 8 * cpus + 12 + 2 * 10 + 6), *p;

	if (!t)
		return NULL;
	put32(t + 36, LAPIC_BASE);
	put32(t + 40, 1); /* there are two 8259s as well */
	p = t + 44;
	for (unsigned i = 0; i < cpus; i++, p += 8) { /* 0: local APIC */
		p[0] = 0;
		p[1] = 8;
		p[2] = (u8)i; /* ACPI processor ID */
		p[3] = (u8)i; /* APIC ID */
		put32(p + 4, 1);
	}
	p[0] = 1; /* I/O APIC: its interrupts are 0 to 23 */
	p[1] = 12;
	p[2] = mptable_ioapic_id(cpus);
	put32(p + 4, IOAPIC_BASE);
	p += 12;
	p[0] = 2; /* override: ISA IRQ 0 is pin 2 */
	p[1] = 10;
	put32(p + 4, 2);
	p += 10;
	p[0] = 2; /* override: the SCI is level triggered, active high */
	p[1] = 10;
	p[3] = ACPI_SCI_IRQ;
	put32(p + 4, ACPI_SCI_IRQ);
	put16(p + 8, ACTIVE_HIGH | LEVEL_TRIGGERED);
	p += 10;
	p[0] = 4; /* NMI: LINT1 of every local APIC */
	p[1] = 6;
	p[2] = 0xff;
	p[5] = 1;
	return t;
}

static u8 *build_hpet(struct acpi_tables *b)
{
	u8 *t = table(b, "HPET", 1, 56);

	if (!t)
		return NULL;
	/* low half of its capabilities */
	put32(t + 36, 0x8086u << 16 | 1 << 15 | 1 << 13 | (HPET_TIMERS - 1) << 8 | 1);
	gas(t + 40, 0, 64, 0, HPET_BASE);
	put16(t + 53, 128); /* shortest period, ticks */
	return t;
}

static void build_roots(struct acpi_tables *b, u8 *const *tables, unsigned count)
{
	u8 *rsdp = b->bytes, *rsdt = table(b, "RSDT", 1, HEADER + 4 * count),
	   *xsdt = table(b, "XSDT", 1, HEADER + 8 * count);

	if (!rsdt || !xsdt)
		return;
	for (unsigned i = 0; i < count; i++) {
		point(b, rsdt + HEADER + 4 * i, 4, tables[i]);
		point(b, xsdt + HEADER + 8 * i, 8, tables[i]);
	}
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "VCPU  ", 6);
	rsdp[15] = 2; /* revision */
	point(b, rsdp + 16, 4, rsdt);
	put32(rsdp + 20, ACPI_RSDP_SIZE);
	point(b, rsdp + 24, 8, xsdt);
	sum_up(b, rsdp + 8, rsdp, 20);
	sum_up(b, rsdp + 32, rsdp, ACPI_RSDP_SIZE);
}

bool acpi_tables_build(struct acpi_tables *b, const struct acpi_system *system)
{
	u8 *facs, *dsdt, *tables[3];

	if (system->cpus > 255)
		return false;
	memset(b, 0, sizeof *b);
	allocate(b, ACPI_RSDP_ROOM, 1);
	facs = build_facs(b);
	dsdt = build_dsdt(b, system);
	tables[0] = facs && dsdt ? build_fadt(b, system->pm_base, facs, dsdt) : NULL;
	tables[1] = build_madt(b, system->cpus);
	tables[2] = build_hpet(b);
	if (!b->full)
		build_roots(b, tables, ARRAY_LEN(tables));
	return !b->full;
}

struct acpi_tables *acpi_tables_new(const struct acpi_system *system)
{
	struct acpi_tables *b = malloc(sizeof *b);

	if (b && acpi_tables_build(b, system))
		return b;
	free(b);
	return NULL;
}

void acpi_tables_free(struct acpi_tables *b)
{
	free(b);
}

const u8 *acpi_tables_bytes(const struct acpi_tables *b, u32 *len)
{
	*len = b->used;
	return b->bytes;
}

u64 acpi_tables_place(struct acpi_tables *b, struct space *memory, u64 base, u64 size)
{
	if (b->used > size || base % 64 || base + b->used > (u64)1 << 32)
		return 0;
	for (unsigned i = 0; i < b->npointers; i++) {
		u8 *p = b->bytes + b->pointers[i].at;

		put_size(p, b->pointers[i].size, get_size(p, b->pointers[i].size) + base + ACPI_RSDP_ROOM);
	}
	for (unsigned i = 0; i < b->nsums; i++) {
		u8 sum = 0;

		for (u32 k = 0; k < b->sums[i].len; k++)
			sum += b->bytes[b->sums[i].start + k];
		b->bytes[b->sums[i].at] -= sum;
	}
	space_poke(memory, base, b->bytes, b->used);
	return b->used;
}

/* ---- the script for firmware: commands of 128 bytes ----
 *
 *     allocate      0 1    4 file                   60 alignment  64 zone (1 anywhere, 2 below 1 MiB)
 *     add pointer   0 2    4 file that gets it      60 file that it points to   116 offset   120 size
 *     add checksum  0 3    4 file                   60 offset     64 start      68 length */
enum { ALLOCATE = 1, ADD_POINTER, ADD_CHECKSUM, COMMAND = 128, ZONE_ANY = 1, ZONE_LOW };

static u8 *command(u8 **at, u32 what, const char *file)
{
	u8 *c = *at;

	memset(c, 0, COMMAND);
	put32(c, what);
	strcpy((char *)c + 4, file);
	*at += COMMAND;
	return c;
}

static void allocate_file(u8 **at, const char *file, u32 align, u8 zone)
{
	u8 *c = command(at, ALLOCATE, file);

	put32(c + 60, align);
	c[64] = zone;
}

/* The file that offset AT is in; *AT is then the offset in it. */
static const char *file_of(u32 *at)
{
	if (*at < ACPI_RSDP_ROOM)
		return ACPI_RSDP_FILE;
	*at -= ACPI_RSDP_ROOM;
	return ACPI_TABLES_FILE;
}

u32 acpi_tables_script(const struct acpi_tables *b, u8 *out)
{
	u8 *at = out, *c;

	allocate_file(&at, ACPI_RSDP_FILE, 16, ZONE_LOW);
	allocate_file(&at, ACPI_TABLES_FILE, 64, ZONE_ANY);
	for (unsigned i = 0; i < b->npointers; i++) {
		u32 offset = b->pointers[i].at;

		c = command(&at, ADD_POINTER, file_of(&offset));
		strcpy((char *)c + 60, ACPI_TABLES_FILE);
		put32(c + 116, offset);
		c[120] = (u8)b->pointers[i].size;
	}
	for (unsigned i = 0; i < b->nsums; i++) {
		u32 offset = b->sums[i].at, start = b->sums[i].start;

		c = command(&at, ADD_CHECKSUM, file_of(&offset));
		file_of(&start);
		put32(c + 60, offset);
		put32(c + 64, start);
		put32(c + 68, b->sums[i].len);
	}
	return (u32)(at - out);
}
