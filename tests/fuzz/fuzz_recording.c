/* SPDX-License-Identifier: MIT */
/* Recordings: opened, made a machine of, and replayed a while.
 *
 *   0 kind: 0 the whole file follows; 1 its version, 2 or 3, follows, then chunks: kind (8 bits), how (8), length (16), bytes. How: bit 0 they are compressed
 *   here, 1 the length unpacked is told by 32 bits before them, 2 the checksum is wrong */
#include "tests/fuzz/fuzz.h"
#include <zlib.h>
#include "lib/replay.h"

enum { RUNS = 5, RUN = 2000 };

static size_t put_chunk(struct input *in, u8 *out)
{
	u8 bytes[1 << 16];
	u32 kind = (u32)take(in, 1), how = (u32)take(in, 1), len = (u32)take(in, 2),
	    full = how & 2 ? (u32)take(in, 4) : 0;
	uLongf packed;

	len = (u32)take_bytes(in, bytes, len);
	full = how & 2 ? full : len;
	packed = compressBound(len);
	if (!(how & 1) || compress2(out + CHUNK_HEAD, &packed, bytes, len, 1) != Z_OK)
		memcpy(out + CHUNK_HEAD, bytes, packed = len);
	put32(out, kind);
	put32(out + 4, (u32)packed);
	put32(out + 8, full);
	put32(out + 12, chunk_sum(out, out + CHUNK_HEAD, packed) ^ (how & 4));
	return CHUNK_HEAD + packed;
}

static u8 *file_of(struct input *in, size_t *len)
{
	u8 *file, *copy;

	if (!(take(in, 1) & 1))
		return exact_copy(in->at, *len = in->left);
	/* A chunk takes 4 bytes of the input, and becomes a head and at most compressBound of its bytes. */
	file = fuzz_memory(calloc(1, FILE_HEAD + 16 * in->left + (1 << 17)));
	memcpy(file, "vcpurply", 8);
	put32(file + 8, (u32)take(in, 1));
	*len = FILE_HEAD;
	while (in->left)
		*len += put_chunk(in, file + *len);
	copy = exact_copy(file, *len);
	free(file);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *error = NULL;
	vcpu *v = NULL;
	vcpu_replay *r;
	size_t len;
	u8 *file;

	if (size > 1 << 20)
		return 0;
	file = file_of(&in, &len);
	r = vcpu_replay_open(file, len, &error);
	if (r)
		v = vcpu_replay_machine(r, NULL, NULL, &error);
	if (v) {
		vcpu_replay_verify(r, true);
		for (unsigned i = 0;
		     i < RUNS && !vcpu_replay_done(r) && vcpu_replay_run(r, v, RUN).reason == VCPU_STOP_LIMIT; i++)
			;
		if (vcpu_replay_cut(r) && !*vcpu_replay_cut(r))
			fuzz_fail("cut off without a reason");
	} else {
		check_refusal(error);
	}
	vcpu_free(v);
	vcpu_replay_free(r);
	free(file);
	return 0;
}
