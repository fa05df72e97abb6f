/* Runs on file: recorded once, repeated exactly, on any host, by any build.
 *
 * A recording holds the configuration, every input with the place where it came, and the state's hash at checkpoints. It is written piece by
 * piece, so that what there is of it when a process dies can be replayed up to there.
 *
 *     struct vcpu_recording r = { .write = append_to_file, .user = file };
 *     vcpu *v = vcpu_new(&config, &error);
 *     vcpu_record(v, &r);
 *     ... vcpu_run, vcpu_input ...
 *     vcpu_record_end(v, &error);
 *
 *     vcpu_replay *r = vcpu_replay_open(data, len, &error);
 *     vcpu *v = vcpu_replay_machine(r, output, user, &error);
 *     while (!vcpu_replay_done(r) && vcpu_replay_run(r, v, 1000000).reason == VCPU_STOP_LIMIT)
 *             ;
 *
 * A recording is a stranger's file: it is data that says which files to open. vcpu_replay_machine opens, of what it
 * names, regular files only, and only for reading: nothing is created, written, locked or connected to, what the
 * guest writes stays in memory, and the guest starts only if the hash of what was booted and of each disk's contents
 * is the one in the recording. A name that is a FIFO, a socket, a device or a directory, one in /proc or /sys, and a
 * network block device are an error. vcpu_replay_allow lifts that for what the caller's user has named. vcpu_new
 * with the configuration of a recording would not be safe.
 *
 * The contents of the firmware's variables are in the recording, and the blocks that an overlay had, if they are 32
 * MiB at most: the run changes both.
 *
 * Bounds, all checked before anything is unpacked; a recording beyond one is refused: 1 MiB of configuration, 2 MiB
 * for an input, 64 MiB for the state at a checkpoint (without memory, which is there as a hash), 1 GiB for an image
 * that is embedded, and beyond 64 MiB 64 times what it is when packed. A debugger keeps 1 GiB of inputs. Of a
 * kernel, initrd or firmware file that only the recording names 1 GiB is read. A disk is read once from its
 * beginning to its end, but for holes; a disk of another size than the recorded one is not read at all. */
#ifndef VCPU_REPLAY_H
#define VCPU_REPLAY_H

#include <vcpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a machine stands in its run: INSTRUCTIONS have retired, and since then STEPS handlers were entered (interrupts and faults retire
 * nothing). Two runs of the same recording are in the same state at the same place and virtual time. */
struct vcpu_place {
	uint64_t instructions;
	uint32_t steps;
	uint64_t ns;     /* virtual time */
};
VCPU_API struct vcpu_place vcpu_where(const vcpu *v);

struct vcpu_recording {
	/* Append LEN bytes; a callback (vcpu.h). False: there is no room; nothing more is recorded, the run goes on, and vcpu_recording_ok says false. */
	bool (*write)(void *user, const void *data, size_t len);
	void *user;
	bool embed;          /* put the kernel and the initrd into the recording [only their hash] */
	uint64_t interval;   /* instructions between checkpoints [chosen so that they cost little] */
};

/* Record V, which must not have run yet, from now on. 0, or -1 with vcpu_error. Devices of the caller's own (struct vcpu_device) must have been
 * mapped, and be stateless or have save and restore; who replays maps the same ones before the first vcpu_replay_run. */
VCPU_API int vcpu_record(vcpu *v, const struct vcpu_recording *recording);
/* Write a last checkpoint and stop recording; vcpu_free does not do it. False with one line in *ERROR: the recording is not whole, it ends before the
 * write that failed or the memory that was missing; or there was none. */
VCPU_API bool vcpu_record_end(vcpu *v, char **error);
VCPU_API bool vcpu_recording_ok(const vcpu *v); /* being recorded, and all has been written */

typedef struct vcpu_replay vcpu_replay;

/* Look at a recording, of version 2 or 3 (vcpu_record writes 3, which has the firmware's variables, overlays and the
 * sizes of disks); DATA must live as long as the replay. What is damaged or cut off ends it early, if its
 * beginning is there. NULL with one line in *ERROR: it is not a recording, or of another version. */
VCPU_API vcpu_replay *vcpu_replay_open(const void *data, size_t len, char **error);
VCPU_API void vcpu_replay_free(vcpu_replay *r); /* NULL is fine; not in a callback of a machine that R runs */
/* NULL: it ends as it should; else why it ends early, in a line. */
VCPU_API const char *vcpu_replay_cut(const vcpu_replay *r);
VCPU_API struct vcpu_place vcpu_replay_end(const vcpu_replay *r); /* the last place that it knows */
/* What the machine was made of, for looking at it. Strings live as long as R. */
VCPU_API const struct vcpu_config *vcpu_replay_config(const vcpu_replay *r);
/* A file whose name in the recording is FROM, or begins with FROM and a slash, lies at TO, or below: disks, overlays,
 * variables, kernels, modules, firmware. TO may be a block device or, for a disk and with .nbd, "nbd:URI". */
struct vcpu_moved { const char *from, *to; };
/* What the user lets a replay open beside what it may by itself. Zero: nothing. */
struct vcpu_replay_files {
	const char *kernel, *initrd, *bios; /* files for these, if they are not in the recording [those that it names] */
	const struct vcpu_moved *moved;     /* the first that fits is taken */
	unsigned moved_count;
	bool nbd;                           /* connect to network block devices */
};
/* For every vcpu_replay_machine that follows; strings are copied. False: no memory, or a NULL in moved; nothing is allowed. */
VCPU_API bool vcpu_replay_allow(vcpu_replay *r, const struct vcpu_replay_files *files);
/* Make that machine; its disks are snapshots. NULL with *ERROR: also when the kernel, the initrd or what is on a disk is not what was recorded (of
 * network block devices only the size is compared). An overlay that was new is left out. */
VCPU_API vcpu *vcpu_replay_machine(vcpu_replay *r, void (*output)(void *user, enum vcpu_channel channel, const void *data, size_t len),
				   void *user, char **error);
/* Check the state at every checkpoint, too. */
VCPU_API void vcpu_replay_verify(vcpu_replay *r, bool on);
/* vcpu_run with the inputs of the recording. It stops at the recording's end, with VCPU_STOP_LIMIT, and beyond that it is vcpu_run. A run that is
 * not the recorded one stops with VCPU_STOP_HOST, and vcpu_replay_divergence tells where it was first seen to differ, and in what. VCPU_STOP_HOST
 * without a divergence: the host has no memory (vcpu_error tells); call again, and it goes on. */
VCPU_API struct vcpu_stop vcpu_replay_run(vcpu_replay *r, vcpu *v, uint64_t instructions);
VCPU_API bool vcpu_replay_done(const vcpu_replay *r); /* at its end */
VCPU_API const char *vcpu_replay_divergence(const vcpu_replay *r); /* or NULL */
VCPU_API unsigned vcpu_replay_checked(const vcpu_replay *r);       /* checkpoints that were compared, and equal */

#ifdef __cplusplus
}
#endif
#endif
