/* SPDX-License-Identifier: MIT */
/* What comes from files, damaged: dumps, saved states, recordings, kernels, overlays. Each is either refused, with one line
 * that says why, or taken; then it runs. The host must not crash, hang or ask for memory that no such file can need.
 *
 *     files [CASES [SEED [KIND]]]
 *
 * Everything follows from SEED: what fails, fails again. Run it in a build with --enable-sanitizers. A case that takes
 * a processor a minute is a hang. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>
#include "io/disk/disk.h"
#include "lib/dump.h"
#include "lib/machine.h"
#include "lib/replay.h"
#include "lib/vcpu_dump.h"
#include "tests/unit/packed.h"

#define LARGEST (1u << 20) /* bytes of a case */

static const struct itimerval minute = { .it_value.tv_sec = 60 }, never;
static u64 seed, number, taken, refused;
static const char *kind;
static char directory[] = "/tmp/vcpu-fuzz-XXXXXX";

/* An allocation of more than this is a bomb that went off. The memory of a machine is not among them: the host gives it
 * as it is touched. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "max_allocation_size_mb=2200:detect_leaks=1"; }

struct bytes { u8 *data; size_t len; };

static u64 next_random(void)
{
	seed += 0x9e3779b97f4a7c15;
	return hash64(seed, &seed, sizeof seed);
}

static u64 below(u64 n) { return n ? next_random() % n : 0; }

static void fail(const char *what)
{
	fprintf(stderr, "%s, case %llu: %s\n", kind, (unsigned long long)number, what);
	exit(1);
}

static void *allocate(size_t len)
{
	void *p = calloc(1, len ? len : 1);

	if (!p)
		fail("no memory for the test");
	return p;
}

/* A refusal says why, in a line. */
static void check_refusal(char *error)
{
	if (!error || !*error || strchr(error, '\n'))
		fail(error ? "a refusal that is not one line" : "a refusal without a reason");
	free(error);
	refused++;
}

/* ---- damage ---- */

static u64 extreme(size_t len)
{
	const u64 values[] = { 0,          1,          ~(u64)0, (u64)1 << 60, (u64)1 << 63, 0x7fffffff, 0x80000000,
			       0xffffffff, 0xfffffff0, len,     len - 1,      len + 1,      0x7f,       0xff };

	return below(4) ? values[below(ARRAY_LEN(values))] : next_random() >> below(64);
}

static void damage_once(struct bytes *b)
{
	size_t at = below(2) ? below(b->len) : below(b->len < 512 ? b->len : 512), n = 1u << below(4);
	u8 value[8];

	if (!b->len)
		return;
	switch (below(8)) {
	case 0: /* cut off */
		b->len = at;
		break;
	case 1: case 2:
		b->data[at] ^= (u8)(1 << below(8));
		break;
	case 3: case 4: case 5: /* a number */
		put64(value, extreme(b->len));
		memcpy(b->data + at, value, n < b->len - at ? n : b->len - at);
		break;
	case 6: /* noise */
		for (size_t end = at + below(64); at < b->len && at < end; at++)
			b->data[at] = (u8)next_random();
		break;
	default: /* a piece twice, or left out */
		n = below(b->len - at < 4096 ? b->len - at : 4096);
		if (below(2) && b->len + n <= LARGEST) {
			memmove(b->data + at + n, b->data + at, b->len - at);
			b->len += n;
		} else {
			memmove(b->data + at, b->data + at + n, b->len - at - n);
			b->len -= n;
		}
	}
}

/* A damaged copy, with room for LARGEST bytes. */
static struct bytes damaged(const u8 *good, size_t len)
{
	struct bytes b = { allocate(LARGEST), len };

	memcpy(b.data, good, len);
	for (u64 n = 1 + below(4); n-- > 0;)
		damage_once(&b);
	return b;
}

/* With nothing behind its end that a sanitizer would let pass. */
static struct bytes exact(struct bytes b)
{
	struct bytes copy = { allocate(b.len), b.len };

	memcpy(copy.data, b.data, b.len);
	free(b.data);
	return copy;
}

static const char *path_of(const char *name)
{
	static char path[4][96];
	static unsigned n;
	char *out = path[n++ % ARRAY_LEN(path)];

	snprintf(out, sizeof path[0], "%s/%s", directory, name);
	return out;
}

static void write_file(const char *name, struct bytes b)
{
	int file = open(path_of(name), O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (file < 0 || write(file, b.data, b.len) != (ssize_t)b.len || close(file))
		fail("the test cannot write its files");
}

/* ---- saved states ---- */

static struct vcpu *machine;
static struct bytes good_state, good_stream; /* with the stream packed, and the stream */
static u64 good_hash;

static struct bytes inflated(const u8 *data, size_t len)
{
	struct bytes b = { allocate(64 * MiB), 0 };
	uLongf got = 64 * MiB;

	if (uncompress(b.data, &got, data, len) != Z_OK)
		fail("the stream of a good state is damaged");
	b.len = got;
	return b;
}

/* The head as it must be for that stream. */
static void mend(struct bytes *b)
{
	if (b->len >= STATE_HEAD)
		state_seal(b->data, b->len);
}

/* A state whose parts have impossible contents, well packed. */
static struct bytes damaged_parts(void)
{
	uLongf room = compressBound(good_stream.len);
	struct bytes b = { allocate(STATE_HEAD + room), 0 };
	struct { size_t at; u8 was[8]; } changes[16];
	unsigned n = 1 + (unsigned)below(ARRAY_LEN(changes));

	for (unsigned i = 0; i < n; i++) {
		u8 *at = good_stream.data + (changes[i].at = below(good_stream.len - 8));

		memcpy(changes[i].was, at, 8);
		put64(at, below(3) ? extreme(good_stream.len) : get64(at) ^ 1u << below(32));
	}
	memcpy(b.data, good_state.data, STATE_HEAD);
	if (compress2(b.data + STATE_HEAD, &room, good_stream.data, good_stream.len, 1) != Z_OK)
		fail("no memory for the test");
	while (n-- > 0)
		memcpy(good_stream.data + changes[n].at, changes[n].was, 8);
	b.len = STATE_HEAD + room;
	mend(&b);
	return b;
}

/* Firmware of the other fuzzer, if it is there: it touches everything. */
static bool write_firmware(void)
{
	struct bytes rom = { allocate(1 << 16), 1 << 16 };
	FILE *file = fopen("fuzz_guest.bin", "rb");
	bool there = file && fread(rom.data, rom.len, 1, file) == 1;

	if (file)
		fclose(file);
	rom.data[0xfff0] = there ? rom.data[0xfff0] : 0xf4;
	write_file("bios", rom);
	free(rom.data);
	return there;
}

static void state_begin(void)
{
	static char disk[128], floppy[128];
	struct vcpu_drive drives[] = { { disk, VCPU_BUS_IDE, false },
				       { disk, VCPU_BUS_VIRTIO, false },
				       { disk, VCPU_BUS_AHCI, false },
				       { floppy, VCPU_BUS_FLOPPY, false } };
	struct vcpu_config config = {
		.memory = 1 << 20, .bios = path_of("bios"), .display = "vga", .nic = "e1000", .console = true,
			.rng = true, .share = "fuzz",
		.sound = true, .processors = 2, .drives = drives, .drives_count = ARRAY_LEN(drives),
	};
	struct bytes disk_bytes = { allocate(1 << 16), 1 << 16 }, floppy_bytes = { allocate(360 << 10), 360 << 10 };
	char *error = NULL;
	void *data;

	write_firmware();
	write_file("disk", disk_bytes);
	write_file("floppy", floppy_bytes);
	free(disk_bytes.data);
	free(floppy_bytes.data);
	snprintf(disk, sizeof disk, "%s,snapshot", path_of("disk"));
	snprintf(floppy, sizeof floppy, "%s,snapshot", path_of("floppy"));
	machine = vcpu_new(&config, &error);
	if (!machine)
		fail(error);
	vcpu_set(machine, VCPU_RBP, (u32)seed | 1);
	vcpu_run(machine, 100000);
	if (!vcpu_save(machine, &data, &good_state.len, &error))
		fail(error);
	good_state.data = data;
	good_stream = inflated(good_state.data + STATE_HEAD, good_state.len - STATE_HEAD);
	good_hash = vcpu_state_hash(machine);
}

static void state_case(void)
{
	bool deep = !below(8), packed = below(2);
	struct bytes b =
		deep ? damaged_parts() : damaged(good_state.data, good_state.len < LARGEST ? good_state.len : LARGEST);
	char *error = NULL;

	if (!deep && packed)
		mend(&b);
	b = exact(b);
	if (vcpu_load(machine, b.data, b.len, &error)) {
		taken++;
		vcpu_run(machine, 2000);
		if (!vcpu_load(machine, good_state.data, good_state.len, &error))
			fail(error);
	} else {
		check_refusal(error);
	}
	if (!below(deep ? 4 : 64) && vcpu_state_hash(machine) != good_hash)
		fail("a refused state has changed the machine");
	free(b.data);
}

static void state_end(void)
{
	vcpu_free(machine);
	free(good_state.data);
	free(good_stream.data);
}

/* ---- recordings ---- */

static struct bytes good_recording;

static bool append(void *user, const void *data, size_t len)
{
	struct bytes *b = user;

	if (b->len + len > LARGEST)
		return false;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return true;
}

static void recording_begin(void)
{
	/* mov dx, 3F8h; in al, dx; add [600h], al; out */
	static const u8 code[512] = { 0xba, 0xf8, 0x03, 0xec, 0x00,         0x06, 0x00,
				      0x06, 0xee, 0xeb, 0xf5, [510] = 0x55, 0xaa };
	struct vcpu_config config = { .memory = 1 << 20, .kernel_data = code, .kernel_size = sizeof code,
		.console = true, .nic = "ne2000", .seed = 1 };
	struct vcpu_recording recording = { .write = append, .user = &good_recording, .embed = true, .interval = 5000 };
	char *error = NULL;
	struct vcpu *v = vcpu_new(&config, &error);

	good_recording.data = allocate(LARGEST);
	if (!v || vcpu_record(v, &recording))
		fail(v ? vcpu_error(v) : error);
	for (unsigned i = 0; i < 10; i++) {
		vcpu_input(v, VCPU_COM1, "hello", 5);
		vcpu_input(v, VCPU_NET, code, 64);
		vcpu_run(v, 1000);
	}
	if (!vcpu_record_end(v, &error))
		fail(error);
	vcpu_free(v);
}

/* Another configuration, which a recording may well have. */
static struct bytes damaged_config(const u8 *text, size_t len)
{
	static const char *const lines[] = {
		"memory=%llu\n", "processors=%llu\n", "seed=%llu\n", "rtc=%llu\n", "ns_per_instruction_q16=%llu\n",
			"bare=%llu\n", "sound=%llu\n", "drive=ide,disk,%llu\n",
		"drive=floppy,disk,\n", "drive=ide,cdrom,\n", "cpu=%llu\n", "cpu=486,+sse2\n", "bios=%llu\n",
		"display=vga\n", "nic=e1000\n", "mac=%llx:0:0:0:0:0\n",
		"share=\n", "kernel=\n", "initrd=/dev/null\n", "append=\\", "=\n", "drive=ahci,disk,/dev/zero\n",
		"boot=%llu\n",
	};
	struct bytes b = { allocate(LARGEST), len };

	memcpy(b.data, text, len);
	for (u64 n = 1 + below(3); n-- > 0;)
		b.len += (size_t)snprintf((char *)b.data + b.len, 128, lines[below(ARRAY_LEN(lines))],
					  (unsigned long long)extreme(len));
	if (below(4))
		return b;
	damage_once(&b);
	return b;
}

/* The recording with one chunk damaged, unpacked or packed, and its checksum right. */
static struct bytes damaged_chunk(void)
{
	const struct bytes *good = &good_recording;
	struct bytes b = { allocate(2 * LARGEST), 0 }, chunk;
	size_t at = FILE_HEAD, len = 0, full;
	u64 skip = below(3) ? below(4) : below(30);
	u8 *head;

	while (at + CHUNK_HEAD + (len = get32(good->data + at + 4)) < good->len && skip-- > 0)
		at += CHUNK_HEAD + len;
	full = get32(good->data + at + 8);
	if (at == FILE_HEAD) {
		chunk = damaged_config(good->data + at + CHUNK_HEAD, len);
		full = chunk.len;
	} else if (full > len && below(2)) {
		uLongf got = full;
		u8 *unpacked = allocate(full);

		if (full > LARGEST || uncompress(unpacked, &got, good->data + at + CHUNK_HEAD, len) != Z_OK)
			fail("a good recording is damaged");
		chunk = damaged(unpacked, full);
		free(unpacked);
		full = chunk.len;
	} else {
		chunk = damaged(good->data + at + CHUNK_HEAD, len);
		full = below(2) ? chunk.len : below(2) ? full : (size_t)(u32)extreme(full);
	}
	memcpy(b.data, good->data, at + CHUNK_HEAD);
	head = b.data + at;
	if (!below(8))
		head[0] = (u8)below(8);
	memcpy(head + CHUNK_HEAD, chunk.data, chunk.len);
	put32(head + 4, (u32)chunk.len);
	put32(head + 8, (u32)full);
	put32(head + 12, chunk_sum(head, chunk.data, chunk.len));
	b.len = at + CHUNK_HEAD + chunk.len;
	memcpy(b.data + b.len, good->data + at + CHUNK_HEAD + len, good->len - at - CHUNK_HEAD - len);
	b.len += good->len - at - CHUNK_HEAD - len;
	free(chunk.data);
	return b;
}

static void recording_case(void)
{
	struct bytes b = exact(below(3) ? damaged_chunk() : damaged(good_recording.data, good_recording.len));
	char *error = NULL;
	vcpu_replay *r = vcpu_replay_open(b.data, b.len, &error);
	struct vcpu *v = NULL;

	if (r)
		v = vcpu_replay_machine(r, NULL, NULL, &error);
	if (v) {
		taken++;
		vcpu_replay_verify(r, below(2));
		for (unsigned i = 0;
		     i < 5 && !vcpu_replay_done(r) && vcpu_replay_run(r, v, 5000).reason == VCPU_STOP_LIMIT; i++)
			;
		if (vcpu_replay_cut(r) && !*vcpu_replay_cut(r))
			fail("cut off without a reason");
	} else {
		check_refusal(error);
	}
	vcpu_free(v);
	vcpu_replay_free(r);
	free(b.data);
}

static void recording_end(void) { free(good_recording.data); }

/* ---- kernels ---- */

enum { KERNEL = 6144 };
static u8 kernels[6][KERNEL];

/* Linux's setup header; ELF with an entry for PVH; multiboot, as an ELF and with addresses; a boot sector; multiboot 2.
 * Each loops where it is entered. */
static void kernel_begin(void)
{
	u8 *linux_ = kernels[0], *elf = kernels[1], *mb_elf = kernels[2], *mb = kernels[3], *mb2 = kernels[5];

	for (unsigned i = 0; i < ARRAY_LEN(kernels); i++)
		for (unsigned k = 0; k < KERNEL; k += 2)
			put16(kernels[i] + k, 0xfeeb);
	memset(linux_ + 0x1f1, 0, 0x9f);
	linux_[0x1f1] = 1;
	put32(linux_ + 0x1f4, (KERNEL - 1024) / 16);
	put16(linux_ + 0x1fe, 0xaa55);
	put16(linux_ + 0x200, 0x66eb);
	memcpy(linux_ + 0x202, "HdrS", 4);
	put16(linux_ + 0x206, 0x020f);
	linux_[0x211] = 1;
	put32(linux_ + 0x214, 0x100000);
	put32(linux_ + 0x22c, 0x7fffffff);
	put32(linux_ + 0x230, 0x1000);
	linux_[0x234] = 1;
	put16(linux_ + 0x236, 1);
	put32(linux_ + 0x238, 2047);
	put64(linux_ + 0x258, 0x100000);
	put32(linux_ + 0x260, 0x3000);

	memcpy(elf, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\76\0\1\0\0\0", 24);
	put64(elf + 24, 0x100100);
	put64(elf + 32, 64);
	put16(elf + 52, 64);
	put16(elf + 54, 56);
	put16(elf + 56, 2);
	memset(elf + 64, 0, 112);
	put32(elf + 64, 1); /* load: all of it */
	put64(elf + 64 + 16, 0x100000);
	put64(elf + 64 + 24, 0x100000);
	put64(elf + 64 + 32, KERNEL);
	put64(elf + 64 + 40, KERNEL + 4096);
	put32(elf + 120, 4); /* note */
	put64(elf + 120 + 8, 192);
	put64(elf + 120 + 32, 20);
	put32(elf + 192, 4);
	put32(elf + 196, 4);
	put32(elf + 200, 18);
	memcpy(elf + 204, "Xen", 4);
	put32(elf + 208, 0x100200);

	memcpy(mb_elf, "\177ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\3\0\1\0\0\0", 24);
	put32(mb_elf + 24, 0x100100);
	put32(mb_elf + 28, 52);
	put16(mb_elf + 42, 32);
	put16(mb_elf + 44, 1);
	memcpy(mb_elf + 52, (u8[32]){ 1 }, 32);
	put32(mb_elf + 60, 0x100000);
	put32(mb_elf + 64, 0x100000);
	put32(mb_elf + 68, KERNEL);
	put32(mb_elf + 72, KERNEL);
	put32(mb_elf + 96, 0x1badb002);
	put32(mb_elf + 100, 3);
	put32(mb_elf + 104, -(0x1badb002u + 3));

	put16(kernels[4] + 510, 0xaa55);
	put32(mb, 0x1badb002);
	put32(mb + 4, 0x10003);
	put32(mb + 8, -(0x1badb002u + 0x10003));
	put32(mb + 12, 0x100000);
	put32(mb + 16, 0x100000);
	put32(mb + 20, 0);
	put32(mb + 24, 0x104000);
	put32(mb + 28, 0x100020);

	memcpy(mb2, mb_elf, 96);
	put32(mb2 + 32, 512); /* a section that no segment has */
	put16(mb2 + 46, 40);
	put16(mb2 + 48, 1);
	memcpy(mb2 + 512, (u8[40]){ [4] = 3, [16] = 16, [20] = 80 }, 40);
	put32(mb2 + 96, 0xe85250d6);
	put32(mb2 + 100, 0);
	put32(mb2 + 104, 40);
	put32(mb2 + 108, -(0xe85250d6u + 40));
	memcpy(mb2 + 112, (u8[24]){ 3, 0, 0, 0, 12, 0, 0, 0, 0, 1, 16, 0, [20] = 8 }, 24);
}

static void kernel_case(void)
{
	unsigned which = (unsigned)below(ARRAY_LEN(kernels));
	struct bytes b = exact(
		number < ARRAY_LEN(kernels)
			? (struct bytes){ memcpy(allocate(KERNEL), kernels[which = (unsigned)number], KERNEL), KERNEL }
			: damaged(kernels[which], KERNEL));
	struct vcpu_config config = {
		.memory = 2 << 20, .kernel_data = b.data, .kernel_size = b.len, .append = below(2) ? "console=ttyS0"
			: NULL,
		.initrd_data = which != 4 && below(2) ? kernels : NULL,
	};
	char *error = NULL;
	struct vcpu *v;

	config.initrd_size = config.initrd_data ? below(sizeof kernels) + 1 : 0;
	if (!b.len)
		config.kernel_data = kernels;
	v = vcpu_new(&config, &error);
	if (!v && number < ARRAY_LEN(kernels))
		fail(error);
	if (v) {
		taken++;
		vcpu_run(v, 200);
	} else {
		check_refusal(error);
	}
	vcpu_free(v);
	free(b.data);
}

static void kernel_end(void) { }

/* ---- disks ---- */

static struct bytes good_overlay;

static void disk_begin(void)
{
	struct bytes base = { allocate(1 << 16), 1 << 16 };
	char spec[256], *error = NULL;
	struct disk *disk;
	FILE *file;

	write_file("base", base);
	snprintf(spec, sizeof spec, "%s,overlay=%s", path_of("base"), path_of("overlay"));
	disk = disk_open(spec, &error);
	if (!disk)
		fail(error);
	for (u64 at = 0; at < base.len; at += 3 * 4096)
		disk_write(disk, at, base.data, 512);
	disk_free(disk);
	free(base.data);
	file = fopen(path_of("overlay"), "rb");
	good_overlay.data = allocate(LARGEST);
	good_overlay.len = file ? fread(good_overlay.data, 1, LARGEST, file) : 0;
	if (!good_overlay.len)
		fail("there is no overlay");
	fclose(file);
}

static void disk_case(void)
{
	static const char *const more[] = { "", ",offset=%llu", ",size=%llu", ",offset=512,size=%llu", ",readonly",
		",snapshot", ",offset=%lluG", ",size=%lluK",
		",nonsense", ",", ",overlay=", ",offset=", ",offset=-1" };
	struct bytes b = damaged(good_overlay.data, good_overlay.len);
	char spec[512], *error = NULL;
	u8 sector[4096] = { 1 };
	struct disk *disk;
	size_t n = (size_t)snprintf(spec, sizeof spec, "%s", path_of(below(4) ? "base" : "overlay"));

	if (b.len >= 40 && below(2)) /* the head's own checksum is right */
		put64(b.data + 32, hash64(0, b.data, 32));
	if (below(2) && b.len >= 16) {
		memcpy(b.data, good_overlay.data, 40 < b.len ? 40 : b.len);
	}
	write_file("overlay", b);
	free(b.data);
	if (below(2))
		n += (size_t)snprintf(spec + n, sizeof spec - n, more[below(ARRAY_LEN(more))],
				      (unsigned long long)extreme(1 << 16));
	snprintf(spec + n, sizeof spec - n, ",overlay=%s", path_of("overlay"));
	disk = disk_open(spec, &error);
	if (!disk) {
		check_refusal(error);
		return;
	}
	taken++;
	for (unsigned i = 0; i < 8; i++) {
		u64 at = below(2) ? below(disk_size(disk)) : extreme(disk_size(disk));

		if (below(2))
			disk_read(disk, at, sector, 512);
		else
			disk_write(disk, at, sector, sizeof sector);
	}
	disk_discard(disk, extreme(disk_size(disk)), extreme(disk_size(disk)));
	disk_flush(disk);
	disk_free(disk);
}

static void disk_end(void) { free(good_overlay.data); }

/* ---- dumps, and registers as JSON ---- */

enum { DUMPS = 4 };
static struct bytes good_dump[DUMPS];
static char *good_registers;

static bool grow(void *user, const void *data, size_t len)
{
	struct bytes *b = user;

	memcpy(b->data + b->len, data, len);
	b->len += len;
	return true;
}

static vcpu *bare(void)
{
	struct vcpu_config config = { .bare = true, .cpu = "max" };
	vcpu *v = vcpu_new(&config, NULL);

	if (!v)
		fail("no machine");
	return v;
}

/* makedumpfile's: pages 0 to 3 as they are, by LZO, by snappy and, where that is built in, by zstd. */
#if HAVE_LIBZSTD
enum { METHODS_MAP = 15 };
#else
enum { METHODS_MAP = 7 };
#endif
static void begin_kdump(struct bytes *b)
{
	static const struct { const u8 *data; u32 len, how; } pages[] = {
		{ NULL, PAGE_SIZE, 0 }, { by_lzo, sizeof by_lzo, DUMP_LZO }, { by_snappy, sizeof by_snappy, DUMP_SNAPPY },
		{ by_zstd, sizeof by_zstd, DUMP_ZSTD },
	};
	u8 *d = b->data, *desc = d + 4 * PAGE_SIZE;

	memcpy(d, "KDUMP   ", 8);
	put32(d + 8, 6);
	put32(d + 0x1ac, PAGE_SIZE), put32(d + 0x1b0, 1), put32(d + 0x1b4, 2);
	put64(d + PAGE_SIZE + 0x60, 8);
	d[3 * PAGE_SIZE] = METHODS_MAP;
	b->len = 5 * PAGE_SIZE;
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++, desc += 24) {
		put64(desc, b->len), put32(desc + 8, pages[i].len), put32(desc + 12, pages[i].how);
		if (pages[i].data)
			memcpy(d + b->len, pages[i].data, pages[i].len);
		b->len += pages[i].len;
	}
}

/* An ELF core; Windows dumps of page 1, as runs and as a map. */
static void dump_begin(void)
{
	vcpu *v = bare(), *w = bare();

	for (unsigned i = 0; i < DUMPS; i++)
		good_dump[i].data = allocate(LARGEST);
	if (vcpu_map(v, 0x1000, 0x3000) || vcpu_set_mode(v, 64) || vcpu_set(v, VCPU_RIP, 0x1000) ||
	    vcpu_dump_save(v, grow, &good_dump[0]) || !(good_registers = vcpu_registers_json(v)))
		fail("no good dump");
	for (unsigned i = 1; i < 3; i++) {
		u8 *d = good_dump[i].data;

		memcpy(d, "PAGEDU64", 8);
		put32(d + 0x30, 0x8664);
		put32(d + 0x88, 1);
		put64(d + 0x98, 1);
		put64(d + 0xa0, 1);
		put32(d + 0xf98, i == 1 ? 1 : 5);
		memcpy(d + 0x2000, "SDMPDUMP", 8);
		put64(d + 0x2020, 0x3000);
		put64(d + 0x2030, 8);
		d[0x2038] = 2;
		good_dump[i].len = i == 1 ? 0x3000 : 0x4000;
	}
	begin_kdump(&good_dump[3]);
	if (!vcpu_dump_load(w, good_dump[3].data, good_dump[3].len, NULL))
		fail("the dump of makedumpfile is not good");
	vcpu_free(w);
	vcpu_free(v);
}

static void dump_case(void)
{
	unsigned which = (unsigned)below(DUMPS + 1);
	struct bytes b = which < DUMPS ? damaged(good_dump[which].data, good_dump[which].len)
				   : damaged((u8 *)good_registers, strlen(good_registers));
	char *error = NULL;
	vcpu *v = bare();

	b = exact(b);
	if (which < DUMPS ? vcpu_dump_load(v, b.data, b.len, &error)
		      : vcpu_registers_load(v, (const char *)b.data, b.len, &error)) {
		taken++;
		vcpu_run(v, 100);
	} else {
		check_refusal(error);
	}
	vcpu_free(v);
	free(b.data);
}

static void dump_end(void)
{
	for (unsigned i = 0; i < DUMPS; i++)
		free(good_dump[i].data);
	free(good_registers);
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	unsigned share; /* of a hundred cases */
	void (*begin)(void), (*each)(void), (*end)(void);
} kinds[] = {
	{ "dumps", 20, dump_begin, dump_case, dump_end },
	{ "states", 20, state_begin, state_case, state_end },
	{ "recordings", 20, recording_begin, recording_case, recording_end },
	{ "kernels", 20, kernel_begin, kernel_case, kernel_end },
	{ "disks", 20, disk_begin, disk_case, disk_end },
};

int main(int argc, char **argv)
{
	u64 cases = argc > 1 ? strtoull(argv[1], NULL, 0) : 3000;
	static const char *const files[] = { "bios", "disk", "floppy", "base", "overlay" };
	struct rusage usage;
	unsigned done = 0;

	if (!mkdtemp(directory)) {
		perror(directory);
		return 2;
	}
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		u64 n = argc > 3 ? cases : cases * kinds[i].share / 100;

		kind = kinds[i].name;
		if (argc > 3 && strcmp(argv[3], kind))
			continue;
		seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
		taken = refused = 0;
		kinds[i].begin();
		for (number = 0; number < n; number++) {
			setitimer(ITIMER_PROF, &minute, NULL);
			kinds[i].each();
		}
		kinds[i].end();
		setitimer(ITIMER_PROF, &never, NULL);
		printf("%s: %llu cases, %llu taken, %llu refused\n", kind, (unsigned long long)n,
		       (unsigned long long)taken, (unsigned long long)refused);
		done++;
	}
	for (unsigned i = 0; i < ARRAY_LEN(files); i++)
		unlink(path_of(files[i]));
	rmdir(directory);
	getrusage(RUSAGE_SELF, &usage);
	printf("%ld MiB of memory\n%u passed, 0 failed\n", usage.ru_maxrss / 1024, done);
	return 0;
}
