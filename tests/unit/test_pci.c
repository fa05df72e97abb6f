/* SPDX-License-Identifier: MIT */
/* The PCI bus against the PCI Local Bus Specification 3.0: configuration mechanism 1 (3.2.2.3.2), sizing of base
 * addresses (6.2.5.1), command and status (6.2.2, 6.2.3), interrupt pins, MSI-X (6.8.2). */
#include "io/chipset/pci.h"
#include "device.h"

#define REGISTERS 0xe0000000u
#define PORTS 0xc000u

enum { PIRQ }; /* wires 0 to 3 */

static struct space memory;
static struct pci_bus *pci;
static struct pci_function card, other;
static struct { unsigned count; u64 address; u32 data; } messages;
static u64 last_offset;

static u64 read_card(void *owner, u64 offset, unsigned size)
{
	(void)owner, (void)size;
	return offset ^ 0x5a5a5a5a;
}

static void write_card(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)owner, (void)size, (void)value;
	last_offset = offset;
}

static const struct device_ops card_ops = { read_card, write_card, 1, 4 };

static void message(void *owner, u64 address, u32 data)
{
	(void)owner;
	messages.count++;
	messages.address = address;
	messages.data = data;
}

static void setup(void)
{
	fresh();
	space_init(&memory);
	memset(&messages, 0, sizeof messages);
	pci = pci_new(&bus, &memory, wire(PIRQ), message, NULL);
	pci_init(&card, "card", 0x8086, 0x100e, 0x020000);
	pci_subsystem(&card, 0x1af4, 0x1100);
	pci_bar_memory(&card, 0, 128 * KiB, &card_ops, NULL);
	pci_bar_ports(&card, 1, 64, &card_ops, NULL);
	pci_msix(&card, 2, 3);
	pci_pin(&card, 1);
	ck_assert(pci_attach(pci, &card, 3, 0));
	pci_init(&other, "other", 0x8086, 0x7000, 0x060100);
	pci_pin(&other, 2);
	ck_assert(pci_attach(pci, &other, 2, 0)); /* INTB# of slot 2 and INTA# of slot 3 are one wire */
	ck_assert(!pci_attach(pci, &other, 3, 0));
}

static void teardown(void)
{
	pci_free(pci);
	space_free(&memory);
}

static void select_register(unsigned slot, unsigned reg)
{
	out32(0xcf8, 0x80000000 | slot << 11 | (reg & 0xfc));
}

static u32 get(unsigned slot, unsigned reg)
{
	select_register(slot, reg);
	return in32(0xcfc);
}

static void set(unsigned slot, unsigned reg, u32 value)
{
	select_register(slot, reg);
	out32(0xcfc, value);
}

static void set16(unsigned slot, unsigned reg, u16 value)
{
	select_register(slot, reg);
	out16(0xcfc + (reg & 2), value);
}

START_TEST(mechanism)
{
	ck_assert_uint_eq(get(3, PCI_ID), 0x100e8086);
	ck_assert_uint_eq(get(3, PCI_REVISION), 0x02000000);
	ck_assert_uint_eq(get(3, PCI_SUBSYSTEM), 0x11001af4);
	ck_assert_uint_eq(in32(0xcf8), 0x8000182c);
	ck_assert_uint_eq(in16(0xcfe), 0x1100);
	ck_assert_uint_eq(in8(0xcfd), 0x1a);
	ck_assert_uint_eq(get(4, PCI_ID), 0xffffffff); /* no such device */
	out32(0xcf8, 0x80010000 | 3 << 11);            /* no such bus */
	ck_assert_uint_eq(in32(0xcfc), 0xffffffff);
	out32(0xcf8, 3 << 11);                         /* not enabled */
	ck_assert_uint_eq(in32(0xcfc), 0xffffffff);
	out32(0xcf8, 0xffffffff);
	ck_assert_uint_eq(in32(0xcf8), 0x80fffffc);
	out8(0xcf8, 0);                                /* a byte is not for the bus */
	out16(0xcf8, 0);
	ck_assert_uint_eq(in32(0xcf8), 0x80fffffc);
	set(3, PCI_ID, 0);
	ck_assert_uint_eq(get(3, PCI_ID), 0x100e8086);
	select_register(3, PCI_INT_LINE);
	out8(0xcfc, 11);
	ck_assert_uint_eq(get(3, PCI_INT_LINE), 0x010b);
}
END_TEST

START_TEST(base_addresses)
{
	set(3, PCI_BAR0, 0xffffffff);
	ck_assert_uint_eq(get(3, PCI_BAR0), 0xfffe0000);
	set(3, PCI_BAR0 + 4, 0xffffffff);
	ck_assert_uint_eq(get(3, PCI_BAR0 + 4), 0xffffffc1);
	set(3, PCI_BAR0 + 12, 0xffffffff);
	ck_assert_uint_eq(get(3, PCI_BAR0 + 12), 0); /* no such register */
	set(3, PCI_ROM, 0xffffffff);
	ck_assert_uint_eq(get(3, PCI_ROM), 0);

	set(3, PCI_BAR0, REGISTERS);
	set(3, PCI_BAR0 + 4, PORTS);
	ck_assert_uint_eq(space_read(&memory, REGISTERS + 4, 4), 0xffffffff); /* not before the command says so */
	set16(3, PCI_COMMAND, PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(space_read(&memory, REGISTERS + 4, 4), 0x5a5a5a5e);
	ck_assert_uint_eq(space_read(&memory, REGISTERS + 0x20000, 4), 0xffffffff);
	ck_assert_uint_eq(in32(PORTS), 0xffffffff);
	set16(3, PCI_COMMAND, PCI_COMMAND_IO);
	ck_assert_uint_eq(space_read(&memory, REGISTERS + 4, 4), 0xffffffff);
	ck_assert_uint_eq(in32(PORTS + 4), 0x5a5a5a5e);
	out8(PORTS + 63, 0);
	ck_assert_uint_eq(last_offset, 63);
	set(3, PCI_BAR0 + 4, PORTS + 0x40);
	ck_assert_uint_eq(in32(PORTS + 4), 0xffffffff);
	ck_assert_uint_eq(in32(PORTS + 0x44), 0x5a5a5a5e);
	set(3, PCI_BAR0 + 4, 0xffffffff); /* sizing with decoding on: nobody answers at the top */
	ck_assert_uint_eq(in32(0xffc4), 0xffffffff);
	set(3, PCI_BAR0 + 4, 0);
	ck_assert_uint_eq(in32(4), 0xffffffff);
}
END_TEST

START_TEST(under_the_chipset)
{
	struct ram *ram = ram_new(64 * KiB);

	ck_assert_int_ge(space_add_ram(&memory, "ram", REGISTERS, 64 * KiB, ram, 0, false), 0);
	set(3, PCI_BAR0, REGISTERS);
	set16(3, PCI_COMMAND, PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(space_read(&memory, REGISTERS, 4), 0);
	ck_assert_uint_eq(space_read(&memory, REGISTERS + 0x10000, 4), 0x5a5b5a5a);
	teardown();
	ram_free(ram);
	setup();
}
END_TEST

START_TEST(rom)
{
	static const u32 contents = 0x1234aa55;
	struct ram *image = ram_new(64 * KiB);

	put32(image->host, contents);
	pci_init(&other, "other", 0x1234, 0x1111, 0x030000);
	pci_bar_ram(&other, PCI_BAR_ROM, image);
	ck_assert(pci_attach(pci, &other, 5, 0));
	set(5, PCI_ROM, 0xffffffff);
	ck_assert_uint_eq(get(5, PCI_ROM), 0xffff0001);
	set(5, PCI_ROM, REGISTERS);
	set16(5, PCI_COMMAND, PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(space_read(&memory, REGISTERS, 4), 0xffffffff);
	set(5, PCI_ROM, REGISTERS | 1);
	ck_assert_uint_eq(space_read(&memory, REGISTERS, 4), contents);
	space_write(&memory, REGISTERS, 4, 0);
	ck_assert_uint_eq(space_read(&memory, REGISTERS, 4), contents);
	teardown();
	ram_free(image);
	setup();
}
END_TEST

START_TEST(pins)
{
	/* Slot 1 INTA# is PIRQA#: slot 3 INTA# and slot 2 INTB# are PIRQC#. */
	pci_irq(&card, true);
	ck_assert(wires[PIRQ + 2].level && !wires[PIRQ].level && !wires[PIRQ + 1].level && !wires[PIRQ + 3].level);
	ck_assert_uint_eq(get(3, PCI_COMMAND) >> 16 & 8, 8);
	pci_irq(&other, true);
	pci_irq(&card, false);
	ck_assert(wires[PIRQ + 2].level);
	ck_assert_uint_eq(get(3, PCI_COMMAND) >> 16 & 8, 0);
	set16(2, PCI_COMMAND, PCI_COMMAND_NO_INTX);
	ck_assert(!wires[PIRQ + 2].level);
	ck_assert_uint_eq(get(2, PCI_COMMAND) >> 16 & 8, 8); /* the status knows, the wire does not */
	set16(2, PCI_COMMAND, 0);
	ck_assert(wires[PIRQ + 2].level);
	pci_reset(&other);
	ck_assert(!wires[PIRQ + 2].level);
	ck_assert_uint_eq(wires[PIRQ + 2].rises, 2);
}
END_TEST

START_TEST(msix)
{
	u32 cap = get(3, PCI_CAPABILITIES) & 0xff;

	ck_assert_uint_eq(get(3, PCI_COMMAND) >> 16 & 0x10, 0x10);
	ck_assert_uint_eq(get(3, cap), 0x00020011);
	ck_assert_uint_eq(get(3, cap + 4), 0x00000002);
	ck_assert_uint_eq(get(3, cap + 8), 0x00000802);
	set(3, PCI_BAR0 + 8, REGISTERS);
	set16(3, PCI_COMMAND, PCI_COMMAND_MEMORY);
	ck_assert_uint_eq(space_read(&memory, REGISTERS + 12, 4), 1); /* masked at reset */
	space_write(&memory, REGISTERS + 16, 8, 0xfee01000);
	space_write(&memory, REGISTERS + 24, 4, 0x4041);
	set16(3, cap + 2, 0x8000);
	ck_assert(pci_msix_on(&card));
	pci_irq(&card, true);
	ck_assert(!wires[PIRQ + 2].level);
	pci_message(&card, 1);
	ck_assert_uint_eq(messages.count, 0);
	ck_assert_uint_eq(space_read(&memory, REGISTERS + 0x800, 4), 2);
	space_write(&memory, REGISTERS + 28, 4, 0);
	ck_assert_uint_eq(messages.count, 0); /* no bus master: it cannot write */
	set16(3, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	ck_assert_uint_eq(messages.count, 1);
	ck_assert_uint_eq(messages.address, 0xfee01000);
	ck_assert_uint_eq(messages.data, 0x4041);
	ck_assert_uint_eq(space_read(&memory, REGISTERS + 0x800, 4), 0);
	set16(3, cap + 2, 0xc000); /* all of them masked */
	pci_message(&card, 1);
	ck_assert_uint_eq(messages.count, 1);
	set16(3, cap + 2, 0x8000);
	ck_assert_uint_eq(messages.count, 2);
	pci_message(&card, 3); /* no such vector */
	ck_assert_uint_eq(messages.count, 2);
}
END_TEST

START_TEST(state)
{
	struct part parts[8];
	u8 saved[2048];
	unsigned n = pci_parts(pci, parts, 8);
	size_t size;
	u64 hash;

	ck_assert_uint_eq(n, 3);
	set(3, PCI_BAR0, REGISTERS);
	set16(3, PCI_COMMAND, PCI_COMMAND_MEMORY);
	pci_irq(&card, true);
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(parts[i].name, "card")) {
			size = part_size(&parts[i]);
			ck_assert_uint_le(size, sizeof saved);
			part_save(&parts[i], saved);
			hash = part_hash(&parts[i], 0);
			pci_reset(&card);
			ck_assert_uint_eq(space_read(&memory, REGISTERS, 4), 0xffffffff);
			ck_assert(!wires[PIRQ + 2].level);
			ck_assert(part_load(&parts[i], saved, size, NULL));
			pci_refresh(pci);
			ck_assert_uint_eq(part_hash(&parts[i], 0), hash);
		}
	ck_assert_uint_eq(space_read(&memory, REGISTERS, 4), 0x5a5a5a5a);
	ck_assert(wires[PIRQ + 2].level);
}
END_TEST

/* Any state, and any access after it. */
START_TEST(hostile)
{
	struct part parts[8];
	unsigned n = pci_parts(pci, parts, 8);
	u64 seed = 1;

	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < n; i++)
			part_randomise(&parts[i], &seed);
		pci_refresh(pci);
		for (unsigned i = 0; i < 100; i++) {
			u64 r = test_random(&seed);

			out32(0xcf8, 0x80000000 | (u32)(r & 0xffff));
			space_write(&bus, 0xcfc + (r >> 20 & 3), 1u << (r >> 22 & 3), r >> 24);
			space_read(&bus, 0xcf8 + (r >> 32 & 7), 4);
			space_write(&memory, card.bars[2].placed + (r & 0xfff), 8, r);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pci");
	TCase *tcase = tcase_create("pci");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, mechanism);
	tcase_add_test(tcase, base_addresses);
	tcase_add_test(tcase, under_the_chipset);
	tcase_add_test(tcase, rom);
	tcase_add_test(tcase, pins);
	tcase_add_test(tcase, msix);
	tcase_add_test(tcase, state);
	tcase_add_test(tcase, hostile);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
