/* SPDX-License-Identifier: MIT */
/* Control flow, for the block builder. */
#ifndef CPU_FLOW_H
#define CPU_FLOW_H

#include "cpu/op.h"

/* Make O the operation that ends a block IP bytes after its start and goes on there. WRAPS: IP has 16 bits. */
void flow_end(struct op *o, u64 mode, unsigned ip, bool wraps);
/* Make O a direct jump or call to where disp does not reach. */
void flow_beyond(const struct dec *d, struct op *o);
/* Choose the handler of a near jump, call or return by the shadow stack and the tracker. False: neither has to do with
 * it (shadow_stack.c). */
bool flow_enforced(const struct dec *d, struct op *o);
/* Check the target, and push NEXT on the stack and, where it is enabled, the shadow stack. False: fault; nothing is
 * pushed. */
bool shadow_near_call(struct cpu *c, unsigned size, u64 rip, u64 next);

#endif
