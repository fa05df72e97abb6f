/* SPDX-License-Identifier: MIT */
/* The IDE function and the drives behind it, driven as a host does: against ATA8-ACS, MMC-5, the PIIX3 data sheet, and
 * an array that says what a disk should hold. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include "io/disk/ide.h"
#include "tests/unit/device.h"
#include "tests/unit/faulty.h"

#define SECTORS 4000u
#define MEMORY (1 * MiB)
#define PRDS 0x1000u
#define BM 0xc000u

static char image[64], iso[64], overlay[80];
static u8 model[SECTORS * 512], disc[64 * 2048];
static struct disk *disk, *cd;
static struct ata_drive *drives[4];
static struct space memory;
static struct ram *ram;
static struct pci_bus *pci;
static struct ide *ide;
static unsigned waits;

static void write_file(char *name, const void *data, size_t len)
{
	int fd;

	strcpy(name, "/tmp/test_ide.XXXXXX");
	fd = mkstemp(name);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static void out_pci(unsigned offset, u32 value)
{
	out32(0xcf8, 0x80000900 | (offset & 0xfc));
	out32(0xcfc, value);
}

static u32 in_pci(unsigned offset)
{
	out32(0xcf8, 0x80000900 | (offset & 0xfc));
	return in32(0xcfc);
}

static void waiting(void *owner, struct disk *d)
{
	(void)owner, (void)d;
	waits++;
}

static void *make(void)
{
	static const struct log log = { remember, NULL };
	static const struct line no_line;

	space_free(&memory);
	space_init(&memory);
	space_add_ram(&memory, "ram", 0, MEMORY, ram, 0, false);
	pci = pci_new(&bus, &memory, no_line, NULL, NULL);
	drives[0] = ata_new("disk", disk, false, false, &log);
	drives[3] = ata_new("cd", cd, true, false, &log);
	ide = ide_new(&bus, pci, 1, 1, &test_clock, wire(0), wire(1), drives, true);
	out_pci(0x20, BM | 1);
	out_pci(PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	return ide;
}

static void destroy(void *p)
{
	ide_free(p);
	ata_free(drives[0]);
	ata_free(drives[3]);
	pci_free(pci);
}

static void open_disks(const char *options)
{
	char spec[200], *error = NULL;

	snprintf(spec, sizeof spec, "%s%s%s", image, options, strcmp(options, ",overlay=") ? "" : overlay);
	disk = disk_open(spec, &error);
	ck_assert_msg(disk != NULL, "%s", error);
	disk_set_host(disk, &(struct disk_host){ .waiting = waiting });
	snprintf(spec, sizeof spec, "%s,readonly", iso);
	cd = disk_open(spec, NULL);
	ck_assert_ptr_nonnull(cd);
}

static void set_up(void)
{
	u64 seed = 1;

	fresh();
	for (size_t i = 0; i < sizeof model; i++)
		model[i] = (u8)test_random(&seed);
	for (size_t i = 0; i < sizeof disc; i++)
		disc[i] = (u8)test_random(&seed);
	write_file(image, model, sizeof model);
	write_file(iso, disc, sizeof disc);
	snprintf(overlay, sizeof overlay, "%s.overlay", image);
	open_disks("");
	ram = ram_new(MEMORY);
	make();
}

static void tear_down(void)
{
	destroy(ide);
	disk_free(disk);
	disk_free(cd);
	ram_free(ram);
	unlink(image);
	unlink(iso);
	unlink(overlay);
}

static void reopen(const char *options)
{
	destroy(ide);
	disk_free(disk);
	disk_free(cd);
	fresh();
	open_disks(options);
	make();
}

/* ---- a host ---- */

static unsigned base = 0x1f0;

static u8 wait_ready(void)
{
	for (unsigned i = 0; i < 1000 && in8(base + 0x206) & ATA_BSY; i++)
		pass(100000);
	ck_assert(!(in8(base + 0x206) & ATA_BSY));
	return in8(base + 0x206);
}

/* A command with a 48-bit address: previous contents first. */
static void command(u8 cmd, u8 device, u64 lba, u16 count, u16 feature)
{
	out8(base + 6, device);
	out8(base + 1, feature >> 8), out8(base + 1, (u8)feature);
	out8(base + 2, count >> 8), out8(base + 2, (u8)count);
	for (unsigned i = 0; i < 3; i++) {
		out8(base + 3 + i, (u8)(lba >> (24 + 8 * i)));
		out8(base + 3 + i, (u8)(lba >> 8 * i));
	}
	out8(base + 7, cmd);
}

static void read_words(u8 *to, unsigned len)
{
	for (unsigned i = 0; i < len; i += 2)
		put16(to + i, in16(base));
}

static void pio_read(u8 cmd, u64 lba, unsigned count, u8 *to, unsigned block)
{
	command(cmd, cmd == 0x20 || cmd == 0xc4 ? 0xe0 | (lba >> 24 & 15) : 0xe0, lba, (u16)count, 0);
	for (unsigned done = 0; done < count; done += block) {
		unsigned now = count - done < block ? count - done : block;

		ck_assert_uint_eq(wait_ready(), ATA_DRDY | ATA_DSC | ATA_DRQ);
		ck_assert(wires[0].level);
		ck_assert_uint_eq(in8(base + 7) & ATA_ERR, 0);
		ck_assert(!wires[0].level);
		read_words(to + done * 512, now * 512);
	}
	ck_assert_uint_eq(wait_ready(), ATA_DRDY | ATA_DSC);
}

static u8 pio_write(u8 cmd, u64 lba, unsigned count, const u8 *from, unsigned block)
{
	u8 status = 0;

	command(cmd, 0xe0, lba, (u16)count, 0);
	ck_assert_uint_eq(in8(base + 7), ATA_DRDY | ATA_DSC | ATA_DRQ);
	for (unsigned done = 0; done < count; done += block) {
		unsigned now = count - done < block ? count - done : block;

		for (unsigned i = 0; i < now * 512; i += 2)
			out16(base, get16(from + done * 512 + i));
		status = wait_ready();
		if (!waits) /* a drive that waits interrupts later */
			ck_assert(wires[0].level);
		in8(base + 7);
	}
	return status;
}

/* A transfer of LEN bytes in pieces of PIECE from 10000h on, with holes between them. */
static void prds(unsigned len, unsigned piece)
{
	u32 at = PRDS, addr = 0x10000;

	for (unsigned done = 0; done < len; done += piece, at += 8, addr += piece + 64) {
		unsigned now = len - done < piece ? len - done : piece;

		space_write(&memory, at, 4, addr);
		space_write(&memory, at + 4, 4, now | (done + now == len ? 0x80000000u : 0));
	}
	out32(BM + (base == 0x170 ? 8 : 0) + 4, PRDS);
}

static void gather(u8 *to, unsigned len, unsigned piece)
{
	for (unsigned done = 0, addr = 0x10000; done < len; done += piece, addr += piece + 64)
		space_read_block(&memory, addr, to + done, len - done < piece ? len - done : piece);
}

static void scatter(const u8 *from, unsigned len, unsigned piece)
{
	for (unsigned done = 0, addr = 0x10000; done < len; done += piece, addr += piece + 64)
		space_write_block(&memory, addr, from + done, len - done < piece ? len - done : piece);
}

static u8 dma(u8 cmd, u64 lba, unsigned count, bool in)
{
	out8(BM, in ? 8 : 0);
	out8(BM + 2, 6);
	command(cmd, 0xe0, lba, (u16)count, 0);
	out8(BM, in ? 9 : 1);
	ck_assert_uint_eq(in8(BM + 2) & 5, 1);
	wait_ready();
	ck_assert_uint_eq(in8(BM + 2) & 7, 4); /* interrupt, not active */
	out8(BM, 0);
	out8(BM + 2, 4);
	ck_assert_uint_eq(in8(BM + 2) & 7, 0);
	return in8(base + 7);
}

/* ---- disks ---- */

START_TEST(identify)
{
	u8 id[512], sum = 0;

	command(0xec, 0xa0, 0, 0, 0);
	wait_ready();
	read_words(id, 512);
	for (unsigned i = 0; i < 512; i++)
		sum = (u8)(sum + id[i]);
	ck_assert_uint_eq(sum, 0);
	ck_assert_uint_eq(id[510], 0xa5);
	ck_assert_uint_eq(get16(id) & 0x8000, 0);              /* ATA */
	ck_assert_uint_eq(get16(id + 2 * 49) & 0x0300, 0x0300); /* LBA, DMA */
	ck_assert_uint_eq(get32(id + 2 * 60), SECTORS);
	ck_assert_uint_eq(get64(id + 2 * 100), SECTORS);
	ck_assert_uint_eq(get16(id + 2 * 83) & 0xc400, 0x4400); /* valid, 48 bits */
	ck_assert_uint_eq(get16(id + 2 * 82) & 2, 0);           /* no security */
	ck_assert_mem_eq(id + 2 * 27, "ilvbpc uidks", 12);
	command(0xec, 0xb0, 0, 0, 0); /* nobody there */
	ck_assert_uint_eq(in8(0x1f7), 0);
}
END_TEST

/* Cylinders, heads and sectors fit into the disk, and there are some; the last sector that they reach is read. */
START_TEST(small_disks)
{
	static const unsigned sizes[] = { 1, 2, 62, 63, 64, 126, 1007, 1008, 1009, 2015 };
	u8 id[512], sector[512];

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		unsigned n = sizes[i], c, h, s;
		char options[32];

		snprintf(options, sizeof options, ",size=%u", n * 512);
		reopen(options);
		command(0xec, 0xa0, 0, 0, 0);
		wait_ready();
		read_words(id, 512);
		c = get16(id + 2), h = get16(id + 6), s = get16(id + 12);
		ck_assert_uint_eq(get32(id + 120), n);
		ck_assert_msg(c && h && h <= 16 && s && s <= 63 && c * h * s <= n &&
				      n - c * h * s < (n < 1008 ? 63u : 1008u),
			      "%u sectors: %u/%u/%u", n, c, h, s);
		ck_assert_uint_eq(get16(id + 108), c);
		ck_assert_uint_eq(get16(id + 110), h);
		ck_assert_uint_eq(get16(id + 112), s);
		command(0x20, (u8)(0xa0 | (h - 1)), (c - 1) << 8 | s, 1, 0);
		ck_assert_uint_eq(wait_ready() & 1, 0);
		read_words(sector, 512);
		ck_assert_mem_eq(sector, model + (c * h * s - 1) * 512, 512);
	}
}
END_TEST

/* Sectors 1000 to 1099 of an image are a disk. A write past its end fails with IDNF and changes nothing around it. */
START_TEST(minidisk)
{
	enum { FIRST = 1000, COUNT = 100 };
	static const struct { u8 command; u64 lba; u16 count; } outside[] = {
		{ 0x20, COUNT, 1 }, { 0x20, COUNT - 1, 2 }, { 0x24, SECTORS, 1 }, { 0x25, COUNT, 1 },
		{ 0x30, COUNT, 1 }, { 0x30, COUNT - 1, 2 }, { 0x30, 0xfffffff, 1 },
		{ 0x34, COUNT, 1 }, { 0x34, COUNT - 1, 2 }, { 0x34, 0xffffffffffff, 1 },
		{ 0x34, ((u64)1 << 55) - FIRST, 1 }, { 0x35, COUNT, 1 }, { 0x39, COUNT - 1, 2 }, { 0xca, COUNT, 0 },
	};
	static u8 now[sizeof model];
	int fd;

	reopen(",offset=500K,size=50K");
	command(0xec, 0xa0, 0, 0, 0);
	wait_ready();
	read_words(now, 512);
	ck_assert_uint_eq(get32(now + 120), COUNT);
	pio_read(0x24, COUNT - 1, 1, now, 1);
	ck_assert_mem_eq(now, model + (FIRST + COUNT - 1) * 512, 512);
	memset(now, 0x55, 1024);
	ck_assert_uint_eq(pio_write(0x34, 0, 1, now, 1), 0x50);
	ck_assert_uint_eq(pio_write(0x34, COUNT - 1, 1, now, 1), 0x50);
	prds(1024, 512);
	scatter(now, 1024, 512);
	for (unsigned i = 0; i < ARRAY_LEN(outside); i++) {
		command(outside[i].command, 0xe0 | (outside[i].lba >> 24 & 15), outside[i].lba, outside[i].count, 0);
		out8(BM, outside[i].command == 0x25 ? 9 : 1);
		ck_assert_uint_eq(wait_ready(), 0x51);
		ck_assert_uint_eq(in8(0x1f1), ATA_IDNF);
		out8(BM, 0);
		in8(0x1f7);
	}
	memset(model + FIRST * 512, 0x55, 512);
	memset(model + (FIRST + COUNT - 1) * 512, 0x55, 512);
	fd = open(image, O_RDONLY);
	ck_assert_int_eq(read(fd, now, sizeof now), sizeof now);
	close(fd);
	ck_assert_mem_eq(now, model, sizeof now);
}
END_TEST

START_TEST(reset)
{
	out8(0x3f6, 4);
	ck_assert_uint_eq(in8(0x1f7), 0x80);
	out8(0x3f6, 0);
	ck_assert_uint_eq(wait_ready(), 0x50);
	ck_assert_uint_eq(in8(0x1f1), 1); /* diagnostic code: passed */
	ck_assert_uint_eq(in8(0x1f2), 1);
	ck_assert_uint_eq(in8(0x1f3), 1);
	ck_assert_uint_eq(in8(0x1f4) | in8(0x1f5) << 8, 0x0000);
	out8(0x376, 4);
	out8(0x376, 0);
	out8(0x176, 0x10);
	ck_assert_uint_eq(in8(0x174) | in8(0x175) << 8, 0xeb14);
	ck_assert_uint_eq(in8(0x177), 0); /* a packet device is not ready before it is asked */
	out8(0x1f7, 0x90);
	wait_ready();
	ck_assert_uint_eq(in8(0x1f1), 1);
	ck_assert(wires[0].level);
}
END_TEST

/* What the two drives of a channel make of each other (ATA/ATAPI-6, 9.16 and table 26), for each pair of nothing, a
 * disk, a CD-ROM drive. */
enum { NONE, DISK, CDROM, SORTS };
static struct ata_drive *pair[4];

static void plug(unsigned drive0, unsigned drive1)
{
	static const struct log log = { remember, NULL };
	const unsigned sorts[2] = { drive0, drive1 };

	for (unsigned i = 0; i < 2; i++)
		pair[i] = sorts[i] ? ata_new(i ? "one" : "zero", sorts[i] == DISK ? disk : cd, sorts[i] == CDROM, false,
					     &log)
				   : NULL;
	pci = pci_new(&bus, &memory, (struct line){ 0 }, NULL, NULL);
	ide = ide_new(&bus, pci, 1, 1, &test_clock, wire(0), wire(1), pair, true);
}

static void unplug(void)
{
	ide_free(ide);
	ata_free(pair[0]);
	ata_free(pair[1]);
	pci_free(pci);
	fresh();
}

/* Drive I is selected and shows the signature of SORT, or what there is instead of it. */
static void check_signature(unsigned sort, unsigned other, unsigned i)
{
	static const u8 status[SORTS] = { [DISK] = 0x50, [CDROM] = 0x00 };

	if (sort == NONE && (i == 0 || other == NONE)) { /* nobody answers */
		ck_assert_uint_eq(in8(0x1f7), 0x7f);
		ck_assert_uint_eq(in8(0x3f6), 0x7f);
		return;
	}
	ck_assert_uint_eq(in8(0x3f6), status[sort]);
	ck_assert_uint_eq(in8(0x1f7), status[sort]);
	if (sort == NONE && other == CDROM) {
		for (unsigned reg = 1; reg < 8; reg++)
			ck_assert_uint_eq(in8(0x1f0 + reg), 0);
		return;
	}
	ck_assert_uint_eq(in8(0x1f1), 1);
	ck_assert_uint_eq(in8(0x1f2), 1);
	ck_assert_uint_eq(in8(0x1f3), 1);
	ck_assert_uint_eq(in8(0x1f4) | in8(0x1f5) << 8, sort == CDROM ? 0xeb14 : 0);
	ck_assert_uint_eq(in8(0x1f6) & 0x1f, i << 4);
}

static void check_signatures(unsigned drive0, unsigned drive1)
{
	check_signature(drive0, drive1, 0);
	out8(0x1f6, 0xb0);
	check_signature(drive1, drive0, 1);
	out8(0x1f6, 0xa0);
	check_signature(drive0, drive1, 0);
}

START_TEST(two_drives)
{
	destroy(ide);
	fresh();
	for (unsigned n = 0; n < SORTS * SORTS; n++) {
		unsigned drive0 = n % SORTS, drive1 = n / SORTS;

		for (unsigned selected = 0; selected < 2; selected++) {
			plug(drive0, drive1);
			check_signatures(drive0, drive1); /* power-on */
			command(0x91, (u8)(0xa5 | selected << 4), 0x123456, 7, 0);
			pass(10000000);
			in8(0x1f7);
			out8(0x3f6, 4);
			pass(5000);
			out8(0x3f6, 0);
			pass(10000000);
			ck_assert(!wires[0].level); /* a reset does not interrupt */
			check_signatures(drive0, drive1);

			command(0x91, (u8)(0xa5 | selected << 4), 0x123456, 7, 0);
			pass(10000000);
			in8(0x1f7);
			ck_assert(!wires[0].level);
			out8(0x1f7, 0x90); /* both do it; drive 0 interrupts, and is selected */
			pass(10000000);
			ck_assert(wires[0].level == (drive0 != NONE));
			check_signatures(drive0, drive1);
			ck_assert(!wires[0].level);

			/* To a drive that is absent a command is nothing. */
			if ((selected ? drive1 : drive0) == NONE) {
				command(0xec, (u8)(0xa0 | selected << 4), 0, 0, 0);
				ck_assert_uint_eq(in8(0x3f6), selected && drive0 ? 0 : 0x7f);
				pass(10000000);
				ck_assert(!wires[0].level);
				ck_assert_uint_eq(in8(0x1f7), selected && drive0 ? 0 : 0x7f);
			}
			unplug();
		}
	}
	make();
}
END_TEST

/* Drive 0 answers for drive 1: a disk with its own registers, but not with data, and it keeps its interrupt to itself.
 * */
START_TEST(drive_1_is_absent)
{
	u8 id[512];

	destroy(ide);
	fresh();
	plug(DISK, NONE);
	out8(0x1f6, 0xb0);
	out8(0x1f2, 0x55);
	out8(0x1f3, 0xaa);
	ck_assert_uint_eq(in8(0x1f2), 0x55);
	ck_assert_uint_eq(in8(0x1f3), 0xaa);
	ck_assert_uint_eq(in8(0x1f6), 0xb0);
	command(0xe7, 0xa0, 0, 0, 0);
	pass(10000000);
	ck_assert(wires[0].level);
	out8(0x1f6, 0xb0);
	ck_assert(!wires[0].level);
	ck_assert_uint_eq(in8(0x1f7), 0);
	out8(0x1f6, 0xa0);
	ck_assert(wires[0].level); /* that status took nothing back */
	ck_assert_uint_eq(in8(0x1f7), 0x50);
	ck_assert(!wires[0].level);
	command(0xec, 0xa0, 0, 0, 0);
	wait_ready();
	read_words(id, 512);
	ck_assert_uint_eq(get16(id + 2 * 82) & get16(id + 2 * 85) & 8, 8); /* power management is mandatory */
	unplug();
	make();
}
END_TEST

/* DEVICE RESET ends what a packet drive does, without an interrupt; a disk does not know it. */
START_TEST(device_reset)
{
	destroy(ide);
	fresh();
	plug(DISK, CDROM);
	command(0xa0, 0xb0, 2048 << 8, 0, 0);
	ck_assert_uint_eq(wait_ready() & ATA_DRQ, ATA_DRQ);
	out8(0x1f7, 8);
	wait_ready();
	pass(10000000);
	ck_assert(!wires[0].level);
	check_signature(CDROM, DISK, 1);
	command(8, 0xa0, 0, 0, 0);
	ck_assert_uint_eq(wait_ready(), 0x51);
	ck_assert(wires[0].level);
	ck_assert_uint_eq(in8(0x1f1), ATA_ABRT);
	unplug();
	make();
}
END_TEST

START_TEST(pio)
{
	static u8 got[300 * 512];

	pio_read(0x20, 17, 1, got, 1);
	ck_assert_mem_eq(got, model + 17 * 512, 512);
	pio_read(0x20, 100, 256, got, 1);
	ck_assert_mem_eq(got, model + 100 * 512, 256 * 512);
	pio_read(0x24, SECTORS - 299, 299, got, 1);
	ck_assert_mem_eq(got, model + (SECTORS - 299) * 512, 299 * 512);
	command(0xc4, 0xe0, 0, 4, 0); /* READ MULTIPLE before SET MULTIPLE */
	ck_assert_uint_eq(wait_ready() & ATA_ERR, ATA_ERR);
	ck_assert_uint_eq(in8(0x1f1), ATA_ABRT);
	command(0xc6, 0xe0, 0, 3, 0);
	ck_assert_uint_eq(wait_ready() & ATA_ERR, ATA_ERR);
	command(0xc6, 0xe0, 0, 8, 0);
	ck_assert_uint_eq(wait_ready() & ATA_ERR, 0);
	pio_read(0xc4, 5, 21, got, 8);
	ck_assert_mem_eq(got, model + 5 * 512, 21 * 512);

	for (unsigned i = 0; i < 21 * 512; i++)
		got[i] ^= 0x5a;
	ck_assert_uint_eq(pio_write(0x30, 60, 3, got, 1), 0x50);
	ck_assert_uint_eq(pio_write(0xc5, 70, 21, got, 8), 0x50);
	ck_assert_uint_eq(pio_write(0x34, SECTORS - 2, 2, got, 1), 0x50);
	memcpy(model + 60 * 512, got, 3 * 512);
	memcpy(model + 70 * 512, got, 21 * 512);
	memcpy(model + (SECTORS - 2) * 512, got, 2 * 512);
	ck_assert_int_eq(disk_read(disk, 0, got, sizeof got), DISK_OK);
	ck_assert_mem_eq(got, model, sizeof got);
	pio_read(0x24, SECTORS - 2, 2, got, 1);
	ck_assert_mem_eq(got, model + (SECTORS - 2) * 512, 1024);
}
END_TEST

/* A block by strings of reads is the same block, and it ends where it ends. */
START_TEST(strings)
{
	u8 got[4 * 512];
	u64 n, at = 0;

	command(0x20, 0xe0, 9, 4, 0);
	while (at < sizeof got) {
		wait_ready();
		in8(0x1f7);
		ck_assert_uint_eq(space_read_string(&bus, 0x1f7, 1, got, 1), 0);
		ck_assert_uint_eq(space_read_string(&bus, 0x1f0, 8, got, 1), 0);
		n = space_read_string(&bus, 0x1f0, 2, got + at, 100);
		ck_assert_uint_eq(n, 100);
		at += 200;
		put32(got + at, in32(0x1f0));
		at += 4;
		n = space_read_string(&bus, 0x1f0, 4, got + at, 1000);
		ck_assert_uint_eq(n, 77);
		at += 4 * n;
		ck_assert_uint_eq(space_read_string(&bus, 0x1f0, 2, got, 100), 0);
	}
	ck_assert_mem_eq(got, model + 9 * 512, sizeof got);
	ck_assert_uint_eq(in8(0x3f6), 0x50);
}
END_TEST

/* Cylinder 3, head 5, sector 7 of 16 heads, 63 sectors; then of 4 heads, 10 sectors. */
START_TEST(cylinders)
{
	u8 got[512];

	command(0x20, 0xa5, 3 << 8 | 7, 1, 0);
	wait_ready();
	read_words(got, 512);
	ck_assert_mem_eq(got, model + ((3 * 16 + 5) * 63 + 6) * 512, 512);
	command(0x91, 0xa3, 0, 10, 0);
	wait_ready();
	command(0x20, 0xa2, 3 << 8 | 7, 1, 0);
	wait_ready();
	read_words(got, 512);
	ck_assert_mem_eq(got, model + ((3 * 4 + 2) * 10 + 6) * 512, 512);
	command(0x20, 0xa2, 3 << 8, 1, 0); /* there is no sector 0 */
	ck_assert_uint_eq(wait_ready() & ATA_ERR, ATA_ERR);
	ck_assert_uint_eq(in8(0x1f1), ATA_IDNF);
}
END_TEST

START_TEST(bus_master)
{
	static u8 got[256 * 512];

	prds(256 * 512, 4096);
	ck_assert_uint_eq(dma(0xc8, 300, 0, true), 0x50);
	gather(got, sizeof got, 4096);
	ck_assert_mem_eq(got, model + 300 * 512, sizeof got);
	prds(9 * 512, 1000);
	ck_assert_uint_eq(dma(0x25, 7, 9, true), 0x50);
	gather(got, 9 * 512, 1000);
	ck_assert_mem_eq(got, model + 7 * 512, 9 * 512);
	scatter(model, 20 * 512, 700);
	prds(20 * 512, 700);
	ck_assert_uint_eq(dma(0xca, 2000, 20, false), 0x50);
	memcpy(model + 2000 * 512, model, 20 * 512);
	prds(512, 64);
	scatter(model + 512, 512, 64);
	ck_assert_uint_eq(dma(0x3d, 3000, 1, false), 0x50);
	memcpy(model + 3000 * 512, model + 512, 512);
	for (unsigned i = 0; i < SECTORS; i += 250) {
		ck_assert_int_eq(disk_read(disk, i * 512, got, 250 * 512), DISK_OK);
		ck_assert_mem_eq(got, model + i * 512, 250 * 512);
	}
}
END_TEST

/* A table that is too short holds the transfer up; the next one goes on with it. The bus master may come after the
 * drive. */
START_TEST(short_table)
{
	u8 got[2048];

	prds(1024, 512);
	command(0xc8, 0xe0, 40, 4, 0);
	ck_assert_uint_eq(wait_ready(), 0x58);
	ck_assert(!wires[0].level);
	out8(BM, 9);
	pass(1000000);
	ck_assert_uint_eq(in8(BM + 2) & 7, 0);
	ck_assert_uint_eq(in8(0x3f6), 0x58);
	gather(got, 1024, 512);
	out8(BM, 8);
	out8(BM, 9);
	ck_assert_uint_eq(wait_ready(), 0x50);
	ck_assert_uint_eq(in8(BM + 2) & 7, 4);
	gather(got + 1024, 1024, 512);
	ck_assert_mem_eq(got, model + 40 * 512, 2048);
	/* A table that goes round for ever in a hostile place ends, too. */
	space_write(&memory, PRDS, 8, 0x0002000000010000);
	out32(BM + 4, PRDS);
	command(0xc8, 0xe0, 40, 4, 0);
	out8(BM, 8);
	out8(BM, 9);
	pass(10000000);
}
END_TEST

START_TEST(errors)
{
	static const struct { u8 command, device; u64 lba; u16 count; u8 error; } bad[] = {
		{ 0x20, 0xe0, SECTORS, 1, ATA_IDNF }, { 0x20, 0xe0, SECTORS - 1, 2, ATA_IDNF },
			{ 0x24, 0xe0, (u64)1 << 47, 1, ATA_IDNF },
		{ 0x25, 0xe0, 0xffffffffffff, 0, ATA_IDNF }, { 0x30, 0xef, 0xffffff, 0, ATA_IDNF },
			{ 0x40, 0xe0, SECTORS, 1, ATA_IDNF },
		{ 0x60, 0xe0, 0, 0, ATA_ABRT }, { 0xa0, 0xe0, 0, 0, ATA_ABRT }, { 0xa1, 0xe0, 0, 0, ATA_ABRT },
			{ 0xf1, 0xe0, 0, 0, ATA_ABRT },
		{ 0x00, 0xe0, 0, 0, ATA_ABRT }, { 0xef, 0xe0, 0, 0, ATA_ABRT }, { 0xb0, 0xe0, 0, 0, ATA_ABRT },
	};

	logged[0] = '\0';
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		command(bad[i].command, bad[i].device, bad[i].lba, bad[i].count, 0);
		ck_assert_uint_eq(wait_ready(), 0x51);
		ck_assert_uint_eq(in8(0x1f1), bad[i].error);
		ck_assert(wires[0].level);
		in8(0x1f7);
		ck_assert(bad[i].command != 0x20 || !logged[0]); /* only a command that there is not is told */
	}
	ck_assert_str_eq(logged, "disk: there is no command f1h");
}
END_TEST

START_TEST(small_commands)
{
	u8 data[512];

	command(0xe5, 0xe0, 0, 0, 0); /* CHECK POWER MODE */
	wait_ready();
	ck_assert_uint_eq(in8(0x1f2), 0xff);
	command(0xe0, 0xe0, 0, 0, 0);
	wait_ready();
	command(0xe5, 0xe0, 0, 0, 0);
	wait_ready();
	ck_assert_uint_eq(in8(0x1f2), 0);
	command(0xb0, 0xe0, 0xc24f00, 0, 0xda); /* SMART RETURN STATUS: good is 4F C2 */
	ck_assert_uint_eq(wait_ready(), 0x50);
	ck_assert_uint_eq(in8(0x1f4) | in8(0x1f5) << 8, 0xc24f);
	command(0xb0, 0xe0, 0xc24f00, 0, 0xd0);
	wait_ready();
	read_words(data, 512);
	command(0xef, 0xe0, 0, 0x22, 3); /* multiword DMA 2: IDENTIFY tells */
	wait_ready();
	command(0xec, 0xe0, 0, 0, 0);
	wait_ready();
	read_words(data, 512);
	ck_assert_uint_eq(get16(data + 2 * 63), 0x0407);
	for (unsigned i = 0; i < 6; i++) { /* modes that IDENTIFY does not tell of */
		command(0xef, 0xe0, 0, (u16[]){ 0x02, 0x0d, 0x12, 0x23, 0x46, 0xff }[i], 3);
		ck_assert_uint_eq(wait_ready(), 0x51);
		ck_assert_uint_eq(in8(0x1f1), ATA_ABRT);
	}
	command(0xec, 0xe0, 0, 0, 0);
	wait_ready();
	read_words(data, 512);
	ck_assert_uint_eq(get16(data + 2 * 63), 0x0407); /* as before */
	command(0xe7, 0xe0, 0, 0, 0);
	ck_assert_uint_eq(wait_ready(), 0x50);
	command(0xea, 0xe0, 0, 0, 0);
	ck_assert_uint_eq(wait_ready(), 0x50);
	out8(0x3f6, 0x80); /* HOB: the previous contents */
	command(0x42, 0xe0, 0x000000000123, 0x0002, 0);
	wait_ready();
	out8(0x3f6, 0x80);
	ck_assert_uint_eq(in8(0x1f3), 0);
	out8(0x3f6, 2); /* nIEN */
	in8(0x1f7);
	command(0xe7, 0xe0, 0, 0, 0);
	wait_ready();
	ck_assert(!wires[0].level);
	out8(0x3f6, 0);
	ck_assert(wires[0].level);
}
END_TEST

/* TRIM: sectors 10 to 17 and 1000. */
START_TEST(trim)
{
	u8 list[512] = { 0 }, got[512];

	put64(list, (u64)8 << 48 | 10);
	put64(list + 8, (u64)1 << 48 | 1000);
	space_write_block(&memory, 0x10000, list, 512);
	prds(512, 512);
	out8(BM, 0);
	command(0x06, 0xe0, 0, 1, 1);
	out8(BM, 1);
	ck_assert_uint_eq(wait_ready(), 0x50);
	memset(model + 10 * 512, 0, 8 * 512);
	memset(model + 1000 * 512, 0, 512);
	for (unsigned i = 9; i < 19; i++) {
		pio_read(0x20, i, 1, got, 1);
		ck_assert_mem_eq(got, model + i * 512, 512);
	}
}
END_TEST

/* The host's disk is full in the middle of a write: the drive stays busy, and goes on when there is room. */
START_TEST(full)
{
	struct rlimit limit, before;
	u8 got[512];

	destroy(ide);
	disk_free(disk);
	disk_free(cd);
	fresh();
	open_disks(",overlay=");
	make();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 100 * 1024;
	setrlimit(RLIMIT_FSIZE, &limit);
	waits = 0;
	scatter(model, 64 * 512, 4096);
	prds(64 * 512, 4096);
	out8(BM, 0);
	command(0xca, 0xe0, 2000, 64, 0);
	out8(BM, 1);
	for (unsigned i = 0; i < 1000 && !waits; i++)
		pass(1000);
	ck_assert_uint_gt(waits, 0);
	ck_assert_uint_eq(in8(0x3f6), ATA_BSY);
	pass(10);
	ck_assert_uint_gt(waits, 1);
	ck_assert(!wires[0].level);
	setrlimit(RLIMIT_FSIZE, &before);
	ck_assert_uint_eq(wait_ready(), 0x50);
	ck_assert(wires[0].level);
	for (unsigned i = 0; i < 64; i++) {
		pio_read(0x20, 2000 + i, 1, got, 1);
		ck_assert_mem_eq(got, model + i * 512, 512);
	}
	waits = 0;
}
END_TEST

/* ---- CD-ROM ---- */

static u8 packet(const u8 *bytes, unsigned limit)
{
	base = 0x170;
	command(0xa0, 0xb0, (u64)limit << 8, 0, 0);
	ck_assert_uint_eq(wait_ready() & ATA_DRQ, ATA_DRQ);
	ck_assert_uint_eq(in8(0x172) & 3, 1); /* command, to the drive */
	for (unsigned i = 0; i < 12; i += 2)
		out16(0x170, get16(bytes + i));
	return wait_ready();
}

/* The reply, as many bytes as come. */
static unsigned reply(u8 *to, unsigned room, unsigned limit)
{
	unsigned len = 0;

	while (wait_ready() & ATA_DRQ) {
		unsigned now = in8(0x174) | in8(0x175) << 8;

		ck_assert_uint_eq(in8(0x172) & 3, 2); /* data, to the host */
		ck_assert_uint_le(now, limit);
		ck_assert_uint_le(len + now, room);
		ck_assert(wires[1].level);
		in8(0x177);
		read_words(to + len, now);
		len += now;
	}
	ck_assert_uint_eq(in8(0x172) & 3, 3);
	ck_assert(wires[1].level);
	in8(0x177);
	return len;
}

static void packet_fails(const u8 *bytes, u8 key, u8 asc)
{
	u8 sense[18];

	ck_assert_uint_eq(packet(bytes, 2048) & ATA_ERR, ATA_ERR);
	ck_assert_uint_eq(in8(0x171) >> 4, key);
	in8(0x177);
	packet((u8[12]){ 3, 0, 0, 0, 18 }, 2048);
	ck_assert_uint_eq(reply(sense, 18, 2048), 18);
	ck_assert_uint_eq(sense[0], 0x70);
	ck_assert_uint_eq(sense[2], key);
	ck_assert_uint_eq(sense[12], asc);
}

/* A flush that fails is an error of FLUSH CACHE, and of every one after it; so are writes that must be kept (cache off,
 * FUA). A failed read or write is an error of that command alone. */
START_TEST(host_fails)
{
	u8 got[512];

	destroy(ide);
	disk_free(disk);
	fresh();
	disk = faulty_disk(faulty_make, image);
	make();
	faulty_next(FAULTY_READ, DISK_ERROR);
	command(0x20, 0xe0, 100, 1, 0);
	ck_assert_uint_eq(wait_ready() & (ATA_ERR | ATA_DRQ), ATA_ERR);
	ck_assert_uint_eq(in8(base + 1), ATA_UNC);
	pio_read(0x20, 100, 1, got, 1);
	ck_assert_mem_eq(got, model + 100 * 512, 512);
	faulty_next(FAULTY_WRITE, DISK_ERROR);
	ck_assert_uint_eq(pio_write(0x30, 7, 1, model, 1) & ATA_ERR, ATA_ERR);
	ck_assert_uint_eq(pio_write(0x30, 7, 1, model, 1) & ATA_ERR, 0);
	command(0xe7, 0xe0, 0, 0, 0);
	ck_assert_uint_eq(wait_ready(), ATA_DRDY | ATA_DSC);
	ck_assert_uint_eq(pio_write(0x30, 7, 1, model, 1) & ATA_ERR, 0);
	faulty_next(FAULTY_FLUSH, DISK_ERROR);
	for (unsigned i = 0; i < 4; i++) {
		command(i & 1 ? 0xea : 0xe7, 0xe0, 0, 0, 0);
		ck_assert_uint_eq(wait_ready() & ATA_ERR, ATA_ERR);
	}
	ck_assert_uint_eq(faulty_losses, 1);
	ck_assert_uint_eq(pio_write(0x30, 7, 1, model, 1) & ATA_ERR, 0); /* the write cache takes it */
	command(0xef, 0xe0, 0, 0, 0x82);
	wait_ready();
	ck_assert_uint_eq(pio_write(0x30, 7, 1, model, 1) & ATA_ERR, ATA_ERR);
	command(0xe0, 0xe0, 0, 0, 0); /* STANDBY IMMEDIATE empties the cache */
	ck_assert_uint_eq(wait_ready() & ATA_ERR, ATA_ERR);
}
END_TEST

START_TEST(packets)
{
	static u8 got[64 * 2352];
	const u8 ready[12] = { 0 };

	base = 0x170;
	command(0xec, 0xb0, 0, 0, 0); /* IDENTIFY DEVICE: the signature, for those who look here */
	ck_assert_uint_eq(wait_ready() & ATA_ERR, ATA_ERR);
	ck_assert_uint_eq(in8(0x174) | in8(0x175) << 8, 0xeb14);
	command(0xa1, 0xb0, 0, 0, 0);
	wait_ready();
	read_words(got, 512);
	ck_assert_uint_eq(get16(got) >> 8, 0x85);
	packet_fails(ready, 6, 0x29); /* power on */
	ck_assert_uint_eq(packet(ready, 0) & ATA_ERR, 0);
	packet((u8[12]){ 0x12, 0, 0, 0, 36 }, 2048);
	ck_assert_uint_eq(reply(got, 36, 2048), 36);
	ck_assert_uint_eq(got[0], 5);
	ck_assert_uint_eq(got[1], 0x80);
	packet((u8[12]){ 0x12, 0, 0, 0, 5 }, 2048);
	ck_assert_uint_eq(reply(got, 36, 2048), 5);
	packet((u8[12]){ 0x25 }, 2048);
	ck_assert_uint_eq(reply(got, 8, 2048), 8);
	ck_assert_mem_eq(got, ((u8[8]){ 0, 0, 0, 63, 0, 0, 8, 0 }), 8);

	for (unsigned limit = 2048; limit != 0xfffe; limit = limit == 2048 ? 100 : limit == 100 ? 8192 : 0xfffe) {
		packet((u8[12]){ 0x28, 0, 0, 0, 0, 5, 0, 0, 7 }, limit);
		ck_assert_uint_eq(reply(got, sizeof got, limit), 7 * 2048);
		ck_assert_mem_eq(got, disc + 5 * 2048, 7 * 2048);
	}
	packet((u8[12]){ 0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 64 }, 0xfffe);
	ck_assert_uint_eq(reply(got, sizeof got, 0xfffe), 64 * 2048);
	ck_assert_mem_eq(got, disc, sizeof disc);
	packet((u8[12]){ 0xbe, 0, 0, 0, 0, 20, 0, 0, 3, 0xf8 }, 0xfffe); /* raw */
	ck_assert_uint_eq(reply(got, sizeof got, 0xfffe), 3 * 2352);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_mem_eq(got + i * 2352, ((u8[12]){ 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0 }),
				 12);
		ck_assert_mem_eq(got + i * 2352 + 12, ((u8[4]){ 0, 2, (u8)(0x20 + i), 1 }), 4); /* 0:02:20, mode 1 */
		ck_assert_mem_eq(got + i * 2352 + 16, disc + (20 + i) * 2048, 2048);
	}
	packet((u8[12]){ 0xb9, 0, 0, 0, 2, 4, 0, 2, 6, 0x10 }, 0xfffe); /* READ CD MSF: 0:02:04 to 0:02:06 */
	ck_assert_uint_eq(reply(got, sizeof got, 0xfffe), 2 * 2048);
	ck_assert_mem_eq(got, disc + 4 * 2048, 2 * 2048);

	packet((u8[12]){ 0x43, 0, 0, 0, 0, 0, 0, 0, 255 }, 2048); /* TOC: track 1, lead-out */
	ck_assert_uint_eq(reply(got, sizeof got, 2048), 20);
	ck_assert_mem_eq(got, ((u8[20]){ 0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 0, 64 }), 20);
	packet((u8[12]){ 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 255 }, 2048); /* in minutes and seconds */
	ck_assert_uint_eq(reply(got, sizeof got, 2048), 12);
	ck_assert_mem_eq(got + 8, ((u8[4]){ 0, 0, 2, 64 }), 4);
	packet((u8[12]){ 0x46, 0, 0, 0, 0, 0, 0, 0, 255 }, 2048);
	ck_assert_uint_eq(reply(got, sizeof got, 2048), get16((u8[2]){ got[3], got[2] }) + 4u);
	ck_assert_uint_eq(got[7], 8); /* CD-ROM */
	packet((u8[12]){ 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255 }, 2048);
	ck_assert_uint_eq(reply(got, sizeof got, 2048), got[1] + 2u);
	ck_assert_uint_eq(got[8], 0x2a);

	packet_fails((u8[12]){ 0x28, 0, 0, 0, 0, 64, 0, 0, 1 }, 5, 0x21);
	packet_fails((u8[12]){ 0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 5, 0x21);
	packet_fails((u8[12]){ 0xff }, 5, 0x20);
	ck_assert_str_eq(logged, "cd: there is no packet command ffh");
	packet_fails((u8[12]){ 0x5a, 0, 0x3e, 0, 0, 0, 0, 0, 255 }, 5, 0x24);
}
END_TEST

START_TEST(packet_dma)
{
	static u8 got[9 * 2048];

	base = 0x170;
	packet((u8[12]){ 3, 0, 0, 0, 18 }, 2048);
	reply(got, 18, 2048);
	prds(sizeof got, 3000);
	out8(BM + 8, 8);
	out8(BM + 10, 4);
	command(0xa0, 0xb0, 0, 0, 1);
	wait_ready();
	out8(BM + 8, 9);
	for (unsigned i = 0; i < 12; i += 2)
		out16(0x170, get16((u8[12]){ 0x28, 0, 0, 0, 0, 30, 0, 0, 9 } + i));
	ck_assert_uint_eq(wait_ready(), 0x50);
	ck_assert_uint_eq(in8(BM + 10) & 7, 4);
	gather(got, sizeof got, 3000);
	ck_assert_mem_eq(got, disc + 30 * 2048, sizeof got);
}
END_TEST

START_TEST(tray)
{
	u8 got[32];
	const u8 ready[12] = { 0 }, eject[12] = { 0x1b, 0, 0, 0, 2 }, load[12] = { 0x1b, 0, 0, 0, 3 };

	packet_fails(ready, 6, 0x29);
	packet((u8[12]){ 0x1e, 0, 0, 0, 1 }, 0); /* locked */
	packet_fails(eject, 5, 0x53);
	packet((u8[12]){ 0x1e }, 0);
	packet((u8[12]){ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, 2048);
	reply(got, 8, 2048);
	ck_assert_uint_eq(packet(eject, 0) & ATA_ERR, 0);
	packet((u8[12]){ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, 2048);
	ck_assert_uint_eq(reply(got, 8, 2048), 8);
	ck_assert_mem_eq(got + 2, ((u8[4]){ 4, 0x10, 3, 1 }), 4); /* removed; open */
	packet_fails(ready, 2, 0x3a);
	packet_fails((u8[12]){ 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, 2, 0x3a);
	ck_assert_uint_eq(packet(load, 0) & ATA_ERR, 0);
	packet_fails(ready, 6, 0x28); /* it may be another one */
	ck_assert_uint_eq(packet(ready, 0) & ATA_ERR, 0);
}
END_TEST

/* ---- the function ---- */

START_TEST(decoding)
{
	ck_assert_uint_eq(in_pci(0), 0x70108086);
	ck_assert_uint_eq(in_pci(8) >> 8, 0x010180);
	out_pci(0x40, 0x80000000); /* the secondary channel only */
	ck_assert_uint_eq(in8(0x1f7), 0xff);
	ck_assert_uint_ne(in8(0x177), 0xff);
	out_pci(0x40, 0x80008000);
	ck_assert_uint_eq(in8(0x1f7), 0x50);
	out_pci(PCI_COMMAND, 0);
	ck_assert_uint_eq(in8(0x1f7), 0xff);
}
END_TEST

struct kept { u8 *ide, *drive[2]; };

static struct kept keep(void)
{
	struct part parts[3] = { ide_part(ide), ata_part(drives[0]), ata_part(drives[3]) };
	struct kept kept;

	for (unsigned i = 0; i < 3; i++) {
		u8 **to = i ? &kept.drive[i - 1] : &kept.ide;

		*to = malloc(part_size(&parts[i]));
		part_save(&parts[i], *to);
	}
	return kept;
}

static void take(struct kept kept, u64 now)
{
	struct part parts[3];

	destroy(ide);
	fresh();
	make();
	parts[0] = ide_part(ide), parts[1] = ata_part(drives[0]), parts[2] = ata_part(drives[3]);
	test_clock.now = now;
	for (unsigned i = 0; i < 3; i++) {
		u8 *from = i ? kept.drive[i - 1] : kept.ide;

		ck_assert(part_load(&parts[i], from, part_size(&parts[i]), NULL));
		free(from);
	}
	clock_sort(&test_clock);
	ide_refresh(ide);
}

/* Saved and loaded into another machine between any two accesses, transfers go on as if nothing had been. */
START_TEST(moved_house)
{
	static u8 got[20 * 512], other[5 * 2048];
	unsigned at = 0;

	command(0xc6, 0xe0, 0, 4, 0);
	wait_ready();
	command(0xc4, 0xe0, 33, 20, 0);
	while (at < sizeof got) {
		take(keep(), test_clock.now);
		ck_assert_uint_eq(wait_ready() & (ATA_DRQ | ATA_ERR), ATA_DRQ);
		ck_assert(wires[0].level);
		in8(0x1f7);
		for (unsigned i = 0; i < 2048; i += 2, at += 2) {
			if (i % 300 == 0)
				take(keep(), test_clock.now);
			put16(got + at, in16(0x1f0));
		}
	}
	ck_assert_mem_eq(got, model + 33 * 512, sizeof got);

	prds(8 * 512, 512);
	out8(BM, 8);
	command(0xc8, 0xe0, 50, 8, 0);
	out8(BM, 9);
	pass(1000);
	take(keep(), test_clock.now);
	out_pci(0x20, BM | 1); /* the bus is not what is tested here */
	ck_assert_uint_eq(wait_ready(), 0x50);
	gather(got, 8 * 512, 512);
	ck_assert_mem_eq(got, model + 50 * 512, 8 * 512);

	packet((u8[12]){ 3, 0, 0, 0, 18 }, 2048);
	reply(got, 18, 2048);
	packet((u8[12]){ 0x28, 0, 0, 0, 0, 5, 0, 0, 5 }, 2048);
	take(keep(), test_clock.now);
	in8(0x177);
	for (unsigned n = 0; n < 5; n++) {
		ck_assert_uint_eq(wait_ready() & ATA_DRQ, ATA_DRQ);
		read_words(other + n * 2048, 1000);
		take(keep(), test_clock.now);
		read_words(other + n * 2048 + 1000, 1048);
		take(keep(), test_clock.now);
	}
	ck_assert_mem_eq(other, disc + 5 * 2048, sizeof other);
}
END_TEST

static struct part part_of(void *p) { return ide_part(p); }
static void refresh(void *p) { ide_refresh(p); }

/* PCI configuration is left alone: it would take the bus master away. */
START_TEST(hostile)
{
	static const u64 ranges[][2] = { { 0x1f0, 8 }, { 0x3f6, 1 }, { 0x170, 8 }, { 0x376, 1 }, { BM, 16 } };

	destroy(ide);
	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 3);
	make();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ide");
	TCase *tc = tcase_create("ide");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, identify);
	tcase_add_test(tc, small_disks);
	tcase_add_test(tc, minidisk);
	tcase_add_test(tc, reset);
	tcase_add_test(tc, two_drives);
	tcase_add_test(tc, drive_1_is_absent);
	tcase_add_test(tc, device_reset);
	tcase_add_test(tc, pio);
	tcase_add_test(tc, strings);
	tcase_add_test(tc, cylinders);
	tcase_add_test(tc, bus_master);
	tcase_add_test(tc, short_table);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, small_commands);
	tcase_add_test(tc, trim);
	tcase_add_test(tc, full);
	tcase_add_test(tc, host_fails);
	tcase_add_test(tc, packets);
	tcase_add_test(tc, packet_dma);
	tcase_add_test(tc, tray);
	tcase_add_test(tc, decoding);
	tcase_add_test(tc, moved_house);
	tcase_add_test(tc, hostile);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
