/* SPDX-License-Identifier: MIT */
/* Snapshots in memory: states to which a machine can return, any number of times and in any order.
 *
 *     vcpu_snapshot *s = vcpu_snapshot_take(v);
 *
 *     vcpu_run(v, 1000000);
 *     vcpu_snapshot_restore(v, s);
 *     vcpu_snapshot_free(v, s);
 *
 * The snapshots of a machine share its pages. The cost of vcpu_snapshot_take is the pages that the guest has written
 * since the last snapshot. The cost of vcpu_snapshot_restore is the pages that differ. Snapshots belong to their
 * machine: vcpu_free frees them. */
#ifndef VCPU_SNAPSHOT_H
#define VCPU_SNAPSHOT_H

#include <vcpu.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vcpu_snapshot vcpu_snapshot;

/* Take a snapshot of the whole state, with the devices and the contents of `snapshot' disks. NULL with vcpu_error:
 * the host has no memory, or this is a callback. */
VCPU_API vcpu_snapshot *vcpu_snapshot_take(vcpu *v);
/* Return to the state of S. Returns 0, or -1 with vcpu_error, and nothing has changed: S is no snapshot of this
 * machine (any more), memory or a device of the caller was mapped since, such a device has no save and restore or
 * refuses the state (struct vcpu_device), or this is a callback. */
VCPU_API int vcpu_snapshot_restore(vcpu *v, const vcpu_snapshot *s);
VCPU_API void vcpu_snapshot_free(vcpu *v, vcpu_snapshot *s); /* NULL, or no snapshot of V, does nothing */
/* Bytes of host memory for all snapshots of the machine. */
VCPU_API uint64_t vcpu_snapshot_memory(const vcpu *v);

/* Templates: states that several machines of a process start from.
 *
 * The machines share the memory of the template and the kernel, the initrd and the firmware. The host copies a page
 * when a machine writes it. A page of zeroes is not stored. vcpu_memory_counts tells what a machine holds of its own.
 *
 * Several threads may make machines from one template at the same time. */
typedef struct vcpu_template vcpu_template;

/* Take a template of the whole state. NULL with vcpu_error: the host has no memory or no memfd, a device of the caller
 * has no save, or this is a callback. The template does not need V afterwards. */
VCPU_API vcpu_template *vcpu_template_take(vcpu *v);
/* Make a machine in the state of T: a PC without devices of the caller. CONFIG is the configuration of the machine of
 * which T was taken; output, user, engine and the images of drives may be others. The boot images come from T; the
 * members that name them are not read. The machine does not need T afterwards. NULL with *ERROR. A machine that has
 * retired instructions cannot be recorded (vcpu_record). */
VCPU_API vcpu *vcpu_template_machine(const vcpu_template *t, const struct vcpu_config *config, char **error);
/* Load the state of T into V, as vcpu_load does: for bare machines and devices of the caller, and to start again. False
 * with *ERROR and V unchanged, or, if the host cannot give the memory, good for vcpu_free only. */
VCPU_API bool vcpu_template_load(vcpu *v, const vcpu_template *t, char **error);
/* Free a template. Its machines go on and keep the memory that they share. NULL does nothing. */
VCPU_API void vcpu_template_free(vcpu_template *t);

/* Clones: machines in the state in which another one is now.
 *
 *     vcpu *c = vcpu_clone(v, NULL, &error);
 *
 *     vcpu_run(c, 1000000);
 *     vcpu_free(c);
 *
 * OF and its clones share memory; the host copies a page when one of them writes it. The first clone moves the memory
 * that OF has written to where they share it. Later clones cost the pages that OF has written since. Of the clones that
 * were freed, up to eight are kept inside for the next vcpu_clone, which then costs some six microseconds for a PC
 * with 1 GiB, and the pages that the two have written; a clone that has to be built takes two milliseconds.
 * vcpu_memory_counts tells what a machine holds of its own.
 *
 * A clone is a machine by itself. OF may run, be cloned again and be freed before or after it, and so may the clone;
 * each of them may be on a thread of its own. vcpu_clone itself uses OF, as vcpu_run does. */

/* Make a machine in the state of OF, with its configuration and its output, which gets USER. Hooks, snapshots, a
 * recording, a debugger and what vcpu_limit_time has set remain with OF. NULL with *ERROR: the host has no memory; OF
 * has devices or memory of the caller's (vcpu_map_device, vcpu_map_ports, vcpu_map_buffer), drives that write to files,
 * or flash with variables; or this is a callback of OF. */
VCPU_API vcpu *vcpu_clone(vcpu *of, void *user, char **error);

#ifdef __cplusplus
}
#endif
#endif
