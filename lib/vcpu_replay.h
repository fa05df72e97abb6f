/* SPDX-License-Identifier: MIT */
/* Recordings: a run on file, which any host and any build repeats exactly.
 *
 * A recording holds the configuration, every input with its place, and the hash of the state at checkpoints. It is
 * written piece by piece. If the process dies, the pieces that were written can be replayed.
 *
 * Inputs are those of vcpu_input, and changes of the state by the caller between two runs or in a hook before an
 * instruction (vcpu_hook.h): by vcpu_set and its like, vcpu_set_mode, vcpu_write_physical and vcpu_write_linear. A
 * replay makes them by itself. It does not repeat vcpu_map and its like: before the first vcpu_replay_run of a replay,
 * the caller maps the same memory.
 *
 * Record:
 *
 *     struct vcpu_recording recording = { .write = append_to_file, .user = file };
 *     vcpu *v = vcpu_new(&config, &error);
 *
 *     vcpu_record(v, &recording);
 *     vcpu_run(v, 1000000);
 *     vcpu_input(v, VCPU_COM1, "ls\n", 3);
 *     vcpu_run(v, 1000000);
 *     vcpu_record_end(v, &error);
 *
 * Replay:
 *
 *     vcpu_replay *r = vcpu_replay_open(data, len, &error);
 *     vcpu *v = vcpu_replay_machine(r, output, user, &error);
 *
 *     while (!vcpu_replay_done(r) && vcpu_replay_run(r, v, 1000000).reason == VCPU_STOP_LIMIT)
 *             ;
 *
 * A recording is not trusted: it names the files to open. vcpu_replay_machine opens only regular files, and only for
 * reading. It creates, writes, locks and connects to nothing. The guest's writes stay in memory. The guest starts only
 * if the hashes of the boot files and of each disk's contents are the recorded ones. A FIFO, a socket, a device, a
 * directory, a name in /proc or /sys, and a network block device are errors. vcpu_replay_allow permits further files
 * that the caller's user has named. vcpu_new with the configuration of a recording would not be safe.
 *
 * A recording contains the firmware's variables, and the blocks that an overlay had, up to 32 MiB: the run changes
 * both.
 *
 * Bounds are checked before anything is unpacked. A recording beyond one is refused:
 *   - 1 MiB of configuration;
 *   - 2 MiB for an input;
 *   - 64 MiB for the state at a checkpoint, without the memory, of which the recording has a hash;
 *   - 1 GiB for an embedded image and, beyond 64 MiB, 64 times its packed size;
 *   - 1 GiB for a kernel, initrd or firmware file that only the recording names;
 *   - 1 GiB of inputs in a debugger.
 *
 * A disk is read once from beginning to end, without its holes. A disk of another size than the recorded one is not
 * read. */
#ifndef VCPU_REPLAY_H
#define VCPU_REPLAY_H

#include <vcpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A place in the run of a machine: INSTRUCTIONS have retired, and since then the processors entered STEPS handlers
 * (interrupts and faults retire no instruction). Two runs of the same recording are in the same state at the same
 * place and virtual time. */
struct vcpu_place {
	uint64_t instructions;
	uint32_t steps;
	uint64_t ns;     /* virtual time */
};
/* The present place of V; in a callback, the place before the instruction that is under way. */
VCPU_API struct vcpu_place vcpu_where(const vcpu *v);

struct vcpu_recording {
	/* Append LEN bytes; a callback (vcpu.h). False: there is no room. Then the recording ends, the run goes on,
	 * and vcpu_recording_ok returns false. */
	bool (*write)(void *user, const void *data, size_t len);
	void *user;
	bool embed;          /* put the kernel and the initrd into the recording [only their hash] */
	uint64_t interval;   /* instructions between checkpoints [chosen so that they cost little] */
};

/* Record V from now on. V must not have run yet. Returns 0, or -1 with vcpu_error. The caller's devices (struct
 * vcpu_device) must be mapped before, and be stateless or have save and restore. Before the first vcpu_replay_run of
 * a replay, map the same devices. */
VCPU_API int vcpu_record(vcpu *v, const struct vcpu_recording *recording);
/* Write a last checkpoint and stop recording; vcpu_free does not do it. False, with one line in *ERROR: the
 * recording is incomplete, because a write or an allocation failed, or V was not being recorded. */
VCPU_API bool vcpu_record_end(vcpu *v, char **error);
VCPU_API bool vcpu_recording_ok(const vcpu *v); /* V is being recorded, and every write has succeeded */

typedef struct vcpu_replay vcpu_replay;

/* Open a recording of version 2 or 3. vcpu_record writes version 3, which adds the firmware's variables, overlays
 * and the sizes of disks. DATA must be valid as long as the replay. If a chunk is damaged or cut off, the replay
 * ends before it. NULL, with one line in *ERROR: DATA is no recording, or one of another version. */
VCPU_API vcpu_replay *vcpu_replay_open(const void *data, size_t len, char **error);
VCPU_API void vcpu_replay_free(vcpu_replay *r); /* NULL does nothing; not allowed in a callback of a machine that R
	                                           runs */
/* NULL: the recording is complete. Else one line: the reason why it ends early. */
VCPU_API const char *vcpu_replay_cut(const vcpu_replay *r);
VCPU_API struct vcpu_place vcpu_replay_end(const vcpu_replay *r); /* the last place in the recording */
/* The recorded configuration, to read. Its strings are valid as long as R. */
VCPU_API const struct vcpu_config *vcpu_replay_config(const vcpu_replay *r);
/* A file whose recorded name is FROM, or begins with FROM and a slash, is now TO, or below TO. This applies to
 * disks, overlays, variables, kernels, modules and firmware. TO may be a block device or, for a disk and with .nbd,
 * "nbd:URI". */
struct vcpu_moved { const char *from, *to; };
/* Further files that the user permits a replay to open. Zero: none. */
struct vcpu_replay_files {
	size_t size;                        /* sizeof(struct vcpu_replay_files), as struct vcpu_config has its size [that
	                                       of the library] */
	const char *kernel, *initrd, *bios; /* files for these, if the recording does not contain them [the recorded
	                                       names] */
	const struct vcpu_moved *moved;     /* the first that matches applies */
	unsigned moved_count;
	bool nbd;                           /* connect to network block devices */
};
/* Permit FILES for every later vcpu_replay_machine; strings are copied. False: no memory, or a NULL in moved; then
 * nothing is permitted. */
VCPU_API bool vcpu_replay_allow(vcpu_replay *r, const struct vcpu_replay_files *files);
/* Choose the engine of the machines that vcpu_replay_machine makes from now on. A recording names none.
 * [VCPU_ENGINE_BEST] */
VCPU_API void vcpu_replay_engine(vcpu_replay *r, enum vcpu_engine engine);
/* Make the recorded machine; its disks are snapshots. NULL with *ERROR, e.g. if the kernel, the initrd or the
 * contents of a disk differ from the recorded ones (of a network block device only the size is compared). An overlay
 * that was new is left out. */
VCPU_API vcpu *vcpu_replay_machine(vcpu_replay *r,
				   void (*output)(void *user, enum vcpu_channel channel, const void *data, size_t len),
				   void *user, char **error);
/* Compare the state at every checkpoint [off]. */
VCPU_API void vcpu_replay_verify(vcpu_replay *r, bool on);
/* Run V as vcpu_run does, with the inputs of the recording. It stops at the end of the recording with
 * VCPU_STOP_LIMIT. Beyond the end it is vcpu_run. If the run differs from the recorded one, it stops with
 * VCPU_STOP_HOST, and vcpu_replay_divergence has the place and the part that differ first. VCPU_STOP_HOST without a
 * divergence: the host has no memory (vcpu_error); call again to continue. */
VCPU_API struct vcpu_stop vcpu_replay_run(vcpu_replay *r, vcpu *v, uint64_t instructions);
VCPU_API bool vcpu_replay_done(const vcpu_replay *r); /* the replay is at its end */
VCPU_API const char *vcpu_replay_divergence(const vcpu_replay *r); /* one line, or NULL */
VCPU_API unsigned vcpu_replay_checked(const vcpu_replay *r);       /* number of checkpoints that were compared and
	                                                              equal */

#ifdef __cplusplus
}
#endif
#endif
