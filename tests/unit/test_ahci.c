/* SPDX-License-Identifier: MIT */
/* The AHCI controller, driven as a host does: AHCI 1.3.1, Serial ATA 3.0, and an array that says what a disk should
 * hold. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
#include "io/disk/ahci.h"
#include "tests/unit/device.h"
#include "tests/unit/faulty.h"

#define SECTORS 4000u
#define MEMORY (4 * MiB)
#define ABAR 0xfebf0000u
#define LIST 0x1000u
#define RECEIVED 0x2000u
#define TABLES 0x4000u
#define DATA 0x100000u

static char image[64];
static u8 model[SECTORS * 512];
static struct disk *disk, *cd;
static struct ata_drive *drives[AHCI_PORTS];
static struct ram *ram;
static struct pci_bus *pci;
static struct ahci *ahci;
static struct space ports;

static void out_pci(unsigned offset, u32 value)
{
	space_write(&ports, 0xcf8, 4, 0x80002000 | offset);
	space_write(&ports, 0xcfc, 4, value);
}

static void *make(void)
{
	static const char *const names[] = { "sata0", "sata2" };

	space_free(&ports);
	space_init(&ports);
	space_add_ram(&bus, "ram", 0, MEMORY, ram, 0, false);
	pci = pci_new(&ports, &bus, wire(0), NULL, NULL);
	drives[0] = ata_new(names[0], disk, false, true, NULL);
	drives[2] = ata_new(names[1], cd, true, true, NULL);
	ahci = ahci_new(pci, 4, &test_clock, drives);
	out_pci(PCI_BAR0 + 20, ABAR);
	out_pci(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return ahci;
}

static void destroy(void *p)
{
	ahci_free(p);
	ata_free(drives[0]);
	ata_free(drives[2]);
	pci_free(pci);
}

static void set_up(void)
{
	char spec[100];
	u64 seed = 1;
	int fd;

	fresh();
	for (size_t i = 0; i < sizeof model; i++)
		model[i] = (u8)test_random(&seed);
	strcpy(image, "/tmp/test_ahci.XXXXXX");
	fd = mkstemp(image);
	ck_assert_int_eq(write(fd, model, sizeof model), (ssize_t)sizeof model);
	close(fd);
	snprintf(spec, sizeof spec, "%s,snapshot", image);
	disk = disk_open(spec, NULL);
	snprintf(spec, sizeof spec, "%s,readonly", image);
	cd = disk_open(spec, NULL);
	ram = ram_new(MEMORY);
	make();
}

static void reopen(const char *options)
{
	char spec[100];

	destroy(ahci);
	disk_free(disk);
	disk_free(cd);
	fresh();
	snprintf(spec, sizeof spec, "%s%s", image, options);
	disk = disk_open(spec, NULL);
	cd = NULL;
	make();
}

static void tear_down(void)
{
	destroy(ahci);
	disk_free(disk);
	disk_free(cd);
	ram_free(ram);
	unlink(image);
}

/* ---- a host ---- */

static u32 port_at(unsigned port, unsigned offset) { return ABAR + 0x100 + 0x80 * port + offset; }

static void start(unsigned port)
{
	out32(ABAR + 4, 2);
	out32(port_at(port, 0x00), LIST);
	out32(port_at(port, 0x08), RECEIVED);
	out32(port_at(port, 0x14), 0x7dc0007f);
	out32(port_at(port, 0x18), 0x10 | 6);
	out32(port_at(port, 0x18), 0x11 | 6);
	ck_assert_uint_eq(in32(port_at(port, 0x18)) & 0xc000, 0xc000);
}

/* Slot SLOT: a command, its data in pieces of PIECE bytes from DATA + 64 KiB * slot on. */
static void prepare(unsigned slot, u8 command, u64 lba, u16 count, u16 feature, u32 len, u32 piece, bool write)
{
	u32 table = TABLES + slot * 0x1000, regions = 0;
	u8 fis[20] = { 0x27, 0x80, command, (u8)feature };

	for (u32 done = 0; done < len; done += piece, regions++) {
		space_write(&bus, table + 0x80 + 16 * regions, 8, DATA + slot * 65536 + done);
		space_write(&bus, table + 0x80 + 16 * regions + 12, 4, (len - done < piece ? len - done : piece) - 1);
	}
	for (unsigned i = 0; i < 3; i++) {
		fis[4 + i] = (u8)(lba >> 8 * i);
		fis[8 + i] = (u8)(lba >> (24 + 8 * i));
	}
	fis[7] = 0x40;
	fis[11] = feature >> 8;
	put16(fis + 12, count);
	space_write_block(&bus, table, fis, sizeof fis);
	space_write(&bus, LIST + slot * 32, 8, regions << 16 | (write ? 0x40 : 0) | 5);
	space_write(&bus, LIST + slot * 32 + 8, 8, table);
}

static void run(unsigned port, unsigned slot)
{
	out32(port_at(port, 0x38), 1u << slot);
	for (unsigned i = 0; i < 1000 && in32(port_at(port, 0x38)) >> slot & 1 && !(in32(port_at(port, 0x20)) & 1); i++)
		pass(100000);
}

static u8 *data(unsigned slot) { return ram->host + DATA + slot * 65536; }

START_TEST(registers)
{
	ck_assert_uint_eq(in32(ABAR + 0x10), 0x00010301);
	ck_assert_uint_eq(in32(ABAR) & 0x1f, AHCI_PORTS - 1);
	ck_assert_uint_eq(in32(ABAR) >> 8 & 0x1f, 31);
	ck_assert_uint_eq(in32(ABAR + 0x0c), 0x3f);
	ck_assert_uint_eq(in32(port_at(0, 0x24)), 0x00000101); /* a disk */
	ck_assert_uint_eq(in32(port_at(2, 0x24)), 0xeb140101); /* ATAPI */
	ck_assert_uint_eq(in32(port_at(0, 0x28)) & 15, 3);
	ck_assert_uint_eq(in32(port_at(1, 0x28)), 0);
	start(0);
	out32(port_at(0, 0x2c), 1);
	ck_assert_uint_eq(in32(port_at(0, 0x28)) & 15, 0);
	out32(port_at(0, 0x2c), 0);
	ck_assert_uint_eq(in32(port_at(0, 0x28)) & 15, 3);
	ck_assert_uint_eq(in32(port_at(0, 0x20)) & 0x89, 0);
	out32(ABAR + 4, 1);
	ck_assert_uint_eq(in32(ABAR + 4), 0x80000000);
	ck_assert_uint_eq(in32(port_at(0, 0x14)), 0);
}
END_TEST

START_TEST(commands)
{
	start(0);
	prepare(3, 0xec, 0, 0, 0, 512, 512, false);
	run(0, 3);
	ck_assert_uint_eq(get32(data(3) + 2 * 60), SECTORS);
	ck_assert_uint_eq(get16(data(3) + 2 * 76) & 0x100, 0x100); /* NCQ */
	ck_assert(wires[0].level || wires[1].level || wires[2].level || wires[3].level);
	ck_assert_uint_eq(in32(ABAR + 8), 1);
	out32(port_at(0, 0x10), 0xffffffff);
	ck_assert_uint_eq(in32(ABAR + 8), 1);
	out32(ABAR + 8, 1);
	ck_assert(!wires[0].level && !wires[1].level && !wires[2].level && !wires[3].level);

	prepare(0, 0x25, 77, 100, 0, 51200, 1000, false);
	run(0, 0);
	ck_assert_uint_eq(space_read(&bus, LIST + 4, 4), 51200);
	ck_assert_mem_eq(data(0), model + 77 * 512, 51200);
	ck_assert_uint_eq(ram->host[RECEIVED + 0x40], 0x34); /* register FIS */
	ck_assert_uint_eq(ram->host[RECEIVED + 0x42], 0x50);
	memcpy(data(0), model, 10 * 512);
	prepare(0, 0x35, 1000, 10, 0, 5120, 4096, true);
	run(0, 0);
	memcpy(model + 1000 * 512, model, 5120);
	prepare(1, 0x25, 990, 30, 0, 30 * 512, 65536, false);
	run(0, 1);
	ck_assert_mem_eq(data(1), model + 990 * 512, 30 * 512);
	prepare(1, 0x25, 0, 4, 0, 1024, 1024, false); /* not enough memory */
	run(0, 1);
	ck_assert_uint_eq(in32(port_at(0, 0x10)) >> 24 & 1, 1);
}
END_TEST

/* 32 commands at once, then half of them writes. */
START_TEST(queue)
{
	start(0);
	for (unsigned i = 0; i < 32; i++)
		prepare(i, 0x60, i * 100, (u16)(i << 3), 16, 8192, 3000, false);
	out32(port_at(0, 0x34), 0xffffffff);
	out32(port_at(0, 0x38), 0xffffffff);
	ck_assert_uint_eq(in32(port_at(0, 0x20)) & 0x80, 0);
	pass(10000000);
	ck_assert_uint_eq(in32(port_at(0, 0x34)), 0);
	ck_assert_uint_eq(in32(port_at(0, 0x38)), 0);
	ck_assert_uint_eq(in32(port_at(0, 0x10)) & 8, 8);
	for (unsigned i = 0; i < 32; i++)
		ck_assert_mem_eq(data(i), model + i * 100 * 512, 8192);
	for (unsigned i = 0; i < 32; i += 2) {
		memset(data(i), (int)i, 8192);
		memset(model + (i * 100 + 50) * 512, (int)i, 8192);
		prepare(i, 0x61, i * 100 + 50, (u16)(i << 3), 16, 8192, 8192, true);
	}
	out32(port_at(0, 0x34), 0x55555555);
	out32(port_at(0, 0x38), 0x55555555);
	pass(10000000);
	ck_assert_uint_eq(in32(port_at(0, 0x34)), 0);
	for (unsigned at = 0; at < SECTORS; at += 100) {
		static u8 got[51200];

		ck_assert_int_eq(disk_read(disk, at * 512, got, sizeof got), DISK_OK);
		ck_assert_mem_eq(got, model + at * 512, sizeof got);
	}
}
END_TEST

/* A flush that fails: FLUSH CACHE EXT, WRITE DMA FUA EXT and queued writes with FUA say so, now and later; a plain
 * write does not. */
START_TEST(flush_fails)
{
	destroy(ahci);
	disk_free(disk);
	fresh();
	disk = faulty_disk(faulty_make, image);
	make();
	start(0);
	prepare(0, 0x35, 8, 4, 0, 2048, 2048, true);
	run(0, 0);
	ck_assert_uint_eq(in32(port_at(0, 0x20)) & 0x81, 0);
	faulty_next(FAULTY_FLUSH, DISK_ERROR);
	for (unsigned i = 0; i < 6; i++) {
		bool plain = i == 3;

		start(0);
		out32(port_at(0, 0x10), 0xffffffff);
		if (i == 2 || plain)
			prepare(0, plain ? 0x35 : 0x3d, 8, 4, 0, 2048, 2048, true);
		else if (i == 4)
			prepare(0, 0x61, 8, 0, 4, 2048, 2048, true);
		else
			prepare(0, 0xea, 0, 0, 0, 0, 512, false);
		if (i == 4) {
			ram->host[TABLES + 7] = 0xc0; /* FUA */
			out32(port_at(0, 0x34), 1);
		}
		out32(port_at(0, 0x38), 1);
		pass(10000000);
		ck_assert_uint_eq(in32(port_at(0, 0x20)) & 0x81, plain ? 0 : 1);
		ck_assert_uint_eq(in32(port_at(0, 0x10)) >> 30 & 1, !plain);
	}
	ck_assert_uint_eq(faulty_losses, 1);
}
END_TEST

/* A failure stops the port, with the other commands waiting, until the host starts it again. */
START_TEST(failure)
{
	start(0);
	prepare(0, 0x25, SECTORS, 1, 0, 512, 512, false);
	prepare(1, 0x25, 0, 1, 0, 512, 512, false);
	out32(port_at(0, 0x38), 3);
	pass(10000000);
	ck_assert_uint_eq(in32(port_at(0, 0x20)), 0x1051);
	ck_assert_uint_eq(in32(port_at(0, 0x38)), 3);
	ck_assert_uint_eq(in32(port_at(0, 0x18)) >> 8 & 31, 0);
	ck_assert_uint_eq(in32(port_at(0, 0x10)) >> 30 & 1, 1);
	out32(port_at(0, 0x18), 0x10 | 6);
	ck_assert_uint_eq(in32(port_at(0, 0x38)), 0);
	start(0);
	run(0, 1);
	ck_assert_mem_eq(data(1), model, 512);
}
END_TEST

/* Sectors 1000 to 1099 of an image are a disk: ERR and IDNF past its end, and nothing around it changes. */
START_TEST(minidisk)
{
	enum { FIRST = 1000, COUNT = 100, IDNF = 0x10, ERR = 1 };
	static const struct { u8 command; u64 lba; u16 count; } outside[] = {
		{ 0x25, COUNT, 1 }, { 0x25, COUNT - 1, 2 }, { 0x35, COUNT, 1 }, { 0x35, COUNT - 1, 2 },
		{ 0x35, 0xffffffffffff, 1 }, { 0x35, SECTORS, 1 }, { 0xca, COUNT, 1 },
	};
	static u8 now[sizeof model];
	int fd;

	reopen(",offset=500K,size=50K");
	start(0);
	memset(data(0), 0x55, 1024);
	prepare(0, 0x35, COUNT - 1, 1, 0, 512, 512, true);
	run(0, 0);
	ck_assert_uint_eq(in32(port_at(0, 0x20)) & ERR, 0);
	for (unsigned i = 0; i < ARRAY_LEN(outside); i++) {
		bool write = outside[i].command != 0x25;

		prepare(0, outside[i].command, outside[i].lba, outside[i].count, 0, 512u * outside[i].count, 512,
			write);
		run(0, 0);
		ck_assert_uint_eq(in32(port_at(0, 0x20)) & 0xff01, IDNF << 8 | ERR);
		out32(port_at(0, 0x18), 6); /* ST off and on clears PxCI */
		start(0);
	}
	memset(model + (FIRST + COUNT - 1) * 512, 0x55, 512);
	fd = open(image, O_RDONLY);
	ck_assert_int_eq(read(fd, now, sizeof now), sizeof now);
	close(fd);
	ck_assert_mem_eq(now, model, sizeof now);
}
END_TEST

START_TEST(packets)
{
	start(2);
	for (unsigned round = 0; round < 2; round++) { /* the first is refused: power on */
		prepare(0, 0xa0, 0, 0, 1, 8192, 8192, false);
		space_write_block(&bus, TABLES + 0x40, (u8[16]){ 0x28, 0, 0, 0, 0, 10, 0, 0, 4 }, 16);
		run(2, 0);
		ck_assert_uint_eq(in32(port_at(2, 0x20)) & 1, !round);
		out32(port_at(2, 0x18), 0x10 | 6);
		start(2);
	}
	ck_assert_mem_eq(data(0), model + 10 * 2048, 8192);
	prepare(5, 0xa1, 0, 0, 0, 512, 512, false);
	run(2, 5);
	ck_assert_uint_eq(data(5)[1], 0x85);
}
END_TEST

START_TEST(moved_house)
{
	struct part parts[2];
	u8 *kept[2];
	u64 now;

	start(0);
	for (unsigned i = 0; i < 32; i++)
		prepare(i, 0x60, i * 100, (u16)(i << 3), 16, 8192, 4096, false);
	out32(port_at(0, 0x34), 0xffffffff);
	out32(port_at(0, 0x38), 0xffffffff);
	for (unsigned i = 0; i < 20; i++) {
		pass(7000);
		parts[0] = ahci_part(ahci), parts[1] = ata_part(drives[0]);
		for (unsigned k = 0; k < 2; k++)
			part_save(&parts[k], kept[k] = malloc(part_size(&parts[k])));
		now = test_clock.now;
		destroy(ahci);
		fresh();
		make();
		test_clock.now = now;
		parts[0] = ahci_part(ahci), parts[1] = ata_part(drives[0]);
		for (unsigned k = 0; k < 2; k++) {
			ck_assert(part_load(&parts[k], kept[k], part_size(&parts[k]), NULL));
			free(kept[k]);
		}
		clock_sort(&test_clock);
	}
	pass(10000000);
	ck_assert_uint_eq(in32(port_at(0, 0x34)), 0);
	for (unsigned i = 0; i < 32; i++)
		ck_assert_mem_eq(data(i), model + i * 100 * 512, 8192);
}
END_TEST

static struct part part_of(void *p) { return ahci_part(p); }
static void refresh(void *p) { ahci_refresh(p); }

START_TEST(hostile)
{
	static const u64 ranges[][2] = {
		{ ABAR, 0x40 }, { ABAR + 0x100, 0x40 }, { ABAR + 0x200, 0x40 }, { LIST, 0x400 }
	};

	destroy(ahci);
	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 3);
	make();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ahci");
	TCase *tc = tcase_create("ahci");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, commands);
	tcase_add_test(tc, queue);
	tcase_add_test(tc, flush_fails);
	tcase_add_test(tc, failure);
	tcase_add_test(tc, minidisk);
	tcase_add_test(tc, packets);
	tcase_add_test(tc, moved_house);
	tcase_add_test(tc, hostile);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
