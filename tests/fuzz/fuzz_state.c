/* SPDX-License-Identifier: MIT */
/* Saved states. A state that the machine takes must be saved again as it was, and run. A state that it refuses must not
 * have changed it.
 *
 *   0 kind: 0 the whole file follows, 1 the zlib stream, 2 the contents of the stream, 3 changes to the parts of a good one; plus 4 to leave length and checksum as they are
 *   1 the rest; changes: number of the part (16 bits), place in it (16), how many bytes (8), bytes */
#include "tests/fuzz/fuzz.h"
#include <zlib.h>
#include "lib/machine.h"
#include "lib/vcpu_snapshot.h"
#include "tests/fuzz/hashes.h"

enum { CONFIG_WORDS = 12, STREAM_MAX = 8 * MiB };

static vcpu *v;
static vcpu_snapshot *start;
static u8 *good, head[STATE_HEAD];
static size_t good_len;
static struct hashes good_hashes;
static struct { size_t at, len; } parts[PARTS_MAX];
static unsigned nparts;

static void find_parts(void)
{
	size_t at = 8 * CONFIG_WORDS;

	nparts = (unsigned)get64(good + at);
	at += 8;
	for (unsigned i = 0; i < nparts; i++) {
		at += 8 + get64(good + at);
		parts[i].len = get64(good + at);
		parts[i].at = at += 8;
		at += parts[i].len;
	}
	if (at > good_len)
		fuzz_fail("the form of a saved state has changed");
}

static void begin(void)
{
	/* inc byte [600h]; out 40h, al; jmp */
	static const u8 boot[512] = { 0xfe, 0x06, 0x00, 0x06, 0xe6, 0x40, 0xeb, 0xf8, [510] = 0x55, 0xaa };
	static char disk[64];
	struct vcpu_drive drives[] = { { disk, VCPU_BUS_IDE, false },
				       { disk, VCPU_BUS_VIRTIO, false },
				       { disk, VCPU_BUS_AHCI, false },
				       { NULL, VCPU_BUS_FLOPPY, false } };
	struct vcpu_config config = {
		.memory = MiB, .display = "vga", .nic = "e1000", .console = true, .rng = true, .share = "fuzz",
			.sound = true, .processors = 2,
		.kernel_data = boot, .kernel_size = sizeof boot, .drives = drives, .drives_count = ARRAY_LEN(drives),
	};
	struct fuzz_file file = fuzz_file();
	uLongf got = STREAM_MAX;
	char *error = NULL;
	void *data;
	size_t len;

	if (ftruncate(file.fd, 64 * KiB))
		fuzz_fail("no memory for a file");
	snprintf(disk, sizeof disk, "%s,snapshot", file.path);
	v = vcpu_new(&config, &error);
	if (!v)
		fuzz_fail("%s", error);
	vcpu_run(v, 1000);
	if (!vcpu_save(v, &data, &len, &error))
		fuzz_fail("%s", error);
	good = fuzz_memory(malloc(got));
	if (uncompress(good, &got, (u8 *)data + STATE_HEAD, len - STATE_HEAD) != Z_OK)
		fuzz_fail("the stream of a good state is damaged");
	good_len = got;
	memcpy(head, data, STATE_HEAD);
	free(data);
	find_parts();
	hashes_take(&good_hashes, v);
	start = fuzz_memory(vcpu_snapshot_take(v));
}

static void change(struct input *in, u8 *stream)
{
	while (in->left) {
		unsigned part = (unsigned)take(in, 2) % nparts, at = (unsigned)take(in, 2),
			 n = (unsigned)take(in, 1) & 15;

		if (parts[part].len) {
			at %= parts[part].len;
			take_bytes(in, stream + parts[part].at + at,
				   n < parts[part].len - at ? n : parts[part].len - at);
		}
	}
}

/* A file of the input, malloc'd. */
static u8 *state_of(struct input *in, size_t *len)
{
	unsigned kind = (unsigned)take(in, 1);
	size_t from = kind % 4 ? STATE_HEAD : 0, raw = kind % 4 == 3 ? good_len : in->left;
	uLongf room = compressBound(raw);
	u8 *file = fuzz_memory(malloc(STATE_HEAD + room)), *stream;

	memcpy(file, head, STATE_HEAD);
	if (kind % 4 < 2) {
		*len = from + take_bytes(in, file + from, in->left);
	} else {
		stream = exact_copy(kind % 4 == 3 ? good : in->at, raw);
		if (kind % 4 == 3)
			change(in, stream);
		if (compress2(file + STATE_HEAD, &room, stream, raw, 0) != Z_OK)
			fuzz_fail("no memory for a stream");
		free(stream);
		*len = STATE_HEAD + room;
	}
	if (!(kind & 4) && *len >= STATE_HEAD)
		state_seal(file, *len);
	stream = exact_copy(file, *len);
	free(file);
	return stream;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *error = NULL;
	size_t len;
	u8 *file;

	if (!v)
		begin();
	file = state_of(&in, &len);
	if (vcpu_load(v, file, len, &error)) {
		hashes_save_and_load(v);
		vcpu_run(v, 500);
		if (vcpu_snapshot_restore(v, start))
			fuzz_fail("%s", vcpu_error(v));
		v->exit_wanted = v->reset_wanted = false;
	} else {
		check_refusal(error);
	}
	hashes_check(&good_hashes, v, "after a state that was refused, or taken and undone");
	free(file);
	return 0;
}
