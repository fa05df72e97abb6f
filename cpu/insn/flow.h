/* SPDX-License-Identifier: MIT */
/* Control flow, for the block builder. */
#ifndef CPU_FLOW_H
#define CPU_FLOW_H

#include "cpu/op.h"

/* Make O the operation that ends a block IP bytes after its start and goes on there. WRAPS: IP has 16 bits. */
void flow_end(struct op *o, u64 mode, unsigned ip, bool wraps);
/* Make O a direct jump or call to where disp does not reach. */
void flow_beyond(const struct dec *d, struct op *o);

#endif
