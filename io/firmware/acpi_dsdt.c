/* SPDX-License-Identifier: MIT */
/* The definition block (ACPI specification 6.x; AML is chapter 20): facts about the PC that a system cannot ask the
 * hardware.
 *
 *     \_S5  \PICF  \_PIC
 *     \_SB  PCI0  _CRS: what of the ports and of memory goes to the bus
 *     |     |     _PRT: which interrupt a pin of a slot is, with the I/O APIC (\PICF) or without it
 *     |     ISA_  the ISA bridge, with the registers that route PIRQA..D, and what is behind it
 *     |     HPET
 *     LNKA..LNKD  those routes: which IRQ, and how to change it */
#include "io/chipset/acpi.h"
#include "io/timer/hpet.h"
#include "io/chipset/ioapic.h"

enum { SLOTS = 32, PACKAGE_ROOM = 3 };

struct aml {
	u8 *out;   /* NULL: only count */
	u32 at;
};

static void bytes(struct aml *a, const void *p, u32 len)
{
	if (a->out)
		memcpy(a->out + a->at, p, len);
	a->at += len;
}

#define BYTES(a, ...) bytes(a, (const u8[]){ __VA_ARGS__ }, sizeof (const u8[]){ __VA_ARGS__ })
#define TEXT(a, text) bytes(a, text, sizeof text - 1)

static void number16(struct aml *a, u16 n) { bytes(a, &n, sizeof n); }
static void number32(struct aml *a, u32 n) { bytes(a, &n, sizeof n); }

/* A package of bytes: its length, which counts itself, is written when it ends (20.2.4): 1 0 . . 3..0 | 11..4 | 19..12.
 * */
static u32 open(struct aml *a)
{
	a->at += PACKAGE_ROOM;
	return a->at - PACKAGE_ROOM;
}

static void close(struct aml *a, u32 start)
{
	u32 len = a->at - start;

	if (a->out)
		memcpy(a->out + start, (u8[]){ (u8)(0x80 | (len & 15)), (u8)(len >> 4), (u8)(len >> 12) },
		       PACKAGE_ROOM);
}

static u32 open_scope(struct aml *a, const char *name)
{
	u32 start;

	BYTES(a, 0x10);
	start = open(a);
	bytes(a, name, (u32)strlen(name));
	return start;
}

/* Device (NAME) { Name (_HID, EISAID ("PNPxxxx")) ... */
static u32 open_device(struct aml *a, const char *name, u16 pnp)
{
	u32 start;

	BYTES(a, 0x5b, 0x82);
	start = open(a);
	bytes(a, name, 4);
	TEXT(a, "\x08_HID\x0c\x41\xd0");
	BYTES(a, (u8)(pnp >> 8), (u8)pnp);
	return start;
}

/* Name (_UID, N) */
static void uid(struct aml *a, u8 n)
{
	TEXT(a, "\x08_UID\x0a");
	BYTES(a, n);
}

/* Method (NAME, ARGUMENTS) { */
static u32 open_method(struct aml *a, const char *name, u8 arguments)
{
	u32 start;

	BYTES(a, 0x14);
	start = open(a);
	bytes(a, name, (u32)strlen(name));
	BYTES(a, arguments);
	return start;
}

/* Name (NAME, Buffer () { resources ... */
static u32 open_resources(struct aml *a, const char *name, u8 len)
{
	u32 start;

	BYTES(a, 0x08);
	bytes(a, name, 4);
	BYTES(a, 0x11);
	start = open(a);
	BYTES(a, 0x0a, (u8)(len + 2));
	return start;
}

static void close_resources(struct aml *a, u32 start)
{
	BYTES(a, 0x79, 0x00); /* end tag */
	close(a, start);
}

#define RESOURCES(a, name, ...) do { \
	u32 start_ = open_resources(a, name, sizeof (const u8[]){ __VA_ARGS__ }); \
	BYTES(a, __VA_ARGS__); \
	close_resources(a, start_); \
} while (0)
#define PORTS(base, count) 0x47, 0x01, (base) & 255, (base) >> 8, (base) & 255, (base) >> 8, 0x01, count
#define IRQ(n) 0x22, (1 << (n)) & 255, (1 << (n)) >> 8

/* ---- the PCI bus ---- */

/* Address space descriptors: TYPE (0 memory, 1 ports, 2 bus numbers), FLAGS of the type, first, last. */
static void window16(struct aml *a, u8 type, u8 flags, u16 first, u16 last)
{
	BYTES(a, 0x88, 0x0d, 0x00, type, 0x0c, flags);
	number16(a, 0);
	number16(a, first);
	number16(a, last);
	number16(a, 0);
	number16(a, (u16)(last - first + 1));
}

static void window32(struct aml *a, u8 flags, u32 first, u32 last)
{
	BYTES(a, 0x87, 0x17, 0x00, 0x00, 0x0c, flags);
	number32(a, 0);
	number32(a, first);
	number32(a, last);
	number32(a, 0);
	number32(a, last - first + 1);
}

static void windows(struct aml *a, const struct acpi_system *system)
{
	enum { WINDOW16 = 16, WINDOW32 = 26, ALL_PORTS = 3, CACHED = 3, UNCACHED = 1 };
	u32 start = open_resources(a, "_CRS", 3 * WINDOW16 + 8 + 2 * WINDOW32);

	window16(a, 2, 0, 0, 255);
	BYTES(a, PORTS(0xcf8, 8));
	window16(a, 1, ALL_PORTS, 0, 0xcf7);
	window16(a, 1, ALL_PORTS, 0xd00, 0xffff);
	window32(a, CACHED, 0xa0000, 0xbffff);
	window32(a, UNCACHED, system->card_memory, IOAPIC_BASE - 1);
	close_resources(a, start);
}

/* Name (NAME, Package () { Package () { slot << 16 | FFFFh, pin, source, index } ... }): the pins of all slots. ROUTED:
 * the source is a link. */
static void pins(struct aml *a, const char *name, bool routed)
{
	u32 all, one;

	BYTES(a, 0x08);
	bytes(a, name, 4);
	BYTES(a, 0x12);
	all = open(a);
	BYTES(a, 4 * (SLOTS - 1));
	for (u32 slot = 1; slot < SLOTS; slot++)
		for (u8 pin = 0; pin < 4; pin++) {
			u8 pirq = (slot - 1 + pin) & 3;

			BYTES(a, 0x12);
			one = open(a);
			BYTES(a, 4, 0x0c);
			number32(a, slot << 16 | 0xffff);
			BYTES(a, 0x0a, pin);
			if (routed)
				BYTES(a, '\\', 0x2e, '_', 'S', 'B', '_', 'L', 'N', 'K', 'A' + pirq, 0x00);
			else
				BYTES(a, 0x00, 0x0a, PIRQ_PIN + pirq);
			close(a, one);
		}
	close(a, all);
}

/* Method (_PRT) { If (\PICF) { Return (APRT) } Return (PPRT) } */
static void routing(struct aml *a)
{
	u32 method, condition;

	pins(a, "APRT", false);
	pins(a, "PPRT", true);
	method = open_method(a, "_PRT", 0);
	BYTES(a, 0xa0);
	condition = open(a);
	TEXT(a, "\\PICF\xa4" "APRT");
	close(a, condition);
	TEXT(a, "\xa4" "PPRT");
	close(a, method);
}

static void isa_devices(struct aml *a)
{
	u32 start;

	start = open_device(a, "RTC_", 0x0b00);
	RESOURCES(a, "_CRS", PORTS(0x70, 2), IRQ(8));
	close(a, start);
	start = open_device(a, "COM1", 0x0501);
	uid(a, 1);
	RESOURCES(a, "_CRS", PORTS(0x3f8, 8), IRQ(4));
	close(a, start);
	start = open_device(a, "KBD_", 0x0303);
	RESOURCES(a, "_CRS", PORTS(0x60, 1), PORTS(0x64, 1), IRQ(1));
	close(a, start);
	start = open_device(a, "PS2M", 0x0f13);
	RESOURCES(a, "_CRS", IRQ(12));
	close(a, start);
}

/* Device (ISA_) { _ADR slot 1; OperationRegion (PIRQ, PCI_Config, 60h, 4); Field (PIRQ, ByteAcc) { PRQA, 8, ... PRQD, 8
 * } ... } */
static void isa_bridge(struct aml *a)
{
	u32 start, field;

	BYTES(a, 0x5b, 0x82);
	start = open(a);
	TEXT(a, "ISA_\x08_ADR\x0c\x00\x00\x01\x00");
	TEXT(a, "\x5b\x80PIRQ\x02\x0a\x60\x0a\x04");
	BYTES(a, 0x5b, 0x81);
	field = open(a);
	TEXT(a, "PIRQ\x01PRQA\x08PRQB\x08PRQC\x08PRQD\x08");
	close(a, field);
	isa_devices(a);
	close(a, start);
}

/* ---- the interrupt links ---- */

static void route_register(struct aml *a, unsigned n)
{
	TEXT(a, "\\\x2f\x04_SB_PCI0ISA_PRQ");
	BYTES(a, (u8)('A' + n));
}

static void link(struct aml *a, unsigned n)
{
	enum { SHARED_LOW_LEVEL = 0x18 };
	const u8 name[] = { 'L', 'N', 'K', (u8)('A' + n) };
	u32 device = open_device(a, (const char *)name, 0x0c0f), method, condition;

	uid(a, (u8)(n + 1));
	RESOURCES(a, "_PRS", 0x23, 0x20, 0x0c, SHARED_LOW_LEVEL); /* IRQ 5, 10, 11 */
	RESOURCES(a, "CRS_", 0x23, 0x00, 0x00, SHARED_LOW_LEVEL);

	method = open_method(a, "_STA", 0); /* If (And (PRQn, 80h)) { Return (9) } Return (0Bh) */
	BYTES(a, 0xa0);
	condition = open(a);
	BYTES(a, 0x7b);
	route_register(a, n);
	BYTES(a, 0x0a, 0x80, 0x00, 0xa4, 0x0a, 0x09);
	close(a, condition);
	BYTES(a, 0xa4, 0x0a, 0x0b);
	close(a, method);

	method = open_method(a, "_DIS", 0); /* Or (PRQn, 80h, PRQn) */
	BYTES(a, 0x7d);
	route_register(a, n);
	BYTES(a, 0x0a, 0x80);
	route_register(a, n);
	close(a, method);

	method = open_method(a, "_CRS", 0); /* CreateWordField (CRS_, 1, MASK); ShiftLeft (1, And (PRQn, 0Fh), MASK); Return (CRS_) */
	TEXT(a, "\x8b" "CRS_\x01MASK");
	BYTES(a, 0x79, 0x01, 0x7b);
	route_register(a, n);
	TEXT(a, "\x0a\x0f\x00MASK\xa4" "CRS_");
	close(a, method);

	method = open_method(a, "_SRS", 1); /* CreateWordField (Arg0, 1, MASK); FindSetRightBit (MASK, Local0); Subtract (Local0, 1, PRQn) */
	TEXT(a, "\x8b\x68\x01MASK\x82MASK\x60\x74\x60\x01");
	route_register(a, n);
	close(a, method);
	close(a, device);
}

/* ---- all of it ---- */

u32 acpi_dsdt(u8 *out, const struct acpi_system *system)
{
	struct aml a = { out, 0 };
	u32 scope, device, method;

	BYTES(&a, 0x08, '\\', '_', 'S', '5', '_', 0x12, 0x08, 0x04, 0x0a, ACPI_S5_TYPE, 0x0a, ACPI_S5_TYPE, 0x00, 0x00);
	TEXT(&a, "\x08\\PICF\x00");
	method = open_method(&a, "\\_PIC", 1); /* Store (Arg0, \PICF) */
	TEXT(&a, "\x70\x68\\PICF");
	close(&a, method);

	scope = open_scope(&a, "\\_SB_");
	device = open_device(&a, "PCI0", 0x0a03);
	uid(&a, 0);
	windows(&a, system);
	routing(&a);
	isa_bridge(&a);
	close(&a, device);
	for (unsigned n = 0; n < 4; n++)
		link(&a, n);
	device = open_device(&a, "HPET", 0x0103);
	uid(&a, 0);
	RESOURCES(&a, "_CRS", 0x86, 0x09, 0x00, 0x00, 0x00, 0x00, HPET_BASE >> 16 & 255, HPET_BASE >> 24, 0x00, 0x04,
		0x00, 0x00);
	close(&a, device);
	close(&a, scope);
	return a.at;
}
