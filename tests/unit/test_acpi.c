/* SPDX-License-Identifier: MIT */
/* ACPI fixed hardware and tables, read as an operating system reads them; the debug ports, which are as small. */
#include "io/chipset/acpi.h"
#include "io/serial/debugport.h"
#include "io/chipset/pci.h"
#include "io/firmware/smbios.h"
#include "device.h"

enum { SCI, POWEROFF, SMI };
#define STATUS 0x600
#define ENABLE 0x602
#define CONTROL 0x604
#define TIMER 0x608

static struct acpi *acpi;
static struct pci_bus *pci;

static void *make(void)
{
	pci_free(pci);
	pci = pci_new(&bus, &bus, (struct line){ 0 }, NULL, NULL);
	return acpi_new(&bus, pci, &test_clock, wire(SCI), wire(SMI), wire(POWEROFF), NULL);
}

static void configure(unsigned reg, u32 value)
{
	out32(0xcf8, 0x80000b00 | reg); /* slot 1, function 3 */
	out32(0xcfc, value);
}

static void setup(void)
{
	fresh();
	acpi = make();
	configure(0x40, STATUS);
	configure(0x80, 1);
}

static void teardown(void)
{
	acpi_free(acpi);
}

START_TEST(timer)
{
	ck_assert_uint_eq(in32(TIMER), 0);
	pass(1000000000);
	ck_assert_uint_eq(in32(TIMER), 3579545);
	pass((u64)86400 * 1000000000);
	ck_assert_uint_eq(in32(TIMER), (u32)((u64)86401 * 3579545));
	out32(TIMER, 0); /* read-only */
	ck_assert_uint_eq(in32(TIMER), (u32)((u64)86401 * 3579545));
}
END_TEST

START_TEST(timer_carry)
{
	u64 half = clock_ns((u64)1 << 31, ACPI_PM_HZ);

	pass_until(half - 1);
	ck_assert_uint_eq(in16(STATUS), 0);
	pass(1);
	ck_assert_uint_eq(in16(STATUS), 1);
	out16(STATUS, 1);
	ck_assert_uint_eq(in16(STATUS), 0);
	out16(CONTROL, 1);
	out16(ENABLE, 1);
	ck_assert(!wires[SCI].level);
	pass_until(clock_ns((u64)1 << 32, ACPI_PM_HZ) - 1);
	ck_assert(!wires[SCI].level);
	pass(1);
	ck_assert(wires[SCI].level);
	out16(STATUS, 1);
	ck_assert(!wires[SCI].level);
}
END_TEST

START_TEST(power_button)
{
	acpi_power_button(acpi);
	ck_assert_uint_eq(in16(STATUS), 0x100);
	ck_assert(!wires[SCI].level);
	out16(ENABLE, 0x100);
	ck_assert(!wires[SCI].level); /* not in ACPI mode yet */
	out8(ACPI_SMI_PORT, ACPI_ON);
	ck_assert_uint_eq(in16(CONTROL) & 1, 1);
	ck_assert(wires[SCI].level);
	out16(STATUS, 0xfeff);
	ck_assert(wires[SCI].level);
	out16(STATUS, 0x100);
	ck_assert(!wires[SCI].level);
	out8(ACPI_SMI_PORT, ACPI_OFF);
	ck_assert_uint_eq(in16(CONTROL) & 1, 0);
}
END_TEST

START_TEST(widths)
{
	out32(STATUS, 0x01010000); /* status and enable in one */
	ck_assert_uint_eq(in32(STATUS), 0x01010000 & 0x07210000);
	out8(ENABLE + 1, 0x05);
	ck_assert_uint_eq(in16(ENABLE), 0x0501);
	pass(1000000);
	ck_assert_uint_eq(in8(TIMER), in32(TIMER) & 0xff);
	ck_assert_uint_eq(in8(TIMER + 1), in32(TIMER) >> 8 & 0xff);
}
END_TEST

START_TEST(soft_off)
{
	out16(CONTROL, 1 | ACPI_S5_TYPE << 10);
	ck_assert(!wires[POWEROFF].level);
	out16(CONTROL, 1 | 3 << 10 | 1 << 13); /* not a state that there is */
	ck_assert(!wires[POWEROFF].level);
	ck_assert_uint_eq(in16(STATUS), 0x8000);
	out16(CONTROL, 1 | ACPI_S5_TYPE << 10 | 1 << 13);
	ck_assert(wires[POWEROFF].level);
	ck_assert_uint_eq(in16(CONTROL) & 1 << 13, 0); /* write-only */
}
END_TEST

/* 82371AB data sheet 7.2 and 7.3: an SMI for a command needs APMC_EN and SMI_EN. */
START_TEST(smi)
{
	out8(0xb2, 1);
	ck_assert_uint_eq(wires[SMI].rises, 0);
	configure(0x58, 1 << 25);
	out8(0xb2, 1);
	ck_assert_uint_eq(wires[SMI].rises, 0);
	out32(0x628, 1);
	out8(0xb3, 0x55);
	ck_assert_uint_eq(wires[SMI].rises, 0);
	out8(0xb2, 2);
	ck_assert_uint_eq(wires[SMI].rises, 1);
	ck_assert_uint_eq(in8(0xb2), 2);
	ck_assert_uint_eq(in8(0xb3), 0x55);
}
END_TEST

START_TEST(base)
{
	configure(0x40, 0xb000);
	ck_assert_uint_eq(in16(CONTROL), 0xffff);
	out16(0xb004, 1);
	ck_assert_uint_eq(in16(0xb004), 1);
	configure(0x80, 0);
	ck_assert_uint_eq(in16(0xb004), 0xffff);
	configure(0x90, 0x700); /* SMBus: nobody answers */
	configure(0xd0, 1 << 16);
	out8(0x702, 0x48);
	ck_assert_uint_eq(in8(0x700), 0x04);
	out8(0x700, 0xff);
	ck_assert_uint_eq(in8(0x700), 0);
}
END_TEST

static u8 memory[64 * KiB];
#define BASE 0xf0000u

static u64 build(unsigned cpus, u64 size)
{
	static struct ram *ram;
	struct acpi_tables *tables =
		acpi_tables_new(&(struct acpi_system){ .cpus = cpus, .pm_base = STATUS, .card_memory = 0x80000000 });
	u64 used;

	if (!tables)
		return 0;

	ram_free(ram);
	ram = ram_new(1 * MiB);
	space_add_ram(&bus, "rom", 0, 1 * MiB, ram, 0, true);
	used = acpi_tables_place(tables, &bus, BASE, size);
	acpi_tables_free(tables);
	space_peek(&bus, BASE, memory, sizeof memory);
	return used;
}

static u8 sum(const u8 *p, u64 len)
{
	u8 s = 0;

	while (len--)
		s += *p++;
	return s;
}

/* The table at a guest address: inside of what was built, and with a sum of zero. */
static const u8 *table(u64 address, u64 used, const char *signature)
{
	const u8 *t;

	ck_assert_uint_ge(address, BASE);
	ck_assert_uint_lt(address - BASE, used - 8);
	t = memory + (address - BASE);
	ck_assert_mem_eq(t, signature, 4);
	ck_assert_uint_le(address - BASE + get32(t + 4), used);
	if (memcmp(signature, "FACS", 4))
		ck_assert_uint_eq(sum(t, get32(t + 4)), 0);
	return t;
}

START_TEST(roots)
{
	u64 used = build(1, 0x10000);
	const u8 *rsdt, *xsdt;

	ck_assert_mem_eq(memory, "RSD PTR ", 8);
	ck_assert_uint_eq(sum(memory, 20), 0);
	ck_assert_uint_eq(sum(memory, 36), 0);
	ck_assert_uint_eq(memory[15], 2);
	rsdt = table(get32(memory + 16), used, "RSDT");
	xsdt = table(get64(memory + 24), used, "XSDT");
	ck_assert_uint_eq(get32(rsdt + 4), 36 + 3 * 4);
	ck_assert_uint_eq(get32(xsdt + 4), 36 + 3 * 8);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const order[] = { "FACP", "APIC", "HPET" };

		ck_assert_uint_eq(get32(rsdt + 36 + 4 * i), get64(xsdt + 36 + 8 * i));
		table(get64(xsdt + 36 + 8 * i), used, order[i]);
	}
}
END_TEST

static const u8 *nth(unsigned i, u64 used, const char *signature)
{
	return table(get64(table(get64(memory + 24), used, "XSDT") + 36 + 8 * i), used, signature);
}

START_TEST(fadt)
{
	u64 used = build(1, 0x10000);
	const u8 *t = nth(0, used, "FACP");

	ck_assert_uint_eq(get32(t + 4), 244);
	ck_assert_uint_eq(get32(t + 36), get64(t + 132));
	ck_assert_uint_eq(get32(t + 40), get64(t + 140));
	ck_assert_uint_eq(get32(t + 36) % 64, 0);
	table(get32(t + 36), used, "FACS");
	ck_assert_uint_eq(get16(t + 46), 9);
	ck_assert_uint_eq(get32(t + 56), STATUS);
	ck_assert_uint_eq(get32(t + 64), CONTROL);
	ck_assert_uint_eq(get32(t + 76), TIMER);
	ck_assert_uint_eq(get64(t + 120), 0xcf9);
	ck_assert_uint_eq(t[128], 6);
	ck_assert_uint_eq(get32(t + 112) & 1 << 10, 1 << 10);
	ck_assert_uint_eq(get32(t + 112) & 1 << 20, 0); /* not hardware-reduced */
}
END_TEST

START_TEST(madt)
{
	u64 used = build(4, 0x10000);
	const u8 *t = nth(1, used, "APIC"), *end = t + get32(t + 4);
	unsigned cpus = 0, ioapics = 0, overrides = 0;

	ck_assert_uint_eq(get32(t + 36), 0xfee00000);
	for (const u8 *p = t + 44; p < end; p += p[1]) {
		ck_assert_uint_ge(p[1], 6);
		if (p[0] == 0) {
			ck_assert_uint_eq(p[3], cpus++);
			ck_assert_uint_eq(get32(p + 4), 1);
		} else if (p[0] == 1) {
			ioapics++;
			ck_assert_uint_eq(get32(p + 4), 0xfec00000);
			ck_assert_uint_eq(get32(p + 8), 0);
		} else if (p[0] == 2) {
			overrides++;
			ck_assert_uint_eq(get32(p + 4), p[3] ? 9 : 2);
			ck_assert_uint_eq(get16(p + 8), p[3] ? 0x0d : 0);
		}
	}
	ck_assert_uint_eq(cpus, 4);
	ck_assert_uint_eq(ioapics, 1);
	ck_assert_uint_eq(overrides, 2);
}
END_TEST

/* A package length (ACPI 20.2.4) at *P; moves past it. */
static unsigned package(const u8 **p)
{
	unsigned more = **p >> 6, length = more ? **p & 15 : **p & 63;

	(*p)++;
	for (unsigned i = 0; i < more; i++)
		length |= (unsigned)*(*p)++ << (4 + 8 * i);
	return length;
}

/* Every package of AML that a known operator begins lies within the one around it; devices have the objects that a
 * system needs of them. */
START_TEST(dsdt)
{
	u64 used = build(1, 0x10000);
	const u8 *t = table(get32(nth(0, used, "FACP") + 40), used, "DSDT"), *end = t + get32(t + 4), *p = t + 36, *q;
	unsigned devices = 0, routes = 0;

	ck_assert_mem_eq(p, "\x08\\_S5_\x12", 7);
	q = p += 7;
	ck_assert_uint_eq(package(&q), 8);
	for (p += 8; p < end - 12; p++) {
		if (!memcmp(p, "\x5b\x82", 2) && p[2] >> 6 == 2) {
			const u8 *last;

			q = p + 2;
			last = p + 2 + package(&q);
			ck_assert(last <= end);
			ck_assert(!memcmp(q + 4, "\x08_HID\x0c\x41\xd0", 8) || !memcmp(q + 4, "\x08_ADR", 5));
			devices++;
		} else if (*p == 0x12 && !memcmp(p + 4, "\x04\x0c", 2)) {
			/* Slot and pin as the spec has them, the interrupt as the board does: INTA# of slot 1 is I/O
			 * APIC pin 16. */
			u32 slot = get32(p + 6);
			u8 pin = p[11];

			ck_assert_uint_eq(slot & 0xffff, 0xffff);
			ck_assert_uint_le(pin, 3);
			if (!p[12])
				ck_assert_uint_eq(p[14], 16 + ((slot >> 16) - 1 + pin) % 4);
			else
				ck_assert_uint_eq(p[12 + 9], 'A' + ((slot >> 16) - 1 + pin) % 4);
			routes++;
		}
	}
	ck_assert_uint_eq(devices, 11); /* PCI0, ISA_, RTC, COM1, KBD, PS2M, four links, HPET */
	ck_assert_uint_eq(routes, 2 * 31 * 4);
}
END_TEST

static u32 address_of(const char *file) { return strcmp(file, ACPI_RSDP_FILE) ? 0x10000 : 0; }

/* Follow the script as firmware does, with the files at these addresses: the result is the one that acpi_tables_place
 * makes. */
START_TEST(script)
{
	struct acpi_system system = { .cpus = 2, .pm_base = STATUS, .card_memory = 0x80000000 };
	struct acpi_tables *tables = acpi_tables_new(&system);
	static u8 commands[ACPI_SCRIPT_MAX], image[0x10000 + ACPI_TABLES_MAX], expected[ACPI_TABLES_MAX];
	struct ram *ram = ram_new(1 * MiB);
	unsigned allocated = 0;
	const u8 *bytes, *end;
	u32 len;

	bytes = acpi_tables_bytes(tables, &len);
	memcpy(image, bytes, ACPI_RSDP_SIZE);
	memcpy(image + 0x10000, bytes + ACPI_RSDP_ROOM, len - ACPI_RSDP_ROOM);
	end = commands + acpi_tables_script(tables, commands);
	ck_assert(end <= commands + sizeof commands);
	for (const u8 *c = commands; c < end; c += 128) {
		u8 *file = image + address_of((const char *)c + 4), *p;

		switch (get32(c)) {
		case 1:
			allocated++;
			break;
		case 2:
			p = file + get32(c + 116);
			put_size(p, c[120], get_size(p, c[120]) + address_of((const char *)c + 60));
			break;
		default:
			ck_assert_uint_eq(get32(c), 3);
			p = file + get32(c + 60);
			*p = (u8)(*p - sum(file + get32(c + 64), get32(c + 68)));
		}
	}
	ck_assert_uint_eq(allocated, 2);
	space_add_ram(&bus, "ram", 0, 1 * MiB, ram, 0, false);
	ck_assert_uint_eq(acpi_tables_place(tables, &bus, 0x10000 - ACPI_RSDP_ROOM, len), len);
	space_peek(&bus, 0x10000 - ACPI_RSDP_ROOM, expected, len);
	ck_assert_mem_eq(image, expected, ACPI_RSDP_SIZE);
	ck_assert_mem_eq(image + 0x10000, expected + ACPI_RSDP_ROOM, len - ACPI_RSDP_ROOM);
	acpi_tables_free(tables);
	fresh();
	ram_free(ram);
}
END_TEST

/* System Management BIOS 2.8, table 1: two checksums; as many structures as it says, of which the last is 127. */
START_TEST(smbios)
{
	struct smbios_system system = { .cpus = 64, .ram = 64 * GiB, .firmware = true };
	u8 entry[SMBIOS_ENTRY], out[SMBIOS_MAX];
	u32 len = smbios_build(&system, 0xf0000, entry, out), count = 0, largest = 0;
	u8 last = 0;

	ck_assert_uint_le(len, sizeof out);
	ck_assert_uint_eq(sum(entry, SMBIOS_ENTRY), 0);
	ck_assert_uint_eq(sum(entry + 16, 15), 0);
	ck_assert_uint_eq(get16(entry + 22), len);
	for (u32 at = 0, start; at < len; count++) {
		start = at;
		last = out[at];
		for (at += out[at + 1]; out[at] || out[at + 1]; at++)
			ck_assert_uint_lt(at, len);
		at += 2;
		if (at - start > largest)
			largest = at - start;
	}
	ck_assert_uint_eq(last, 127);
	ck_assert_uint_eq(count, get16(entry + 28));
	ck_assert_uint_eq(largest, get16(entry + 8));
}
END_TEST

START_TEST(sizes)
{
	u64 used = build(1, 0x10000);

	ck_assert_uint_eq(build(1, used), used);
	ck_assert_uint_eq(build(1, used - 1), 0);
	ck_assert_uint_eq(build(1, 0), 0);
	ck_assert_uint_gt(build(255, ACPI_TABLES_MAX), 0);
	ck_assert_uint_eq(build(256, 0x10000), 0);
}
END_TEST

static char debug[16];
static u32 code;

static void debug_out(void *owner, const void *data, size_t len)
{
	(void)owner;
	strncat(debug, data, len);
}

static void debug_exit(void *owner, u32 value)
{
	(void)owner;
	code = value;
}

START_TEST(debug_ports)
{
	struct debugport *port = debugport_new(&bus, debug_out, NULL, debug_exit, NULL);

	ck_assert_uint_eq(in8(0xe9), 0xe9);
	out8(0xe9, 'h');
	out8(0xe9, 'i');
	ck_assert_str_eq(debug, "hi");
	ck_assert_uint_eq(in8(0xf4), 0xff);
	out8(0xf4, 0x31);
	ck_assert_uint_eq(code, 0x31);
	out16(0xf4, 0x1234);
	ck_assert_uint_eq(code, 0x1234);
	out32(0xf4, 0x12345678);
	ck_assert_uint_eq(code, 0x12345678);
	debugport_free(port);
}
END_TEST

static struct part part_of(void *p) { return acpi_part(p); }
static void refresh(void *p) { acpi_refresh(p); }
static void destroy(void *p) { acpi_free(p); }

START_TEST(state)
{
	static const u64 ranges[][2] = { { 0x600, 64 }, { 0xb2, 2 }, { 0xcf8, 8 } };

	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 3);
}
END_TEST

static void begin(void) { acpi = make(); }

static unsigned parts(struct part *out)
{
	out[0] = acpi_part(acpi);
	return 1 + pci_parts(pci, out + 1, CUT_PARTS - 1);
}

static void refresh_all(void)
{
	pci_refresh(pci);
	acpi_refresh(acpi);
}

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ teardown, begin, parts, refresh_all });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, timer);
	tcase_add_test(tc, timer_carry);
	tcase_add_test(tc, power_button);
	tcase_add_test(tc, widths);
	tcase_add_test(tc, soft_off);
	tcase_add_test(tc, smi);
	tcase_add_test(tc, base);
}

int main(void)
{
	Suite *suite = suite_create("acpi");
	TCase *all = tcase_create("acpi"), *bare = tcase_create("state");

	tcase_add_checked_fixture(all, setup, teardown);
	add_tests(all);
	suite_add_tcase(suite, all);
	tcase_add_checked_fixture(bare, fresh, NULL);
	tcase_add_test(bare, roots);
	tcase_add_test(bare, fadt);
	tcase_add_test(bare, madt);
	tcase_add_test(bare, dsdt);
	tcase_add_test(bare, script);
	tcase_add_test(bare, smbios);
	tcase_add_test(bare, sizes);
	tcase_add_test(bare, debug_ports);
	tcase_add_test(bare, state);
	suite_add_tcase(suite, bare);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
