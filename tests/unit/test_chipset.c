/* SPDX-License-Identifier: MIT */
/* The host bridge and the ISA bridge against their data sheets (440FX; 82371SB), and the device that firmware asks
 * about its machine. */
#include "io/firmware/fwcfg.h"
#include "io/chipset/i440fx.h"
#include "io/chipset/pci.h"
#include "io/chipset/piix.h"
#include "device.h"

enum { RESET = 16 }; /* wires 0 to 15 are IRQs */

static struct space memory;
static struct ram *ram, *rom;
static struct pci_bus *pci;
static struct i440fx *bridge;
static struct piix *piix;

static void setup(void)
{
	fresh();
	space_init(&memory);
	ram = ram_new(1 * MiB);
	rom = ram_new(256 * KiB);
	memset(ram->host, 0x11, ram->size);
	memset(rom->host, 0x22, rom->size);
	rom->host[128 * KiB] = 0x33; /* E0000 */
	space_add_ram(&memory, "ram", 0, ram->size, ram, 0, false);
	pci = pci_new(&bus, &memory, (struct line){ 0 }, NULL, NULL);
	bridge = i440fx_new(pci, &memory, ram, rom);
	piix = piix_new(pci, wire(0), wire(RESET));
}

static void teardown(void)
{
	piix_free(piix);
	i440fx_free(bridge);
	pci_free(pci);
	space_free(&memory);
	ram_free(ram);
	ram_free(rom);
}

static void configure(unsigned slot, unsigned reg, u8 value)
{
	out32(0xcf8, 0x80000000 | slot << 11 | (reg & 0xfc));
	out8(0xcfc + (reg & 3), value);
}

static u8 configuration(unsigned slot, unsigned reg)
{
	out32(0xcf8, 0x80000000 | slot << 11 | (reg & 0xfc));
	return in8(0xcfc + (reg & 3));
}

static u8 look(u64 address) { return (u8)space_read(&memory, address, 1); }

/* 440FX data sheet 3.2.18: the four attributes of a segment. */
START_TEST(attributes)
{
	ck_assert_uint_eq(look(0xe0000), 0x33); /* at reset: the ROM */
	ck_assert_uint_eq(look(0xf0000), 0x22);
	ck_assert_uint_eq(look(0xdffff), 0xff); /* which ends there */
	space_write(&memory, 0xf0000, 1, 1);
	ck_assert_uint_eq(look(0xf0000), 0x22);
	configure(0, 0x59, 0x20); /* writes to RAM, reads from ROM: copying onto itself */
	ck_assert_uint_eq(look(0xf0000), 0x22);
	space_write(&memory, 0xf0000, 4, space_read(&memory, 0xf0000, 4) + 1);
	ck_assert_uint_eq(look(0xf0000), 0x22);
	ck_assert_uint_eq(ram->host[0xf0000], 0x23);
	ck_assert_uint_eq(ram->host[0xf0003], 0x22);
	ck_assert_uint_eq(ram->host[0xf0004], 0x11);
	configure(0, 0x59, 0x30);
	ck_assert_uint_eq(look(0xf0000), 0x23);
	space_write(&memory, 0xf0000, 1, 0x44);
	configure(0, 0x59, 0x10);
	space_write(&memory, 0xf0000, 1, 0x55);
	ck_assert_uint_eq(look(0xf0000), 0x44);
	configure(0, 0x59, 0xff);
	ck_assert_uint_eq(configuration(0, 0x59), 0x30);
}
END_TEST

START_TEST(segments)
{
	for (unsigned n = 0; n < 12; n++) {
		u64 base = 0xc0000 + n * 0x4000;

		configure(0, 0x5a + n / 2, n % 2 ? 0x10 : 0x01);
		ck_assert_uint_eq(look(base), 0x11);
		ck_assert_uint_eq(look(base + 0x3fff), 0x11);
		ck_assert_uint_ne(look(base + 0x4000), 0x11);
		if (n)
			ck_assert_uint_ne(look(base - 1), 0x11);
		configure(0, 0x5a + n / 2, 0);
	}
}
END_TEST

/* 3.2.24: SMRAM is RAM under the display. */
START_TEST(smram)
{
	static const struct device_ops display = { .max = 4 };

	ck_assert_uint_eq(look(0xa0000), 0x11);
	space_add_device(&memory, "display", 0xa0000, 0x20000, &display, NULL);
	ck_assert_uint_eq(look(0xa0000), 0xff);
	configure(0, 0x72, 0x4a);
	ck_assert_uint_eq(look(0xa0000), 0x11);
	ck_assert_uint_eq(look(0xbffff), 0x11);
	configure(0, 0x72, 0x0a);
	ck_assert_uint_eq(look(0xa0000), 0xff);
	i440fx_smiact(bridge, 0, true);
	ck_assert_uint_eq(look(0xa0000), 0x11);
	i440fx_smiact(bridge, 0, false);
	ck_assert_uint_eq(look(0xa0000), 0xff);
	configure(0, 0x72, 0x5a); /* locked: closed, and so it stays */
	ck_assert_uint_eq(look(0xa0000), 0xff);
	ck_assert_uint_eq(configuration(0, 0x72), 0x1a);
	configure(0, 0x72, 0x42);
	ck_assert_uint_eq(configuration(0, 0x72), 0x1a);
	i440fx_smiact(bridge, 0, true);
	ck_assert_uint_eq(look(0xa0000), 0x11);
}
END_TEST

/* 82371SB data sheet 2.2.9. */
START_TEST(routing)
{
	piix_pirq(piix, 0, true);
	for (unsigned irq = 0; irq < 16; irq++)
		ck_assert(!wires[irq].level); /* at reset nothing is routed */
	configure(1, 0x60, 10);
	ck_assert(wires[10].level);
	configure(1, 0x62, 10);
	piix_pirq(piix, 2, true);
	piix_pirq(piix, 0, false);
	ck_assert(wires[10].level);
	configure(1, 0x62, 0x8a);
	ck_assert(!wires[10].level);
	configure(1, 0x62, 8); /* not one that can be chosen */
	ck_assert(!wires[8].level);
	configure(1, 0x62, 11);
	ck_assert(wires[11].level);
}
END_TEST

START_TEST(reset_control)
{
	out32(0xcf8, 0x80000600); /* PCI's address: its second byte must not reset */
	ck_assert_uint_eq(in32(0xcf8), 0x80000600);
	ck_assert_uint_eq(wires[RESET].rises, 0);
	out8(0xcf9, 0x02);
	ck_assert_uint_eq(wires[RESET].rises, 0);
	out8(0xcf9, 0x06);
	ck_assert_uint_eq(wires[RESET].rises, 1);
	out8(0xcf9, 0x06);
	ck_assert_uint_eq(wires[RESET].rises, 1);
	ck_assert_uint_eq(in8(0xcf9), 0x06);
}
END_TEST

static struct fwcfg *fw;

static u32 big(u32 v) { return __builtin_bswap32(v); }

static u32 dma(u32 control, u32 len, u64 to)
{
	u8 request[16];

	put32(request, big(control));
	put32(request + 4, big(len));
	put32(request + 8, big((u32)(to >> 32)));
	put32(request + 12, big((u32)to));
	space_write_block(&memory, 0x1000, request, sizeof request);
	out32(0x514, 0);
	out32(0x518, big(0x1000));
	return big((u32)space_read(&memory, 0x1000, 4));
}

START_TEST(firmware_configuration)
{
	fw = fwcfg_new(&bus, &memory);
	ck_assert(fwcfg_add_number(fw, FWCFG_RAM_SIZE, 0x12345678, 8));
	ck_assert(fwcfg_add_file(fw, "etc/first", "abc", 3));
	ck_assert(fwcfg_add_file(fw, "etc/second", "defgh", 5));
	ck_assert(!fwcfg_add_file(fw, "a name that is longer than the fifty-five characters there are", "", 0));
	out16(0x510, 0);
	ck_assert_uint_eq(in8(0x511), 'Q');
	ck_assert_uint_eq(in8(0x511), 'E');
	out16(0x510, FWCFG_RAM_SIZE);
	ck_assert_uint_eq(in8(0x511), 0x78);
	for (unsigned i = 0; i < 7; i++)
		in8(0x511);
	ck_assert_uint_eq(in8(0x511), 0); /* past its end */
	ck_assert_uint_eq(in32(0x514), get32("QEMU"));
	ck_assert_uint_eq(dma(FWCFG_DIRECTORY << 16 | 8 | 2, 4 + 64, 0x2000), 0);
	ck_assert_uint_eq(look(0x2003), 2);
	ck_assert_uint_eq(look(0x2007), 3);
	ck_assert_uint_eq(look(0x2009), FWCFG_FILES);
	ck_assert_str_eq((char *)ram->host + 0x200c, "etc/first");
	ck_assert_uint_eq(dma((FWCFG_FILES + 1) << 16 | 8 | 4, 1, 0), 0); /* skip one */
	ck_assert_uint_eq(dma(2, 8, 0x3000), 0);
	ck_assert_mem_eq(ram->host + 0x3000, "efgh\0\0\0\0\x11", 9);
	ck_assert_uint_eq(dma(16, 4, 0x3000), 1); /* nothing can be written */
	ck_assert_uint_eq(dma(2, 0xffffffff, 0x3000), 1);
	fwcfg_free(fw);
}
END_TEST

/* Bridges in any state, and any configuration after it. */
START_TEST(hostile)
{
	struct part parts[8] = { i440fx_part(bridge), piix_part(piix) };
	unsigned n = 2 + pci_parts(pci, parts + 2, 6);
	u64 seed = 7;

	for (unsigned round = 0; round < 300; round++) {
		for (unsigned i = 0; i < n; i++)
			part_randomise(&parts[i], &seed);
		pci_refresh(pci);
		piix_refresh(piix);
		i440fx_refresh(bridge);
		for (unsigned i = 0; i < 50; i++) {
			u64 r = test_random(&seed);

			configure(r & 1, r >> 8 & 0xff, (u8)(r >> 16));
			space_write(&memory, 0xa0000 + (r >> 24 & 0x7ffff), 8, r);
			ck_assert_uint_le(memory.count, 16);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chipset");
	TCase *tcase = tcase_create("chipset");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, attributes);
	tcase_add_test(tcase, segments);
	tcase_add_test(tcase, smram);
	tcase_add_test(tcase, routing);
	tcase_add_test(tcase, reset_control);
	tcase_add_test(tcase, firmware_configuration);
	tcase_add_test(tcase, hostile);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
