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

#ifdef __cplusplus
}
#endif
#endif
