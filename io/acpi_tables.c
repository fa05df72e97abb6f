#include <stdlib.h>
#include "io/acpi.h"
#include "io/hpet.h"
#include "io/ioapic.h"
#include "io/mptable.h"

/* The tables of ACPI 2.0 (chapter 5 of the specification), one after the other:
 *
 *     RSDP -+-> RSDT (32-bit addresses) -+-> FADT -+-> FACS
 *           +-> XSDT (64-bit addresses) -+         +-> DSDT
 *                                        +-> MADT
 *                                        +-> HPET
 *
 * They are put together in a buffer of the host's and copied once. */
struct build {
	u8 *bytes;
	u64 base, size; /* where it will lie in guest memory, and how much fits */
	u64 used;
	bool full;
};

#define LAPIC_BASE 0xfee00000u
#define HEADER 36u /* of every table but RSDP and FACS */

/* LEN zeroed bytes at a multiple of ALIGN. NULL when they no longer fit: the build has failed. */
static u8 *allocate(struct build *b, u64 len, u64 align)
{
	u64 at = (b->used + align - 1) / align * align;

	if (b->full || len > b->size || at > b->size - len) {
		b->full = true;
		return NULL;
	}
	b->used = at + len;
	return b->bytes + at;
}

static u64 address(const struct build *b, const u8 *p)
{
	return b->base + (u64)(p - b->bytes);
}

static u8 checksum(const u8 *p, u64 len)
{
	u8 sum = 0;

	while (len--)
		sum += *p++;
	return (u8)-sum;
}

/*  0 signature  4 length  8 revision  9 checksum  10 OEM ID  16 OEM table ID  24 OEM revision  28 creator  32 creator revision */
static u8 *table(struct build *b, const char *signature, u8 revision, u64 len)
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
	return t;
}

static void seal(u8 *t)
{
	t[9] = 0;
	t[9] = checksum(t, get32(t + 4));
}

/* Generic address structure: space (0 memory, 1 I/O), width in bits, offset, access size (1 byte, 2 word, 3 dword), address. */
static void gas(u8 *p, u8 space, u8 width, u8 access, u64 at)
{
	p[0] = space;
	p[1] = width;
	p[3] = access;
	put64(p + 4, at);
}

/* Definition block, after its header. Lengths of packages (PkgLength) count themselves. */
static const u8 dsdt_aml[] = {
	/* Name (\_S5, Package () { 5, 5, 0, 0 }): SLP_TYPa and SLP_TYPb */
	0x08, '\\', '_', 'S', '5', '_',
	0x12, 0x08, 0x04, 0x0a, ACPI_S5_TYPE, 0x0a, ACPI_S5_TYPE, 0x00, 0x00,

	/* Scope (\_SB) */
	0x10, 0x47, 0x0d, '\\', '_', 'S', 'B', '_',

	/* Device (RTC) { _HID PNP0B00, _CRS IO 70h-71h, IRQ 8 } */
	0x5b, 0x82, 0x25, 'R', 'T', 'C', '_',
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0b, 0x00,
	0x08, '_', 'C', 'R', 'S', 0x11, 0x10, 0x0a, 0x0d,
	0x47, 0x01, 0x70, 0x00, 0x70, 0x00, 0x01, 0x02,
	0x22, 0x00, 0x01,
	0x79, 0x00,

	/* Device (COM1) { _HID PNP0501, _UID 1, _CRS IO 3F8h-3FFh, IRQ 4 } */
	0x5b, 0x82, 0x2b, 'C', 'O', 'M', '1',
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x05, 0x01,
	0x08, '_', 'U', 'I', 'D', 0x01,
	0x08, '_', 'C', 'R', 'S', 0x11, 0x10, 0x0a, 0x0d,
	0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08,
	0x22, 0x10, 0x00,
	0x79, 0x00,

	/* Device (KBD) { _HID PNP0303, _CRS IO 60h, IO 64h, IRQ 1 } */
	0x5b, 0x82, 0x2d, 'K', 'B', 'D', '_',
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x03, 0x03,
	0x08, '_', 'C', 'R', 'S', 0x11, 0x18, 0x0a, 0x15,
	0x47, 0x01, 0x60, 0x00, 0x60, 0x00, 0x01, 0x01,
	0x47, 0x01, 0x64, 0x00, 0x64, 0x00, 0x01, 0x01,
	0x22, 0x02, 0x00,
	0x79, 0x00,

	/* Device (PS2M) { _HID PNP0F13, _CRS IRQ 12 } */
	0x5b, 0x82, 0x1d, 'P', 'S', '2', 'M',
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0f, 0x13,
	0x08, '_', 'C', 'R', 'S', 0x11, 0x08, 0x0a, 0x05,
	0x22, 0x00, 0x10,
	0x79, 0x00,

	/* Device (HPET) { _HID PNP0103, _UID 0, _CRS Memory32Fixed read-only FED00000h, 400h } */
	0x5b, 0x82, 0x2c, 'H', 'P', 'E', 'T',
	0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x01, 0x03,
	0x08, '_', 'U', 'I', 'D', 0x00,
	0x08, '_', 'C', 'R', 'S', 0x11, 0x11, 0x0a, 0x0e,
	0x86, 0x09, 0x00, 0x00, 0x00, 0x00, 0xd0, 0xfe, 0x00, 0x04, 0x00, 0x00,
	0x79, 0x00,
};

static u8 *build_dsdt(struct build *b)
{
	u8 *t = table(b, "DSDT", 2, HEADER + sizeof dsdt_aml);

	if (!t)
		return NULL;
	memcpy(t + HEADER, dsdt_aml, sizeof dsdt_aml);
	seal(t);
	return t;
}

/* Firmware ACPI control structure: 64 bytes at a multiple of 64. */
static u8 *build_facs(struct build *b)
{
	u8 *t = allocate(b, 64, 64);

	if (!t)
		return NULL;
	memcpy(t, "FACS", 4);
	put32(t + 4, 64);
	t[32] = 1; /* version */
	return t;
}

/* Fixed ACPI description table, revision 3 (ACPI 2.0), 244 bytes; offsets are those of the specification's table 5-5. */
static u8 *build_fadt(struct build *b, const u8 *facs, const u8 *dsdt)
{
	enum {
		WBINVD = 1 << 0, PROC_C1 = 1 << 2, SLP_BUTTON_IS_A_DEVICE = 1 << 5, RTC_WAKE_NOT_FIXED = 1 << 6, TMR_VAL_EXT = 1 << 8,
		RESET_REG_SUP = 1 << 10,
		LEGACY_DEVICES = 1 << 0, HAS_8042 = 1 << 1,
	};
	u8 *t = table(b, "FACP", 3, 244);

	if (!t)
		return NULL;
	put32(t + 36, (u32)address(b, facs));
	put32(t + 40, (u32)address(b, dsdt));
	t[45] = 1;                     /* preferred profile: desktop */
	put16(t + 46, ACPI_SCI_IRQ);
	put32(t + 48, ACPI_SMI_PORT);
	t[52] = ACPI_ON;
	t[53] = ACPI_OFF;
	put32(t + 56, ACPI_PM_BASE);     /* PM1a event block */
	put32(t + 64, ACPI_PM_BASE + 4); /* PM1a control block */
	put32(t + 76, ACPI_PM_BASE + 8); /* PM timer */
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
	put64(t + 132, address(b, facs));
	put64(t + 140, address(b, dsdt));
	gas(t + 148, 1, 32, 2, ACPI_PM_BASE);
	gas(t + 172, 1, 16, 2, ACPI_PM_BASE + 4);
	gas(t + 208, 1, 32, 3, ACPI_PM_BASE + 8);
	seal(t);
	return t;
}

/* Multiple APIC description table: processors, I/O APIC, and the two ISA interrupts that are not what they seem. */
static u8 *build_madt(struct build *b, unsigned cpus)
{
	enum { ACTIVE_HIGH = 1, LEVEL_TRIGGERED = 3 << 2 };
	u8 *t = table(b, "APIC", 3, HEADER + 8 + 8 * (u64)cpus + 12 + 2 * 10 + 6), *p;

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
	seal(t);
	return t;
}

static u8 *build_hpet(struct build *b)
{
	u8 *t = table(b, "HPET", 1, 56);

	if (!t)
		return NULL;
	put32(t + 36, 0x8086u << 16 | 1 << 15 | 1 << 13 | (HPET_TIMERS - 1) << 8 | 1); /* low half of its capabilities */
	gas(t + 40, 0, 64, 0, HPET_BASE);
	put16(t + 53, 128); /* shortest period, ticks */
	seal(t);
	return t;
}

static void build_roots(struct build *b, u8 *rsdp, u8 *const *tables, unsigned count)
{
	u8 *rsdt = table(b, "RSDT", 1, HEADER + 4 * count), *xsdt = table(b, "XSDT", 1, HEADER + 8 * count);

	if (!rsdt || !xsdt)
		return;
	for (unsigned i = 0; i < count; i++) {
		put32(rsdt + HEADER + 4 * i, (u32)address(b, tables[i]));
		put64(xsdt + HEADER + 8 * i, address(b, tables[i]));
	}
	seal(rsdt);
	seal(xsdt);
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "VCPU  ", 6);
	rsdp[15] = 2; /* revision */
	put32(rsdp + 16, (u32)address(b, rsdt));
	put32(rsdp + 20, 36);
	put64(rsdp + 24, address(b, xsdt));
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, 36);
}

u64 acpi_tables_build(struct space *memory, u64 base, u64 size, unsigned cpus)
{
	struct build b = { .base = base, .size = size < 64 * KiB ? size : 64 * KiB };
	u8 *rsdp, *facs, *dsdt, *tables[3];

	if (cpus > 255 || base % 64 || base + b.size > (u64)1 << 32)
		return 0;
	b.bytes = calloc(1, 64 * KiB);
	if (!b.bytes)
		return 0;
	rsdp = allocate(&b, 36, 16);
	facs = build_facs(&b);
	dsdt = build_dsdt(&b);
	tables[0] = facs && dsdt ? build_fadt(&b, facs, dsdt) : NULL;
	tables[1] = build_madt(&b, cpus);
	tables[2] = build_hpet(&b);
	if (!b.full)
		build_roots(&b, rsdp, tables, ARRAY_LEN(tables));
	if (!b.full)
		space_poke(memory, base, b.bytes, b.used);
	free(b.bytes);
	return b.full ? 0 : b.used;
}
