/* SPDX-License-Identifier: MIT */
/* The virtio block device against virtio 1.2, 5.2, on an image in a temporary file. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include "io/virtio/virtio_blk.h"
#include "virtio.h"
#include "faulty.h"

enum { SIZE = 64, SECTORS = 8192, HEAD = BUFFERS, STATUS = BUFFERS + 0x100, DATA = BUFFERS + 0x1000 };
enum { T_IN, T_OUT, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };

static struct virtio_blk *blk;
static struct disk *disk;
static char path[] = "/tmp/test_virtio_blk.XXXXXX";
static unsigned waits;

static void on_wait(void *owner, struct disk *d)
{
	(void)owner, (void)d;
	waits++;
}

static void build(void)
{
	virtio_fresh();
	blk = virtio_blk_new(&test_clock, 0, disk, NULL);
	ck_assert(pci_attach(pci_bus, virtio_blk_pci(blk), SLOT, 0));
}

static void demolish(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	virtio_blk_free(blk);
	ram_free(test_ram);
	test_ram = NULL;
}

static void setup_with(const char *options)
{
	char spec[100];
	int fd;

	strcpy(path, "/tmp/test_virtio_blk.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	for (u32 i = 0; i < SECTORS; i++) {
		u32 sector[128];

		for (unsigned k = 0; k < 128; k++)
			sector[k] = i << 8 | k;
		ck_assert_int_eq(write(fd, sector, sizeof sector), 512);
	}
	close(fd);
	snprintf(spec, sizeof spec, "%s%s", path, options);
	disk = disk_open(spec, NULL);
	ck_assert_ptr_nonnull(disk);
	disk_set_host(disk, &(struct disk_host){ .waiting = on_wait });
	waits = 0;
	build();
}

static void setup(void)
{
	setup_with("");
}

static void teardown(void)
{
	demolish();
	disk_free(disk);
	unlink(path);
}

/* A request in descriptors 0 to 2 or more: header, data in PIECES of equal size, status. */
static void ask(u32 type, u64 sector, u32 len, unsigned pieces, bool in)
{
	out32(HEAD, type);
	out32(HEAD + 4, 0);
	space_write(&bus, HEAD + 8, 8, sector);
	out8(STATUS, 0xee);
	put_desc(desc_of(0), 0, HEAD, 16, D_NEXT, 1);
	for (unsigned i = 0; i < pieces; i++)
		put_desc(desc_of(0), 1 + i, DATA + i * (len / pieces), len / pieces, D_NEXT | (in ? D_WRITE : 0),
			 (u16)(2 + i));
	put_desc(desc_of(0), 1 + pieces, STATUS, 1, D_WRITE, 0);
	offer(0, SIZE, 0);
	kick(0);
}

/* The same, and its end: the status. *WRITTEN: of the used ring. */
static u8 request(u32 type, u64 sector, u32 len, unsigned pieces, bool in, u32 *written)
{
	u32 head, dummy;

	ask(type, sector, len, pieces, in);
	ck_assert_uint_eq(in8(STATUS), 0xee);
	pass(VIRTIO_WORK_NS);
	ck_assert(used(0, SIZE, &head, written ? written : &dummy));
	return in8(STATUS);
}

START_TEST(configuration)
{
	place_bars();
	ck_assert_uint_eq(config_get(SLOT, 0, 4), 0x10011af4);
	ck_assert_uint_eq(in32(BAR4 + 4) & (1 << 2 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14),
			  1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14);
	ck_assert_uint_eq(in32(BAR4 + 0x2000), SECTORS);
	ck_assert_uint_eq(in32(BAR4 + 0x2014), 512);
}
END_TEST

START_TEST(reads_and_writes)
{
	u32 written;
	u8 bytes[2048];

	driver_start(1 << 9 | 1 << 13 | 1 << 14, 1, SIZE);
	ck_assert_uint_eq(request(T_IN, 100, 2048, 3 + 1, true, &written), 0);
	ck_assert_uint_eq(written, 2049);
	for (u32 i = 0; i < 512; i++)
		ck_assert_uint_eq(in32(DATA + 4 * i), (100 + i / 128) << 8 | i % 128);
	for (u32 i = 0; i < 2048; i++)
		out8(DATA + i, (u8)(i * 7));
	ck_assert_uint_eq(request(T_OUT, SECTORS - 4, 2048, 2, false, &written), 0);
	ck_assert_uint_eq(written, 1);
	ck_assert_uint_eq(request(T_FLUSH, 0, 0, 0, false, NULL), 0);
	ck_assert_int_eq(disk_read(disk, (SECTORS - 4) * 512, bytes, sizeof bytes), DISK_OK);
	for (u32 i = 0; i < 2048; i++)
		ck_assert_uint_eq(bytes[i], (u8)(i * 7));
	ck_assert_uint_eq(request(T_GET_ID, 0, 20, 1, true, &written), 0);
	ck_assert_uint_eq(written, 21);
	space_read_block(&bus, DATA, bytes, 20);
	ck_assert_str_eq((char *)bytes, "vcpu-virtio-0");
}
END_TEST

START_TEST(erases)
{
	u8 bytes[512];

	driver_start(1 << 13 | 1 << 14, 1, SIZE);
	for (unsigned type = T_DISCARD; type <= T_WRITE_ZEROES; type += T_WRITE_ZEROES - T_DISCARD) {
		space_write(&bus, DATA, 8, type);
		out32(DATA + 8, 2);
		out32(DATA + 12, type == T_WRITE_ZEROES);
		ck_assert_uint_eq(request(type, 0, 16, 1, false, NULL), 0);
		ck_assert_int_eq(disk_read(disk, (type + 1) * 512, bytes, sizeof bytes), DISK_OK);
		for (unsigned i = 0; i < sizeof bytes; i++)
			ck_assert_uint_eq(bytes[i], 0);
		ck_assert_int_eq(disk_read(disk, (type + 2) * 512, bytes, sizeof bytes), DISK_OK);
		ck_assert_uint_eq(get32(bytes), (type + 2) << 8);
		out32(DATA + 12, 2); /* a flag that is reserved */
		ck_assert_uint_eq(request(type, 0, 16, 1, false, NULL), 2);
		out32(DATA + 12, 0);
		space_write(&bus, DATA, 8, SECTORS - 1); /* beyond the end */
		ck_assert_uint_eq(request(type, 0, 16, 1, false, NULL), 1);
	}
}
END_TEST

START_TEST(refuses)
{
	driver_start(0, 1, SIZE);
	ck_assert_uint_eq(request(T_IN, SECTORS, 512, 1, true, NULL), 1);
	ck_assert_uint_eq(request(T_IN, ~(u64)0, 512, 1, true, NULL), 1);
	ck_assert_uint_eq(request(T_OUT, SECTORS - 1, 1024, 1, false, NULL), 1);
	ck_assert_uint_eq(request(T_IN, 0, 100, 1, true, NULL), 1);
	ck_assert_uint_eq(request(77, 0, 512, 1, true, NULL), 2);
	/* A request without status, or with half a header: only a reset helps. */
	put_desc(desc_of(0), 0, HEAD, 16, 0, 0);
	offer(0, SIZE, 0);
	kick(0);
	pass(VIRTIO_WORK_NS);
	ck_assert_uint_eq(in8(BAR4 + 0x14) & 0x40, 0x40);
}
END_TEST

START_TEST(read_only)
{
	teardown();
	setup_with(",readonly");
	place_bars();
	ck_assert_uint_eq(in32(BAR4 + 4) & (1 << 5 | 1 << 13 | 1 << 14), 1 << 5);
	driver_start(1 << 5, 1, SIZE);
	ck_assert_uint_eq(request(T_OUT, 0, 512, 1, false, NULL), 1);
	ck_assert_uint_eq(request(T_IN, 0, 512, 1, true, NULL), 0);
}
END_TEST

/* Twenty requests at once: one interrupt. */
/* Sectors 1000 to 1099 of an image are a disk: VIRTIO_BLK_S_IOERR past its end, and nothing around it changes. */
START_TEST(minidisk)
{
	enum { FIRST = 1000, COUNT = 100 };
	static const struct { u32 type, len; u64 sector; } outside[] = {
		{ T_IN, 512, COUNT }, { T_IN, 1024, COUNT - 1 }, { T_OUT, 512, COUNT }, { T_OUT, 1024, COUNT - 1 },
		{ T_OUT, 512, ~(u64)0 }, { T_OUT, 512, ((u64)1 << 55) - FIRST }, { T_OUT, 512, SECTORS },
	};
	u32 sector[128];
	int fd;

	teardown();
	setup_with(",offset=500K,size=50K");
	driver_start(1 << 13 | 1 << 14, 1, SIZE);
	ck_assert_uint_eq(in32(BAR4 + 0x2000), COUNT);
	ck_assert_uint_eq(request(T_IN, COUNT - 1, 512, 1, true, NULL), 0);
	ck_assert_uint_eq(in32(DATA), (FIRST + COUNT - 1) << 8);
	for (u32 i = 0; i < 1024; i++)
		out8(DATA + i, 0x55);
	ck_assert_uint_eq(request(T_OUT, COUNT - 1, 512, 1, false, NULL), 0);
	for (unsigned i = 0; i < ARRAY_LEN(outside); i++)
		ck_assert_uint_eq(request(outside[i].type, outside[i].sector, outside[i].len, 1,
					  outside[i].type == T_IN, NULL), 1);
	for (unsigned type = T_DISCARD; type <= T_WRITE_ZEROES; type += T_WRITE_ZEROES - T_DISCARD) {
		space_write(&bus, DATA, 8, COUNT - 1);
		out32(DATA + 8, 2);
		out32(DATA + 12, 0);
		ck_assert_uint_eq(request(type, 0, 16, 1, false, NULL), 1);
	}
	fd = open(path, O_RDONLY);
	for (u32 i = 0; i < SECTORS; i++) {
		ck_assert_int_eq(read(fd, sector, sizeof sector), sizeof sector);
		for (u32 k = 0; k < 128; k++)
			ck_assert_uint_eq(sector[k], i == FIRST + COUNT - 1 ? 0x55555555 : i << 8 | k);
	}
	close(fd);
}
END_TEST

START_TEST(batch)
{
	u32 head, len;

	driver_start(0, 1, SIZE);
	for (unsigned i = 0; i < 20; i++) {
		out32(HEAD + 32 * i, T_IN);
		out32(HEAD + 32 * i + 4, 0);
		space_write(&bus, HEAD + 32 * i + 8, 8, 3 * i);
		put_desc(desc_of(0), 3 * i, HEAD + 32 * i, 16, D_NEXT, (u16)(3 * i + 1));
		put_desc(desc_of(0), 3 * i + 1, DATA + 1024 * i, 512, D_NEXT | D_WRITE, (u16)(3 * i + 2));
		put_desc(desc_of(0), 3 * i + 2, DATA + 1024 * i + 512, 1, D_WRITE, 0);
		offer(0, SIZE, (u16)(3 * i));
	}
	kick(0);
	pass(VIRTIO_WORK_NS);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert(used(0, SIZE, &head, &len));
		ck_assert_uint_eq(head, 3 * i);
		ck_assert_uint_eq(len, 513);
		ck_assert_uint_eq(in32(DATA + 1024 * i), 3 * i << 8);
	}
	ck_assert_uint_eq(wires[2].rises, 1);
}
END_TEST

/* A host without room (here: a limit on files): the request waits and is done when there is some. */
START_TEST(disk_full)
{
	struct rlimit limit;
	u32 head, len, word;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 1 << 20;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	driver_start(0, 1, SIZE);
	out32(DATA, 0x12345678);
	ask(T_OUT, SECTORS - 1, 512, 1, false);
	for (unsigned i = 1; i < 4; i++) {
		pass(2000000);
		ck_assert_uint_ge(waits, i);
		ck_assert_uint_eq(in8(STATUS), 0xee);
		ck_assert(!used(0, SIZE, &head, &len));
	}
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	pass(2000000);
	ck_assert(used(0, SIZE, &head, &len));
	ck_assert_uint_eq(in8(STATUS), 0);
	ck_assert_int_eq(disk_read(disk, (SECTORS - 1) * 512, &word, 4), DISK_OK);
	ck_assert_uint_eq(word, 0x12345678);
}
END_TEST

/* Errors of the host are errors of the request; that of a flush is one of all later ones, and, for a driver that cannot
 * flush, of writes. */
START_TEST(host_fails)
{
	demolish();
	disk_free(disk);
	disk = faulty_disk(faulty_make, path);
	build();
	driver_start(1 << 9, 1, SIZE);
	faulty_next(FAULTY_READ, DISK_ERROR);
	ck_assert_uint_eq(request(T_IN, 0, 512, 1, true, NULL), 1);
	ck_assert_uint_eq(request(T_IN, 0, 512, 1, true, NULL), 0);
	faulty_next(FAULTY_WRITE, DISK_ERROR);
	ck_assert_uint_eq(request(T_OUT, 0, 512, 1, false, NULL), 1);
	ck_assert_uint_eq(request(T_OUT, 0, 512, 1, false, NULL), 0);
	ck_assert_uint_eq(faulty[FAULTY_FLUSH].seen, 0);
	faulty_next(FAULTY_FLUSH, DISK_ERROR);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(request(T_FLUSH, 0, 512, 1, false, NULL), 1);
	ck_assert_uint_eq(faulty_losses, 1);
	ck_assert_uint_eq(request(T_OUT, 0, 512, 1, false, NULL), 0);
	driver_start(0, 1, SIZE);
	ck_assert_uint_eq(request(T_OUT, 0, 512, 1, false, NULL), 1);
}
END_TEST

START_TEST(saved_in_the_middle)
{
	struct part part = virtio_blk_part(blk), parts[8];
	u8 *saved = malloc(part_size(&part)), *pci_saved, *memory = malloc(RAM_SIZE);
	u64 now;
	u32 head, len;

	driver_start(0, 1, SIZE);
	ask(T_IN, 5, 4096, 2, true);
	pass(VIRTIO_WORK_NS / 2);
	now = test_clock.now;
	part_save(&part, saved);
	ck_assert_uint_eq(pci_parts(pci_bus, parts, 8), 2);
	pci_saved = malloc(part_size(&parts[1]));
	part_save(&parts[1], pci_saved);
	memcpy(memory, test_ram->host, RAM_SIZE);
	demolish();
	build();
	part = virtio_blk_part(blk);
	pci_parts(pci_bus, parts, 8);
	memcpy(test_ram->host, memory, RAM_SIZE);
	test_clock.now = now;
	ck_assert(part_load(&part, saved, part_size(&part), NULL));
	ck_assert(part_load(&parts[1], pci_saved, part_size(&parts[1]), NULL));
	clock_sort(&test_clock);
	pci_refresh(pci_bus);
	pass(VIRTIO_WORK_NS / 2);
	ck_assert(used(0, SIZE, &head, &len));
	ck_assert_uint_eq(len, 4097);
	ck_assert_uint_eq(in32(DATA + 512), 6 << 8);
	free(saved);
	free(pci_saved);
	free(memory);
}
END_TEST

static void begin(void)
{
	virtio_bus();
	blk = virtio_blk_new(&test_clock, 0, disk, NULL);
	pci_attach(pci_bus, virtio_blk_pci(blk), SLOT, 0);
}

static void end(void)
{
	pci_free(pci_bus);
	pci_bus = NULL;
	virtio_blk_free(blk);
}

static unsigned parts(struct part *out) { return virtio_parts(out, virtio_blk_part(blk)); }

static void set_up_to_cut(void)
{
	setup();
	start_cutting((struct cut){ end, begin, parts, virtio_refresh });
}

static void add_tests(TCase *tc)
{
	tcase_add_test(tc, configuration);
	tcase_add_test(tc, reads_and_writes);
	tcase_add_test(tc, erases);
	tcase_add_test(tc, refuses);
	tcase_add_test(tc, batch);
	tcase_add_test(tc, disk_full);
}

int main(void)
{
	Suite *suite = suite_create("virtio_blk");
	TCase *tc = tcase_create("virtio_blk");

	tcase_add_checked_fixture(tc, setup, teardown);
	add_tests(tc);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, minidisk);
	tcase_add_test(tc, host_fails);
	tcase_add_test(tc, saved_in_the_middle);
	suite_add_tcase(suite, tc);
	cut_everywhere(suite, set_up_to_cut, teardown, add_tests);
	return run_suite(suite);
}
