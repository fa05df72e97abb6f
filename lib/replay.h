/* SPDX-License-Identifier: MIT */
/* Inputs and where they came: what recordings and debuggers share. */
#ifndef LIB_REPLAY_H
#define LIB_REPLAY_H

#include "lib/machine.h"
#include "lib/vcpu_replay.h"

/* The file: a head, then chunks, each with a head: kind, bytes, bytes unpacked, and a checksum of these three and the
 * bytes (replay.c). */
#define FILE_HEAD 16u
#define CHUNK_HEAD 16u
static inline u32 chunk_sum(const u8 *head, const void *bytes, size_t len)
{
	return (u32)hash64(hash64(0, head, 12), bytes, len);
}

/* Run to WHERE exactly. VCPU_STOP_LIMIT: there; VCPU_STOP_HOST with vcpu_error: the machine did not come by there; else
 * it stopped for this reason on the way (call again). */
struct vcpu_stop machine_run_to(struct vcpu *v, const struct vcpu_place *where);
bool place_equal(const struct vcpu_place *a, const struct vcpu_place *b);
/* In the order of time: is A before B? */
bool place_before(const struct vcpu_place *a, const struct vcpu_place *b);

/* Bytes of all inputs of a recording. */
u64 replay_inputs_size(const struct vcpu_replay *r);
/* All inputs of a recording, in order, to EACH, until it says false: it has no memory. False: *WHY says why. */
bool replay_inputs(const struct vcpu_replay *r, bool (*each)(void *owner, struct vcpu_place at,
	enum vcpu_channel channel, const void *data,
	size_t len), void *owner, const char **why);

/* ---- the recorder: NULL when there is none ---- */
void recorder_input(struct recorder *r, struct vcpu *v, enum vcpu_channel channel, const void *data, size_t len);
/* The same for a change: HEAD and LEN BYTES (change.c). */
void recorder_change(struct recorder *r, struct vcpu *v, unsigned what, const u8 *head, const void *bytes, size_t len);
u64 recorder_due(const struct recorder *r); /* instruction count of the next checkpoint */
void recorder_check(struct recorder *r, struct vcpu *v);
void recorder_free(struct recorder *r);

#endif
