/* Snapshots in memory: a state of a machine to which it can go back, as often as one likes, and in any order.
 *
 * Memory is shared by page between the snapshots of a machine: taking one costs what the guest has written since the last one, going back
 * costs the pages that differ. They belong to the machine: free them before it, or not at all, and vcpu_free does. */
#ifndef VCPU_SNAPSHOT_H
#define VCPU_SNAPSHOT_H

#include <vcpu.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vcpu_snapshot vcpu_snapshot;

/* The whole state, devices and the contents of `snapshot' disks included. NULL with vcpu_error: the host has no memory, or this is a callback. */
VCPU_API vcpu_snapshot *vcpu_snapshot_take(vcpu *v);
/* Be in that state again. 0, or -1 with vcpu_error, and nothing has changed: S is not (or no longer) a snapshot of this machine, memory or a
 * device of the caller's own was mapped since, such a device cannot be asked for its state or does not take it (struct vcpu_device), or
 * this is a callback. */
VCPU_API int vcpu_snapshot_restore(vcpu *v, const vcpu_snapshot *s);
VCPU_API void vcpu_snapshot_free(vcpu *v, vcpu_snapshot *s); /* NULL is fine; what is no snapshot of V is left alone */
/* Bytes that all snapshots of the machine take together. */
VCPU_API uint64_t vcpu_snapshot_memory(const vcpu *v);

#ifdef __cplusplus
}
#endif
#endif
