/* SPDX-License-Identifier: MIT */
/* The floppy disk controller and the DMA controllers, driven as a host does: 82077AA and 8237A data sheets, and an
 * array that says what the disk should hold. */
#define _GNU_SOURCE
#include <unistd.h>
#include "io/disk/fdc.h"
#include "tests/unit/device.h"
#include "tests/unit/faulty.h"

#define HEADS 2
#define SPT 18
#define BUFFER 0x23456u /* where channel 2 points */

static char image[64];
static u8 model[80 * HEADS * SPT * 512];
static struct space memory;
static struct ram *ram;
static struct disk *disk;
static struct dma *dma;
static struct fdc *fdc;

static u8 *sector(unsigned c, unsigned h, unsigned r) { return model + ((c * HEADS + h) * SPT + r - 1) * 512; }

static void *make(void)
{
	struct disk *const disks[2] = { disk, NULL };
	const bool present[2] = { true, false };
	static const struct log log = { remember, NULL };

	space_free(&memory);
	space_init(&memory);
	space_add_ram(&memory, "ram", 0, ram->size, ram, 0, false);
	dma = dma_new(&bus, &memory);
	fdc = fdc_new(&bus, &test_clock, wire(6), dma, disks, present, &log);
	return fdc;
}

static void destroy(void *p)
{
	fdc_free(p);
	dma_free(dma);
}

static void open_disk(const char *options)
{
	char spec[100];

	snprintf(spec, sizeof spec, "%s%s", image, options);
	disk = disk_open(spec, NULL);
	ck_assert_ptr_nonnull(disk);
}

static void set_up(void)
{
	u64 seed = 7;
	int fd;

	fresh();
	for (size_t i = 0; i < sizeof model; i++)
		model[i] = (u8)test_random(&seed);
	strcpy(image, "/tmp/test_fdc.XXXXXX");
	fd = mkstemp(image);
	ck_assert_int_eq(write(fd, model, sizeof model), (ssize_t)sizeof model);
	close(fd);
	open_disk("");
	ram = ram_new(1 * MiB);
	make();
}

static void tear_down(void)
{
	destroy(fdc);
	disk_free(disk);
	ram_free(ram);
	unlink(image);
}

/* ---- a host ---- */

static u8 result[10];

static void put(u8 byte)
{
	for (unsigned i = 0; i < 100 && (in8(0x3f4) & 0xc0) != 0x80; i++)
		pass(1000);
	ck_assert_uint_eq(in8(0x3f4) & 0xc0, 0x80);
	out8(0x3f5, byte);
}

#define COMMAND(...) send((u8[]){ __VA_ARGS__ }, sizeof (u8[]){ __VA_ARGS__ })
static void send(const u8 *bytes, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		put(bytes[i]);
}

static unsigned results(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 10000 && (in8(0x3f4) & 0xd0) != 0xd0; i++)
		pass(100000);
	while ((in8(0x3f4) & 0xd0) == 0xd0 && n < sizeof result)
		result[n++] = in8(0x3f5);
	ck_assert_uint_eq(in8(0x3f4) & 0xdf, 0x80);
	return n;
}

static void reset(void)
{
	out8(0x3f2, 0);
	ck_assert_uint_eq(in8(0x3f4), 0);
	out8(0x3f2, 0x1c); /* motor 0, IRQ and DMA */
	out8(0x3f7, 0);    /* 500 kb/s */
	pass(1000000);
	ck_assert(wires[6].level);
	for (unsigned n = 0; n < 4; n++) {
		COMMAND(8);
		ck_assert_uint_eq(results(), 2);
		ck_assert_uint_eq(result[0], 0xc0 | n);
		ck_assert(!wires[6].level);
	}
	COMMAND(8);
	ck_assert_uint_eq(results(), 1);
	ck_assert_uint_eq(result[0], 0x80);
	COMMAND(3, 0xdf, 2);
}

static void seek(u8 track)
{
	COMMAND(0x0f, 0, track);
	pass(20000000);
	ck_assert(wires[6].level);
	COMMAND(8);
	ck_assert_uint_eq(results(), 2);
	ck_assert_uint_eq(result[0], 0x20);
	ck_assert_uint_eq(result[1], track);
}

/* Channel 2: LEN bytes; mode 46h to memory, 4Ah from it, 42h verify. */
static void set_dma(u8 mode, u32 len)
{
	out8(0x0a, 6);
	out8(0x0c, 0);
	out8(0x0b, mode);
	out8(0x04, (u8)BUFFER);
	out8(0x04, (u8)(BUFFER >> 8));
	out8(0x81, BUFFER >> 16);
	out8(0x05, (u8)(len - 1));
	out8(0x05, (u8)((len - 1) >> 8));
	out8(0x0a, 2);
}

static void check(u8 st0, u8 st1, u8 st2, u8 c, u8 h, u8 r)
{
	ck_assert_uint_eq(results(), 7);
	ck_assert_mem_eq(result, ((u8[7]){ st0, st1, st2, c, h, r, 2 }), 7);
}

START_TEST(registers)
{
	reset();
	COMMAND(0x10);
	ck_assert_uint_eq(results(), 1);
	ck_assert_uint_eq(result[0], 0x90); /* an enhanced controller */
	COMMAND(0x13, 0, 0x57, 0);
	COMMAND(0x94); /* LOCK */
	ck_assert_uint_eq(results(), 1);
	ck_assert_uint_eq(result[0], 0x10);
	COMMAND(0x0e);
	ck_assert_uint_eq(results(), 10);
	ck_assert_uint_eq(result[4], 0xdf);
	ck_assert_uint_eq(result[5], 2);
	ck_assert_uint_eq(result[7] & 0x80, 0x80);
	ck_assert_uint_eq(result[8], 0x57);
	COMMAND(0x1f);
	ck_assert_uint_eq(results(), 1);
	ck_assert_uint_eq(result[0], 0x80);
	ck_assert_str_eq(logged, "fdc: there is no command 1fh");
	ck_assert_uint_eq(in8(0x3f7) & 0x80, 0x80); /* not seen since power-on */
	seek(1);
	ck_assert_uint_eq(in8(0x3f7) & 0x80, 0);
	COMMAND(0x04, 4);
	ck_assert_uint_eq(results(), 1);
	ck_assert_uint_eq(result[0], 0x2c);
	COMMAND(0x07, 0);
	pass(20000000);
	COMMAND(8);
	results();
	ck_assert_uint_eq(result[0], 0x20);
	ck_assert_uint_eq(result[1], 0);
	COMMAND(0x04, 0);
	results();
	ck_assert_uint_eq(result[0], 0x38); /* track 0 */
	COMMAND(0x07, 1); /* there is no drive 1 */
	pass(20000000);
	COMMAND(8);
	results();
	ck_assert_uint_eq(result[0], 0x71);
}
END_TEST

START_TEST(reads)
{
	reset();
	seek(3);
	set_dma(0x46, 512);
	COMMAND(0xe6, 0, 3, 0, 5, 2, 18, 0x1b, 0xff);
	check(0, 0, 0, 3, 0, 6);
	ck_assert_mem_eq(ram->host + BUFFER, sector(3, 0, 5), 512);
	ck_assert_uint_eq(in8(8) & 4, 4); /* terminal count */
	ck_assert_uint_eq(in8(8) & 4, 0);

	set_dma(0x46, 36 * 512); /* a cylinder: both sides */
	COMMAND(0xe6, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
	check(4, 0, 0, 4, 0, 1);
	ck_assert_mem_eq(ram->host + BUFFER, sector(3, 0, 1), 36 * 512);

	set_dma(0x46, 700); /* ends within a sector */
	memset(ram->host + BUFFER, 0xee, 2048);
	COMMAND(0x46, 4, 3, 1, 2, 2, 18, 0x1b, 0xff);
	check(4, 0, 0, 3, 1, 4);
	ck_assert_mem_eq(ram->host + BUFFER, sector(3, 1, 2), 700);
	ck_assert_uint_eq(ram->host[BUFFER + 700], 0xee);

	set_dma(0x46, 8192); /* the track ends before */
	COMMAND(0x46, 0, 3, 0, 17, 2, 18, 0x1b, 0xff);
	check(0x40, 0x80, 0, 4, 0, 1);
	COMMAND(0x4a, 4);
	ck_assert_uint_eq(results(), 7);
	ck_assert_uint_eq(result[3], 3);
	ck_assert_uint_eq(result[4], 1);
}
END_TEST

/* The host cannot read or write: that command fails, the next one does not. */
START_TEST(host_fails)
{
	destroy(fdc);
	disk_free(disk);
	fresh();
	disk = faulty_disk(faulty_make, image);
	make();
	reset();
	seek(3);
	for (unsigned kind = FAULTY_READ; kind <= FAULTY_WRITE; kind++) {
		for (unsigned i = 0; i < 2; i++) {
			if (!i)
				faulty_next(kind, DISK_ERROR);
			set_dma(kind == FAULTY_READ ? 0x46 : 0x4a, 512);
			COMMAND(kind == FAULTY_READ ? 0x46 : 0x45, 0, 3, 0, 5, 2, 18, 0x1b, 0xff);
			ck_assert_uint_eq(results(), 7);
			ck_assert_uint_eq(result[0] & 0xc0, i ? 0 : 0x40);
		}
	}
	ck_assert_uint_eq(faulty_says, 2);
}
END_TEST

START_TEST(writes)
{
	u8 got[512];

	reset();
	seek(40);
	memcpy(ram->host + BUFFER, model, 3 * 512);
	set_dma(0x4a, 3 * 512);
	COMMAND(0xc5, 4, 40, 1, 7, 2, 18, 0x1b, 0xff);
	check(4, 0, 0, 40, 1, 10);
	memcpy(sector(40, 1, 7), model, 3 * 512);

	for (unsigned i = 0; i < SPT; i++)
		memcpy(ram->host + BUFFER + 4 * i, (u8[4]){ 41, 0, (u8)(i + 1), 2 }, 4);
	seek(41);
	set_dma(0x4a, 4 * SPT);
	COMMAND(0x4d, 0, 2, SPT, 0x50, 0xf6);
	ck_assert_uint_eq(results(), 7);
	ck_assert_uint_eq(result[0] | result[1] | result[2], 0);
	memset(sector(41, 0, 1), 0xf6, SPT * 512);
	for (unsigned i = 0; i < sizeof model / 512; i++) {
		ck_assert_int_eq(disk_read(disk, i * 512, got, 512), DISK_OK);
		ck_assert_mem_eq(got, model + i * 512, 512);
	}

	memcpy(ram->host + BUFFER, sector(41, 1, 3), 512);
	ram->host[BUFFER + 100] = 0xff; /* matches anything */
	set_dma(0x4a, 512);
	COMMAND(0x51, 4, 41, 1, 3, 2, 3, 0x1b, 1);
	ck_assert_uint_eq(results(), 7);
	ck_assert_uint_eq(result[2], 8); /* equal */
	ram->host[BUFFER + 101] ^= 1;
	set_dma(0x4a, 512);
	COMMAND(0x51, 4, 41, 1, 3, 2, 3, 0x1b, 1);
	results();
	ck_assert_uint_eq(result[2], 4);
}
END_TEST

START_TEST(errors)
{
	reset();
	seek(3);
	set_dma(0x46, 512);
	COMMAND(0xe6, 0, 4, 0, 5, 2, 18, 0x1b, 0xff);
	check(0x40, 4, 0x10, 4, 0, 5); /* another cylinder */
	COMMAND(0xe6, 0, 3, 0, 19, 2, 36, 0x1b, 0xff);
	check(0x40, 4, 0, 3, 0, 19);
	COMMAND(0xa6, 0, 3, 0, 5, 2, 18, 0x1b, 0xff); /* FM */
	check(0x40, 1, 0, 3, 0, 5);
	out8(0x3f7, 2); /* 250 kb/s */
	COMMAND(0x4a, 0);
	ck_assert_uint_eq(results(), 7);
	ck_assert_uint_eq(result[0], 0x40);
	ck_assert_uint_eq(result[1], 1);
	out8(0x3f7, 0);
	out8(0x0a, 6); /* channel masked: overrun */
	COMMAND(0xe6, 0, 3, 0, 5, 2, 18, 0x1b, 0xff);
	check(0x40, 0x10, 0, 3, 0, 5);
	out8(0x3f2, 0x0c); /* nothing turns, nothing comes */
	set_dma(0x46, 512);
	COMMAND(0xe6, 0, 3, 0, 5, 2, 18, 0x1b, 0xff);
	pass(1000000000);
	ck_assert_uint_eq(in8(0x3f4), 0x10);
	out8(0x3f2, 0x1c);
	check(0, 0, 0, 3, 0, 6);
	COMMAND(0x13, 0, 0x40, 0); /* implied seek */
	set_dma(0x46, 512);
	COMMAND(0xe6, 0, 60, 0, 5, 2, 18, 0x1b, 0xff);
	check(0, 0, 0, 60, 0, 6);
	ck_assert_mem_eq(ram->host + BUFFER, sector(60, 0, 5), 512);

	destroy(fdc);
	disk_free(disk);
	open_disk(",readonly");
	fresh();
	make();
	reset();
	set_dma(0x4a, 512);
	COMMAND(0x45, 0, 0, 0, 5, 2, 18, 0x1b, 0xff);
	check(0x40, 2, 0, 0, 0, 5);
	COMMAND(0x04, 0);
	results();
	ck_assert_uint_eq(result[0] & 0x40, 0x40);
}
END_TEST

/* Without DMA the host moves each byte. */
START_TEST(non_dma)
{
	u8 got[512];

	reset();
	COMMAND(3, 0xdf, 3);
	seek(2);
	COMMAND(0x46, 0, 2, 0, 18, 2, 18, 0x1b, 0xff);
	for (unsigned i = 0; i < 1000 && in8(0x3f4) != 0xf0; i++)
		pass(10000);
	ck_assert(wires[6].level);
	for (unsigned i = 0; i < 512; i++) {
		ck_assert_uint_eq(in8(0x3f4), 0xf0);
		got[i] = in8(0x3f5);
	}
	ck_assert_mem_eq(got, sector(2, 0, 18), 512);
	check(0x40, 0x80, 0, 3, 0, 1);
	COMMAND(0x45, 0, 2, 0, 18, 2, 18, 0x1b, 0xff);
	for (unsigned i = 0; i < 1000 && in8(0x3f4) != 0xb0; i++)
		pass(10000);
	for (unsigned i = 0; i < 512; i++)
		out8(0x3f5, (u8)i);
	check(0x40, 0x80, 0, 3, 0, 1);
	ck_assert_int_eq(disk_read(disk, (u64)(sector(2, 0, 18) - model), got, 512), DISK_OK);
	for (unsigned i = 0; i < 512; i++)
		ck_assert_uint_eq(got[i], (u8)i);
}
END_TEST

START_TEST(kinds)
{
	static const struct { u32 size; enum fdc_type type; } sizes[] = {
		{ 163840, FDC_360K }, { 184320, FDC_360K }, { 327680, FDC_360K }, { 368640, FDC_360K },
			{ 655360, FDC_720K }, { 737280, FDC_720K },
		{ 1228800, FDC_1200K }, { 1474560, FDC_1440K }, { 2949120, FDC_2880K }, { 512, FDC_1440K },
			{ 1296384, FDC_1440K },
	};

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		destroy(fdc);
		disk_free(disk);
		ck_assert_int_eq(truncate(image, sizes[i].size), 0);
		open_disk("");
		fresh();
		make();
		ck_assert_int_eq(fdc_type(fdc, 0), sizes[i].type);
		ck_assert_int_eq(fdc_type(fdc, 1), FDC_NONE);
	}
}
END_TEST

/* ---- the DMA controllers ---- */

START_TEST(channels)
{
	u8 data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	bool tc = false;

	out8(0xd6, 0x45); /* channel 5: words to memory */
	out8(0xd8, 0);
	out8(0xc4, 0x00), out8(0xc4, 0x10); /* address 1000h: words */
	out8(0x8b, 0x03);                   /* bit 0 of the page is not there */
	out8(0xc6, 3), out8(0xc6, 0);
	ck_assert_uint_eq(dma_move(dma, 5, data, 8, true, &tc), 0); /* masked */
	out8(0xd4, 1);
	ck_assert_uint_eq(dma_move(dma, 5, data, 4, true, &tc), 4);
	ck_assert(!tc);
	out8(0xd8, 0);
	ck_assert_uint_eq(in8(0xc6), 1);
	ck_assert_uint_eq(in8(0xc6), 0);
	ck_assert_uint_eq(dma_move(dma, 5, data + 4, 4, true, &tc), 4);
	ck_assert(tc);
	ck_assert_mem_eq(ram->host + 0x22000, data, 8);
	ck_assert_uint_eq(in8(0xd0) & 15, 2);
	tc = false;
	ck_assert_uint_eq(dma_move(dma, 5, data, 8, true, &tc), 0); /* it has masked itself */

	out8(0x0b, 0x79); /* channel 1: from memory, downwards, again and again */
	out8(0x0c, 0);
	out8(0x02, 0x07), out8(0x02, 0x20);
	out8(0x83, 0x02);
	out8(0x03, 3), out8(0x03, 0);
	out8(0x0a, 1);
	memset(data, 0, 8);
	for (unsigned i = 0; i < 2; i++) {
		tc = false;
		ck_assert_uint_eq(dma_move(dma, 1, data, 8, false, &tc), 4);
		ck_assert(tc);
		ck_assert_mem_eq(data, ((u8[8]){ 8, 7, 6, 5 }), 8);
	}
	out8(0x0d, 0);
	ck_assert_uint_eq(in8(0x0f) & 15, 15);
}
END_TEST

/* Saved and loaded into another machine every 50 us. */
START_TEST(moved_house)
{
	struct part parts[2];
	u8 *kept[2];
	u64 now;

	reset();
	seek(3);
	set_dma(0x46, 36 * 512);
	COMMAND(0xe6, 0, 3, 0, 1, 2, 18, 0x1b, 0xff);
	for (unsigned i = 0; i < 60; i++) {
		pass(50000);
		parts[0] = fdc_part(fdc), parts[1] = dma_part(dma);
		for (unsigned k = 0; k < 2; k++)
			part_save(&parts[k], kept[k] = malloc(part_size(&parts[k])));
		now = test_clock.now;
		destroy(fdc);
		fresh();
		make();
		test_clock.now = now;
		parts[0] = fdc_part(fdc), parts[1] = dma_part(dma);
		for (unsigned k = 0; k < 2; k++) {
			ck_assert(part_load(&parts[k], kept[k], part_size(&parts[k]), NULL));
			free(kept[k]);
		}
		clock_sort(&test_clock);
		fdc_refresh(fdc);
	}
	check(4, 0, 0, 4, 0, 1);
	ck_assert_mem_eq(ram->host + BUFFER, sector(3, 0, 1), 36 * 512);
}
END_TEST

static struct part part_of(void *p) { return fdc_part(p); }
static void refresh(void *p) { fdc_refresh(p); }
static struct part dma_part_of(void *p) { (void)p; return dma_part(dma); }
static void dma_refreshes(void *p) { (void)p; dma_refresh(dma); }

START_TEST(hostile)
{
	static const u64 ranges[][2] = { { 0x3f0, 6 }, { 0x3f4, 2 }, { 0x3f7, 1 } },
			 dma_ranges[][2] = { { 0, 16 }, { 0x80, 16 }, { 0xc0, 32 } };

	destroy(fdc);
	round_trips(make, destroy, part_of, refresh, ranges, ARRAY_LEN(ranges), 1);
	round_trips(make, destroy, dma_part_of, dma_refreshes, dma_ranges, ARRAY_LEN(dma_ranges), 1);
	make();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fdc");
	TCase *tc = tcase_create("fdc");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, registers);
	tcase_add_test(tc, reads);
	tcase_add_test(tc, writes);
	tcase_add_test(tc, host_fails);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, non_dma);
	tcase_add_test(tc, kinds);
	tcase_add_test(tc, channels);
	tcase_add_test(tc, moved_house);
	tcase_add_test(tc, hostile);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
